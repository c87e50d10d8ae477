//! Removes tokens from requests.

use super::extract::{Position, Sources, header_name, parameter, read, unread_parameter};
use crate::{
    RequestHead, TokenLocation,
    vocabulary::{
        location::DPOP,
        query::{pairs, with_pairs},
    },
};
use http::{
    HeaderMap, HeaderName, Request, Uri,
    header::{AUTHORIZATION, COOKIE, Entry, SEC_WEBSOCKET_PROTOCOL},
};
use std::ops::Range;

/// Which tokens are removed before the inner service sees the request. A form body never changes;
/// a header that keeps its token is marked sensitive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strip {
    /// Those that would leak: in the query, which is logged, and in a WebSocket subprotocol, which
    /// a server may echo.
    Exposed,
    /// Those in any header or in the query.
    Everything,
    Nothing,
}

/// Removes the token at `position` of `location` from `request`, or marks its header sensitive.
pub(super) fn strip_token<B>(
    request: &mut Request<B>,
    location: &TokenLocation,
    position: Position,
    strip: Strip,
) {
    match position {
        Position::Header => {
            strip_value(request.headers_mut(), header_name(location), strip);
            if *location == TokenLocation::Dpop {
                strip_value(request.headers_mut(), &DPOP, strip);
            }
        }
        Position::Query(pair) if strip != Strip::Nothing => {
            if let Some(uri) = without_pair(request.uri(), pair) {
                *request.uri_mut() = uri;
            }
        }
        Position::Cookie(rest) if strip == Strip::Everything => {
            request.headers_mut().remove(COOKIE);
            if let Some(rest) = rest {
                request.headers_mut().insert(COOKIE, *rest);
            }
        }
        Position::Cookie(_) => mark_sensitive(request.headers_mut(), &COOKIE),
        Position::WebSocket(rest) if strip != Strip::Nothing => {
            request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, *rest);
        }
        Position::WebSocket(_) => mark_sensitive(request.headers_mut(), &SEC_WEBSOCKET_PROTOCOL),
        Position::Query(_) | Position::Form => {}
    }
}

/// Removes the one value of a header, or marks it sensitive.
fn strip_value(headers: &mut HeaderMap, name: &HeaderName, strip: Strip) {
    if strip == Strip::Everything {
        headers.remove(name);
    } else if let Some(value) = headers.get_mut(name) {
        value.set_sensitive(true);
    }
}

/// Removes the whole header of `location`, which presents a malformed token, or marks it sensitive.
fn strip_header<B>(request: &mut Request<B>, location: &TokenLocation, strip: Strip) {
    let (name, is_exposed) = match location {
        TokenLocation::Form | TokenLocation::Query | TokenLocation::QueryParameter(_) => return,
        TokenLocation::Cookie(_) => (&COOKIE, false),
        TokenLocation::WebSocketProtocol(_) | TokenLocation::WebSocketProtocolPair(_) => {
            (&SEC_WEBSOCKET_PROTOCOL, true)
        }
        _ => (header_name(location), false),
    };
    match strip {
        Strip::Everything => drop(request.headers_mut().remove(name)),
        Strip::Exposed if is_exposed => drop(request.headers_mut().remove(name)),
        Strip::Exposed | Strip::Nothing => mark_sensitive(request.headers_mut(), name),
    }
}

/// Removes every parameter `name` from the query, valid token or not, unless `strip` is
/// [`Strip::Nothing`]. Returns `true` if the query had one.
fn strip_parameter<B>(request: &mut Request<B>, name: &str, strip: Strip) -> bool {
    let query = request.uri().query().unwrap_or_default();
    let others = || pairs(query).filter(|pair| !pair.is_named(name)).map(|pair| pair.raw());
    if others().count() == pairs(query).count() {
        return false;
    }
    if strip != Strip::Nothing
        && let Some(uri) = with_pairs(request.uri(), others())
    {
        *request.uri_mut() = uri;
    }
    true
}

/// Removes whatever is in `location`, read or not. Returns `true` if it was in the query.
pub(super) fn strip_location<B>(
    request: &mut Request<B>,
    location: &TokenLocation,
    sources: &Sources,
    strip: Strip,
) -> bool {
    if let Some(name) = parameter(location) {
        return strip_parameter(request, name, strip);
    }
    match read(RequestHead::from_request(request), location, sources) {
        Ok(None) => {}
        Ok(Some((_, position))) => strip_token(request, location, position, strip),
        Err(_) => strip_header(request, location, strip),
    }
    false
}

/// Removes the tokens that are not read: of a query because of the request's method, for it is logged
/// all the same, and of all locations beside DPoP where that is read alone. `Authorization` stays: it
/// tells that the request is not anonymous.
#[inline]
pub(super) fn strip_unread<B>(request: &mut Request<B>, sources: &Sources, strip: Strip) {
    if request.uri().query().is_some() || !sources.unread().is_empty() {
        strip_each_unread(request, sources, strip);
    }
}

fn strip_each_unread<B>(request: &mut Request<B>, sources: &Sources, strip: Strip) {
    for location in sources.unread() {
        let is_authorization = match location {
            TokenLocation::Bearer | TokenLocation::BasicUserName => true,
            TokenLocation::BasicPassword(_) => true,
            TokenLocation::Header(header) => *header.name() == AUTHORIZATION,
            _ => false,
        };
        if !is_authorization {
            strip_location(request, location, sources, strip);
        }
    }
    for location in sources.locations() {
        let head = RequestHead::from_request(request);
        if let Some(name) = unread_parameter(head, location, sources) {
            strip_parameter(request, name, strip);
        }
    }
}

fn mark_sensitive(headers: &mut HeaderMap, name: &HeaderName) {
    if let Entry::Occupied(mut values) = headers.entry(name) {
        values.iter_mut().for_each(|value| value.set_sensitive(true));
    }
}

/// Returns `uri` without the bytes of one pair and its `&`. Every other byte stays. A part of a valid
/// query is valid, so it is `None` only if `pair` is out of bounds.
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
}
