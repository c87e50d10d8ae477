use crate::validate::JwksError;

pub(crate) fn fetched(_: usize) {}

pub(crate) fn not_fetched(_: &JwksError) {}

pub(crate) fn skipped(_: &str) {}
