//! Twin of `jwts` without the feature `jwt`, so that the state and the endpoints need no `cfg`:
//! access tokens are opaque, and no signature verifies.

use super::IssuedToken;
use crate::{ClientSecret, testing::authorization_server::answer::Refusal};
use std::time::SystemTime;

#[derive(Clone, Debug, Default)]
pub(crate) struct ClientKeys;

impl ClientKeys {
    pub(crate) fn is_empty(&self) -> bool {
        true
    }

    pub(crate) fn verify(&self, _: &str, _: Option<&ClientSecret>) -> bool {
        false
    }
}

#[derive(Default)]
pub(crate) struct Jwts;

impl Jwts {
    pub(crate) fn issuer(&self) -> Option<&str> {
        None
    }

    pub(crate) fn path_prefix(&self) -> &'static str {
        ""
    }

    pub(crate) fn encode(
        &self,
        _: &IssuedToken,
        _: &str,
        _: SystemTime,
    ) -> Option<Result<String, Refusal>> {
        None
    }

    pub(crate) fn key_set(&self) -> String {
        "{\"keys\":[]}".into()
    }
}
