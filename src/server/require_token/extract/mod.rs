//! Finds the token of a request.
//!
//! **In**: the head of a request, and where to look. **Out**: the token and its position, or why the request is refused.
//! **Uses** `vocabulary` and `validate`.

mod basic;
mod cookie;
mod cross_site;
pub(in crate::server) mod form;
mod header;
mod query;
mod sources;
#[cfg(test)]
mod tests;
mod websocket;

pub(super) use header::is_authorization;
pub(in crate::server) use header::{
    bearer_credentials, bearer_header, has_unread_token, header_name,
};
pub(in crate::server) use query::{parameter, unread_parameter};
pub(in crate::server) use sources::{DpopReading, LocationIndex, Sources};

use crate::{
    RequestHead, TokenLocation,
    validate::Rejection,
    vocabulary::{b64token, token::MAX_TOKEN_LEN},
};
use cross_site::is_cross_site;
use http::HeaderValue;
use std::{borrow::Cow, ops::Range};

pub(super) const REPEATED_HEADER: &str = "a credential header is repeated";
pub(super) const SEVERAL_TOKENS: &str = "more than one access token was presented";
pub(super) const BAD_SYNTAX: &str = "the access token is malformed";
const TOO_LONG: &str = "the access token is too long";

/// A token and where it is.
#[derive(Debug)]
pub(super) struct ExtractedToken<'a> {
    pub(super) token: Cow<'a, str>,
    pub(super) location: LocationIndex,
    pub(super) position: Position,
}

/// Why no token was extracted.
pub(super) struct ExtractError<'s> {
    pub(super) rejection: Rejection,
    /// The location at fault, unless several are.
    pub(super) location: Option<&'s TokenLocation>,
}

/// Where a token is within its location, as far as removing it needs that.
#[derive(Clone, Debug)]
pub(super) enum Position {
    /// The whole value of a header.
    Header,
    /// The pair's bytes in the query.
    Query(Range<usize>),
    Form,
    /// The other cookies, if there are any. Boxed, as below, since most tokens are in a header.
    Cookie(Option<Box<HeaderValue>>),
    /// The other subprotocols.
    WebSocket(Box<HeaderValue>),
}

/// The token in one location, if there is one.
type Read<'a> = Result<Option<(Cow<'a, str>, Position)>, Rejection>;

/// Extracts the token of the request, if it presents one in a location that is read.
///
/// # Errors
///
/// When the token is malformed, too long, repeated, in two locations, beside one of a scheme that is
/// not read, or sent by another site.
#[inline]
pub(super) fn extract<'a, 's>(
    head: RequestHead<'a>,
    sources: &'s Sources,
) -> Result<Option<ExtractedToken<'a>>, ExtractError<'s>> {
    let mut found: Option<ExtractedToken<'a>> = None;
    let several =
        || ExtractError { rejection: Rejection::malformed(SEVERAL_TOKENS), location: None };
    for (index, location) in sources.locations().iter().enumerate() {
        let error = |rejection| ExtractError { rejection, location: Some(location) };
        let Some((token, position)) = read(head, location, sources).map_err(error)? else {
            continue;
        };
        if is_ambient(location) && !sources.cross_site && is_cross_site(head) {
            return Err(error(Rejection::cross_site()));
        }
        let next = ExtractedToken { token, location: LocationIndex(index), position };
        if sources.first_wins {
            return Ok(Some(next));
        }
        // RFC 6750 §2: a client uses one way to present a token, not two.
        if found.is_some() {
            return Err(several());
        }
        found = Some(next);
    }
    let is_elsewhere = |found: &ExtractedToken<'_>| {
        !is_authorization(sources.location(found.location), &found.position)
    };
    if found.as_ref().is_some_and(is_elsewhere) && has_unread_token(head, sources) {
        return Err(several());
    }
    Ok(found)
}

/// Reads the token in one location.
pub(super) fn read<'a>(
    head: RequestHead<'a>,
    location: &TokenLocation,
    sources: &Sources,
) -> Read<'a> {
    match location {
        TokenLocation::Bearer
        | TokenLocation::Dpop
        | TokenLocation::BasicUserName
        | TokenLocation::BasicPassword(_)
        | TokenLocation::Header(_) => header::read(head, location, sources),
        TokenLocation::Query | TokenLocation::QueryParameter(_) => {
            query::read(head, location, sources)
        }
        TokenLocation::Form => form::read(head),
        TokenLocation::Cookie(name) => cookie::read(head, name.as_str()),
        TokenLocation::WebSocketProtocol(prefix) => websocket::read_prefixed(head, prefix.as_str()),
        TokenLocation::WebSocketProtocolPair(name) => websocket::read_pair(head, name.as_str()),
    }
}

/// Returns `true` if browsers add the credentials of `location` to requests by themselves.
fn is_ambient(location: &TokenLocation) -> bool {
    matches!(
        location,
        TokenLocation::Cookie(_) | TokenLocation::BasicUserName | TokenLocation::BasicPassword(_)
    )
}

/// Checks that `value` is a token and nothing else.
#[inline]
fn token_in(value: &[u8]) -> Result<&str, Rejection> {
    check_length(value.len(), MAX_TOKEN_LEN)?;
    if !b64token::is_valid(value) {
        return Err(Rejection::malformed(BAD_SYNTAX));
    }
    str::from_utf8(value).map_err(|_| Rejection::malformed(BAD_SYNTAX))
}

/// Refuses `length` bytes with a token in them before anything looks at them.
fn check_length(length: usize, longest: usize) -> Result<(), Rejection> {
    match length > longest {
        true => Err(Rejection::invalid(TOO_LONG)),
        false => Ok(()),
    }
}
