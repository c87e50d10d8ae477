//! What an operator has to know, through the facade `tracing`.

use tracing::{Level, event};

/// A store did not do as it was asked: the token is fetched without it.
pub(super) fn store_failed(operation: &'static str, late: bool) {
    event!(
        target: "tower_oauth2::client",
        Level::WARN,
        operation,
        late,
        "the token store failed"
    );
}

/// A refresh token goes out again after an answer was lost.
pub(super) fn possible_reuse() {
    event!(
        target: "tower_oauth2::client",
        Level::WARN,
        "the answer to a refresh was lost, and its refresh token is sent once more: where the \
         server has rotated it already, this is possible reuse, and the session may end"
    );
}
