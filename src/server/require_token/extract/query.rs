//! A token in a query parameter
//! ([RFC 6750 §2.3](https://www.rfc-editor.org/rfc/rfc6750#section-2.3)).

use super::{BAD_SYNTAX, Position, Read, SEVERAL_TOKENS, Sources, check_length, token_in};
use crate::{
    RequestHead, TokenLocation,
    validate::Rejection,
    vocabulary::{location::ACCESS_TOKEN, query, token::MAX_TOKEN_LEN},
};
use http::Method;

/// Returns the parameter of a location that is one, if the query of this request is not read.
pub(in crate::server) fn unread_parameter<'l>(
    head: RequestHead<'_>,
    location: &'l TokenLocation,
    sources: &Sources,
) -> Option<&'l str> {
    parameter(location).filter(|_| !is_read(head, sources))
}

/// Returns the parameter of a location that is one.
pub(in crate::server) fn parameter(location: &TokenLocation) -> Option<&str> {
    match location {
        TokenLocation::Query => Some(ACCESS_TOKEN),
        TokenLocation::QueryParameter(name) => Some(name.as_str()),
        _ => None,
    }
}

fn is_read(head: RequestHead<'_>, sources: &Sources) -> bool {
    // A CONNECT that has a query is the WebSocket of RFC 8441, which is a GET over HTTP/1.
    sources.query_on_any_method
        || matches!(*head.method(), Method::GET | Method::HEAD | Method::CONNECT)
}

/// Reads the token of a parameter, and the bytes of its pair.
pub(super) fn read<'a>(
    head: RequestHead<'a>,
    location: &TokenLocation,
    sources: &Sources,
) -> Read<'a> {
    let name = parameter(location).filter(|_| is_read(head, sources));
    let Some(name) = name else { return Ok(None) };
    let mut found = None;
    let mut start = 0;
    for pair in query::pairs(head.uri().query().unwrap_or_default()) {
        let range = start..start + pair.raw().len();
        start = range.end + 1;
        if pair.is_named(name) && found.replace((pair, range)).is_some() {
            return Err(Rejection::malformed(SEVERAL_TOKENS));
        }
    }
    let Some((pair, range)) = found else { return Ok(None) };
    // Each byte may be percent-encoded.
    check_length(pair.value().map_or(0, str::len), 3 * MAX_TOKEN_LEN)?;
    // A raw `+` is a space to one decoder and a plus to the next: refused, never guessed.
    let value = pair.value().filter(|value| !value.contains('+'));
    let token = value.and_then(query::decode).ok_or(Rejection::malformed(BAD_SYNTAX))?;
    token_in(token.as_bytes())?;
    Ok(Some((token, Position::Query(range))))
}
