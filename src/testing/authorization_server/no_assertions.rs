//! No client signs without the feature `jwt`.

use super::{RegisteredClient, answer::Refusal, form::Form, state::State};
use std::time::SystemTime;

#[derive(Clone, Debug, Default)]
pub(super) struct ClientKeys;

impl RegisteredClient {
    #[expect(clippy::unused_self, reason = "of the shape of its twin")]
    pub(super) fn is_asserting(&self) -> bool {
        false
    }
}

pub(super) fn authenticate(
    _: &mut State,
    _: SystemTime,
    _: &Form,
) -> Result<Option<RegisteredClient>, Refusal> {
    Ok(None)
}

pub(super) fn subject(_: &mut State, _: SystemTime, _: &str) -> Result<String, Refusal> {
    Err(Refusal::invalid_grant("no issuer is trusted"))
}
