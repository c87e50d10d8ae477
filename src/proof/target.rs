//! The comparison of `htu` with the URL of a request.

use crate::{ConfigError, Origin};
use http::Uri;

/// The URL of a request as its client sees it, without query and fragment.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    origin: Origin,
    /// The origin as text, and the path before that of the request. Without a slash at its end.
    base: Box<str>,
    /// Where the path begins in `base`.
    path_at: usize,
}

impl Target {
    /// Parses the public URL of a service.
    ///
    /// # Errors
    ///
    /// When it is not an absolute http(s) URL, or has a query, a fragment or a user name.
    pub(crate) fn parse(url: &str) -> Result<Self, ConfigError> {
        let uri: Option<Uri> = url.parse().ok().filter(|_| !url.contains('#'));
        let uri = uri.filter(|uri| uri.query().is_none());
        let target = uri.and_then(|uri| Self::new(&uri, uri.path().trim_end_matches('/')));
        target.ok_or_else(|| {
            ConfigError::new(format!(
                "the public URL {url:?} is not one such as https://api.example/v1, without user \
                 name, query and fragment"
            ))
        })
    }

    /// Returns the target of the origin of `uri` and of `prefix`, or `None` when it has no origin or a
    /// user name.
    pub(crate) fn new(uri: &Uri, prefix: &str) -> Option<Self> {
        let origin = Origin::from_uri(uri)?;
        if uri.authority()?.as_str().contains('@') {
            return None;
        }
        let spelled = origin.to_string();
        let path_at = spelled.len();
        Some(Self { origin, base: (spelled + prefix).into(), path_at })
    }

    /// Returns `true` if `htu` is this URL with `path` after it. Query and fragment of `htu` do not
    /// count ([RFC 9449 §4.3]). Both are normalized as [RFC 3986 §6.2.2 and §6.2.3] have it, except
    /// for dot segments and empty segments, which a router may tell apart.
    ///
    /// [RFC 9449 §4.3]: https://www.rfc-editor.org/rfc/rfc9449#section-4.3
    /// [RFC 3986 §6.2.2 and §6.2.3]: https://www.rfc-editor.org/rfc/rfc3986#section-6.2.2
    pub(crate) fn is_named_by(&self, htu: &str, path: &str) -> bool {
        // RFC 9112 §3.3: `OPTIONS *` has no path. After `base`, it would be the end of a host.
        let path = if path == "*" { "" } else { path };
        // Fast path: most clients write the very bytes.
        if htu.strip_prefix(&*self.base) == Some(path) {
            return true;
        }
        let Ok(uri) = htu.parse::<Uri>() else { return false };
        let is_plain = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        if !is_plain || !self.origin.matches(&uri) {
            return false;
        }
        let prefix = self.base.get(self.path_at..).unwrap_or_default();
        let path = if prefix.is_empty() && path.is_empty() { "/" } else { path };
        let is_named = |path| octets(prefix).chain(octets(path)).eq(octets(uri.path()));
        // A router calls the root of what it nests `/`, whether or not its client wrote the slash.
        is_named(path) || (path == "/" && !prefix.is_empty() && is_named(""))
    }
}

/// An octet of a path, or an escape of one.
#[derive(PartialEq, Eq)]
enum Octet {
    Plain(u8),
    Escaped(u8),
}

/// Iterates over the octets of `path`: an escape of an unreserved octet is that octet, and the case of
/// the other escapes does not count.
fn octets(path: &str) -> impl Iterator<Item = Octet> {
    let mut rest = path.as_bytes();
    std::iter::from_fn(move || {
        let (first, after) = rest.split_first()?;
        let digit = |index: usize| after.get(index).and_then(|byte| char::from(*byte).to_digit(16));
        if let (b'%', Some(high), Some(low)) = (first, digit(0), digit(1)) {
            rest = after.get(2..).unwrap_or_default();
            let octet = u8::try_from(high << 4 | low).unwrap_or_default();
            let is_unreserved = octet.is_ascii_alphanumeric() || b"-._~".contains(&octet);
            return Some(if is_unreserved { Octet::Plain(octet) } else { Octet::Escaped(octet) });
        }
        rest = after;
        Some(Octet::Plain(*first))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_named(base: &str, path: &str, htu: &str) -> bool {
        Target::parse(base).unwrap().is_named_by(htu, path)
    }

    #[test]
    fn one_url_has_several_spellings() {
        for (base, path, htu) in [
            ("https://api.example", "/r", "https://api.example/r"),
            ("https://api.example/", "/r", "https://api.example/r?q=1"),
            ("https://api.example", "/r", "https://api.example/r#f"),
            ("https://api.example", "/r", "HTTPS://API.Example:443/r"),
            ("https://api.example:8443", "/r", "https://api.example:8443/r"),
            ("http://api.example", "/r", "http://api.example:80/r"),
            ("https://api.example", "/", "https://api.example"),
            ("https://api.example/v1", "/r", "https://api.example/v1/r"),
            ("https://api.example/v1/", "/r", "https://api.example/v1/r"),
            ("https://api.example/v1", "/", "https://api.example/v1"),
            ("https://api.example/v1", "/", "https://api.example/v1/"),
            ("https://api.example", "/~a%2fb", "https://api.example/%7Ea%2Fb"),
            ("https://[::1]:8080", "/r", "https://[::1]:8080/r"),
        ] {
            assert!(is_named(base, path, htu), "{base} {path} {htu}");
        }
    }

    #[test]
    fn what_a_router_tells_apart_stays_apart() {
        for (base, path, htu) in [
            ("https://api.example", "/r", "https://api.example/R"),
            ("https://api.example", "/r", "https://api.example/r/"),
            ("https://api.example", "/a/b", "https://api.example//a/b"),
            ("https://api.example", "/a/b", "https://api.example/a//b"),
            ("https://api.example", "/b", "https://api.example/a/../b"),
            ("https://api.example", "/b", "https://api.example/./b"),
            ("https://api.example", "/a/b", "https://api.example/a%2Fb"),
            ("https://api.example", "/r", "http://api.example/r"),
            ("https://api.example", "/r", "https://api.example:444/r"),
            ("https://api.example", "/r", "https://api.example.evil/r"),
            ("https://api.example", "/r", "https://evil@api.example/r"),
            ("https://api.example/v1", "/r", "https://api.example/r"),
            ("https://api.example/v1", "/r", "https://api.example/v1r"),
            ("https://api.example", "/r", "/r"),
            ("https://api.example", "/r", ""),
            ("https://api.example", "/r%zz", "https://api.example/r%Zz"),
        ] {
            assert!(!is_named(base, path, htu), "{base} {path} {htu}");
        }
    }

    #[test]
    fn a_public_url_with_a_query_a_fragment_a_user_or_no_origin_is_refused() {
        for wrong in [
            "",
            "/v1",
            "api.example",
            "ftp://a.example",
            "https://u@a.example",
            "https://a.example/?q",
            "https://a.example/#f",
        ] {
            assert!(Target::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
