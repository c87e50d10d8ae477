//! Origins (RFC 6454), and the URLs that are safe without TLS.

use crate::ConfigError;
use http::{Uri, uri::Scheme};
use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
    sync::Arc,
};

/// The origin of a resource: scheme, host and port ([RFC 6454 §4]).
///
/// [RFC 6454 §4]: https://www.rfc-editor.org/rfc/rfc6454#section-4
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    https: bool,
    /// In lower case; an IPv6 address in its brackets.
    host: Arc<str>,
    port: u16,
    /// The authority as most requests spell it, so that the usual check is one comparison.
    authority: Arc<str>,
}

impl Origin {
    /// Returns the origin of `uri`, or `None` for a URI without authority or with another scheme
    /// than `http` and `https`.
    #[must_use]
    pub fn from_uri(uri: &Uri) -> Option<Self> {
        let https = is_https(uri)?;
        let host = uri.host().filter(|host| !host.is_empty())?.to_ascii_lowercase();
        let host = Arc::<str>::from(host);
        let port = port_of(uri, https)?;
        let authority = match port == default_port(https) {
            true => host.clone(),
            false => format!("{host}:{port}").into(),
        };
        Some(Self { https, host, port, authority })
    }

    /// Returns `true` if the scheme is `https`, or `http` to the machine itself.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.https || is_loopback(&self.host)
    }

    /// Returns `true` if `uri` spells this origin in the usual way. This check is faster than
    /// [`matches`](Self::matches).
    #[inline]
    pub(crate) fn is_spelled(&self, uri: &Uri) -> bool {
        let scheme = if self.https { Scheme::HTTPS } else { Scheme::HTTP };
        let authority = uri.authority().is_some_and(|own| own.as_str() == &*self.authority);
        authority && uri.scheme() == Some(&scheme)
    }

    /// Returns `true` if `uri` has this origin. Host names are compared without case, and a default
    /// port may be written or not.
    #[must_use]
    pub fn matches(&self, uri: &Uri) -> bool {
        let Some(authority) = uri.authority() else { return false };
        if is_https(uri) != Some(self.https) {
            return false;
        }
        authority.host().eq_ignore_ascii_case(&self.host)
            && port_of(uri, self.https) == Some(self.port)
    }
}

/// Writes `https://api.example`, with the port when it is not the default one.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.https { "https" } else { "http" }, self.authority)
    }
}

/// Parses an absolute URL without path, query and user name, which would suggest a narrower rule
/// than the origin is, and without a wildcard, which would suggest a wider one.
impl FromStr for Origin {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let uri: Uri = text.parse().map_err(|_| {
            ConfigError::new("an origin is scheme and host, such as https://api.example")
        })?;
        let origin = Self::from_uri(&uri).ok_or_else(|| {
            ConfigError::new("an origin is scheme and host, such as https://api.example")
        })?;
        if text.contains('*') {
            return Err(ConfigError::new(format!(
                "the origin `{origin}` has a wildcard; list each host"
            )));
        }
        if !is_host(&origin.host) {
            return Err(ConfigError::new(format!(
                "the origin `{origin}` has a host that is neither a name nor an address, such as \
                 https://api.example"
            )));
        }
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(ConfigError::new(format!("an origin has no user name: use {origin}")));
        }
        if uri.path() != "/" || uri.query().is_some() || text.contains('#') {
            return Err(ConfigError::new(format!(
                "an origin has no path, query or fragment: use {origin}"
            )));
        }
        Ok(origin)
    }
}

/// What is wrong with a URL, after its name.
pub(crate) const NO_URL: &str = "is no absolute http(s) URL, such as https://as.example/path";
const PLAIN_HTTP: &str = "is plain http to another machine; Transport::allow_plain_http takes it";

/// Parses the URL of a request of the back channel: absolute, without a user name, and safe unless
/// `plain_http` is allowed.
pub(crate) fn fetchable(url: &str, plain_http: bool) -> Result<Uri, &'static str> {
    let uri: Uri = url.parse().map_err(|_| NO_URL)?;
    let origin = Origin::from_uri(&uri).ok_or(NO_URL)?;
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("has a user name, which is for no URL that is fetched");
    }
    if !origin.is_secure() && !plain_http {
        return Err(PLAIN_HTTP);
    }
    Ok(uri)
}

