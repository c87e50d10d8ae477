//! Nobody hears without the feature `tracing`.

pub(super) fn possible_reuse() {}

pub(super) fn store_failed(_: &'static str, _: bool) {}
