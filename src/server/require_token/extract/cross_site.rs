//! Recognises requests that another site made a browser send.

use super::websocket::lists;
use crate::{RequestHead, vocabulary::origin::Origin};
use http::{
    HeaderValue, Method, Uri,
    header::{HOST, ORIGIN, UPGRADE},
    uri::Authority,
};

/// Returns `true` if another site made the browser send this request, and the request may change
/// something or that site can read the response.
pub(super) fn is_cross_site(head: RequestHead<'_>) -> bool {
    let (method, headers) = (head.method(), head.headers());
    // CORS does not protect the response to an upgrade. Over HTTP/2 it is a CONNECT (RFC 8441).
    let upgrades = *method == Method::CONNECT || lists(headers, &UPGRADE, "websocket");
    if !upgrades && matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return false;
    }
    let mut sites = headers.get_all("sec-fetch-site").iter().peekable();
    let names_site = sites.peek().is_some();
    if sites.any(|site| site.as_bytes().eq_ignore_ascii_case(b"cross-site")) {
        return true;
    }
    // An old browser, or one that calls an API without TLS, sends no `Sec-Fetch-Site`. An upgrade
    // always has an `Origin` (RFC 6455 §4.1), which must be this one: another origin of the same
    // site is not trusted, and could read the response.
    (upgrades || !names_site) && headers.get_all(ORIGIN).iter().any(|origin| !is_own(origin, head))
}

/// Returns `true` if `origin` has the host and the port of the request. The scheme is not compared:
/// behind a proxy that terminates TLS it is unknown.
fn is_own(origin: &HeaderValue, head: RequestHead<'_>) -> bool {
    let of = || {
        let origin: Uri = origin.to_str().ok()?.parse().ok()?;
        let own = Uri::builder().scheme(origin.scheme()?.clone()).authority(authority(head)?);
        let own = own.path_and_query("/").build().ok()?;
        Some(Origin::from_uri(&origin)?.matches(&own))
    };
    of().unwrap_or(false)
}

/// Returns the authority that the request is for (RFC 9112 §3.3).
fn authority(head: RequestHead<'_>) -> Option<Authority> {
    let of_host = || Authority::try_from(head.headers().get(HOST)?.as_bytes()).ok();
    head.uri().authority().cloned().or_else(of_host)
}