/// Returns whether the scheme is `https`, or `None` when it is neither `https` nor `http`.
fn is_https(uri: &Uri) -> Option<bool> {
    let scheme = uri.scheme()?;
    if *scheme == Scheme::HTTPS {
        Some(true)
    } else if *scheme == Scheme::HTTP {
        Some(false)
    } else {
        None
    }
}

fn default_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

/// Returns the port, or `None` when the one that is written is not a number.
fn port_of(uri: &Uri, https: bool) -> Option<u16> {
    let authority = uri.authority()?;
    let host_and_port = authority.as_str().rsplit('@').next()?;
    let after_host = host_and_port.get(authority.host().len()..)?;
    match after_host.strip_prefix(':') {
        None => after_host.is_empty().then(|| default_port(https)),
        Some("") => Some(default_port(https)),
        Some(port) => port.parse().ok(),
    }
}

/// Returns `true` for an address, and for a name as DNS and hosts files have them.
fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    let is_label = |label: &str| {
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !label.is_empty() && label.bytes().all(is_known)
    };
    host.strip_suffix('.').unwrap_or(host).split('.').all(is_label)
}

/// Returns `true` for `localhost` and the loopback addresses. Other names may resolve to anything.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        text.parse().unwrap()
    }

    #[test]
    fn default_ports_and_case_do_not_matter_and_everything_else_does() {
        let api = origin("https://API.example.com");
        for same in [
            "https://api.example.com/x?y",
            "https://api.example.com:443/",
            "https://Api.Example.Com",
            "https://api.example.com:/",
        ] {
            assert!(api.matches(&same.parse().unwrap()), "{same}");
        }
        for other in [
            "http://api.example.com/",
            "https://api.example.com:8443/",
            "https://api.example.com.evil.example/",
            "https://evil.example/api.example.com",
            "https://api.example.com@evil.example/",
            "https://api.example.com./",
            "/api.example.com",
            "ftp://api.example.com/",
        ] {
            assert!(!api.matches(&other.parse().unwrap()), "{other}");
        }
    }

    #[test]
    fn a_user_name_in_the_called_uri_does_not_change_its_origin() {
        let api = origin("https://api.example.com:8443");
        assert!(api.matches(&"https://u:p@api.example.com:8443/".parse().unwrap()));
        assert!(!api.matches(&"https://api.example.com:8443@evil.example/".parse().unwrap()));
    }

    #[test]
    fn only_https_and_the_machine_itself_are_secure() {
        for yes in
            ["https://x.example", "http://localhost:1", "http://127.0.0.9", "http://[::1]:8080"]
        {
            assert!(origin(yes).is_secure(), "{yes}");
        }
        for no in ["http://x.example", "http://localhost.evil.example", "http://[::2]"] {
            assert!(!origin(no).is_secure(), "{no}");
        }
    }

    #[test]
    fn a_wildcard_is_an_error_that_asks_for_the_hosts() {
        for wild in ["https://*.example", "https://*", "https://api*.example:8443", "https://a.*"] {
            let error = wild.parse::<Origin>().unwrap_err().to_string();
            let expected = format!("the origin `{wild}` has a wildcard; list each host");
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn what_is_no_origin_is_an_error() {
        for bad in [
            "",
            "/x",
            "api.example",
            "https://",
            "ftp://x",
            "https://x/y",
            "https://x/?q",
            "https://u@x",
            "https://x:99999",
            "https://x/#f",
            "https://x%2ey",
            "https://.x.example",
            "https://x..example",
            "https://x,y.example",
            "https://[x]",
        ] {
            assert!(bad.parse::<Origin>().is_err(), "{bad:?}");
        }
        for good in ["https://x_y.example", "https://x.example.", "https://10.0.0.1", "https://x-"]
        {
            assert!(good.parse::<Origin>().is_ok(), "{good:?}");
        }
        assert_eq!(origin("https://X.example:443/").to_string(), "https://x.example");
        assert_eq!(origin("http://[::1]:80").to_string(), "http://[::1]");
    }
}
