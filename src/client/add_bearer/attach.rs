//! Attaches a token to the head of a request, in any location that a client can use.

use super::rules::Rules;
use crate::{
    AccessToken, Origin, TokenLocation,
    client::Error,
    vocabulary::{
        bond::{Bond, Server, ServerKind},
        location::{ACCESS_TOKEN, DPOP},
        query::{self, ESCAPED, Pair},
        token::sensitive_header,
    },
};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Uri,
    header::{AUTHORIZATION, CACHE_CONTROL, Entry},
    uri::{Authority, Scheme},
};
use percent_encoding::utf8_percent_encode;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A token as it is attached: a header value or a query parameter.
#[derive(Clone)]
pub(super) enum Credential {
    /// A variant of its own, since a constant header name is cheaper to insert.
    Authorization(HeaderValue),
    Header(HeaderName, HeaderValue),
    /// The whole pair `access_token=…`, percent-encoded.
    Query(Zeroizing<String>),
    /// In `Authorization`, beside a proof that is made for each request.
    Bound(HeaderValue, Arc<Bond>),
}

/// Which credential the request has after [`Credential::attach`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attached {
    /// The token.
    Token,
    /// The one that the request had before.
    Untouched,
}

impl Credential {
    /// Returns `token` as `location` needs it.
    ///
    /// # Errors
    ///
    /// If only servers read `location`, or the token does not fit it: it is too long for a header,
    /// or has a `:` and would be a Basic user name.
    pub(super) fn new(token: &AccessToken, location: &TokenLocation) -> Result<Self, Error> {
        let too_long = |_| Error::placement("the token is too long for a header");
        if let Some(bond) = token.bond() {
            return match location {
                TokenLocation::Bearer => {
                    Ok(Self::Bound(token.authorization().clone(), bond.clone()))
                }
                // RFC 9449 §7.1.
                _ => Err(Error::placement(
                    "a token that is bound to a key goes into Authorization alone (RFC 9449 section 7.1)",
                )),
            };
        }
        Ok(match location {
            TokenLocation::Bearer => Self::Authorization(token.authorization().clone()),
            TokenLocation::Header(header) => {
                let value = match header.scheme() {
                    Some(scheme) => sensitive_header(&[scheme, " ", token.expose()]),
                    None => sensitive_header(&[token.expose()]),
                };
                let value = value.map_err(too_long)?;
                match header.name() {
                    &AUTHORIZATION => Self::Authorization(value),
                    name => Self::Header(name.clone(), value),
                }
            }
            TokenLocation::BasicUserName => {
                if token.expose().contains(':') {
                    return Err(Error::placement(
                        "a token with a colon cannot be a Basic user name",
                    ));
                }
                let user_pass = Zeroizing::new(format!("{}:", token.expose()));
                let encoded = Zeroizing::new(BASE64_STANDARD.encode(&*user_pass));
                let value = sensitive_header(&["Basic ", &encoded]).map_err(too_long)?;
                Self::Authorization(value)
            }
            TokenLocation::Dpop
            | TokenLocation::Form
            | TokenLocation::QueryParameter(_)
            | TokenLocation::BasicPassword(_)
            | TokenLocation::Cookie(_)
            | TokenLocation::WebSocketProtocol(_)
            | TokenLocation::WebSocketProtocolPair(_) => {
                return Err(Error::placement(
                    "only a server reads tokens there; a client uses Bearer, Header, Query or BasicUserName",
                ));
            }
            TokenLocation::Query => {
                let token = token.expose();
                // Of its final size at most, since a buffer that grows leaves copies behind.
                let mut pair = String::with_capacity(ACCESS_TOKEN.len() + 1 + 3 * token.len());
                pair.push_str(ACCESS_TOKEN);
                pair.push('=');
                pair.extend(utf8_percent_encode(token, ESCAPED));
                Self::Query(Zeroizing::new(pair))
            }
        })
    }

    /// Returns a copy that shares no bytes, because threads that clone one shared value at the same
    /// time contend for its reference count.
    pub(super) fn deep_copy(&self) -> Self {
        match self {
            Self::Authorization(value) => Self::Authorization(copy_of(value)),
            Self::Header(name, value) => Self::Header(name.clone(), copy_of(value)),
            Self::Query(pair) => Self::Query(pair.clone()),
            Self::Bound(value, bond) => Self::Bound(copy_of(value), bond.clone()),
        }
    }

