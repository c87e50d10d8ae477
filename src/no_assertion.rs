//! No client signs without the feature `jwt`.

use std::time::SystemTime;
use zeroize::Zeroizing;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Assertion {}

impl Assertion {
    pub(crate) fn sign(
        &self,
        _: &str,
        _: &str,
        _: SystemTime,
    ) -> Result<Zeroizing<String>, &'static str> {
        match *self {}
    }

    #[cfg_attr(not(feature = "client"), allow(dead_code, reason = "only clients share tokens"))]
    pub(crate) fn told_apart_by(&self) -> Option<Zeroizing<String>> {
        match *self {}
    }
}
