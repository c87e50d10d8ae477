//! Reading and rewriting the query of a URI, pair by pair, without decoding what is kept.

use super::secret::wiped;
use bytes::Bytes;
use http::{Uri, uri::PathAndQuery};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str};
use std::borrow::Cow;
use zeroize::Zeroizing;

/// The characters that are escaped in a value: all but the unreserved ones of RFC 3986 §2.3.
pub(crate) const ESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One pair, raw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair<'a> {
    raw: &'a str,
    name: &'a str,
    value: Option<&'a str>,
}

/// Iterates over the pairs of `query`, empty ones too: joined with `&` they are `query` again. An
/// empty query has none.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = Pair<'_>> + Clone {
    let count = if query.is_empty() { 0 } else { usize::MAX };
    query.split('&').take(count).map(|raw| {
        let (name, value) = match raw.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (raw, None),
        };
        Pair { raw, name, value }
    })
}

impl<'a> Pair<'a> {
    /// Returns the pair as it is.
    pub(crate) fn raw(&self) -> &'a str {
        self.raw
    }

    /// Returns the value, still encoded, or `None` when there is no `=`.
    pub(crate) fn value(&self) -> Option<&'a str> {
        self.value
    }

    /// Returns `true` if the decoded name is `name`.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.name == name
            || (self.name.contains('%') && percent_decode_str(self.name).eq(name.bytes()))
    }
}

/// Returns `uri` with `pairs` as its query, or `None` when a URI cannot hold them. Without a pair,
/// and with one that is empty, it has no query. Path and query are wiped with the last clone of the
/// URI: a pair may be a token.
pub(crate) fn with_pairs<'p>(
    uri: &Uri,
    pairs: impl IntoIterator<Item = &'p str, IntoIter: Clone>,
) -> Option<Uri> {
    let pairs = pairs.into_iter();
    let len: usize = pairs.clone().map(|pair| pair.len() + 1).sum();
    // Of its final size, since a buffer that grows leaves copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(uri.path().len() + len));
    text.extend_from_slice(uri.path().as_bytes());
    let mut separator = b'?';
    for pair in pairs {
        text.push(separator);
        text.extend_from_slice(pair.as_bytes());
        separator = b'&';
    }
    if text.len() == uri.path().len() + 1 {
        text.pop();
    }
    with_bytes(uri, wiped(text))
}

/// Returns `uri` with `pairs` after its query, whose bytes stay as they are, or `None` when a URI
/// cannot hold them.
pub(crate) fn with_more(uri: &Uri, pairs: &str) -> Option<Uri> {
    let own = uri.query().filter(|own| !own.is_empty());
    with_pairs(uri, own.into_iter().chain([pairs]))
}

/// Returns the URI of the same scheme and authority with `path_and_query`, or `None` when that is
/// not one.
pub(crate) fn with_path_and_query(uri: &Uri, path_and_query: String) -> Option<Uri> {
    with_bytes(uri, path_and_query.into())
}

fn with_bytes(uri: &Uri, path_and_query: Bytes) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::from_maybe_shared(path_and_query).ok()?);
    Uri::from_parts(parts).ok()
}

/// Decodes the percent escapes of `text`. Returns `None` when the result is not UTF-8.
pub(crate) fn decode(text: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(text).decode_utf8().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_join_to_the_query_they_came_from() {
        for query in ["a=1&&b&c=%2f=&", "&", "a", "=&=", "access_token=x"] {
            let joined: Vec<_> = pairs(query).map(|pair| pair.raw()).collect();
            assert_eq!(joined.join("&"), query);
        }
        assert_eq!(pairs("").count(), 0);
    }

    #[test]
    fn a_query_is_rewritten_without_touching_another_byte() {
        let uri = Uri::from_static("https://h.example/p?a=%2f&&b");
        assert_eq!(with_more(&uri, "c=1").unwrap(), "https://h.example/p?a=%2f&&b&c=1");
        assert_eq!(with_pairs(&uri, ["x", ""]).unwrap(), "https://h.example/p?x&");
        for none in [&[][..], &[""]] {
            assert_eq!(with_pairs(&uri, none.iter().copied()).unwrap(), "https://h.example/p");
        }
        let bare = Uri::from_static("/p?");
        assert_eq!(with_more(&bare, "c").unwrap(), "/p?c");
        assert_eq!(with_more(&bare, "c d"), None);
    }

    #[test]
    fn an_encoded_name_is_the_same_name() {
        let named: Vec<_> = pairs("access%5Ftoken=a&access_token2=b&xaccess_token&access_token")
            .map(|pair| pair.is_named("access_token"))
            .collect();
        assert_eq!(named, [true, false, false, true]);
    }
}
