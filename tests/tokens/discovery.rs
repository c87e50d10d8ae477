//! Clients that are told an issuer, or meet a resource that names one.

use crate::engine::{at_once, settle};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri, header::WWW_AUTHENTICATE};
use http_body_util::{BodyExt, Full};
use std::{
    convert::Infallible,
    future::{Future, pending},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::Semaphore;
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_oauth2::{
    AuthorizationServerMetadata, ClientAuthentication, DiscoveryErrorKind, RequestHead, Transport,
    TransportError,
    client::{
        ClientCredentialsRefresh, Error, ErrorKind, Grant, ProtectedResource, RefreshPolicy,
        SignIn, TokenCache, TokenEndpoint, TokenPool, TokenResponse, TokenSource,
    },
    server::RequireToken,
    testing::ManualClock,
    validate::StaticTokens,
};

type Body = Full<Bytes>;

const ISSUER: &str = "https://as.example/tenant";
const METADATA: &str = "https://as.example/tenant/.well-known/openid-configuration";

/// Everything on the network, and what was asked of it.
#[derive(Clone, Default)]
struct Network {
    asked: Arc<Mutex<Vec<String>>>,
    /// The forms that came with that, without those that are empty.
    forms: Arc<Mutex<Vec<Bytes>>>,
    /// URLs and what is there; a status of 0 is an answer that never comes.
    pages: Arc<Mutex<Vec<(String, u16, String)>>>,
}

impl Network {
    fn put(&self, url: &str, status: u16, body: &str) {
        let mut pages = self.pages.lock().unwrap();
        pages.retain(|(own, ..)| own != url);
        pages.push((url.to_owned(), status, body.to_owned()));
    }

    /// The metadata of the issuer, whose token endpoint is there, with a token.
    fn put_server(&self, token_endpoint: &str) {
        let body = format!(r#"{{"issuer":"{ISSUER}","token_endpoint":"{token_endpoint}"}}"#);
        self.put(METADATA, 200, &body);
        self.put(token_endpoint, 200, r#"{"access_token":"T","expires_in":60}"#);
    }

    fn transport(&self) -> Transport {
        let this = self.clone();
        Transport::new(service_fn(move |request: Request<Body>| {
            let url = request.uri().to_string();
            this.asked.lock().unwrap().push(url.clone());
            let pages = this.pages.lock().unwrap();
            let page = pages.iter().find(|(own, ..)| *own == url);
            let (status, body) = page.map_or((404, ""), |(_, status, body)| (*status, body));
            let hangs = status == 0;
            let status = if hangs { 200 } else { status };
            let response = Response::builder().status(status).body(Body::from(body.to_owned()));
            let forms = this.forms.clone();
            async move {
                if hangs {
                    pending::<()>().await;
                }
                let form = request.into_body().collect().await?.to_bytes();
                forms.lock().unwrap().extend(Some(form).filter(|form| !form.is_empty()));
                Ok::<_, Infallible>(response.unwrap())
            }
        }))
    }

    /// What was asked since the last look.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn client() -> ClientAuthentication {
    ClientAuthentication::basic("id", "s3cr3t")
}

struct Client {
    network: Network,
    clock: ManualClock,
    endpoint: TokenEndpoint,
}

impl Client {
    fn new() -> Self {
        let (network, clock) = (Network::default(), ManualClock::new());
        let endpoint = TokenEndpoint::from_issuer(ISSUER, client(), network.transport()).unwrap();
        Self { network, endpoint: endpoint.with_clock(clock.clock()), clock }
    }

    async fn fetch(&self) -> Result<String, Error> {
        let response = self.endpoint.fetch(&Grant::client_credentials()).await?;
        Ok(response.access_token().expose().to_owned())
    }
}

#[tokio::test]
async fn metadata_are_read_before_the_first_request_and_again_after_a_day() {
    let client = Client::new();
    let token = "https://as.example/tenant/t";
    client.network.put_server(token);
    assert!(client.network.asked().is_empty(), "a constructor asks nothing");
    client.fetch().await.unwrap();
    assert_eq!(client.network.asked(), [METADATA, token]);
    client.clock.advance(Duration::from_secs(24 * 3600 - 1));
    client.endpoint.clone().fetch(&Grant::client_credentials()).await.unwrap();
    assert_eq!(client.network.asked(), [token]);
    client.clock.advance(Duration::from_secs(1));
    client.fetch().await.unwrap();
    assert_eq!(client.network.asked(), [METADATA, token]);
}

#[tokio::test]
async fn an_endpoint_that_has_moved_is_found_at_the_next_try() {
    let client = Client::new();
    let (old, new) = ("https://as.example/old", "https://as.example/new");
    client.network.put_server(old);
    client.fetch().await.unwrap();
    client.network.put_server(new);
    client.network.put(old, 404, "");
    let error = client.fetch().await.unwrap_err();
    assert_eq!(error.status().unwrap(), 404);
    client.network.asked();
    client.fetch().await.unwrap();
    client.fetch().await.unwrap();
    assert_eq!(client.network.asked(), [METADATA, new, new]);
}

#[tokio::test]
async fn what_metadata_said_is_believed_while_they_cannot_be_read_again() {
    let client = Client::new();
    let token = "https://as.example/token";
    client.network.put_server(token);
    client.fetch().await.unwrap();
    client.network.put(METADATA, 503, "");
    client.clock.advance(Duration::from_secs(24 * 3600));
    client.network.asked();
    client.fetch().await.unwrap();
    client.fetch().await.unwrap();
    assert_eq!(client.network.asked(), [METADATA, token, token]);
    client.clock.advance(Duration::from_secs(300));
    client.fetch().await.unwrap();
    assert_eq!(client.network.asked(), [METADATA, token]);

    // Another issuer is no outage.
    client.network.put(METADATA, 200, r#"{"issuer":"https://evil.example"}"#);
    client.clock.advance(Duration::from_secs(300));
    let error = client.fetch().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidResponse);
    assert_eq!(client.network.asked(), [METADATA, token, METADATA][2..]);
}

#[tokio::test]
async fn what_metadata_said_is_believed_while_a_page_is_there_instead() {
    let client = Client::new();
    let token = "https://as.example/token";
    client.network.put_server(token);
    client.fetch().await.unwrap();
    client.clock.advance(Duration::from_secs(24 * 3600));
    for page in ["<html>We are back soon.</html>", "", r#"{"maintenance":true}"#] {
        client.network.put(METADATA, 200, page);
        client.network.asked();
        client.fetch().await.unwrap();
        client.fetch().await.unwrap();
        assert_eq!(client.network.asked(), [METADATA, token, token], "{page}");
        client.clock.advance(Duration::from_secs(300));
    }

    // Where the server says another thing about itself, it is not asked until it takes that back.
    for said in [r#"{"issuer":"https://evil.example"}"#, &format!(r#"{{"issuer":"{ISSUER}"}}"#)] {
        client.network.put(METADATA, 200, said);
        for _ in 0..2 {
            client.network.asked();
            let error = client.fetch().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidResponse);
            assert_eq!(client.network.asked(), [METADATA], "{said}");
        }
    }
}

#[tokio::test]
async fn metadata_that_hang_are_waited_for_a_moment_and_then_not_for_a_while() {
    let client = Client::new();
    let token = "https://as.example/token";
    client.network.put_server(token);
    client.fetch().await.unwrap();
    client.network.put(METADATA, 0, "");
    client.clock.advance(Duration::from_secs(24 * 3600));
    client.network.asked();
    let fetch = client.endpoint.fetch(&Grant::client_credentials());
    let fetch = tokio::spawn(fetch);
    settle().await;
    // Nobody else waits meanwhile.
    client.fetch().await.unwrap();
    assert_eq!(client.network.asked(), [METADATA, token]);
    client.clock.advance(Duration::from_secs(3));
    fetch.await.unwrap().unwrap();
    client.fetch().await.unwrap();
    assert_eq!(client.network.asked(), [token, token]);
}

#[tokio::test]
async fn a_fetch_that_ends_before_metadata_come_is_the_last_to_wait_for_them() {
    let client = Client::new();
    let token = "https://as.example/token";
    client.network.put_server(token);
    let policy = RefreshPolicy::default().without_jitter();
    let policy = policy.with_fetch_deadline(Duration::from_secs(2));
    let clock = client.clock.clock();
    let grant = Grant::client_credentials();
    let cache = TokenCache::new_with_clock(client.endpoint.clone(), grant, policy, clock);
    cache.warm_up().await.unwrap();
    client.network.put(METADATA, 0, "");
    client.clock.advance(Duration::from_secs(24 * 3600));
    client.network.asked();
    let warm_up = tokio::spawn(async move { cache.warm_up().await });
    for _ in 0..5 {
        for _ in 0..32 {
            tokio::task::yield_now().await;
        }
        client.clock.advance(Duration::from_secs(1));
    }
    warm_up.await.unwrap().unwrap();
    assert_eq!(client.network.asked(), [METADATA, token]);
}

/// A network whose metadata come once they are permitted.
struct Held {
    network: Network,
    permits: Arc<Semaphore>,
    endpoint: TokenEndpoint,
}

impl Held {
    fn new() -> Self {
        let (network, permits) = (Network::default(), Arc::new(Semaphore::new(0)));
        network.put_server(TOKEN);
        let (transport, held) = (network.transport(), permits.clone());
        let transport = Transport::new(service_fn(move |request: Request<Body>| {
            let (transport, held) = (transport.clone(), held.clone());
            async move {
                let is_metadata = request.uri() == METADATA;
                let answer = transport.send(request).await?;
                if is_metadata {
                    held.acquire().await.unwrap().forget();
                }
                Ok::<_, TransportError>(answer.map(Body::new))
            }
        }));
        let endpoint = TokenEndpoint::from_issuer(ISSUER, client(), transport).unwrap();
        Self { network, permits, endpoint }
    }

    fn fetch(&self) -> impl Future<Output = Result<TokenResponse, Error>> + Send + use<> {
        self.endpoint.fetch(&Grant::client_credentials())
    }
}

const TOKEN: &str = "https://as.example/token";

#[tokio::test]
async fn a_thousand_users_of_one_discovered_endpoint_read_its_metadata_once() {
    let held = Held::new();
    let endpoint = held.endpoint.clone();
    let pool =
        TokenPool::new(|request: RequestHead<'_>| request.extensions().get::<u32>().copied())
            .with_caches(move |user| {
                let grant = Grant::client_credentials().with_param("user", user.to_string());
                Some(TokenCache::new(endpoint.clone(), grant.ok()?, RefreshPolicy::default()))
            });
    let users: Vec<_> = (0..1000_u32)
        .map(|user| {
            let mut request = Request::new(());
            request.extensions_mut().insert(user);
            tokio::spawn(pool.token(RequestHead::from_request(&request)).wait())
        })
        .collect();
    for _ in 0..40 {
        settle().await;
    }
    assert_eq!(held.network.asked(), [METADATA]);
    held.permits.add_permits(1000);
    for user in users {
        user.await.unwrap().unwrap();
    }
    assert_eq!(held.network.asked(), [TOKEN].repeat(1000));
}

#[tokio::test]
async fn a_caller_that_leaves_does_not_end_the_discovery_that_others_wait_for() {
    let held = Held::new();
    let first = tokio::spawn(held.fetch());
    settle().await;
    let second = tokio::spawn(held.fetch());
    settle().await;
    first.abort();
    settle().await;
    held.permits.add_permits(1);
    at_once(second).await.unwrap().unwrap();
    assert_eq!(held.network.asked(), [METADATA, TOKEN]);
}

#[test]
fn a_discovery_on_a_runtime_that_rests_keeps_nobody_waiting() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (resting, running) = (runtime(), runtime());
    let (held, clock) = (Held::new(), ManualClock::new());
    let endpoint = held.endpoint.clone().with_clock(clock.clock());
    let fetch = || endpoint.fetch(&Grant::client_credentials());
    resting.block_on(async {
        drop(tokio::spawn(fetch()));
        settle().await;
    });
    running.block_on(async {
        let fetch = tokio::spawn(fetch());
        settle().await;
        assert_eq!(held.network.asked(), [METADATA]);
        clock.advance(Duration::from_secs(3));
        settle().await;
        assert_eq!(held.network.asked(), [METADATA]);
        held.permits.add_permits(2);
        at_once(fetch).await.unwrap().unwrap();
    });
    resting.block_on(settle());
}

#[tokio::test]
async fn a_discovery_that_fails_does_so_for_everyone_who_waits_and_not_for_the_next() {
    let held = Held::new();
    held.network.put(METADATA, 503, "");
    let all = [(); 3].map(|()| tokio::spawn(held.fetch()));
    settle().await;
    held.permits.add_permits(1);
    for one in all {
        assert_eq!(at_once(one).await.unwrap().unwrap_err().status().unwrap(), 503);
    }
    assert_eq!(held.network.asked(), [METADATA]);
    held.network.put_server(TOKEN);
    held.permits.add_permits(1);
    at_once(held.fetch()).await.unwrap();
    assert_eq!(held.network.asked(), [METADATA, TOKEN]);
}

#[tokio::test]
async fn a_discovery_that_panics_leaves_no_caller_waiting() {
    let transport = Transport::new(service_fn(async |_: Request<Body>| -> Result<_, Infallible> {
        if true {
            panic!("a bug in the transport");
        }
        Ok(Response::new(Body::default()))
    }));
    let endpoint = TokenEndpoint::from_issuer(ISSUER, client(), transport).unwrap();
    let all = [(); 2].map(|()| tokio::spawn(endpoint.fetch(&Grant::client_credentials())));
    for one in all {
        assert!(at_once(one).await.unwrap().unwrap_err().is_transient());
    }
}

#[test]
fn a_discovery_needs_no_runtime_of_tokio() {
    let (network, clock) = (Network::default(), ManualClock::new());
    network.put_server(TOKEN);
    let transport = network.transport().with_clock(clock.clock());
    let endpoint = TokenEndpoint::from_issuer(ISSUER, client(), transport).unwrap();
    let endpoint = endpoint.with_clock(clock.clock());
    let mut fetch = std::pin::pin!(endpoint.fetch(&Grant::client_credentials()));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(matches!(fetch.as_mut().poll(&mut cx), std::task::Poll::Ready(Ok(_))));
}

#[tokio::test]
async fn no_secret_goes_anywhere_without_metadata_of_that_issuer() {
    let evil = "https://evil.example/token";
    for (status, body, kind, transient) in [
        (
            200,
            format!(r#"{{"issuer":"{ISSUER}/","token_endpoint":"{evil}"}}"#),
            ErrorKind::InvalidResponse,
            true,
        ),
        (200, format!(r#"{{"token_endpoint":"{evil}"}}"#), ErrorKind::InvalidResponse, true),
        (200, format!(r#"{{"issuer":"{ISSUER}"}}"#), ErrorKind::InvalidResponse, true),
        (
            200,
            format!(r#"{{"issuer":"{ISSUER}","token_endpoint":"http://as.example/t"}}"#),
            ErrorKind::InvalidResponse,
            true,
        ),
        (302, String::new(), ErrorKind::Refused, false),
        (503, String::new(), ErrorKind::Refused, true),
    ] {
        let client = Client::new();
        client.network.put(METADATA, status, &body);
        let error = client.fetch().await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (kind, transient), "{error}");
        assert!(client.network.asked().iter().all(|url| url.contains("/.well-known/")));
    }
    for bad in ["as.example", "http://as.example", "https://as.example?x", "https://as.example#x"] {
        assert!(TokenEndpoint::from_issuer(bad, client(), Network::default().transport()).is_err());
    }
}

#[tokio::test]
async fn a_sign_in_of_metadata_compares_the_issuer_that_was_promised() {
    let network = Network::default();
    let body = format!(
        r#"{{"issuer":"{ISSUER}","token_endpoint":"https://as.example/token",
            "authorization_endpoint":"https://as.example/authorize",
            "authorization_response_iss_parameter_supported":true}}"#
    );
    let metadata = AuthorizationServerMetadata::parse(ISSUER, body.as_bytes()).unwrap();
    let callback = "https://app.example/cb";
    let of = |metadata: &AuthorizationServerMetadata, client| {
        SignIn::from_metadata(metadata, client, network.transport(), callback)
    };
    let sign_in = of(&metadata, ClientAuthentication::public("id")).unwrap();
    let (url, pending) = sign_in.begin().unwrap();
    assert!(url.to_string().starts_with("https://as.example/authorize?"), "{url}");
    let state = url.query().unwrap().split('&').find_map(|pair| pair.strip_prefix("state="));
    let back: Uri = format!("{callback}?code=C&state={}", state.unwrap()).parse().unwrap();
    let error = sign_in.finish(pending, &back).await.unwrap_err();
    assert!(error.to_string().contains("has no issuer"), "{error}");
    assert!(network.asked().is_empty());

    assert!(of(&metadata, ClientAuthentication::none()).is_err());
    let body = format!(r#"{{"issuer":"{ISSUER}"}}"#);
    let bare = AuthorizationServerMetadata::parse(ISSUER, body.as_bytes()).unwrap();
    assert!(of(&bare, ClientAuthentication::public("id")).is_err());
}

/// [RFC 8705 §5](https://www.rfc-editor.org/rfc/rfc8705#section-5)
#[tokio::test]
async fn a_client_that_shows_a_certificate_asks_where_one_is_looked_at() {
    let (token, alias) = ("https://as.example/token", "https://mtls.as.example/token");
    let network = Network::default();
    let body = format!(
        r#"{{"issuer":"{ISSUER}","token_endpoint":"{token}",
            "authorization_endpoint":"https://as.example/authorize",
            "mtls_endpoint_aliases":{{"token_endpoint":"{alias}",
                "authorization_endpoint":"https://mtls.as.example/authorize"}}}}"#
    );
    network.put(METADATA, 200, &body);
    for url in [token, alias] {
        network.put(url, 200, r#"{"access_token":"T","expires_in":60}"#);
    }
    let metadata = AuthorizationServerMetadata::parse(ISSUER, body.as_bytes()).unwrap();
    let callback = "https://app.example/cb";
    for (client, url) in [(ClientAuthentication::tls("id"), alias), (client(), token)] {
        let endpoint = TokenEndpoint::from_issuer(ISSUER, client.clone(), network.transport());
        endpoint.unwrap().fetch(&Grant::client_credentials()).await.unwrap();
        assert_eq!(network.asked(), [METADATA, url]);

        // The browser has no certificate of the client.
        let sign_in =
            SignIn::from_metadata(&metadata, client, network.transport(), callback).unwrap();
        let (authorize, pending) = sign_in.begin().unwrap();
        assert_eq!(authorize.host(), Some("as.example"));
        let state = authorize.query().unwrap().split('&').find(|pair| pair.starts_with("state="));
        let back = format!("{callback}?code=C&{}", state.unwrap()).parse().unwrap();
        sign_in.finish(pending, &back).await.unwrap();
        assert_eq!(network.asked(), [url]);
    }
}

const DOCUMENT: &str = "https://api.example/.well-known/oauth-protected-resource";

fn document(resource: &str, issuers: &str) -> String {
    format!(
        r#"{{"resource":"{resource}","authorization_servers":{issuers},"scopes_supported":["a","b"]}}"#
    )
}

fn challenge(text: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(WWW_AUTHENTICATE, text.parse().unwrap());
    headers
}

#[tokio::test]
async fn a_resource_gives_the_first_issuer_that_was_listed() {
    let network = Network::default();
    let issuers = r#"["https://other.example",7,"https://as.example"]"#;
    network.put(DOCUMENT, 200, &document("https://api.example", issuers));
    let allowed = ["https://x.example", "https://as.example"];
    let transport = network.transport();
    let resource =
        ProtectedResource::discover("https://api.example", allowed, &transport).await.unwrap();
    assert_eq!(
        (resource.resource(), resource.issuer()),
        ("https://api.example", "https://as.example")
    );
    assert_eq!(resource.scopes(), Some("a b".parse().unwrap()));
    assert_eq!(network.asked(), [DOCUMENT]);
}

#[tokio::test]
async fn an_issuer_that_was_not_listed_is_told_of_and_not_contacted() {
    let network = Network::default();
    let evil = r#"["https://evil.example","https://as.example/"]"#;
    network.put(DOCUMENT, 200, &document("https://api.example", evil));
    let called = Uri::from_static("https://api.example/calls");
    let headers = challenge(&format!(r#"Bearer realm="x", resource_metadata="{DOCUMENT}""#));
    let transport = network.transport();
    let allowed = ["https://as.example"];
    let error = ProtectedResource::from_challenge(&called, &headers, allowed, &transport)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), DiscoveryErrorKind::UnknownIssuer);
    let named: Vec<_> = error.issuers().iter().map(|issuer| &**issuer).collect();
    assert_eq!(named, ["https://evil.example", "https://as.example/"]);
    assert!(error.to_string().contains("https://evil.example"), "{error}");
    assert_eq!(network.asked(), [DOCUMENT]);
}

#[tokio::test]
async fn the_document_of_another_resource_is_refused_and_that_of_another_origin_not_fetched() {
    let network = Network::default();
    let (called, transport) =
        (Uri::from_static("https://api.example/v1/calls"), network.transport());
    let ask = async |text: &str| {
        let (headers, allowed) = (challenge(text), ["https://as.example"]);
        let asked = ProtectedResource::from_challenge(&called, &headers, allowed, &transport).await;
        asked.map(|resource| resource.resource().to_owned()).map_err(|error| error.kind())
    };
    let names = |url: &str| format!(r#"Basic realm="x", Bearer resource_metadata="{url}""#);
    for resource in
        ["https://victim.example", "https://api.example/v2", "https://api.example/v1/calls/x"]
    {
        network.put(DOCUMENT, 200, &document(resource, r#"["https://as.example"]"#));
        assert_eq!(ask(&names(DOCUMENT)).await, Err(DiscoveryErrorKind::OtherResource));
    }
    for resource in
        ["https://api.example", "https://api.example/v1", "https://api.example/v1/calls"]
    {
        network.put(DOCUMENT, 200, &document(resource, r#"["https://as.example"]"#));
        assert_eq!(ask(&names(DOCUMENT)).await.as_deref(), Ok(resource));
    }
    network.asked();
    for elsewhere in [
        "https://evil.example/x",
        "http://api.example/x",
        "https://api.example:8443/x",
        "https://api.example@evil.example/x",
        "https://169.254.169.254/latest",
        "/relative",
    ] {
        assert_eq!(ask(&names(elsewhere)).await, Err(DiscoveryErrorKind::Resource), "{elsewhere}");
    }
    assert_eq!(ask("Bearer realm=\"x\"").await, Err(DiscoveryErrorKind::Resource));
    assert!(network.asked().is_empty());

    // The identifier itself is compared byte for byte.
    network.put(DOCUMENT, 200, &document("https://api.example/", r#"["https://as.example"]"#));
    let error =
        ProtectedResource::discover("https://api.example", ["https://as.example"], &transport);
    assert_eq!(error.await.unwrap_err().kind(), DiscoveryErrorKind::OtherResource);
}

#[tokio::test]
async fn what_the_server_half_says_the_client_half_understands() {
    let require = RequireToken::new("api", StaticTokens::new())
        .and_then(|it| it.with_resource("https://api.example/v1"))
        .unwrap();
    let metadata = require.resource_metadata().unwrap();
    let metadata = metadata.with_authorization_servers(["https://as.example"]).unwrap();
    let api = ServiceBuilder::new().layer(metadata).layer(require).service(service_fn(
        async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::default())),
    ));
    let called = Uri::from_static("https://api.example/v1/calls");
    let request = Request::get(called.clone()).body(Body::default()).unwrap();
    let refused = api.clone().oneshot(request).await.unwrap();
    assert_eq!(refused.status(), 401);
    let allowed = ["https://as.example"];
    let transport = Transport::new(api);
    let resource =
        ProtectedResource::from_challenge(&called, refused.headers(), allowed, &transport).await;
    assert_eq!(resource.unwrap().resource(), "https://api.example/v1");
}

/// A client of the resource at `https://api.example`, which is listed as one of `ISSUER`.
fn of_resource(network: &Network) -> Result<TokenEndpoint, tower_oauth2::ConfigError> {
    let listed = ["https://other.example", ISSUER];
    TokenEndpoint::from_resource("https://api.example", listed, client(), network.transport())
}

#[tokio::test]
async fn a_resource_says_where_its_tokens_come_from() {
    let (network, clock) = (Network::default(), ManualClock::new());
    let endpoint = of_resource(&network).unwrap().with_clock(clock.clock());
    let token = "https://as.example/tenant/t";
    network.put_server(token);
    network.put(DOCUMENT, 200, &document("https://api.example", &format!(r#"["{ISSUER}"]"#)));
    assert!(network.asked().is_empty(), "a constructor asks nothing");
    let fetch = async || endpoint.fetch(&Grant::client_credentials()).await;
    fetch().await.unwrap();
    fetch().await.unwrap();
    assert_eq!(network.asked(), [DOCUMENT, METADATA, token, token]);
    // It moves to another issuer, which was not listed.
    let moved = document("https://api.example", r#"["https://evil.example"]"#);
    network.put(DOCUMENT, 200, &moved);
    clock.advance(Duration::from_secs(24 * 3600));
    let error = fetch().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidResponse);
    assert!(error.to_string().contains("https://evil.example"), "{error}");
    assert_eq!(network.asked(), [DOCUMENT]);
    // And is down, which is no reason to forget where they came from.
    network.put(DOCUMENT, 200, &document("https://api.example", &format!(r#"["{ISSUER}"]"#)));
    fetch().await.unwrap();
    network.put(DOCUMENT, 503, "");
    clock.advance(Duration::from_secs(24 * 3600));
    network.asked();
    fetch().await.unwrap();
    assert_eq!(network.asked(), [DOCUMENT, token]);
}

#[tokio::test]
async fn a_resource_that_says_another_or_nothing_gets_no_secret() {
    for (status, body) in [
        (200, document("https://victim.example", &format!(r#"["{ISSUER}"]"#))),
        (200, document("https://api.example", r#"["https://evil.example"]"#)),
        (200, document("https://api.example", "[]")),
        (200, "{}".into()),
        (404, String::new()),
    ] {
        let network = Network::default();
        network.put_server("https://as.example/tenant/t");
        network.put(DOCUMENT, status, &body);
        let endpoint = of_resource(&network).unwrap();
        let error = endpoint.fetch(&Grant::client_credentials()).await.unwrap_err();
        let kind = if status == 404 { ErrorKind::Refused } else { ErrorKind::InvalidResponse };
        assert_eq!((error.kind(), network.asked()), (kind, vec![DOCUMENT.to_owned()]), "{body}");
    }
}

#[test]
fn a_resource_and_the_issuers_that_it_may_name_are_checked_when_built() {
    let network = Network::default();
    let build = |resource: &str, issuers: &[&str]| {
        TokenEndpoint::from_resource(resource, issuers, client(), network.transport())
            .map_err(|error| error.to_string())
    };
    assert!(build("https://api.example/v1", &[ISSUER]).is_ok());
    for (resource, issuers, told) in [
        ("http://api.example", &[ISSUER][..], "not an absolute https URL"),
        ("api.example", &[ISSUER], "not an absolute https URL"),
        ("https://api.example/#f", &[ISSUER], "without a fragment"),
        ("https://svc:hush@api.example/v1", &[ISSUER], "not an absolute https URL"),
        ("https://api.example", &[], "no issuer is listed"),
        ("https://api.example", &[ISSUER, "http://as.example"], "plain http"),
    ] {
        let error = build(resource, issuers).unwrap_err();
        assert!(error.contains(told) && !error.contains("hush"), "{error}");
    }
}

#[test]
fn the_query_of_a_resource_is_not_shown() {
    let network = Network::default();
    let resource = "https://api.example/v1?key=hush";
    let endpoint =
        TokenEndpoint::from_resource(resource, [ISSUER], client(), network.transport()).unwrap();
    let shown = format!("{endpoint:?} {endpoint:#?}");
    assert!(shown.contains("https://api.example/v1") && !shown.contains("hush"), "{shown}");
}

#[tokio::test]
async fn a_layer_for_a_resource_asks_for_its_token_and_sends_it_nowhere_else() {
    let network = Network::default();
    let token = "https://as.example/tenant/t";
    network.put_server(token);
    let resource = "https://api.example/v1";
    let there = "https://api.example/.well-known/oauth-protected-resource/v1";
    network.put(there, 200, &document(resource, &format!(r#"["{ISSUER}"]"#)));
    let layer =
        ClientCredentialsRefresh::from_resource(resource, [ISSUER], client(), network.transport());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let saw = seen.clone();
    let service = ServiceBuilder::new().layer(layer.unwrap()).service(service_fn(
        move |request: Request<Body>| {
            saw.lock().unwrap().push(request.headers()["authorization"].clone());
            async { Ok::<_, Infallible>(Response::new(Body::default())) }
        },
    ));
    let call = async |url: &'static str| {
        let request = Request::get(url).body(Body::default()).unwrap();
        service.clone().oneshot(request).await.map_err(|error| error.to_string())
    };
    call("https://api.example/v1/calls").await.unwrap();
    assert_eq!(*seen.lock().unwrap(), ["Bearer T"]);
    let asked = [there, METADATA, token];
    assert_eq!(network.asked(), asked);
    let form = "grant_type=client_credentials&resource=https%3A%2F%2Fapi.example%2Fv1";
    assert_eq!(*network.forms.lock().unwrap(), [form]);
    let error = call("https://elsewhere.example/").await.unwrap_err();
    assert!(error.contains("https://elsewhere.example"), "{error}");
    assert_eq!(seen.lock().unwrap().len(), 1);
}