    /// Returns the key of a token that is bound to one.
    #[inline]
    pub(super) fn bond(&self) -> Option<&Arc<Bond>> {
        if let Self::Bound(_, bond) = self { Some(bond) } else { None }
    }

    /// Attaches the token to `request`. A credential that the request already has is replaced if the
    /// rules overwrite it, and kept otherwise.
    ///
    /// # Errors
    ///
    /// If a URI cannot hold the token in its query, or there is no proof.
    #[inline]
    pub(super) fn attach<B>(
        &self,
        request: &mut Request<B>,
        rules: &Rules,
    ) -> Result<Attached, Error> {
        let overwrite = rules.overwrite;
        match self {
            Self::Authorization(value) => {
                if has_query_token(request.uri()) {
                    return replace_query_token(request, value, overwrite);
                }
                let headers = request.headers_mut();
                // One look-up instead of two; a request rarely has a value already.
                if headers.append(AUTHORIZATION, value.clone()) {
                    return Ok(replace_or_undo_append(headers, &AUTHORIZATION, overwrite));
                }
                Ok(Attached::Token)
            }
            Self::Header(name, value) => {
                let headers = request.headers_mut();
                if headers.append(name, value.clone()) {
                    return Ok(replace_or_undo_append(headers, name, overwrite));
                }
                Ok(Attached::Token)
            }
            Self::Query(pair) => attach_query(request, pair, overwrite),
            Self::Bound(value, bond) => attach_bound(request, value, bond, rules),
        }
    }
}

/// Attaches a token that is bound to a key, and a new proof.
fn attach_bound<B>(
    request: &mut Request<B>,
    value: &HeaderValue,
    bond: &Bond,
    rules: &Rules,
) -> Result<Attached, Error> {
    let is_taken =
        request.headers().contains_key(DPOP) || has_credential(request, &TokenLocation::Bearer);
    if is_taken && !rules.overwrite {
        return Ok(Attached::Untouched);
    }
    if has_query_token(request.uri()) {
        *request.uri_mut() = with_pair(request.uri(), None)?;
    }
    let server = server_of(request.uri(), rules).ok_or_else(|| {
        Error::placement(
            "a proof names the origin of the call: its URI has none, and the layer does not have \
             exactly one",
        )
    })?;
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let headers = request.headers_mut();
    bond.prove(headers, (&method, &uri), &server, rules.clock.wall()).map_err(Error::placement)?;
    headers.insert(AUTHORIZATION, value.clone());
    Ok(Attached::Token)
}

/// Returns the resource that a request to `uri` reaches.
pub(super) fn server_of(uri: &Uri, rules: &Rules) -> Option<Server> {
    let origin = rules.origins.of(uri).cloned().or_else(|| Origin::from_uri(uri));
    let origin = origin.or_else(|| rules.origins.only().cloned())?;
    Some(Server { kind: ServerKind::Resource, origin })
}

/// Returns `true` if `request` has a credential where `location` would put one. A strict server
/// refuses two (RFC 6750 §2), so a token in the query counts for `Authorization` too, and
/// `Authorization` for the query.
pub(super) fn has_credential<B>(request: &Request<B>, location: &TokenLocation) -> bool {
    let is_in_either =
        || request.headers().contains_key(AUTHORIZATION) || has_query_token(request.uri());
    match location {
        TokenLocation::Bearer
        | TokenLocation::Dpop
        | TokenLocation::BasicUserName
        | TokenLocation::Query => is_in_either(),
        TokenLocation::Header(header) if header.name() == AUTHORIZATION => is_in_either(),
        TokenLocation::Header(header) => request.headers().contains_key(header.name()),
        TokenLocation::Form
        | TokenLocation::QueryParameter(_)
        | TokenLocation::BasicPassword(_)
        | TokenLocation::Cookie(_)
        | TokenLocation::WebSocketProtocol(_)
        | TokenLocation::WebSocketProtocolPair(_) => false,
    }
}

/// Returns `true` if the query of `uri` has an `access_token`.
#[inline]
pub(super) fn has_query_token(uri: &Uri) -> bool {
    let has = |query| query::pairs(query).any(|pair| pair.is_named(ACCESS_TOKEN));
    uri.query().is_some_and(has)
}

/// Replaces the token in the query by the header if `overwrite` is `true`.
#[cold]
fn replace_query_token<B>(
    request: &mut Request<B>,
    value: &HeaderValue,
    overwrite: bool,
) -> Result<Attached, Error> {
    if !overwrite {
        return Ok(Attached::Untouched);
    }
    *request.uri_mut() = with_pair(request.uri(), None)?;
    request.headers_mut().remove(DPOP);
    request.headers_mut().insert(AUTHORIZATION, value.clone());
    Ok(Attached::Token)
}

