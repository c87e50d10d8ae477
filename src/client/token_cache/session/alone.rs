//! A session that no other replica has: what `shared` is without the feature `store`.

use super::tokens::RefreshTokens;
use crate::{
    ClientSecret,
    client::{Error, TokenResponse, token_endpoint::token_response::Unusable},
};
use std::ops::ControlFlow;

#[derive(Default)]
pub(super) struct Replicas;

pub(super) struct Sending;

impl Replicas {
    pub(super) fn are_there(&self) -> bool {
        false
    }

    pub(super) async fn begin(&self) -> Result<ControlFlow<Box<TokenResponse>, Sending>, Error> {
        Ok(ControlFlow::Continue(Sending))
    }

    pub(super) async fn end(&self) -> Result<Option<ClientSecret>, Error> {
        Ok(None)
    }
}

impl Sending {
    pub(super) fn adopt(&self, _: &mut RefreshTokens) {}

    pub(super) fn ended(self, _: &Result<TokenResponse, Unusable>) {}
}

/// There is nobody to wait for.
pub(super) fn not_in_time() -> Error {
    Error::timed_out()
}
