//! What else comes from outside as a text: metadata, the way back of a sign-in, what a store or a
//! cookie kept, the request of a revocation endpoint. The first byte says which of them the rest is.
#![no_main]

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::Full;
use libfuzzer_sys::fuzz_target;
use std::{
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};
use tower::Service;
use tower_oauth2::{
    AuthorizationServerMetadata, ClientAuthentication, Origin,
    client::{
        ErrorKind, PendingSignIn, ProtectedResource, RefreshPolicy, SharedSessions, SignIn,
        StoreKeys, TokenCache, TokenEndpoint, TokenResponse,
    },
    server::{ClientCredentials, RevocationEndpoint, RevocationError, RevokeRequest},
    testing::InMemoryStore,
};
use tower_oauth2_fuzz::{
    Json, Peer, SECRET, is_shown_on_one_line, lines, now, runtime, tokens::pairs,
};

const ISSUER: &str = "https://as.example";
const RESOURCE: &str = "https://api.example/v1";
const CALLED: &str = "https://api.example/v1/things";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const TOKEN: &str = r#"{"access_token":"mF_9.B5f-4.1JqM","token_type":"Bearer","expires_in":60}"#;

fuzz_target!(|input: &[u8]| {
    let _timers = runtime().enter();
    let Some((which, rest)) = input.split_first() else { return };
    match which % 7 {
        0 => server_metadata(rest),
        1 => resource_metadata(rest),
        2 => named_by_a_challenge(rest),
        3 => callback(rest),
        4 => stored_session(rest),
        5 => pending_sign_in(rest),
        _ => revocation_request(rest),
    }
});

/// A peer that answers once with `body`.
fn answering(body: &[u8]) -> Peer {
    Peer::answering([Response::new(Bytes::copy_from_slice(body))])
}

/// Everything was asked of this origin.
fn asked_only(peer: &Peer, origin: &str) {
    for request in peer.asked() {
        let asked = Origin::from_uri(request.uri()).map(|asked| asked.to_string());
        assert_eq!(asked.as_deref(), Some(origin));
    }
}

/// No endpoint of it is in the clear, whatever the document says.
fn server_metadata(body: &[u8]) {
    let metadata = match AuthorizationServerMetadata::parse(ISSUER, body) {
        Ok(metadata) => metadata,
        Err(error) => return is_shown_on_one_line(&error.to_string()),
    };
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let own = Json::parse(body).expect("metadata are JSON");
    assert_eq!(own.text("issuer"), Some(ISSUER));
    assert_eq!(metadata.issuer(), ISSUER);
    let aliased = metadata.clone().with_mtls_aliases();
    assert!(metadata.token_endpoint().is_none() || aliased.token_endpoint().is_some());
    for metadata in [metadata, aliased] {
        let urls = [
            metadata.token_endpoint(),
            metadata.authorization_endpoint(),
            metadata.jwks_uri(),
            metadata.introspection_endpoint(),
            metadata.revocation_endpoint(),
        ];
        for url in urls.into_iter().flatten() {
            let url: Uri = url.parse().expect("a URL");
            assert!(Origin::from_uri(&url).expect("an origin").is_secure());
        }
    }
}

/// It is that of the resource and of an issuer that was listed, or an error.
fn resource_metadata(body: &[u8]) {
    let peer = answering(body);
    match now(ProtectedResource::discover(RESOURCE, [ISSUER], &peer.transport())) {
        Ok(read) => {
            assert_eq!((read.resource(), read.issuer()), (RESOURCE, ISSUER));
            check_resource(body, |resource| resource == RESOURCE);
        }
        Err(error) => {
            is_shown_on_one_line(&error.to_string());
            assert!(!error.issuers().iter().any(|issuer| &**issuer == ISSUER));
        }
    }
    asked_only(&peer, "https://api.example");
}

fn check_resource(body: &[u8], is_ours: impl Fn(&str) -> bool) {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let json = Json::parse(body).expect("metadata are JSON");
    assert!(json.text("resource").is_some_and(is_ours));
    assert!(json.names("authorization_servers", ISSUER));
}

