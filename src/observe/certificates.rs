//! The certificate by which a client is known.

use super::facade::event;

/// Logs that the files of a client certificate have changed and cannot be used. The text is fit for one
/// line.
pub(crate) fn client_certificate_kept(error: &str) {
    event!(target: "tower_oauth2::client", tracing::Level::WARN, error, "client certificate not renewed");
}
