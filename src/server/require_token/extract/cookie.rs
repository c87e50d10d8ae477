//! A token in a cookie ([RFC 6265 §5.4](https://www.rfc-editor.org/rfc/rfc6265#section-5.4)).

use super::{BAD_SYNTAX, Position, Read, SEVERAL_TOKENS, token_in};
use crate::{RequestHead, validate::Rejection};
use http::{HeaderValue, header::COOKIE};
use std::borrow::Cow;

/// Reads the token of the cookie `name`. Several `Cookie` headers are one list.
pub(super) fn read<'a>(head: RequestHead<'a>, name: &str) -> Read<'a> {
    let mut found = None;
    let mut rest: Vec<&[u8]> = Vec::new();
    for line in head.headers().get_all(COOKIE) {
        for pair in line.as_bytes().split(|byte| *byte == b';') {
            let pair = pair.trim_ascii();
            match value_of(pair, name) {
                Some(value) if found.replace(value).is_some() => {
                    return Err(Rejection::malformed(SEVERAL_TOKENS));
                }
                Some(_) => {}
                None if pair.is_empty() => {}
                None => rest.push(pair),
            }
        }
    }
    let Some(value) = found else { return Ok(None) };
    let token = token_in(value)?;
    let rest = match rest.is_empty() {
        true => None,
        false => {
            let joined = rest.join(&b"; "[..]);
            let joined = HeaderValue::from_bytes(&joined);
            Some(Box::new(joined.map_err(|_| Rejection::malformed(BAD_SYNTAX))?))
        }
    };
    Ok(Some((Cow::Borrowed(token), Position::Cookie(rest))))
}

fn value_of<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")
}
