use std::fmt::Display;

pub(crate) fn fetched(_: usize) {}

pub(crate) fn not_fetched(_: &impl Display) {}

pub(crate) fn skipped(_: &str) {}
