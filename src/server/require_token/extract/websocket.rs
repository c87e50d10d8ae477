//! A token among the subprotocols of a WebSocket upgrade
//! ([RFC 6455 §11.3.4](https://www.rfc-editor.org/rfc/rfc6455#section-11.3.4)).

use super::{BAD_SYNTAX, Position, Read, SEVERAL_TOKENS, check_length, token_in};
use crate::{RequestHead, validate::Rejection, vocabulary::token::MAX_TOKEN_LEN};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{CONNECTION, SEC_WEBSOCKET_PROTOCOL, UPGRADE},
};
use std::borrow::Cow;

/// A browser fails a connection if the response accepts none of the subprotocols that it offered.
const ALONE: &str = "a WebSocket token needs another subprotocol beside it";

/// Reads the token of the subprotocol that is `prefix` and the token in base64url.
pub(super) fn read_prefixed<'a>(head: RequestHead<'a>, prefix: &str) -> Read<'a> {
    let Some(mut items) = items(head)? else { return Ok(None) };
    let is_token = |item: &&str| item.starts_with(prefix);
    let Some(at) = items.iter().position(is_token) else { return Ok(None) };
    let item = items.remove(at);
    if items.iter().any(is_token) {
        return Err(Rejection::malformed(SEVERAL_TOKENS));
    }
    let encoded = item.strip_prefix(prefix).unwrap_or_default();
    let decoded = BASE64_URL_SAFE_NO_PAD.decode(encoded);
    let decoded = decoded.map_err(|_| Rejection::malformed(BAD_SYNTAX))?;
    let token = token_in(&decoded)?.to_owned();
    Ok(Some((Cow::Owned(token), beside(&items)?)))
}

/// Reads the token that is the subprotocol after `name`.
pub(super) fn read_pair<'a>(head: RequestHead<'a>, name: &str) -> Read<'a> {
    let Some(mut items) = items(head)? else { return Ok(None) };
    let Some(at) = items.iter().position(|item| *item == name) else { return Ok(None) };
    if items.iter().skip(at + 1).any(|item| *item == name) {
        return Err(Rejection::malformed(SEVERAL_TOKENS));
    }
    if at + 1 >= items.len() {
        return Err(Rejection::malformed(BAD_SYNTAX));
    }
    let token = token_in(items.remove(at + 1).as_bytes())?;
    Ok(Some((Cow::Borrowed(token), beside(&items)?)))
}

/// Returns the subprotocols that a WebSocket upgrade offers. Several headers are one list.
fn items(head: RequestHead<'_>) -> Result<Option<Vec<&str>>, Rejection> {
    let headers = head.headers();
    let is_upgrade = match *head.method() {
        Method::GET => {
            lists(headers, &CONNECTION, "upgrade") && lists(headers, &UPGRADE, "websocket")
        }
        // Over HTTP/2 (RFC 8441 §5).
        Method::CONNECT => true,
        _ => false,
    };
    if !is_upgrade {
        return Ok(None);
    }
    let mut items = Vec::new();
    for line in headers.get_all(SEC_WEBSOCKET_PROTOCOL) {
        // Room for the longest token in base64url, and for as much beside it.
        check_length(line.len(), 2 * MAX_TOKEN_LEN * 4 / 3)?;
        let line = line.to_str().map_err(|_| Rejection::malformed(BAD_SYNTAX))?;
        items.extend(line.split(',').map(str::trim).filter(|item| !item.is_empty()));
    }
    Ok(Some(items))
}

/// Returns `true` if the list in the header `name` has `item`.
pub(super) fn lists(headers: &HeaderMap, name: &HeaderName, item: &str) -> bool {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|own| own.trim().eq_ignore_ascii_case(item))
}

/// Returns the position of a token beside `items`.
fn beside(items: &[&str]) -> Result<Position, Rejection> {
    if items.is_empty() {
        return Err(Rejection::malformed(ALONE));
    }
    let joined = HeaderValue::try_from(items.join(", "));
    let joined = joined.map_err(|_| Rejection::malformed(BAD_SYNTAX))?;
    Ok(Position::WebSocket(Box::new(joined)))
}
