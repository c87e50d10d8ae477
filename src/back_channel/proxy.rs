//! The forward proxy of the default HTTPS client.

use super::scrub;
use crate::{
    ConfigError,
    vocabulary::{
        origin::{Origin, is_loopback},
        token::sensitive_header,
    },
};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderValue, Uri, uri::Scheme};
use hyper_util::client::legacy::connect::{HttpConnector, proxy::Tunnel};
use percent_encoding::percent_decode_str;
use std::{
    error::Error,
    fmt, mem,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tower_service::Service;
use zeroize::Zeroizing;

type BoxError = Box<dyn Error + Send + Sync>;

/// A proxy that opens tunnels (`CONNECT`) to `https` servers.
#[derive(Clone)]
pub(super) struct Proxy {
    uri: Uri,
    authorization: Option<HeaderValue>,
    /// The servers that do without it, as `NO_PROXY` lists them.
    exempt: Arc<str>,
}

impl Proxy {
    /// Reads the proxy from the first of its variables that is not empty; `variable` looks one up.
    ///
    /// # Errors
    ///
    /// If it is no `http` URL. The error does not repeat it, since it may have a password.
    pub(super) fn from_variables(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, ConfigError> {
        let first = |names: &[&'static str]| {
            let set =
                |name| Some((name, Zeroizing::new(variable(name).filter(|it| !it.is_empty())?)));
            names.iter().copied().find_map(set)
        };
        let proxy = first(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]);
        let Some((name, url)) = proxy else { return Ok(None) };
        let exempt =
            first(&["NO_PROXY", "no_proxy"]).map_or("".into(), |(_, list)| list.as_str().into());
        Self::read(&url, exempt).map(Some).ok_or_else(|| {
            ConfigError::new(format!(
                "{name} is no proxy address, such as http://proxy.example:3128"
            ))
        })
    }

    fn read(text: &str, exempt: Arc<str>) -> Option<Self> {
        let url: Uri = text.parse().ok()?;
        let authority = url.authority()?.as_str();
        // A `/`, `?` or `#` may be one of the password: what is before it is then no host.
        if !text.trim_end_matches('/').ends_with(authority) {
            return None;
        }
        let (user, place) = authority.rsplit_once('@').unwrap_or(("", authority));
        let authorization = match user {
            "" => None,
            user => {
                let colon = if user.contains(':') { "" } else { ":" };
                let pair = percent_decode_str(user).chain(colon.bytes());
                let pair = Zeroizing::new(pair.collect::<Vec<u8>>());
                let encoded = Zeroizing::new(BASE64_STANDARD.encode(&*pair));
                Some(sensitive_header(&["Basic ", &encoded]).ok()?)
            }
        };
        let uri: Uri = format!("http://{place}/").parse().ok()?;
        // The port is a number.
        Origin::from_uri(&uri)?;
        let is_http = url.scheme().is_none_or(|scheme| *scheme == Scheme::HTTP);
        is_http.then_some(Self { uri, authorization, exempt })
    }

    /// Returns `true` for an `https` server on another machine, unless it does without the proxy.
    fn is_for(&self, server: &Uri) -> bool {
        let host = server.host().unwrap_or_default();
        let port = server.port_u16().unwrap_or(443);
        server.scheme() == Some(&Scheme::HTTPS)
            && !is_loopback(host)
            && !self
                .exempt
                .split(|one: char| one == ',' || one.is_whitespace())
                .any(|entry| covers(entry, host, port))
    }
}

/// Returns `true` if `entry` is `*`, a name that is that of `host` or above it, its address or its
/// network; and names this port or none.
fn covers(entry: &str, host: &str, port: u16) -> bool {
    let parts = entry.rsplit_once(':');
    // An IPv6 address has colons of its own.
    let parts = parts.filter(|(own, _)| !own.contains(':') || own.ends_with(']'));
    if parts.is_some_and(|(_, own)| own.parse() != Ok(port)) {
        return false;
    }
    let entry = parts.map_or(entry, |(own, _)| own).trim_matches(['[', ']']);
    let entry = entry.strip_prefix("*.").unwrap_or(entry);
    let (network, length) = entry.split_once('/').unwrap_or((entry, "128"));
    let address = host.trim_start_matches('[').trim_end_matches(']').parse();
    match (address, network.parse(), length.parse::<u32>()) {
        (Ok(IpAddr::V4(one)), Ok(IpAddr::V4(other)), Ok(length)) => {
            let differ = one.to_bits() ^ other.to_bits();
            differ.leading_zeros() >= length.min(u32::BITS)
        }
        (Ok(IpAddr::V6(one)), Ok(IpAddr::V6(other)), Ok(length)) => {
            (one.to_bits() ^ other.to_bits()).leading_zeros() >= length
        }
        (Err(_), Err(_), _) if !matches!(entry, "" | "*") => {
            let host = host.trim_end_matches('.').to_ascii_lowercase();
            let above = host.strip_suffix(&*entry.trim_matches('.').to_ascii_lowercase());
            above.is_some_and(|below| below.is_empty() || below.ends_with('.'))
        }
        _ => entry == "*",
    }
}

/// Connects to a server directly, or through the tunnel of a proxy.
#[derive(Clone)]
pub(super) struct Connector {
    http: HttpConnector,
    proxy: Option<Proxy>,
}

impl Connector {
    pub(super) fn new(proxy: Option<Proxy>) -> Self {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        Self { http, proxy }
    }
}

impl Service<Uri> for Connector {
    type Response = <HttpConnector as Service<Uri>>::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.http.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        let Some(proxy) = self.proxy.as_ref().filter(|proxy| proxy.is_for(&server)) else {
            let connecting = self.http.call(server);
            return Box::pin(async move { connecting.await.map_err(Into::into) });
        };
        // The one that was polled ready is called.
        let fresh = self.http.clone();
        let mut tunnel = Tunnel::new(proxy.uri.clone(), mem::replace(&mut self.http, fresh));
        if let Some(authorization) = &proxy.authorization {
            tunnel = tunnel.with_auth(authorization.clone());
        }
        let (opening, proxy) = (tunnel.call(server), proxy.uri.clone());
        Box::pin(async move {
            opening.await.map_err(|error| {
                let cause = scrub::chain(&error, str::to_owned);
                NoTunnel(format!("no connection through the proxy {proxy}: {cause}")).into()
            })
        })
    }
}

