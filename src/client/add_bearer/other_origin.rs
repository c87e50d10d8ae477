//! What becomes of a request to an origin that the token is not for.

use super::{
    attach::{MeantFor, is_in_query, with_pair},
    rules::Rules,
};
use crate::{TokenLocation, client::Error, vocabulary::location::ACCESS_TOKEN};
use http::{Request, Uri, uri::PathAndQuery};

/// Lets `request` pass without the layer's token, or says why it does not.
pub(super) fn let_pass<B>(request: &mut Request<B>, rules: &Rules) -> Result<(), Error> {
    match rules.location {
        _ if !rules.allow_other_origins => Err(Error::foreign_origin(request.uri())),
        TokenLocation::Query => withhold(request),
        _ => Ok(()),
    }
}

/// Takes every `access_token` out of the query. A redirect may have copied the layer's own there,
/// and no value tells it from another: tokens are renewed between two hops.
fn withhold<B>(request: &mut Request<B>) -> Result<(), Error> {
    let uri = request.uri();
    if request.extensions().get() == Some(&MeantFor::of(uri)) {
        return Ok(());
    }
    if is_in_query(uri) {
        *request.uri_mut() = with_pair(uri, None)?;
    }
    match has_pair_inside(request.uri()) {
        true => Err(Error::token_inside(request.uri())),
        false => Ok(()),
    }
}

/// Whether `access_token=` is anywhere in `uri`, as it is or however often it is escaped.
fn has_pair_inside(uri: &Uri) -> bool {
    let text = uri.path_and_query().map_or("", PathAndQuery::as_str);
    let start = format!("{ACCESS_TOKEN}=");
    let has = |text: &[u8]| text.windows(start.len()).any(|part| part == start.as_bytes());
    has(text.as_bytes()) || has(&decoded_through(text))
}

/// `text` with its percent escapes decoded, and those that come out of them.
fn decoded_through(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut decoded = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        decoded.push(byte);
        // In one pass: each time over the whole text would be a square of its length.
        while let &[ref before @ .., b'%', high, low] = decoded.as_slice()
            && let (Some(high), Some(low)) = (digit(high), digit(low))
            && let Ok(byte) = u8::try_from(high * 16 + low)
        {
            decoded.truncate(before.len());
            decoded.push(byte);
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_escapes_are_decoded_and_what_is_none_stays() {
        for (text, decoded) in [
            ("/x?a=1+2", "/x?a=1+2"),
            ("%41%4a%4A", "AJJ"),
            ("%2541%252541%25", "AA%"),
            ("%%34%31%4%31", "AA"),
            ("%", "%"),
            ("%4", "%4"),
            ("%zz%4z%+1", "%zz%4z%+1"),
        ] {
            assert_eq!(decoded_through(text), decoded.as_bytes(), "{text}");
        }
    }

    #[test]
    fn many_escapes_of_escapes_take_no_time() {
        let text = format!("/?%{}", "25".repeat(30_000));
        assert!(!has_pair_inside(&text.parse().unwrap()));
    }

    #[test]
    fn a_pair_is_found_inside_of_anything() {
        for inside in [
            "/?a=b?access_token=",
            "/access_token=T/x",
            "/?a=access%5Ftoken%3DT",
            "/?a=%2561ccess_token%25253D",
            "/?a=100%access_token=T",
        ] {
            assert!(has_pair_inside(&inside.parse().unwrap()), "{inside}");
        }
        for other in ["/", "/access_token?access_token", "/?access_tokens=1&access_token%20=x"] {
            assert!(!has_pair_inside(&other.parse().unwrap()), "{other}");
        }
    }
}
