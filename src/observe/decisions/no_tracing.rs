use super::Outcome;
use crate::validate::Rejection;

pub(super) fn decided(_: Outcome, _: Option<&Rejection>, _: &'static str) {}
