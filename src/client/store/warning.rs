/// The store did not do as it was asked; the token is fetched without it.
pub(super) fn store_failed(operation: &'static str, late: bool) {
    tracing::warn!(target: "tower_oauth2::client", operation, late, "the token store failed");
}
