use super::{Event, Source};
use std::time::Duration;

pub(super) fn count(_: Event) {}

pub(crate) struct Uses;

impl Uses {
    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn untold() -> Self {
        Self
    }

    #[inline]
    pub(crate) fn used(&self) {}
}

pub(super) struct Expiry;

impl Expiry {
    pub(super) fn new(_: &Source) -> Self {
        Self
    }

    pub(super) fn set(&self, _: Option<Duration>) {}
}
