//! Whether a request that carries what a browser adds by itself comes from another site.

use super::websocket::lists;
use crate::{RequestHead, vocabulary::origin::Origin};
use http::{
    HeaderValue, Method, Uri,
    header::{HOST, ORIGIN, UPGRADE},
    uri::Authority,
};

/// Whether another site made the browser send this request, and it may change something or be
/// answered to that site.
pub(in crate::server::require_token::extract) fn is_cross_site(head: RequestHead<'_>) -> bool {
    let (method, headers) = (head.method(), head.headers());
    // CORS keeps no answer to an upgrade from the page. Over HTTP/2 it is a CONNECT (RFC 8441).
    let upgrades = *method == Method::CONNECT || lists(headers, &UPGRADE, "websocket");
    if !upgrades && matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return false;
    }
    let mut sites = headers.get_all("sec-fetch-site").iter().peekable();
    let says = sites.peek().is_some();
    if sites.any(|site| site.as_bytes().eq_ignore_ascii_case(b"cross-site")) {
        return true;
    }
    // A browser that is old, or asks an API without TLS, names no site. The origin of an upgrade is
    // always named (RFC 6455 §4.1), and has to be this one: another of the same site may be no
    // friend, and could read what it gets.
    (upgrades || !says) && headers.get_all(ORIGIN).iter().any(|origin| !is_own(origin, head))
}

/// Whether `origin` has the host and the port of the request. The scheme is not looked at: behind
/// a proxy that ends TLS it is not known.
fn is_own(origin: &HeaderValue, head: RequestHead<'_>) -> bool {
    let of = || {
        let origin: Uri = origin.to_str().ok()?.parse().ok()?;
        let own = Uri::builder().scheme(origin.scheme()?.clone()).authority(authority(head)?);
        let own = own.path_and_query("/").build().ok()?;
        Some(Origin::from_uri(&origin)?.matches(&own))
    };
    of().unwrap_or(false)
}

/// Whom the request is for (RFC 9112 §3.3).
fn authority(head: RequestHead<'_>) -> Option<Authority> {
    let of_host = || Authority::try_from(head.headers().get(HOST)?.as_bytes()).ok();
    head.uri().authority().cloned().or_else(of_host)
}
