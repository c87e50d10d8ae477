//! What is done to a request whose token was good, and to the answer it gets.

use super::extract::{Place, header_name};
use crate::{
    TokenLocation,
    vocabulary::query::{pairs, with_pairs},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Uri,
    header::{CACHE_CONTROL, COOKIE, Entry, SEC_WEBSOCKET_PROTOCOL},
};
use std::ops::Range;

/// What is taken out of a request before the inner service sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Strip {
    /// What would leak where it is: the query's pair, the WebSocket subprotocol.
    Exposed,
    Everything,
    Nothing,
}

/// Takes the token in `location` out of `request`, or marks its header sensitive.
pub(in crate::server) fn clean<B>(
    request: &mut Request<B>,
    location: &TokenLocation,
    place: Place,
    strip: Strip,
) {
    match place {
        Place::Header if strip == Strip::Everything => {
            request.headers_mut().remove(header_name(location));
        }
        Place::Header => {
            if let Some(value) = request.headers_mut().get_mut(header_name(location)) {
                value.set_sensitive(true);
            }
        }
        Place::Query(pair) if strip != Strip::Nothing => {
            if let Some(uri) = without_pair(request.uri(), pair) {
                *request.uri_mut() = uri;
            }
        }
        Place::Cookie(rest) if strip == Strip::Everything => {
            request.headers_mut().remove(COOKIE);
            if let Some(rest) = rest {
                request.headers_mut().insert(COOKIE, *rest);
            }
        }
        Place::Cookie(_) => mark_sensitive(request.headers_mut(), &COOKIE),
        Place::WebSocket(rest) if strip != Strip::Nothing => {
            request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, *rest);
        }
        Place::WebSocket(_) => mark_sensitive(request.headers_mut(), &SEC_WEBSOCKET_PROTOCOL),
        Place::Query(_) | Place::Form => {}
    }
}

/// Takes every parameter `name` out of the query, be it a token or not; whether there was one.
pub(in crate::server) fn clean_parameter<B>(
    request: &mut Request<B>,
    name: &str,
    strip: Strip,
) -> bool {
    let query = request.uri().query().unwrap_or_default();
    let rest = || pairs(query).filter(|pair| !pair.is_named(name)).map(|pair| pair.raw());
    if rest().count() == pairs(query).count() {
        return false;
    }
    if strip != Strip::Nothing
        && let Some(uri) = with_pairs(request.uri(), rest())
    {
        *request.uri_mut() = uri;
    }
    true
}

fn mark_sensitive(headers: &mut HeaderMap, name: &HeaderName) {
    if let Entry::Occupied(mut values) = headers.entry(name) {
        values.iter_mut().for_each(|value| value.set_sensitive(true));
    }
}

/// `uri` without the bytes of one pair and the `&` that goes with it, every other byte as it is.
fn without_pair(uri: &Uri, pair: Range<usize>) -> Option<Uri> {
    let query = uri.query()?;
    let before = query.get(..pair.start)?;
    let after = query.get(pair.end..)?;
    let (before, after) = match after.strip_prefix('&') {
        Some(after) => (before, after),
        None => (before.strip_suffix('&').unwrap_or(before), after),
    };
    with_pairs(uri, [[before, after].concat().as_str()])
}

/// Keeps shared caches from storing the answer to a URI that held a token (RFC 6750 §2.3):
/// `public` gives way to `private`, `no-store` and the other directives stay.
pub(in crate::server) fn make_private(headers: &mut HeaderMap) {
    let lines: Vec<_> =
        headers.get_all(CACHE_CONTROL).iter().filter_map(|v| v.to_str().ok()).collect();
    let directives: Vec<&str> = lines
        .iter()
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .filter(|directive| !directive.is_empty() && !is(directive, "public"))
        .collect();
    if directives.iter().any(|one| is(one, "private") || is(one, "no-store")) {
        return;
    }
    let mut value = String::from("private");
    for directive in directives {
        value.push_str(", ");
        value.push_str(directive);
    }
    let private = HeaderValue::from_static("private");
    headers.insert(CACHE_CONTROL, HeaderValue::try_from(value).unwrap_or(private));
}

fn is(directive: &str, name: &str) -> bool {
    directive.eq_ignore_ascii_case(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_the_query_keeps_every_byte() {
        for (before, pair, after) in [
            ("/r?access_token=T", 0..14, "/r"),
            ("/r?access_token=T&x=1", 0..14, "/r?x=1"),
            ("/r?x=1&access_token=T", 4..18, "/r?x=1"),
            ("/r?a=%2f&access_token=T&b=1+2&&c", 6..20, "/r?a=%2f&b=1+2&&c"),
            ("https://h.example/r?access_token=T", 0..14, "https://h.example/r"),
        ] {
            let cut = without_pair(&before.parse().unwrap(), pair).unwrap();
            assert_eq!(cut, after, "{before}");
        }
    }

    #[test]
    fn an_answer_is_made_private_and_never_less_strict() {
        for (before, after) in [
            (None, "private"),
            (Some("public, max-age=60"), "private, max-age=60"),
            (Some("max-age=60"), "private, max-age=60"),
            (Some("no-store"), "no-store"),
            (Some("Private, max-age=1"), "Private, max-age=1"),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(before) = before {
                headers.insert(CACHE_CONTROL, HeaderValue::from_static(before));
            }
            make_private(&mut headers);
            let values: Vec<_> = headers.get_all(CACHE_CONTROL).iter().collect();
            assert_eq!(values, [after]);
        }
    }
}
