//! The forward proxy of the default HTTPS client.

use crate::{
    ConfigError,
    vocabulary::{origin::is_loopback, token::sensitive_header},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderValue, Uri, uri::Scheme};
use hyper_util::client::legacy::connect::{HttpConnector, proxy::Tunnel};
use percent_encoding::percent_decode_str;
use std::{
    error::Error,
    fmt,
    future::Future,
    mem,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tower_service::Service;
use zeroize::Zeroizing;

type BoxError = Box<dyn Error + Send + Sync>;

const PROXY: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// A proxy that opens tunnels (`CONNECT`) to `https` servers, and the hosts that do without it.
#[derive(Clone)]
pub(super) struct Proxy {
    uri: Uri,
    authorization: Option<HeaderValue>,
    exempt: Arc<[Exempt]>,
}

/// An entry of `NO_PROXY`.
enum Exempt {
    All,
    /// A name, in lower case, and every name below it.
    Name(String),
    /// The addresses that share this many leading bits with this one.
    Network(IpAddr, u32),
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
        let set = |name: &&'static str| {
            let value = variable(name).filter(|value| !value.is_empty())?;
            Some((*name, Zeroizing::new(value)))
        };
        let Some((name, url)) = PROXY.iter().find_map(set) else { return Ok(None) };
        let exempt = NO_PROXY.iter().find_map(set);
        let exempt =
            exempt.iter().flat_map(|(_, list)| list.split([',', ' ']).filter_map(Exempt::read));
        Self::read(&url, exempt.collect()).map(Some).ok_or_else(|| {
            ConfigError::new(format!(
                "{name} is no proxy address, such as http://proxy.example:3128"
            ))
        })
    }

    fn read(url: &str, exempt: Arc<[Exempt]>) -> Option<Self> {
        let url: Uri = url.parse().ok()?;
        if url.scheme().is_some_and(|scheme| *scheme != Scheme::HTTP) {
            return None;
        }
        let authority = url.authority()?.as_str();
        let (user, place) =
            authority.rsplit_once('@').map_or((None, authority), |(user, place)| {
                (Some(user.split_once(':').unwrap_or((user, ""))), place)
            });
        let authorization = match user {
            None => None,
            Some((user, password)) => {
                let mut pair = Zeroizing::new(percent_decode_str(user).collect::<Vec<u8>>());
                pair.push(b':');
                pair.extend(percent_decode_str(password));
                let encoded = Zeroizing::new(BASE64_STANDARD.encode(&*pair));
                Some(sensitive_header(&["Basic ", &encoded]).ok()?)
            }
        };
        let uri = Uri::builder().scheme(Scheme::HTTP).authority(place).path_and_query("/").build();
        Some(Self { uri: uri.ok()?, authorization, exempt })
    }

    /// Returns `true` for an `https` server on another machine, unless `NO_PROXY` names it.
    fn is_for(&self, server: &Uri) -> bool {
        let host = server.host().unwrap_or_default();
        server.scheme() == Some(&Scheme::HTTPS)
            && !is_loopback(host)
            && !self.exempt.iter().any(|exempt| exempt.has(host))
    }

    fn tunnel(&self, http: HttpConnector) -> Tunnel<HttpConnector> {
        let tunnel = Tunnel::new(self.uri.clone(), http);
        match &self.authorization {
            Some(authorization) => tunnel.with_auth(authorization.clone()),
            None => tunnel,
        }
    }
}

impl Exempt {
    fn read(entry: &str) -> Option<Self> {
        let entry = entry.trim();
        let (address, bits) =
            entry.split_once('/').map_or((entry, None), |(address, bits)| (address, Some(bits)));
        Some(match (address.parse(), bits) {
            (Ok(address), None) => Self::Network(address, u128::BITS),
            (Ok(address), Some(bits)) => Self::Network(address, bits.parse().ok()?),
            (Err(_), None) if entry == "*" => Self::All,
            (Err(_), None) => {
                let name = entry.trim_start_matches('.').to_ascii_lowercase();
                Some(Self::Name(name)).filter(|_| !entry.is_empty())?
            }
            (Err(_), Some(_)) => return None,
        })
    }

    fn has(&self, host: &str) -> bool {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match (self, bare.parse()) {
            (Self::All, _) => true,
            (Self::Name(name), Err(_)) => {
                let host = host.trim_end_matches('.').to_ascii_lowercase();
                host.strip_suffix(name.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            (Self::Network(network, bits), Ok(address)) => begins_alike(*network, address, *bits),
            _ => false,
        }
    }
}

/// Returns `true` if the first `bits` of both addresses are the same.
fn begins_alike(one: IpAddr, other: IpAddr, bits: u32) -> bool {
    let (differ, length) = match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            (u128::from(one.to_bits() ^ other.to_bits()), u32::BITS)
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits(), u128::BITS),
        _ => return false,
    };
    differ.checked_shr(length.saturating_sub(bits)).unwrap_or(0) == 0
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
        let opening = proxy.tunnel(mem::replace(&mut self.http, fresh)).call(server);
        let proxy = proxy.uri.clone();
        Box::pin(async move {
            opening.await.map_err(|error| NoTunnel { proxy, cause: error.into() }.into())
        })
    }
}

/// The error of a proxy that cannot be reached, or that refuses to open a tunnel.
#[derive(Debug)]
pub(super) struct NoTunnel {
    /// Without user name and password.
    proxy: Uri,
    cause: BoxError,
}

impl fmt::Display for NoTunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no connection through the proxy {}", self.proxy)
    }
}

impl Error for NoTunnel {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.cause)
    }
}

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
        for wrong in
            ["socks5://u:pa55@h:1", "https://u:pa55@h", "http://u:pa55@", "u:pa 55@h", "/p"]
        {
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
        let list = "as.example, .corp.example,10.0.0.0/8,192.0.2.7,2001:db8::/32,bad/8,,10.1.0.0/x";
        for exempt in [
            "https://as.example/token",
            "https://AS.Example.:8443/token",
            "https://login.as.example/",
            "https://corp.example/",
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
        assert!(!is_for("0.0.0.0/0", "https://192.0.2.8/"));
    }
}
