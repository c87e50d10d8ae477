use std::fmt::Display;
use tracing::{Level, event};

/// Logs that a fetch brought so many keys.
pub(crate) fn fetched(keys: usize) {
    event!(target: "tower_oauth2::server", Level::DEBUG, keys, "keys fetched");
}

/// Logs that a fetch of keys failed. The text is fit for one line.
pub(crate) fn not_fetched(error: &impl Display) {
    event!(target: "tower_oauth2::server", Level::WARN, %error, "keys not fetched");
}

/// Logs that an entry of a key set cannot be used. The text is fit for one line.
pub(crate) fn skipped(entry: &str) {
    event!(target: "tower_oauth2::server", Level::WARN, entry, "key skipped");
}
