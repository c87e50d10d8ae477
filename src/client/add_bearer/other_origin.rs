//! Keeps the token away from origins that it is not for.

use super::{
    attach::{QueryTokenOrigin, has_query_token, with_pair},
    rules::Rules,
};
use crate::{TokenLocation, client::Error, vocabulary::location::ACCESS_TOKEN};
use http::{Request, Uri, uri::PathAndQuery};

/// Lets `request` pass without the layer's token.
///
/// # Errors
///
/// If calls to other origins are not allowed, or the token cannot be removed from the URI.
pub(super) fn pass_without_token<B>(request: &mut Request<B>, rules: &Rules) -> Result<(), Error> {
    match rules.location {
        _ if !rules.allow_other_origins => Err(Error::foreign_origin(request.uri())),
        TokenLocation::Query => withhold(request),
        _ => Ok(()),
    }
}

/// Removes every `access_token` from the query. A redirect may have copied the layer's own there,
/// and its value does not identify it, because tokens are renewed between two hops.
fn withhold<B>(request: &mut Request<B>) -> Result<(), Error> {
    let uri = request.uri();
    if request.extensions().get() == Some(&QueryTokenOrigin::from_uri(uri)) {
        return Ok(());
    }
    if has_query_token(uri) {
        *request.uri_mut() = with_pair(uri, None)?;
    }
    match has_pair_inside(request.uri()) {
        true => Err(Error::token_inside(request.uri())),
        false => Ok(()),
    }
}

/// Returns `true` if `access_token=` is anywhere in `uri`, each of its characters plain or escaped
/// any number of times. Characters before it are not decoded: half an escape there would consume
/// the first of them.
fn has_pair_inside(uri: &Uri) -> bool {
    let text = uri.path_and_query().map_or("", PathAndQuery::as_str).as_bytes();
    (0..text.len()).any(|start| text.get(start..).is_some_and(begins_with_pair))
}

fn begins_with_pair(text: &[u8]) -> bool {
    let mut rest = Some(text);
    for expected in ACCESS_TOKEN.bytes().chain([b'=']) {
        rest = rest.and_then(|text| after(expected, text));
    }
    rest.is_some()
}

/// Returns what follows `expected` at the start of `text`: plain, as `%HH`, as `%25HH` and so on.
fn after(expected: u8, text: &[u8]) -> Option<&[u8]> {
    match text.split_first()? {
        (byte, rest) if *byte == expected => Some(rest),
        (b'%', mut rest) => {
            while let Some(inner) = rest.strip_prefix(b"25") {
                rest = inner;
            }
            let (escape, rest) = rest.split_at_checked(2)?;
            let escape = std::str::from_utf8(escape).ok()?;
            (u8::from_str_radix(escape, 16).ok()? == expected).then_some(rest)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deeply_nested_escapes_take_linear_time() {
        let text = format!("/?%{}", "25".repeat(30_000));
        assert!(!has_pair_inside(&text.parse().unwrap()));
    }

    #[test]
    fn a_pair_inside_any_value_is_found() {
        for inside in [
            "/?a=b?access_token=",
            "/access_token=T/x",
            "/?a=access%5Ftoken%3DT",
            "/?a=%2561ccess_token%25253D",
            "/?a=100%access_token=T",
            "/?a=%25access%5Ftoken%3DT",
            "/?a=%2access%5Ftoken%3DT",
            "/?a=%access_token%253dT",
        ] {
            assert!(has_pair_inside(&inside.parse().unwrap()), "{inside}");
        }
        for other in ["/", "/access_token?access_token", "/?access_tokens=1&access_token%20=x"] {
            assert!(!has_pair_inside(&other.parse().unwrap()), "{other}");
        }
    }
}
