//! What else comes from outside as a text: metadata, the way back of a sign-in, what a store or a
//! cookie kept, the request of a revocation endpoint. The first byte says which of them the rest is.
#![no_main]

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::Full;
use libfuzzer_sys::fuzz_target;
use std::{
    convert::Infallible,
    future::{Future, ready},
    pin::pin,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};
use tower::{Service, service_fn};
use tower_oauth2::{
    AuthorizationServerMetadata, ClientAuthentication, Origin, Transport,
    client::{ErrorKind, PendingSignIn, ProtectedResource, SignIn, StoredToken, TokenEndpoint},
    server::{ClientCredentials, RevocationEndpoint, RevocationError, RevokeRequest},
};

const ISSUER: &str = "https://as.example";
const RESOURCE: &str = "https://api.example/v1";
const SECRET: &str = "hunter2-hunter2";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const TOKEN: &str = r#"{"access_token":"mF_9.B5f-4.1JqM","token_type":"Bearer","expires_in":60}"#;
const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap());

fuzz_target!(|input: &[u8]| {
    let _timers = RUNTIME.enter();
    let Some((which, rest)) = input.split_first() else { return };
    match which % 7 {
        0 => server_metadata(rest),
        1 => resource_metadata(rest),
        2 => named_by_a_challenge(rest),
        3 => callback(rest),
        4 => stored_token(rest),
        5 => pending_sign_in(rest),
        _ => revocation_request(rest),
    }
});

/// The output of a future that has nothing to wait for.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("what is there is waited for"),
    }
}

/// Answers every request with `body`, all of which go to `origin`; how many there were.
fn answering(body: &[u8], origin: &'static str) -> (Transport, Arc<AtomicU32>) {
    let (body, asked) = (Bytes::copy_from_slice(body), Arc::new(AtomicU32::new(0)));
    let count = asked.clone();
    let service = service_fn(move |request: Request<Full<Bytes>>| {
        assert_eq!(Origin::from_uri(request.uri()).map(|it| it.to_string()).as_deref(), Some(origin));
        count.fetch_add(1, SeqCst);
        ready(Ok::<_, Infallible>(Response::new(Full::new(body.clone()))))
    });
    (Transport::new(service), asked)
}

/// The first line, and the rest.
fn lines(input: &[u8]) -> (&[u8], &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    (&input[..end], input.get(end + 1..).unwrap_or_default())
}

fn is_shown_on_one_line(text: &str) {
    assert!(text.len() < 16 * 1024 && !text.contains(char::is_control), "{text:?}");
}

/// No endpoint of it is in the clear, whatever the document says.
fn server_metadata(body: &[u8]) {
    let metadata = match AuthorizationServerMetadata::parse(ISSUER, body) {
        Ok(metadata) => metadata,
        Err(error) => return is_shown_on_one_line(&error.to_string()),
    };
    assert_eq!(metadata.issuer(), ISSUER);
    for metadata in [metadata.clone(), metadata.with_mtls_aliases()] {
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
    let (transport, _) = answering(body, "https://api.example");
    match now(ProtectedResource::discover(RESOURCE, [ISSUER], &transport)) {
        Ok(read) => assert_eq!((read.resource(), read.issuer()), (RESOURCE, ISSUER)),
        Err(error) => {
            is_shown_on_one_line(&error.to_string());
            assert!(!error.issuers().iter().any(|issuer| &**issuer == ISSUER));
        }
    }
}

/// The challenge is the first line. Nobody but the API that was called is asked.
fn named_by_a_challenge(input: &[u8]) {
    let (line, body) = lines(input);
    let Ok(challenge) = HeaderValue::from_bytes(line) else { return };
    let headers = HeaderMap::from_iter([(header::WWW_AUTHENTICATE, challenge)]);
    let called = Uri::from_static(RESOURCE);
    let (transport, _) = answering(body, "https://api.example");
    match now(ProtectedResource::from_challenge(&called, &headers, [ISSUER], &transport)) {
        Ok(read) => {
            assert_eq!(read.issuer(), ISSUER);
            assert_eq!(read.origin().to_string(), "https://api.example");
        }
        Err(error) => is_shown_on_one_line(&error.to_string()),
    }
}

/// A code is exchanged once, where the answer is to this sign-in; else nothing is sent.
fn callback(query: &[u8]) {
    let uri = Bytes::from([b"/callback?", query].concat());
    let Ok(uri) = Uri::from_maybe_shared(uri) else { return };
    let (transport, asked) = answering(TOKEN.as_bytes(), ISSUER);
    let client = ClientAuthentication::post("id", SECRET);
    let endpoint = TokenEndpoint::new("https://as.example/token", client, transport).unwrap();
    let back = "https://app.example/callback";
    let sign_in = SignIn::new(endpoint, "id", "https://as.example/authorize", back).unwrap();
    let sign_in = match query.first() {
        Some(b'i') => sign_in.with_required_issuer(ISSUER),
        _ => sign_in.with_issuer(ISSUER),
    };
    let begun = sign_in.begin().unwrap().1.to_secret_string();
    let (begun, _) = begun.expose().split_once('.').unwrap();
    let pending: PendingSignIn = format!("{begun}.state.{VERIFIER}").parse().unwrap();
    let finished = now(sign_in.finish(pending, &uri));
    assert_eq!(asked.load(SeqCst), u32::from(finished.is_ok()));
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

/// What can be read is the same when it is written and read again.
fn stored_token(text: &[u8]) {
    let Ok(Ok(read)) = str::from_utf8(text).map(str::parse::<StoredToken>) else { return };
    assert!(read.lifetime() <= TEN_YEARS);
    let again: StoredToken = read.to_secret_string().expose().parse().expect("what we wrote");
    assert_eq!(again.access_token().expose(), read.access_token().expose());
    assert_eq!(again.lifetime(), read.lifetime());
    assert_eq!(again.expires_at(), read.expires_at());
    assert_eq!(again.scope(), read.scope());
}

/// The same of what waits for the browser.
fn pending_sign_in(text: &[u8]) {
    let Ok(Ok(read)) = str::from_utf8(text).map(str::parse::<PendingSignIn>) else { return };
    let written = read.to_secret_string();
    let again: PendingSignIn = written.expose().parse().expect("what we wrote");
    assert_eq!(again.to_secret_string().expose(), written.expose());
    assert_eq!(again.expires_at(), read.expires_at());
}

/// `Authorization` is the first line, the form is the rest. Only a client that authenticated gives
/// a token back, and only its own request is answered with 200.
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
    let request = Request::post("/revoke")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let request = if line.is_empty() { request } else { request.header("authorization", line) };
    let Ok(request) = request.body(Full::new(Bytes::copy_from_slice(body))) else { return };
    let Ok(response) = now(endpoint.call(request));
    let done = u32::from(response.status() == StatusCode::OK);
    assert_eq!(revoked.load(SeqCst), done);
    assert!([200, 400, 401, 413].contains(&response.status().as_u16()));
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
}
