//! Nobody hears without the feature `tracing`.

pub(super) fn possible_reuse() {}
