//! JSON objects that servers answer with.

use serde_json::{Map, Value};

/// Returns `text` without the byte order mark that some servers begin it with.
pub(crate) fn without_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// Returns the members of the one object that `text` is, after a byte order mark or none.
pub(crate) fn object(text: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(without_bom(text)).ok()
}
