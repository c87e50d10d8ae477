//! Key sets.

use super::facade::event;
use std::fmt::Display;

/// Logs that a fetch brought `keys` keys.
pub(crate) fn fetched(keys: usize) {
    event!(target: "tower_oauth2::server", tracing::Level::DEBUG, keys, "keys fetched");
}

/// Logs that a fetch of keys failed. The text is fit for one line.
pub(crate) fn not_fetched(error: impl Display) {
    event!(target: "tower_oauth2::server", tracing::Level::WARN, %error, "keys not fetched");
}

/// Logs that an entry of a key set cannot be used. The text is fit for one line.
pub(crate) fn skipped(entry: &str) {
    event!(target: "tower_oauth2::server", tracing::Level::WARN, entry, "key skipped");
}

/// Logs that the server has withdrawn every key that was held.
pub(crate) fn emptied() {
    event!(target: "tower_oauth2::server", tracing::Level::ERROR, "every key was withdrawn");
}