/// The error of a proxy that cannot be reached, or that refuses to open a tunnel.
#[derive(Debug)]
pub(super) struct NoTunnel(String);

impl fmt::Display for NoTunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for NoTunnel {}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(url: &str, exempt: &str) -> Result<Option<Proxy>, ConfigError> {
        Proxy::from_variables(|name| match name {
            "HTTPS_PROXY" => Some(url.to_owned()),
            "NO_PROXY" => Some(exempt.to_owned()),
            _ => None,
        })
    }

    fn is_for(exempt: &str, server: &str) -> bool {
        proxy("http://proxy.example:3128", exempt)
            .unwrap()
            .unwrap()
            .is_for(&server.parse().unwrap())
    }

    #[test]
    fn the_user_of_a_proxy_is_decoded_and_no_part_of_its_address() {
        let read = proxy("http://us%65r:p%40ss@proxy.example:3128", "").unwrap().unwrap();
        assert_eq!(read.uri, "http://proxy.example:3128/");
        let authorization = read.authorization.unwrap();
        assert_eq!(authorization, format!("Basic {}", BASE64_STANDARD.encode("user:p@ss")));
        assert!(authorization.is_sensitive());
        for bare in ["proxy.example:3128", "http://proxy.example:3128/"] {
            let read = proxy(bare, "").unwrap().unwrap();
            assert_eq!(read.uri, "http://proxy.example:3128/");
            assert!(read.authorization.is_none());
        }
    }

    #[test]
    fn an_address_that_is_none_is_an_error_that_names_the_variable_and_no_password() {
        for wrong in [
            "socks5://u:pa55@h:1",
            "https://u:pa55@h",
            "http://u:pa55@",
            "u:pa 55@h",
            "/p",
            "http://u:pa55/x@h:1",
            "http://u:pa55#x@h:1",
            "http://u:pa55?x@h:1",
            "http://h:pa55",
        ] {
            let error = proxy(wrong, "").map(drop).unwrap_err().to_string();
            assert!(error.starts_with("HTTPS_PROXY is no proxy address"), "{error}");
            assert!(!error.contains("55"), "{error}");
        }
        assert!(proxy("", "").unwrap().is_none());
    }

    #[test]
    fn the_first_variable_that_is_not_empty_counts() {
        let variables = [("HTTPS_PROXY", ""), ("https_proxy", "one.example"), ("ALL_PROXY", "two")];
        let look_up = |name: &str| {
            let found = variables.iter().find(|(own, _)| *own == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let read = Proxy::from_variables(look_up).unwrap().unwrap();
        assert_eq!(read.uri, "http://one.example/");
    }

    #[test]
    fn names_addresses_and_networks_do_without_the_proxy() {
        let list = "as.example,\n.corp.example,*.stars.example,dot.example.,10.0.0.0/8,192.0.2.7,\
                    2001:db8::/32,bad/8,,10.1.0.0/x";
        for exempt in [
            "https://as.example/token",
            "https://AS.Example.:8443/token",
            "https://login.as.example/",
            "https://corp.example/",
            "https://a.stars.example/",
            "https://dot.example/",
            "https://10.255.0.1/",
            "https://192.0.2.7/",
            "https://[2001:db8:1::1]/",
            // The machine itself, and what is not for `https`.
            "https://localhost:8443/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "http://169.254.169.254/metadata",
        ] {
            assert!(!is_for(list, exempt), "{exempt}");
        }
        for other in [
            "https://notas.example/",
            "https://example/",
            "https://11.0.0.1/",
            "https://192.0.2.8/",
            "https://[2001:db9::1]/",
            "https://10.example/",
        ] {
            assert!(is_for(list, other), "{other}");
        }
        assert!(!is_for("*", "https://as.example/"));
        let list =
            "as.example:8443,.corp.example:443,192.0.2.7:1,[2001:db8::1]:8443,[2001:db8::2],x:";
        for exempt in [
            "https://as.example:8443/",
            "https://login.as.example:8443/",
            "https://corp.example/",
            "https://192.0.2.7:1/",
            "https://[2001:db8::1]:8443/",
            "https://[2001:db8::2]:9/",
        ] {
            assert!(!is_for(list, exempt), "{exempt}");
        }
        for other in [
            "https://as.example/",
            "https://as.example:844/",
            "https://corp.example:8443/",
            "https://192.0.2.7/",
            "https://[2001:db8::1]/",
            "https://x/",
        ] {
            assert!(is_for(list, other), "{other}");
        }
        assert!(
            !is_for("*:8443", "https://as.example:8443/") && is_for("*:1", "https://a.example/")
        );
        assert!(!is_for("0.0.0.0/0", "https://192.0.2.8/"));
    }
}
