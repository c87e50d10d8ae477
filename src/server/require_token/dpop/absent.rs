//! Without the feature `jwt` there are no proofs.

use super::proved::Proving;
use crate::{Answer, Clock, RequestHead, validate::Rejection};
use http::HeaderMap;
use std::time::SystemTime;

/// Settings that cannot be made.
#[derive(Clone, Debug)]
pub(super) enum Dpop {}

impl Dpop {
    pub(super) fn add_nonce(&self, _: &mut HeaderMap, _: SystemTime) {
        match *self {}
    }

    pub(super) fn set_clock(&mut self, _: &Clock) {
        match *self {}
    }

    pub(super) fn check_headers(&self, _: &HeaderMap, _: bool) -> Result<(), Rejection> {
        match *self {}
    }

    pub(super) fn prove(
        &self,
        _: RequestHead<'_>,
        _: &str,
        _: &str,
        _: SystemTime,
    ) -> Answer<Proving> {
        match *self {}
    }
}
