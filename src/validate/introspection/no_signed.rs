//! No answer is signed without the feature `jwt`.

use super::answer::Members;
use crate::validate::Rejection;
use std::time::SystemTime;

#[derive(Clone, Copy)]
pub(super) enum Signed {}

impl Signed {
    pub(super) fn accept(&self) -> &'static str {
        match *self {}
    }

    #[expect(clippy::unused_async, reason = "that of the feature waits")]
    pub(super) async fn read(
        &self,
        _: &[u8],
        _: SystemTime,
        _: crate::validate::times::Leeway,
    ) -> Result<Members, Rejection> {
        match *self {}
    }
}