/// The challenge is the first line. Nobody but the API that was called is asked.
fn named_by_a_challenge(input: &[u8]) {
    let (line, body) = lines(input);
    let Ok(challenge) = HeaderValue::from_bytes(line) else { return };
    let headers = HeaderMap::from_iter([(header::WWW_AUTHENTICATE, challenge)]);
    let (called, peer) = (Uri::from_static(CALLED), answering(body));
    let transport = peer.transport();
    match now(ProtectedResource::from_challenge(&called, &headers, [ISSUER], &transport)) {
        Ok(read) => {
            assert_eq!(read.issuer(), ISSUER);
            assert_eq!(read.origin().to_string(), "https://api.example");
            check_resource(body, covers_what_was_called);
        }
        Err(error) => is_shown_on_one_line(&error.to_string()),
    }
    asked_only(&peer, "https://api.example");
}

/// Its path is that of the call, or one above it.
fn covers_what_was_called(resource: &str) -> bool {
    let uri: Uri = resource.parse().expect("a URL");
    let path = uri.path().strip_suffix('/').unwrap_or(uri.path());
    let called = "/v1/things";
    let above: Vec<_> = called.match_indices('/').map(|(end, _)| &called[..end]).collect();
    let is_plain = uri.query().is_none() && !resource.contains(['#', '@', '?']);
    is_plain && (path == called || above.contains(&path))
}

/// A code is exchanged once, where the answer is to this sign-in; else nothing is sent.
fn callback(query: &[u8]) {
    let uri = Bytes::from([b"/callback?", query].concat());
    let Ok(uri) = Uri::from_maybe_shared(uri) else { return };
    for is_required in [false, true] {
        finish(query, &uri, is_required);
    }
}

fn finish(query: &[u8], uri: &Uri, is_required: bool) {
    let peer = answering(TOKEN.as_bytes());
    let client = ClientAuthentication::post("id", SECRET);
    let endpoint = TokenEndpoint::new("https://as.example/token", client, peer.transport());
    let back = "https://app.example/callback";
    let sign_in = SignIn::new(endpoint.unwrap(), "id", "https://as.example/authorize", back);
    let sign_in = match is_required {
        true => sign_in.unwrap().with_required_issuer(ISSUER),
        false => sign_in.unwrap().with_issuer(ISSUER),
    };
    let begun = sign_in.begin().unwrap().1.to_secret_string();
    let (begun, _) = begun.expose().split_once('.').unwrap();
    let pending: PendingSignIn = format!("{begun}.state.{VERIFIER}").parse().unwrap();
    let finished = now(sign_in.finish(pending, uri));
    assert_eq!(finished.is_ok(), is_answer(uri.query().unwrap_or_default(), is_required));
    asked_only(&peer, ISSUER);
    assert_eq!(peer.asked().len(), usize::from(finished.is_ok()));
    if let Err(error) = finished {
        assert_eq!(error.kind(), ErrorKind::SignIn);
        let shown = format!("{error} {error:?}");
        // What the query says itself is repeated.
        let said = percent_encoding::percent_decode(query).decode_utf8_lossy().replace('+', " ");
        for secret in [SECRET, VERIFIER] {
            assert!(said.contains(secret) || !shown.contains(secret));
        }
        is_shown_on_one_line(&error.to_string());
    }
}

/// Returns `true` if the query has a code for this sign-in, and nothing that contradicts it.
fn is_answer(query: &str, is_required: bool) -> bool {
    let pairs = pairs(query, true);
    let all = |name: &str| {
        let own = pairs.iter().filter(|(own, _)| own == name);
        own.map(|(_, value)| &**value).collect::<Vec<&str>>()
    };
    matches!(&*all("code"), [code] if !code.is_empty())
        && all("state") == ["state"]
        && all("error").is_empty()
        && all("error_description").len() < 2
        && (all("iss") == [ISSUER] || (!is_required && all("iss").is_empty()))
}

