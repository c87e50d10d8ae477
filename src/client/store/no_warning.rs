pub(super) fn store_failed(_: &'static str, _: bool) {}
