//! A token in a cookie ([RFC 6265 §5.4](https://www.rfc-editor.org/rfc/rfc6265#section-5.4)).

use super::{BAD_SYNTAX, Position, Read, SEVERAL_TOKENS, check_length, token_in};
use crate::{RequestHead, validate::Rejection, vocabulary::token::MAX_TOKEN_LEN};
use http::{HeaderValue, header::COOKIE};
use std::borrow::Cow;

/// Reads the token of the cookie `name`. Several `Cookie` headers are one list.
pub(super) fn read<'a>(head: RequestHead<'a>, name: &str) -> Read<'a> {
    let mut found = None;
    let mut rest: Vec<&[u8]> = Vec::new();
    for line in head.headers().get_all(COOKIE) {
        let mut left = Some(line.as_bytes());
        while let Some(list) = left {
            let (pair, others) = first_pair(list.trim_ascii_start(), name)?;
            let pair = pair.trim_ascii_end();
            left = others;
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

/// Splits the first pair from a list, and refuses a token that goes on and on.
fn first_pair<'a>(list: &'a [u8], name: &str) -> Result<(&'a [u8], Option<&'a [u8]>), Rejection> {
    let start = match value_of(list, name) {
        Some(_) => list.get(..=name.len() + 1 + MAX_TOKEN_LEN).unwrap_or(list),
        None => list,
    };
    match start.iter().position(|byte| *byte == b';') {
        Some(end) => Ok((list.get(..end).unwrap_or_default(), list.get(end + 1..))),
        None => check_length(list.len(), start.len()).map(|()| (list, None)),
    }
}

fn value_of<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")
}
