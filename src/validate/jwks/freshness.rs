//! Reads how long an answer is fresh ([RFC 9111 §4.2](https://www.rfc-editor.org/rfc/rfc9111#section-4.2)).

use super::machine::Lifetime;
use http::{
    HeaderMap,
    header::{AGE, CACHE_CONTROL},
};
use std::time::Duration;

/// Returns the lifetime of `Cache-Control` less `Age`. `Expires` is ignored. An invalid `max-age`
/// counts as stale (RFC 9111 §4.2.1).
pub(super) fn lifetime(headers: &HeaderMap) -> Lifetime {
    let mut lifetime = Lifetime::Unsaid;
    for line in headers.get_all(CACHE_CONTROL) {
        for directive in line.as_bytes().split(|byte| *byte == b',') {
            lifetime = shorter(lifetime, lifetime_of(directive));
        }
    }
    let age = headers.get(AGE).and_then(|age| seconds(age.as_bytes())).unwrap_or_default();
    match lifetime {
        Lifetime::For(lifetime) => Lifetime::For(lifetime.saturating_sub(age)),
        other => other,
    }
}

fn lifetime_of(directive: &[u8]) -> Lifetime {
    let directive = directive.trim_ascii();
    let mut parts = directive.splitn(2, |byte| *byte == b'=');
    let name = parts.next().unwrap_or_default();
    if name.eq_ignore_ascii_case(b"no-store") || name.eq_ignore_ascii_case(b"no-cache") {
        return Lifetime::None;
    }
    if !name.eq_ignore_ascii_case(b"max-age") {
        return Lifetime::Unsaid;
    }
    let value = parts.next().unwrap_or_default();
    let bare = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    seconds(bare.unwrap_or(value)).map_or(Lifetime::None, Lifetime::For)
}

fn shorter(one: Lifetime, other: Lifetime) -> Lifetime {
    match (one, other) {
        (Lifetime::None, _) | (_, Lifetime::None) => Lifetime::None,
        (Lifetime::Unsaid, other) | (other, Lifetime::Unsaid) => other,
        (Lifetime::For(one), Lifetime::For(other)) => Lifetime::For(one.min(other)),
    }
}

/// Parses `delta-seconds`. A number that is too large becomes the largest.
fn seconds(text: &[u8]) -> Option<Duration> {
    let text = str::from_utf8(text.trim_ascii()).ok()?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().map_or(Duration::MAX, Duration::from_secs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_of_what_is_said_counts_less_the_age() {
        let ten = Lifetime::For(Duration::from_secs(10));
        for (lines, age, expected) in [
            (&[][..], "5", Lifetime::Unsaid),
            (&["public, Max-Age=10"], "", ten),
            (&["max-age=\"10\""], "", ten),
            (&["max-age=30", "s-maxage=1, max-age=10"], "", ten),
            (&["max-age=40"], "30", ten),
            (&["max-age=10"], "99999999999999999999", Lifetime::For(Duration::ZERO)),
            (&["max-age=99999999999999999999"], "", Lifetime::For(Duration::MAX)),
            (&["max-age=10, no-store"], "", Lifetime::None),
            (&["NO-CACHE"], "", Lifetime::None),
            (&["max-age=-1"], "", Lifetime::None),
            (&["max-age"], "", Lifetime::None),
            (&["private, must-revalidate", "=,,"], "", Lifetime::Unsaid),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(CACHE_CONTROL, line.parse().unwrap());
            }
            headers.insert(AGE, age.parse().unwrap());
            assert_eq!(lifetime(&headers), expected, "{lines:?}");
        }
    }
}
