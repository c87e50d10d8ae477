use crate::validate::JwksError;

pub(crate) fn not_fetched(_: &JwksError) {}

pub(crate) fn skipped(_: &str) {}