/// Keeps only the value that was appended last if `overwrite` is `true`, and removes it otherwise.
#[cold]
fn replace_or_undo_append(headers: &mut HeaderMap, name: &HeaderName, overwrite: bool) -> Attached {
    let Entry::Occupied(there) = headers.entry(name) else { return Attached::Untouched };
    let mut values: Vec<_> = there.remove_entry_mult().1.collect();
    let last = values.pop();
    if overwrite {
        values.clear();
        values.extend(last);
    }
    values.into_iter().for_each(|value| {
        headers.append(name, value);
    });
    if overwrite && *name == AUTHORIZATION {
        // The proof of the credential that is gone.
        headers.remove(DPOP);
    }
    if overwrite { Attached::Token } else { Attached::Untouched }
}

/// Returns a copy of `value` that shares no bytes.
fn copy_of(value: &HeaderValue) -> HeaderValue {
    let copy = value.to_str().ok().and_then(|text| sensitive_header(&[text]).ok());
    copy.unwrap_or_else(|| value.clone())
}

/// The origin for which a layer attached an `access_token` to the query. It is an extension of the
/// request, for layers of this kind below. A layer that follows redirects may copy it to the next
/// hop, where it no longer matches.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct QueryTokenOrigin {
    scheme: Option<Scheme>,
    authority: Option<Authority>,
}

impl QueryTokenOrigin {
    pub(super) fn from_uri(uri: &Uri) -> Self {
        Self { scheme: uri.scheme().cloned(), authority: uri.authority().cloned() }
    }
}

fn attach_query<B>(
    request: &mut Request<B>,
    pair: &str,
    overwrite: bool,
) -> Result<Attached, Error> {
    if has_credential(request, &TokenLocation::Query) {
        if !overwrite {
            return Ok(Attached::Untouched);
        }
        request.headers_mut().remove(AUTHORIZATION);
        request.headers_mut().remove(DPOP);
    }
    let uri = with_pair(request.uri(), Some(pair))?;
    let origin = QueryTokenOrigin::from_uri(&uri);
    *request.uri_mut() = uri;
    request.extensions_mut().insert(origin);
    // RFC 6750 §2.3: caches must not store the answer to a URI with a token.
    if let Entry::Vacant(vacant) = request.headers_mut().entry(CACHE_CONTROL) {
        vacant.insert(HeaderValue::from_static("no-store"));
    }
    Ok(Attached::Token)
}

