//! A token in a header ([RFC 6750 §2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).

use super::{DpopReading, Position, REPEATED_HEADER, Read, Sources, basic, token_in};
use crate::{
    RequestHead, TokenLocation,
    validate::Rejection,
    vocabulary::{location::DPOP, token::MAX_TOKEN_LEN},
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, header::AUTHORIZATION};
use std::borrow::Cow;

/// Returns the header of a location that is one.
pub(in crate::server) fn header_name(location: &TokenLocation) -> &HeaderName {
    match location {
        TokenLocation::Header(header) => header.name(),
        _ => &AUTHORIZATION,
    }
}

/// Returns `true` for a token in the `Authorization` header. Shared caches do not store the answer to
/// a request with one ([RFC 9111 §3.5](https://www.rfc-editor.org/rfc/rfc9111#section-3.5)).
pub(in crate::server::require_token) fn is_authorization(
    location: &TokenLocation,
    position: &Position,
) -> bool {
    let is_in_other =
        matches!(location, TokenLocation::Header(header) if header.name() != AUTHORIZATION);
    matches!(position, Position::Header) && !is_in_other
}

/// Returns the `Authorization` header, or that there is none, if the layer reads nothing else and no
/// header of the request is repeated. Any other request is left to [`extract`](super::extract).
pub(in crate::server) fn bearer_header<'r, B>(
    request: &'r mut Request<B>,
    sources: &Sources,
) -> Option<Option<&'r mut HeaderValue>> {
    let headers = request.headers_mut();
    match *sources.locations() {
        [TokenLocation::Bearer] if is_unrepeated(headers) => Some(headers.get_mut(AUTHORIZATION)),
        [TokenLocation::Bearer, TokenLocation::Dpop]
            if is_unrepeated(headers) && !headers.contains_key(DPOP) =>
        {
            Some(headers.get_mut(AUTHORIZATION))
        }
        _ => None,
    }
}

/// Returns the bytes after the scheme `Bearer`, if a token can be that long. They are not checked
/// in any other way.
pub(in crate::server) fn bearer_credentials(value: &HeaderValue) -> Option<&[u8]> {
    let credentials = after_scheme(value.as_bytes().trim_ascii(), "Bearer")?;
    (credentials.len() <= MAX_TOKEN_LEN).then_some(credentials)
}

/// Returns `true` if the request has credentials of a token scheme that the layer does not read: DPoP,
/// or Bearer where only DPoP is read. Such a request is not anonymous.
pub(in crate::server) fn has_unread_token(head: RequestHead<'_>, sources: &Sources) -> bool {
    // Some proxies join the values of a repeated header.
    let values = head.headers().get_all(AUTHORIZATION).iter();
    values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .any(|value| {
            after_scheme(value, "DPoP").is_some()
                || (sources.dpop == DpopReading::Alone && after_scheme(value, "Bearer").is_some())
        })
}

/// Reads the token of a header. An empty value, or one of another scheme, is none.
#[inline]
pub(super) fn read<'a>(
    head: RequestHead<'a>,
    location: &TokenLocation,
    sources: &Sources,
) -> Read<'a> {
    let Some(value) = only_value(head, header_name(location))? else { return Ok(None) };
    if value.is_empty() {
        return Ok(None);
    }
    let scheme = match location {
        TokenLocation::BasicUserName | TokenLocation::BasicPassword(_) => Some("Basic"),
        TokenLocation::Header(header) => header.scheme(),
        TokenLocation::Dpop => Some("DPoP"),
        _ => Some("Bearer"),
    };
    let credentials = match scheme {
        Some(scheme) => after_scheme(value, scheme),
        None => Some(value),
    };
    let Some(credentials) = credentials else { return Ok(None) };
    let token = match location {
        TokenLocation::BasicUserName => {
            basic::user_name(credentials, &sources.basic_passwords)?.map(Cow::Owned)
        }
        TokenLocation::BasicPassword(user) => {
            basic::password(credentials, user.as_str(), sources)?.map(Cow::Owned)
        }
        _ => Some(Cow::Borrowed(token_in(credentials)?)),
    };
    Ok(token.map(|token| (token, Position::Header)))
}

/// Returns the value of the header `name`, without the space around it. The header must not be
/// repeated.
#[inline]
fn only_value<'a>(head: RequestHead<'a>, name: &HeaderName) -> Result<Option<&'a [u8]>, Rejection> {
    let headers = head.headers();
    let value = match is_unrepeated(headers) {
        true => headers.get(name),
        false => {
            let mut values = headers.get_all(name).iter();
            let value = values.next();
            if values.next().is_some() {
                return Err(Rejection::malformed(REPEATED_HEADER));
            }
            value
        }
    };
    Ok(value.map(|value| value.as_bytes().trim_ascii()))
}

/// Returns `true` if no header is repeated: there are as many values as names.
fn is_unrepeated(headers: &HeaderMap) -> bool {
    headers.len() == headers.keys_len()
}

/// Returns what follows `scheme` and its spaces, if the value is of that scheme (RFC 9110 §11.4).
fn after_scheme<'a>(value: &'a [u8], scheme: &str) -> Option<&'a [u8]> {
    let (own, rest) = value.split_at_checked(scheme.len())?;
    // Fast path: most clients send the very letters.
    if own != scheme.as_bytes() && !own.eq_ignore_ascii_case(scheme.as_bytes()) {
        return None;
    }
    match rest.first() {
        None | Some(b' ' | b'\t') => {
            let start = rest.iter().take(MAX_TOKEN_LEN);
            let spaces = start.take_while(|byte| **byte == b' ').count();
            rest.get(spaces..)
        }
        Some(_) => None,
    }
}
