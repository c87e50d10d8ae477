//! Twin of `proofs` without the feature `jwt`: proofs are not read.

use crate::testing::authorization_server::answer::Refusal;
use bytes::Bytes;
use http::{HeaderValue, Request};
use std::time::SystemTime;

#[derive(Default)]
pub(crate) struct Proofs;

impl Proofs {
    pub(crate) fn check(
        &mut self,
        _: &Request<Bytes>,
        _: bool,
        _: SystemTime,
    ) -> Result<Option<Box<str>>, Refusal> {
        Ok(None)
    }

    pub(crate) fn nonce(&mut self, _: SystemTime) -> Option<HeaderValue> {
        None
    }

    pub(crate) fn rotate_nonce(&mut self) {}

    pub(crate) fn algorithms(&self) -> Option<String> {
        None
    }
}