/// Returns `uri` without any `access_token` in its query, and with `pair` at the end. Every other
/// byte stays.
///
/// # Errors
///
/// If a URI cannot hold the pair.
pub(super) fn with_pair(uri: &Uri, pair: Option<&str>) -> Result<Uri, Error> {
    let old = query::pairs(uri.query().unwrap_or_default());
    let kept = old.filter(|old| !old.is_named(ACCESS_TOKEN)).map(|old| Pair::raw(&old));
    let not_held = || Error::placement("the URI cannot take the token in its query");
    query::with_pairs(uri, kept.chain(pair)).ok_or_else(not_held)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Clock;

    fn sent(location: &TokenLocation, uri: &str, headers: &[(&str, &str)]) -> Request<()> {
        sent_with("T", location, uri, headers, false)
    }

    fn sent_with(
        token: &str,
        location: &TokenLocation,
        uri: &str,
        headers: &[(&str, &str)],
        overwrite: bool,
    ) -> Request<()> {
        let mut request = Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(()).unwrap();
        let token = AccessToken::new(token).unwrap();
        let credential = Credential::new(&token, location).unwrap();
        let rules = Rules {
            overwrite,
            ..Rules::new("https://api.example".try_into().unwrap(), Clock::system())
        };
        credential.deep_copy().attach(&mut request, &rules).unwrap();
        request
    }

    // case: place-01
    #[test]
    fn a_request_gets_exactly_one_sensitive_header() {
        let request = sent(&TokenLocation::Bearer, "https://api.example/", &[]);
        let values: Vec<_> = request.headers().get_all(AUTHORIZATION).iter().collect();
        assert_eq!(values, ["Bearer T"]);
        assert!(values[0].is_sensitive());
    }

    // case: place-02
    #[test]
    fn a_credential_is_kept_unless_overwriting_was_asked_for() {
        let there = [("authorization", "Basic eDp5")];
        let key = TokenLocation::header("x-api-key").unwrap();
        for (location, name, token) in
            [(TokenLocation::Bearer, "authorization", "Bearer T"), (key, "x-api-key", "T")]
        {
            let two = [(name, "Basic eDp5"), ("x", "y"), (name, "other")];
            for (overwrite, expected) in [(false, &["Basic eDp5", "other"][..]), (true, &[token])] {
                let request = sent_with("T", &location, "/", &two, overwrite);
                let values: Vec<_> = request.headers().get_all(name).iter().collect();
                assert_eq!(values, expected);
                assert_eq!(request.headers()["x"], "y");
            }
        }
        let request = sent_with("T", &TokenLocation::Query, "/?access_token=o&a", &there, true);
        assert_eq!(request.uri(), "/?a&access_token=T");
        assert!(!request.headers().contains_key(AUTHORIZATION));
    }

    // case: place-03
    #[test]
    fn the_rest_of_the_query_keeps_every_byte() {
        let request = sent(&TokenLocation::Query, "https://h.example/p?sig=a%2Fb&x=1+2", &[]);
        assert_eq!(request.uri(), "https://h.example/p?sig=a%2Fb&x=1+2&access_token=T");
        for (before, after) in [
            ("/p", "/p?access_token=T"),
            ("/p?", "/p?access_token=T"),
            ("/p?&&a", "/p?&&a&access_token=T"),
            ("/p?a=%2f%2F&", "/p?a=%2f%2F&&access_token=T"),
        ] {
            assert_eq!(sent(&TokenLocation::Query, before, &[]).uri(), after);
        }
        let request = sent_with("a+/=~.", &TokenLocation::Query, "/", &[], false);
        assert_eq!(request.uri(), "/?access_token=a%2B%2F%3D~.");
    }

    #[test]
    fn the_proof_of_a_credential_that_is_replaced_goes_with_it() {
        let there = [("authorization", "DPoP o"), ("dpop", "a.b.c")];
        for location in [TokenLocation::Bearer, TokenLocation::Query] {
            let kept = sent_with("T", &location, "/", &there, false);
            assert_eq!(kept.headers()["dpop"], "a.b.c");
            let replaced = sent_with("T", &location, "/", &there, true);
            assert!(!replaced.headers().contains_key(DPOP), "{location:?}");
        }
        let there = [("dpop", "a.b.c")];
        let in_query = sent_with("T", &TokenLocation::Bearer, "/?access_token=o", &there, true);
        assert!(!in_query.headers().contains_key(DPOP));
    }

    #[test]
    fn a_second_access_token_is_never_added() {
        for there in ["/?access_token=o", "/?access%5Ftoken=o", "/?access_token"] {
            assert_eq!(sent(&TokenLocation::Query, there, &[]).uri(), there);
        }
        let request = sent(&TokenLocation::Query, "/", &[("authorization", "Basic eDp5")]);
        assert_eq!(request.uri(), "/");
    }

    // case: place-06
    #[test]
    fn no_store_is_added_unless_the_request_has_a_cache_control() {
        let request = sent(&TokenLocation::Query, "/", &[]);
        assert_eq!(request.headers()[CACHE_CONTROL], "no-store");
        let request = sent(&TokenLocation::Query, "/", &[("cache-control", "no-cache")]);
        assert_eq!(request.headers()[CACHE_CONTROL], "no-cache");
    }

    #[test]
    fn a_token_goes_into_another_header_or_the_basic_user_name() {
        let raw = TokenLocation::header("X-Api-Key").unwrap();
        let request = sent(&raw, "/", &[("authorization", "Basic eDp5")]);
        assert_eq!(request.headers()["x-api-key"], "T");
        assert!(request.headers()["x-api-key"].is_sensitive());
        let scheme = TokenLocation::header_with_scheme("authorization", "Token").unwrap();
        assert_eq!(sent(&scheme, "/", &[]).headers()[AUTHORIZATION], "Token T");

        let basic = sent_with("mF_9.B5f-4.1JqM", &TokenLocation::BasicUserName, "/", &[], false);
        assert_eq!(basic.headers()[AUTHORIZATION], "Basic bUZfOS5CNWYtNC4xSnFNOg==");
        let colon = AccessToken::new("a:b").unwrap();
        assert!(Credential::new(&colon, &TokenLocation::BasicUserName).is_err());
    }
}
