use super::settings::Settings;
use http::{
    HeaderMap, HeaderValue,
    header::{ACCESS_CONTROL_EXPOSE_HEADERS, CACHE_CONTROL},
};
use std::sync::Arc;

/// What the layer does to `Cache-Control` of the inner service's response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CacheControl {
    Unchanged,
    /// Keeps shared caches from storing the response to a token that was not in `Authorization`, as
    /// RFC 6750 §2.3 says of one in the query. RFC 9111 §3.5 protects `Authorization` alone.
    Private,
}

/// What the layer changes in the inner service's response.
pub(super) enum Changes {
    CacheControl(CacheControl),
    /// Adds the nonce for the next proof. A DPoP token is in `Authorization`.
    Nonce(Arc<Settings>),
}

impl Changes {
    pub(super) const NONE: Self = Self::CacheControl(CacheControl::Unchanged);
}

/// Adds the nonce for the next proof.
#[cold]
pub(super) fn add_nonce(settings: &Settings, headers: &mut HeaderMap) {
    let Some(dpop) = &settings.dpop else { return };
    dpop.add_nonce(headers, settings.clock.wall());
    // RFC 9449 §8.2: out of a cache it would be an old one.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if settings.challenges.settings().exposed {
        let nonce = HeaderValue::from_static("DPoP-Nonce");
        headers.append(ACCESS_CONTROL_EXPOSE_HEADERS, nonce);
    }
}

impl CacheControl {
    #[inline]
    pub(super) fn apply(self, headers: &mut HeaderMap) {
        if self == Self::Private {
            make_private(headers);
        }
    }
}

/// Replaces `public` by `private`. The other directives stay. `no-store` needs no `private`.
fn make_private(headers: &mut HeaderMap) {
    let lines: Vec<_> =
        headers.get_all(CACHE_CONTROL).iter().filter_map(|v| v.to_str().ok()).collect();
    let directives: Vec<&str> = lines
        .iter()
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .filter(|directive| !directive.is_empty() && !directive.eq_ignore_ascii_case("public"))
        .collect();
    let says = |name| directives.iter().any(|directive| directive.eq_ignore_ascii_case(name));
    // RFC 9111 §5.2.2.3: a cache that knows `must-understand` ignores `no-store` beside it.
    if says("private") || (says("no-store") && !says("must-understand")) {
        return;
    }
    let value = [&["private"], &*directives].concat().join(", ");
    let private = HeaderValue::from_static("private");
    headers.insert(CACHE_CONTROL, HeaderValue::try_from(value).unwrap_or(private));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_made_private_and_never_less_strict() {
        for (before, after) in [
            (None, "private"),
            (Some("public, max-age=60"), "private, max-age=60"),
            (Some("max-age=60"), "private, max-age=60"),
            (Some("no-store"), "no-store"),
            (Some("No-Store, Must-Understand"), "private, No-Store, Must-Understand"),
            (Some("must-understand, private"), "must-understand, private"),
            (Some("Private, max-age=1"), "Private, max-age=1"),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(before) = before {
                headers.insert(CACHE_CONTROL, HeaderValue::from_static(before));
            }
            CacheControl::Private.apply(&mut headers);
            let values: Vec<_> = headers.get_all(CACHE_CONTROL).iter().collect();
            assert_eq!(values, [after]);
        }
    }
}
