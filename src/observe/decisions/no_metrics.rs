use super::Outcome;
use crate::{TokenLocation, validate::RejectionKind};

pub(super) fn decided(_: Outcome, _: Option<RejectionKind>, _: Option<&TokenLocation>) {}
