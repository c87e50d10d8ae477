use super::Outcome;
use crate::validate::RejectionKind;

pub(super) fn decided(_: Outcome, _: Option<RejectionKind>, _: &'static str) {}