/// Who can write to a store and has no key makes no token: the error names the keys, and nothing is
/// sent.
fn stored_session(sealed: &[u8]) {
    let peer = answering(TOKEN.as_bytes());
    let client = ClientAuthentication::basic("id", SECRET);
    let endpoint = TokenEndpoint::new("https://as.example/token", client, peer.transport());
    let (store, keys) = (InMemoryStore::new(), StoreKeys::new(&[7; 32]).expect("a key"));
    let shared = Arc::new(store.clone());
    let sessions = SharedSessions::new(endpoint.expect("an endpoint"), shared, keys, "pepper");
    let response = TokenResponse::from_json(TOKEN.as_bytes()).expect("a token");
    runtime().block_on(async {
        sessions.sign_in("alice", &response).await.expect("it is saved");
        store.overwrite(sealed);
        let policy = RefreshPolicy::default().with_patience(Duration::ZERO);
        let cache = TokenCache::from_shared_session(&sessions, "alice", policy);
        let error = cache.access_token().await.expect_err("nobody sealed it");
        assert!(error.to_string().contains("StoreKeys"), "{error}");
    });
    assert!(peer.asked().is_empty());
}

/// The same of what waits for the browser.
fn pending_sign_in(text: &[u8]) {
    let Ok(Ok(read)) = str::from_utf8(text).map(str::parse::<PendingSignIn>) else { return };
    let written = read.to_secret_string();
    let again: PendingSignIn = written.expose().parse().expect("what we wrote");
    assert_eq!(again.to_secret_string().expose(), written.expose());
    assert_eq!(again.expires_at(), read.expires_at());
}

/// `Authorization` is the first line, the form is the rest. Only a client that authenticated, in
/// one way, gives a token back, and only its own request is answered with 200.
fn revocation_request(input: &[u8]) {
    let (line, body) = lines(input);
    let revoked = Arc::new(AtomicU32::new(0));
    let count = revoked.clone();
    let mut endpoint = RevocationEndpoint::new(
        async |client: ClientCredentials| match client.secret() {
            Some(secret) if client.client_id() == "app" && secret.expose() == SECRET => Ok(()),
            _ => Err(RevocationError::invalid_client()),
        },
        move |request: RevokeRequest| {
            assert!(request.client_id() == "app" && !request.expose_token().is_empty());
            count.fetch_add(1, SeqCst);
            ready(Ok(()))
        },
    )
    .with_form_limit(1024);
    let request =
        Request::post("/revoke").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let request = if line.is_empty() { request } else { request.header("authorization", line) };
    let Ok(request) = request.body(Full::new(Bytes::copy_from_slice(body))) else { return };
    let has_header = request.headers().contains_key(header::AUTHORIZATION);
    let Ok(response) = now(endpoint.call(request));
    let is_done = response.status() == StatusCode::OK;
    assert_eq!(revoked.load(SeqCst), u32::from(is_done));
    let form = pairs(body, true);
    assert_eq!(is_done && !has_header, is_good(&form) && !has_header && body.len() <= 1024);
    assert!(!is_done || is_plain(&form, has_header));
    assert!([200, 400, 401, 413].contains(&response.status().as_u16()));
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
}

type Form = [(String, String)];

fn all<'f>(form: &'f Form, name: &str) -> Vec<&'f str> {
    let own = form.iter().filter(|(own, _)| own == name);
    own.map(|(_, value)| &**value).collect()
}

/// There is one token, and a secret in one place.
fn is_plain(form: &Form, has_header: bool) -> bool {
    let (ids, secrets) = (all(form, "client_id"), all(form, "client_secret"));
    matches!(&*all(form, "token"), [token] if !token.is_empty())
        && all(form, "token_type_hint").len() < 2
        && (ids == ["app"] || (has_header && ids.is_empty()))
        && secrets.len() == usize::from(!has_header)
}

fn is_good(form: &Form) -> bool {
    is_plain(form, false) && all(form, "client_secret") == [SECRET]
}
