//! Values of cases, and how they compare.

use http::HeaderMap;
use serde_json::{Map, Value};

/// A list of texts; a text alone is a list of one.
pub(crate) fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    items.iter().map(|item| item.as_str().expect("a text or a list of texts").into()).collect()
}

pub(crate) fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().expect("an object")
}

/// The lines of the header `name`, joined.
pub(crate) fn joined(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines: Vec<_> =
        headers.get_all(name).iter().map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

pub(crate) fn holds(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}

/// Whether `got` has the members of `expected`, each of them by `same`.
pub(crate) fn has_members(
    expected: &Value,
    got: &Value,
    same: impl Fn(&Value, &Value) -> bool,
) -> bool {
    got.is_object() && object(expected).iter().all(|(name, value)| same(value, &got[name]))
}

pub(crate) fn equal(expected: &Value, got: &Value) -> bool {
    expected == got
}

/// Equal, arrays as sets.
pub(crate) fn contained(expected: &Value, got: &Value) -> bool {
    expected == got || same_set(expected, got)
}

pub(crate) fn same_set(expected: &Value, got: &Value) -> bool {
    let (Some(expected), Some(got)) = (expected.as_array(), got.as_array()) else { return false };
    expected.iter().all(|one| got.contains(one)) && got.iter().all(|one| expected.contains(one))
}
