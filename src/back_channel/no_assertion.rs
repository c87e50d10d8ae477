//! Nobody signs without the feature `jwt`.

use std::time::SystemTime;
use zeroize::Zeroizing;

#[derive(Clone, Copy, Debug)]
pub(crate) enum JwtAssertion {}

impl JwtAssertion {
    pub(crate) fn sign(&self, _: &str, _: SystemTime) -> Result<Zeroizing<String>, Box<str>> {
        match *self {}
    }

    pub(crate) fn told_apart_by(&self) -> Zeroizing<String> {
        match *self {}
    }
}
