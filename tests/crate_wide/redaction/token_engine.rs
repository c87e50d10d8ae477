//! What gets tokens and keeps them, the sign-in of a user, and what they fail with.

use super::{
    Body, BoxError, Failed, SECRET, assert_clean, assert_clean_error, assert_clean_text, call,
    failure, get, leak, percent_encoded, token, url_with_secret, walk_layer,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use form_urlencoded::byte_serialize;
use http::{
    Request, Response, StatusCode, Uri,
    header::{LOCATION, WWW_AUTHENTICATE},
};
use http_body_util::BodyExt;
use std::{convert::Infallible, future, sync::Arc, time::Duration};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_oauth2::{
    AccessToken, Answer, ClientAuthentication, ClientSecret, ClientSecretSource, Clock,
    ConfigError, Health, HealthPart, RequestHead, Transport,
    client::{
        AddBearer, Begun, Buffered, Cause, ClientCredentialsRefresh, Cloned, DeviceSignIn, Error,
        ErrorKind, Grant, Holder, InsufficientScope, InsufficientUserAuthentication, Known, Never,
        PendingSignIn, ProtectedResource, RefreshPolicy, ReplayBody, ReplayPolicy, ReqwestService,
        SessionStore, SharedSessions, SignIn, StoreKeys, StorePolicy, Swap, TokenCache,
        TokenEndpoint, TokenPool, TokenResponse, TokenRevocation, TokenSource, TokenStore,
        TokenType,
    },
    testing::InMemoryStore,
};

const API: &str = "https://api.example";
const TOKEN_URL: &str = "https://as.example/token";

/// Every way in which a client shows its secret.
fn clients() -> [ClientAuthentication; 4] {
    [
        ClientAuthentication::basic("id", SECRET),
        ClientAuthentication::basic_raw("id", SECRET),
        ClientAuthentication::post("id", SECRET),
        ClientAuthentication::query("id", SECRET),
    ]
}

/// Every grant with a secret of its own that can be had without a sign-in.
fn grants() -> [Grant; 6] {
    let secret = ClientSecret::new(SECRET);
    [
        Grant::password("alice", &secret),
        Grant::refresh_token(&secret),
        Grant::form([("username", "alice"), ("password", SECRET)]),
        Grant::client_credentials().with_param("ticket", SECRET).unwrap(),
        Grant::jwt_bearer(SECRET),
        Grant::token_exchange(SECRET, &TokenType::JWT)
            .with_actor_token(SECRET, &TokenType::JWT)
            .unwrap(),
    ]
}

/// A token endpoint that always answers the same.
fn answering(client: ClientAuthentication, response: Response<&str>) -> TokenEndpoint {
    let response = response.map(|body| Body::from(body.to_owned()));
    let service = service_fn(move |_| future::ready(Ok::<_, Infallible>(response.clone())));
    TokenEndpoint::new(TOKEN_URL, client, Transport::new(service)).unwrap()
}

/// A token endpoint that fails with `text`, two levels deep.
fn failing(client: ClientAuthentication, text: String) -> TokenEndpoint {
    let service = service_fn(move |_| {
        let failed = Failed::at(&text);
        async { Err::<Response<Body>, _>(failed) }
    });
    TokenEndpoint::new(TOKEN_URL, client, Transport::new(service)).unwrap()
}

/// What goes over the wire, header by header.
async fn wire_text(request: Request<Body>) -> String {
    let (head, body) = request.into_parts();
    let mut text = format!("{} {}", head.method, head.uri);
    for (name, value) in &head.headers {
        text.push_str(&format!(" {name}: {}", value.to_str().unwrap()));
    }
    let body = body.collect().await.unwrap().to_bytes();
    format!("{text} {}", String::from_utf8_lossy(&body))
}

/// Two token endpoints that tell what they were sent, one in a refusal and one in an error of
/// its transport.
fn echoing(client: &ClientAuthentication) -> [(TokenEndpoint, ErrorKind); 2] {
    let refusing = service_fn(async |request| {
        let text = wire_text(request).await;
        assert!(leak(&text).is_some(), "the secret is sent");
        let body = serde_json::json!({"error": "invalid_request", "error_description": text});
        let body = Body::from(body.to_string());
        Ok::<_, Infallible>(Response::builder().status(400).body(body).unwrap())
    });
    let failing =
        service_fn(async |request| Err::<Response<Body>, _>(Failed::at(&wire_text(request).await)));
    let endpoint = |transport| TokenEndpoint::new(TOKEN_URL, client.clone(), transport).unwrap();
    [
        (endpoint(Transport::new(refusing)), ErrorKind::Refused),
        (endpoint(Transport::new(failing)), ErrorKind::Transport),
    ]
}

/// A good answer in which every text is secret.
fn issuing() -> TokenEndpoint {
    let body = format!(
        r#"{{"access_token":"{SECRET}","refresh_token":"{SECRET}","id_token":"{SECRET}",
            "token_type":"Bearer","expires_in":600}}"#
    );
    answering(ClientAuthentication::basic("id", SECRET), Response::new(&body))
}

/// The secret as servers, proxies and HTTP clients repeat it.
fn spellings() -> Vec<String> {
    // What browsers and scripts make of it, and the same with small letters.
    let component = percent_encoded().replace("%7E", "~").replace("%2D", "-").replace("%2E", ".");
    let component = component.replace("%5F", "_");
    let form: String = byte_serialize(SECRET.as_bytes()).collect();
    vec![
        SECRET.to_owned(),
        percent_encoded(),
        percent_encoded().to_lowercase(),
        component.to_lowercase(),
        component,
        BASE64_STANDARD.encode(SECRET),
        form,
    ]
}

fn answer(status: u16, body: &str) -> Response<&str> {
    Response::builder().status(status).body(body).unwrap()
}

/// Nothing of `error`, of the kind `kind` and about `what`, shows the secret.
fn assert_clean_failure(what: &str, error: &Error, kind: ErrorKind) {
    assert_eq!(error.kind(), kind, "{what}: {error:?}");
    assert_clean("client::Error", error);
    assert_clean("client::ErrorKind", &error.kind());
    assert_clean_error(what, error);
    assert_clean_text(what, error.code().unwrap_or_default());
    if let Some(cause) = std::error::Error::source(error) {
        assert_clean("client::Cause", cause.downcast_ref::<Cause>().unwrap());
    }
}

// case: red-01
#[test]
fn what_a_client_asks_with_does_not_print() {
    let public = [
        ClientAuthentication::public("id"),
        ClientAuthentication::tls("id"),
        ClientAuthentication::none(),
    ];
    for client in clients().into_iter().chain(public) {
        assert_clean("ClientAuthentication", &client);
        for url in [TOKEN_URL, &url_with_secret()] {
            let endpoint = TokenEndpoint::new(url, client.clone(), Transport::https()).unwrap();
            assert_clean("client::TokenEndpoint", &endpoint);
            for grant in grants() {
                assert_clean("client::Grant", &grant);
                assert_clean("client::TokenFuture", &endpoint.clone().call(grant));
            }
        }
    }
}

#[tokio::test]
async fn what_revokes_a_token_and_how_that_fails_does_not_print() {
    for client in clients() {
        let echo = service_fn(async |request| {
            Err::<Response<Body>, _>(Failed::at(&wire_text(request).await))
        });
        let endpoint = TokenRevocation::new(&url_with_secret(), client, Transport::new(echo));
        let endpoint = endpoint.unwrap();
        assert_clean("client::TokenRevocation", &endpoint);
        let error = endpoint.revoke(SECRET, "access_token").await.unwrap_err();
        assert_clean_failure("a revocation", &error, ErrorKind::Transport);
    }
}

// case: red-01
#[tokio::test]
async fn what_a_token_endpoint_gives_does_not_print() {
    let response = issuing().oneshot(Grant::client_credentials()).await.unwrap();
    assert_eq!(response.extra::<String>("id_token").as_deref(), Some(SECRET));
    assert_clean("client::TokenResponse", &response);
    assert_clean("client::TokenResponse", &TokenResponse::new(token()).with_refresh_token(SECRET));
}

// case: red-01
#[tokio::test]
async fn layers_and_caches_that_fetch_show_none_of_their_secrets() {
    let policy = RefreshPolicy::default();
    assert_clean("client::RefreshPolicy", &policy);
    let clock = Clock::system();
    let response = issuing().fetch(&Grant::client_credentials()).await.unwrap();
    let caches = [
        TokenCache::new(issuing(), Grant::client_credentials(), policy.clone()),
        TokenCache::from_sign_in(issuing(), &response, policy.clone(), clock.clone()),
        TokenCache::from_fn(
            move || future::ready(Ok::<_, ConfigError>(response.clone())),
            policy,
            clock,
        ),
    ];
    for cache in caches {
        assert_clean("client::TokenCache", &cache);
        walk_layer("client::AddBearer", AddBearer::from_source(cache.clone(), API).unwrap()).await;
        assert_clean("client::TokenCache", &cache);
        assert_clean("client::TokenStatus", &cache.status());
        assert_clean("client::TokenState", &cache.status().state());
        assert!(cache.status().is_usable());

        assert!(cache.reject(&token()), "another can be had");
        let request = get(API);
        let awaited = cache.token(RequestHead::from_request(&request));
        assert_clean("Answer", &awaited);
        assert!(matches!(&awaited, Answer::Pending(_)));
        assert_eq!(awaited.wait().await.unwrap().expose(), SECRET);
    }
}

#[tokio::test]
async fn a_pool_shows_neither_its_users_nor_their_tokens() {
    let pool = TokenPool::new(|_| Some(SECRET)).with_caches(|_| {
        let (grant, policy) = (Grant::client_credentials(), RefreshPolicy::default());
        Some(TokenCache::new(issuing(), grant, policy))
    });
    walk_layer("client::AddBearer", AddBearer::from_source(pool.clone(), API).unwrap()).await;
    assert_eq!(pool.len(), 1);
    assert_clean("client::TokenPool", &pool);
    let nobody = TokenPool::<&str>::new(|_| None);
    let request = get(API);
    let error = nobody.token(RequestHead::from_request(&request)).wait().await.unwrap_err();
    assert_clean_failure("a pool", &error, ErrorKind::NoKey);
    let unknown = TokenPool::new(|_| Some(SECRET));
    let error = unknown.token(RequestHead::from_request(&request)).wait().await.unwrap_err();
    assert_clean_failure("a pool", &error, ErrorKind::SignInNeeded);
}

#[tokio::test]
async fn what_goes_into_a_store_shows_neither_there_nor_in_its_name() {
    let store = InMemoryStore::new();
    let seal = StoreKeys::new(SECRET.as_bytes().first_chunk().unwrap()).unwrap();
    assert_clean("client::StoreKeys", &seal);
    let policy = StorePolicy::default().with_key_secret(SECRET);
    assert_clean("client::StorePolicy", &policy);
    for policy in [policy, StorePolicy::default()] {
        let grant = Grant::password("alice", &ClientSecret::new(SECRET));
        let cache = TokenCache::new(issuing(), grant, RefreshPolicy::default());
        let cache = cache.with_store(Arc::new(store.clone()), seal.clone(), policy).unwrap();
        let layer = AddBearer::from_source(cache.clone(), API).unwrap();
        walk_layer("client::AddBearer", layer).await;
        // The token is saved after the callers have it.
        for _ in 0..32 {
            tokio::task::yield_now().await;
        }
        assert_clean("client::TokenCache", &cache);
        assert_clean("testing::InMemoryStore", &store);
    }
    let keys = store.keys();
    assert_eq!(keys.len(), 2);
    for key in &keys {
        assert_clean("client::StoreKey", key);
        assert_clean_text("client::StoreKey", key.as_str());
        let holder: Holder = "holder".parse().unwrap();
        let begun = store.begin(key, &holder, Duration::ZERO, &[]).await.unwrap();
        assert_clean("client::Begun", &begun);
        let Begun::Found(value) = begun else { panic!("{begun:?}") };
        assert_clean("client::StoredValue", &value);
        assert_clean("client::Version", &value.version);
        assert_clean("client::Holder", &holder);
        assert_clean("client::Lease", &store.renew(key, &holder, Duration::ZERO).await.unwrap());
    }
}

#[tokio::test]
async fn a_shared_session_shows_neither_its_name_nor_its_tokens() {
    let store = InMemoryStore::new();
    let keys = StoreKeys::new(SECRET.as_bytes().first_chunk().unwrap()).unwrap();
    let sessions = SharedSessions::new(issuing(), Arc::new(store.clone()), keys, SECRET);
    assert_clean("client::SharedSessions", &sessions);
    let response = TokenResponse::new(token()).with_refresh_token(SECRET);
    sessions.sign_in(SECRET, &response).await.unwrap();
    let policy = RefreshPolicy::default();
    let cache = TokenCache::from_shared_session(&sessions, SECRET, policy);
    walk_layer("client::AddBearer", AddBearer::from_source(cache.clone(), API).unwrap()).await;
    assert_clean("client::TokenCache", &cache);
    for key in store.keys() {
        assert_clean_text("client::StoreKey", key.as_str());
        let value = SessionStore::read(&store, &key).await.unwrap().unwrap();
        assert_clean("client::StoredValue", &value);
        assert_clean_text("what is sealed", &String::from_utf8_lossy(&value.sealed));
    }
    let key = store.keys().remove(0);
    let swapped = store.swap(&key, None, None).await.unwrap();
    assert_clean("client::Swap", &swapped);
    assert_eq!(swapped, Swap::Lost);
    store.overwrite(b"garbage");
    let cache = TokenCache::from_shared_session(
        &sessions,
        SECRET,
        RefreshPolicy::default().with_patience(Duration::ZERO),
    );
    assert_clean_failure("a session", &cache.access_token().await.unwrap_err(), ErrorKind::Source);
}

#[tokio::test]
async fn client_credentials_refresh_shows_no_secret_whatever_it_repeats() {
    let layer = || {
        let layer = ClientCredentialsRefresh::new(issuing(), API).unwrap();
        layer.with_param("ticket", SECRET).unwrap()
    };
    assert_clean("client::ClientCredentialsRefresh", &layer());
    let name = "client::ClientCredentialsRefresh";
    walk_layer(name, layer()).await;
    walk_layer(name, layer().with_replay(Never)).await;
    walk_layer(name, layer().with_replay(Cloned)).await;
    walk_layer(name, layer().with_replay(Buffered::default())).await;
    let wrapped = Buffered::default().with_body(boxed);
    assert_clean("client::BufferedAs", &wrapped);
    let boxed_layer = layer().with_replay(wrapped);
    assert_clean(name, &boxed_layer);
}

fn boxed(body: ReplayBody<Boxed>) -> Boxed {
    Boxed::new(body)
}

type Boxed = http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>;

#[tokio::test]
async fn a_layer_for_several_apis_and_reqwest_below_it_show_no_token() {
    let row = AddBearer::from_source(AccessToken::new(SECRET).unwrap(), API).unwrap();
    let layer = AddBearer::by_origin([row]).unwrap();
    assert_clean("client::ByOrigin", &layer);
    let reqwest = ReqwestService::build(reqwest::Client::builder()).unwrap();
    assert_clean("client::ReqwestService", &reqwest);
    assert_clean("client::ByOriginService", &layer.layer(reqwest));
}

#[test]
fn bodies_kept_for_a_second_call_do_not_print() {
    let body = || Body::from(SECRET);
    let (first, second) = Buffered::default().split(body());
    assert_clean("client::ReplayBody", &first);
    assert_clean("client::ReplayBody", &second.unwrap());
    assert_clean("client::Buffered", &Buffered::new(8));
    assert_clean("client::Known", &Known);
    assert_clean("client::Never", &Never);
    assert_clean("client::Cloned", &Cloned);
}

#[tokio::test]
async fn a_rejected_token_shows_neither_in_the_answer_nor_while_another_is_fetched() {
    let rejecting = service_fn(async |_: Request<Body>| {
        let challenge = r#"Bearer error="invalid_token""#;
        let answer = Response::builder().status(401).header(WWW_AUTHENTICATE, challenge);
        Ok::<_, Infallible>(answer.body(Body::default()).unwrap())
    });
    let layer = ClientCredentialsRefresh::new(issuing(), API).unwrap();
    let mut service = layer.layer(rejecting);
    let answer = call(&mut service, get(API)).await;
    assert_clean("client::ResponseFuture", &answer);
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_clean("the answer", &answer);
    assert_eq!(layer.cache().status().fetches(), 2);
}

#[tokio::test]
async fn the_scopes_that_a_resource_asks_for_come_without_the_token() {
    let forbidding = service_fn(async |_: Request<Body>| {
        let challenge = r#"Bearer error="insufficient_scope", scope="write""#;
        let answer = Response::builder().status(403).header(WWW_AUTHENTICATE, challenge);
        Ok::<_, Infallible>(answer.body(Body::default()).unwrap())
    });
    let layer = AddBearer::bearer(SECRET, API).unwrap();
    let answer = layer.layer(forbidding).oneshot(get(API)).await.unwrap();
    assert_clean("the answer", &answer);
    let asked: &InsufficientScope = answer.extensions().get().unwrap();
    assert_clean("client::InsufficientScope", asked);
    assert_eq!(asked.scopes().to_string(), "write");
}

#[tokio::test]
async fn the_authentication_that_a_resource_asks_for_comes_without_the_token() {
    let refusing = service_fn(async |_: Request<Body>| {
        let challenge = r#"Bearer error="insufficient_user_authentication", acr_values="mfa""#;
        let answer = Response::builder().status(401).header(WWW_AUTHENTICATE, challenge);
        Ok::<_, Infallible>(answer.body(Body::default()).unwrap())
    });
    let layer = AddBearer::bearer(SECRET, API).unwrap();
    let answer = layer.layer(refusing).oneshot(get(API)).await.unwrap();
    assert_clean("the answer", &answer);
    let asked: &InsufficientUserAuthentication = answer.extensions().get().unwrap();
    assert_clean("client::InsufficientUserAuthentication", asked);
    assert!(asked.acr_values().eq(["mfa"]));
}

/// What token endpoints answer that have the secret in hand and repeat it as `spelling`.
fn repeating(spelling: &str) -> Vec<(String, u16, ErrorKind)> {
    let (refused, unusable) = (ErrorKind::Refused, ErrorKind::InvalidResponse);
    // Over the bound of a description, so that it is cut within the secret.
    let long = format!("{}{spelling}", "y".repeat(490));
    vec![
        (format!(r#"{{"error":"{spelling}","error_description":"{spelling}"}}"#), 400, refused),
        (format!(r#"{{"error":"invalid_client","error_description":"bad {long}"}}"#), 401, refused),
        (format!(r#"{{"error_description":"{long}","error_uri":"{spelling}"}}"#), 500, refused),
        (spelling.to_owned(), 502, refused),
        (spelling.to_owned(), 200, unusable),
        (format!(r#"{{"access_token":"x","token_type":"{spelling}"}}"#), 200, unusable),
        (format!(r#"{{"access_token":"x","token_type":"{long}"}}"#), 200, unusable),
        (format!(r#"{{"access_token":" {spelling}"}}"#), 200, unusable),
        (format!(r#"{{"token":"{spelling}"}}"#), 200, unusable),
    ]
}

#[tokio::test]
async fn an_endpoint_that_repeats_the_clients_secret_does_not_get_it_into_an_error() {
    for client in clients() {
        for spelling in spellings() {
            for (body, status, kind) in repeating(&spelling) {
                let endpoint = answering(client.clone(), answer(status, &body));
                let error = endpoint.fetch(&Grant::client_credentials()).await.unwrap_err();
                assert_clean_failure(&body, &error, kind);
            }
        }
    }
}

#[tokio::test]
async fn an_endpoint_that_repeats_what_was_granted_with_does_not_get_it_into_an_error() {
    for grant in grants() {
        for spelling in [SECRET, &percent_encoded()] {
            for (body, status, kind) in repeating(spelling) {
                let endpoint = answering(ClientAuthentication::none(), answer(status, &body));
                assert_clean_failure(&body, &endpoint.fetch(&grant).await.unwrap_err(), kind);
            }
        }
    }
}

#[tokio::test]
async fn an_endpoint_that_tells_what_it_was_sent_does_not_get_a_secret_into_an_error() {
    for client in clients() {
        for (endpoint, kind) in echoing(&client) {
            let error = endpoint.fetch(&Grant::client_credentials()).await.unwrap_err();
            assert_clean_failure("the client", &error, kind);
        }
    }
    for (endpoint, kind) in echoing(&ClientAuthentication::public("id")) {
        for grant in grants() {
            assert_clean_failure("the grant", &endpoint.fetch(&grant).await.unwrap_err(), kind);
        }
        let error = finish_at(endpoint, &callback()).await;
        assert_clean_failure("the code", &error, kind);
    }
}

#[tokio::test]
async fn a_redirect_that_repeats_the_secret_is_named_without_it() {
    for client in clients() {
        for spelling in spellings() {
            for to in [
                format!("https://other.example/t?client_secret={spelling}"),
                format!("https://other.example/t#{spelling}"),
                format!("https://id:{spelling}@other.example/t"),
                format!("https://other.example/{spelling}/t;s={spelling}"),
                format!("/{}{spelling}", "y".repeat(490)),
            ] {
                let redirect = Response::builder().status(307).header(LOCATION, &to);
                let endpoint = answering(client.clone(), redirect.body("").unwrap());
                let error = endpoint.fetch(&Grant::client_credentials()).await.unwrap_err();
                assert_clean_failure(&to, &error, ErrorKind::Refused);
                assert_eq!(error.status(), Some(StatusCode::TEMPORARY_REDIRECT));
            }
        }
    }
}

#[tokio::test]
async fn a_transport_that_prints_a_url_does_not_get_the_secret_into_an_error() {
    let printed = [
        url_with_secret(),
        format!("https://id:{}@as.example/token", percent_encoded()),
        format!("https://as.example/{SECRET}"),
        format!("{}{SECRET}", "y".repeat(430)),
    ];
    for client in clients() {
        for text in &printed {
            let endpoint = failing(client.clone(), text.clone());
            let error = endpoint.fetch(&Grant::client_credentials()).await.unwrap_err();
            assert_clean_failure(text, &error, ErrorKind::Transport);
        }
    }
}

#[tokio::test]
async fn what_a_cache_knows_of_an_outage_shows_no_secret() {
    let refusal = format!(r#"{{"error":"invalid_client","error_description":"{SECRET} is old"}}"#);
    let client = ClientAuthentication::query("id", SECRET);
    // Long enough for one fetch, too short for the pause after it.
    let policy = RefreshPolicy::default().with_patience(Duration::from_millis(400));
    let failing = failing(client.clone(), url_with_secret());
    for (endpoint, kind) in [
        (answering(client, answer(401, &refusal)), ErrorKind::Refused),
        (failing, ErrorKind::Transport),
    ] {
        let layer = ClientCredentialsRefresh::new(endpoint, API).unwrap();
        let layer = layer.with_policy(policy.clone());
        // The one that fetched, and one that comes too soon after it.
        for _ in 0..2 {
            let error = failure(layer.clone(), API).await;
            assert_clean_failure("an outage", &error, kind);
            assert!(error.retry_after().is_some());
        }
        assert_clean("client::TokenStatus", &layer.cache().status());
        assert_clean("client::TokenCache", layer.cache());
        assert_clean_failure("status", layer.cache().status().last_error().unwrap(), kind);
        let part = HealthPart::from(layer.cache().status());
        assert_clean("HealthPart", &part);
        let health = Health::new().with_part("token", part);
        assert_clean("Health", &health);
        assert_clean_text("Health", &health.to_string());
    }
    let fetch = || future::ready(Err::<TokenResponse, _>(Failed::at(&url_with_secret())));
    let cache = TokenCache::from_fn(fetch, policy, Clock::system());
    let layer = AddBearer::from_source(cache, API).unwrap();
    assert_clean_failure("from_fn", &failure(layer, API).await, ErrorKind::Source);
}

#[tokio::test]
async fn a_session_that_ended_is_told_without_its_tokens() {
    let refusal = format!(r#"{{"error":"invalid_grant","error_description":"{SECRET} is spent"}}"#);
    let endpoint = answering(ClientAuthentication::public("id"), answer(400, &refusal));
    let expired = TokenResponse::new(token()).with_lifetime(Duration::ZERO);
    let expired = expired.with_refresh_token(SECRET);
    for response in [expired, TokenResponse::new(token())] {
        let policy = RefreshPolicy::default();
        let cache = TokenCache::from_sign_in(endpoint.clone(), &response, policy, Clock::system());
        cache.reject(&token());
        let layer = AddBearer::from_source(cache.clone(), API).unwrap();
        let error = failure(layer, API).await;
        assert_clean_failure("the session", &error, ErrorKind::SignInNeeded);
        assert_clean("client::TokenStatus", &cache.status());
    }
}

fn sign_in(endpoint: TokenEndpoint) -> SignIn {
    SignIn::new(endpoint, "id", "https://as.example/authorize", "https://app.example/cb").unwrap()
}

#[tokio::test]
async fn what_a_resource_says_of_itself_does_not_show() {
    let api = API.to_owned();
    let document = |issuer: &str| {
        let text = format!(
            r#"{{"resource":"{api}","authorization_servers":["{issuer}"],"x":"{SECRET}"}}"#
        );
        let service = service_fn(move |_: Request<Body>| {
            let body = Body::from(text.clone());
            async { Ok::<_, Infallible>(Response::new(body)) }
        });
        Transport::new(service)
    };
    let issuer = "https://as.example";
    let resource = ProtectedResource::discover(API, [issuer], &document(issuer)).await.unwrap();
    assert_clean("client::ProtectedResource", &resource);
    let unknown = ProtectedResource::discover(API, [issuer], &document("https://x.example")).await;
    assert_clean_error("DiscoveryError", &unknown.unwrap_err());
}

#[test]
fn a_source_of_secrets_does_not_show_them() {
    let closure = || Ok::<_, Failed>(ClientSecret::new(SECRET));
    for source in [
        ClientSecretSource::from(SECRET),
        ClientSecretSource::from_fn(closure),
        ClientSecretSource::from_fn(|| Err::<ClientSecret, _>(Failed::at(&url_with_secret()))),
    ] {
        assert_clean("ClientSecretSource", &source);
        assert_clean("ClientAuthentication", &ClientAuthentication::basic("id", source));
    }
}

#[tokio::test]
async fn a_secret_that_cannot_be_had_is_not_told_of_with_a_query() {
    let source =
        ClientSecretSource::from_fn(|| Err::<ClientSecret, _>(Failed::at(&url_with_secret())));
    let endpoint = answering(ClientAuthentication::basic("id", source), answer(200, ""));
    let error = endpoint.fetch(&Grant::client_credentials()).await.unwrap_err();
    assert_clean_failure("closure", &error, ErrorKind::Source);
}

#[test]
fn a_sign_in_under_way_shows_neither_its_state_nor_its_verifier() {
    let sign_in = sign_in(issuing());
    assert_clean("client::SignIn", &sign_in);
    assert_clean("client::TokenType", &TokenType::JWT);
    let (url, pending) = sign_in.begin().unwrap();
    assert_clean("what the browser is sent", &url);
    let text = pending.to_secret_string();
    assert_clean("ClientSecret", &text);
    let [_, state, verifier] = text.expose().split('.').collect::<Vec<_>>().try_into().unwrap();
    assert_clean("client::PendingSignIn", &pending);
    for shown in [format!("{pending:?}"), format!("{pending:#?}"), format!("{text:?}")] {
        assert!(!shown.contains(state) && !shown.contains(verifier), "{shown}");
    }
    assert!(!url.to_string().contains(verifier));
}

#[tokio::test]
async fn a_sign_in_on_another_device_does_not_show_its_codes() {
    let codes = format!(
        r#"{{"device_code":{SECRET:?},"user_code":"{}","verification_uri":"https://as.example/d"}}"#,
        SECRET.trim_end_matches('=')
    );
    let endpoint = answering(ClientAuthentication::basic("id", SECRET), answer(200, &codes));
    let sign_in = DeviceSignIn::new(endpoint, "https://as.example/device").unwrap();
    let sign_in = sign_in.with_param("login_hint", SECRET).unwrap();
    assert_clean("client::DeviceSignIn", &sign_in);
    assert_clean("client::DeviceAuthorization", &sign_in.begin().await.unwrap());
    let refused = answering(ClientAuthentication::none(), answer(400, &codes));
    let sign_in = DeviceSignIn::new(refused, "https://as.example/device").unwrap();
    assert_clean_failure("device", &sign_in.begin().await.unwrap_err(), ErrorKind::Refused);
}

#[test]
fn an_assertion_of_others_and_a_grant_with_one_show_nothing_of_it() {
    let source = || ClientSecretSource::from_fn(|| Ok::<_, Failed>(ClientSecret::new(SECRET)));
    let closure = || Ok::<_, Failed>(ClientSecret::new(SECRET));
    assert_clean("ClientAuthentication", &ClientAuthentication::assertion_from_fn(closure));
    let grant = Grant::token_exchange(source(), &TokenType::JWT);
    let grant = grant.with_actor_token(source(), &TokenType::JWT).unwrap();
    assert_clean("client::Grant", &grant);
    assert_clean("client::Grant", &Grant::jwt_bearer(source()));
}

/// What is kept of `sign_in` where its state is `ours`, with the verifier of RFC 7636, appendix B.
fn pending(sign_in: &SignIn) -> PendingSignIn {
    let kept = sign_in.begin().unwrap().1.to_secret_string();
    let (begun, _) = kept.expose().split_once('.').unwrap();
    format!("{begun}.ours.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").parse().unwrap()
}

/// How the exchange of `callback`'s code fails at `endpoint`.
async fn finish_at(endpoint: TokenEndpoint, callback: &Uri) -> Error {
    let sign_in = sign_in(endpoint);
    sign_in.finish(pending(&sign_in), callback).await.unwrap_err()
}

/// The way back from it, with a secret code.
fn callback() -> Uri {
    let callback = format!("https://app.example/cb?code={}&state=ours", percent_encoded());
    callback.parse().unwrap()
}

#[tokio::test]
async fn a_callback_that_is_refused_does_not_give_its_code_away() {
    let sign_in = sign_in(issuing()).with_required_issuer("https://as.example");
    let code = percent_encoded();
    for query in [
        format!("code={code}"),
        format!("code={code}&state={code}"),
        format!("code={code}&code={code}&state=ours"),
        format!("code={code}&state=ours"),
        format!("code={code}&state=ours&iss={code}"),
        format!("code={code}&error=access_denied&state=ours&iss=https://as.example"),
    ] {
        let callback: Uri = format!("https://app.example/cb?{query}").parse().unwrap();
        let error = sign_in.finish(pending(&sign_in), &callback).await.unwrap_err();
        assert_clean_failure(&query, &error, ErrorKind::SignIn);
    }
}

#[tokio::test]
async fn an_exchange_that_fails_gives_away_neither_the_code_nor_the_clients_secret() {
    for client in clients().into_iter().chain([ClientAuthentication::public("id")]) {
        for (body, status, kind) in repeating(SECRET) {
            let endpoint = answering(client.clone(), answer(status, &body));
            let error = finish_at(endpoint, &callback()).await;
            assert_clean_failure(&body, &error, kind);
            assert!(error.to_string().contains("begin the sign-in again"), "{error}");
        }
        let endpoint = failing(client, url_with_secret());
        let error = finish_at(endpoint, &callback()).await;
        assert_clean_failure("transport", &error, ErrorKind::Transport);
    }
}

#[tokio::test]
async fn an_exchange_that_fails_does_not_give_the_verifier_away() {
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let callback = Uri::from_static("https://app.example/cb?code=c&state=ours");
    for (body, status, _) in repeating(verifier) {
        let endpoint = answering(ClientAuthentication::public("id"), answer(status, &body));
        let error = finish_at(endpoint, &callback).await;
        assert!(!format!("{error} {error:#?}").contains(&verifier[..10]), "{error:?}");
    }
}

#[test]
fn a_configuration_that_is_refused_is_not_repeated() {
    let secret = percent_encoded();
    let endpoint = |url: &str| {
        let client = ClientAuthentication::basic("id", SECRET);
        TokenEndpoint::new(url, client, Transport::https()).map(drop)
    };
    let sign_in = |authorize: &str, redirect: &str| {
        SignIn::new(issuing(), "id", authorize, redirect).map(drop)
    };
    let grant = Grant::client_credentials;
    let good = "https://as.example/";
    let refused: [(&str, Result<(), ConfigError>); 9] = [
        ("token URL, plain http", endpoint(&format!("http://as.example/t?s={secret}"))),
        ("token URL, relative", endpoint(&format!("/t?s={secret}"))),
        ("token URL, no URL", endpoint(&format!("https://as.example/ {secret}"))),
        ("authorize URL", sign_in(&format!("http://as.example/a?s={secret}"), good)),
        ("redirect URI", sign_in(good, &format!("https://app.example/#{secret}"))),
        ("reserved parameter", grant().with_param("client_secret", SECRET).map(drop)),
        (
            "parameter twice",
            grant().with_param("a", "b").and_then(|it| it.with_param("a", SECRET)).map(drop),
        ),
        ("resource", grant().with_resource(format!("/r?s={secret}")).map(drop)),
        ("pending sign-in", format!("1.{SECRET}").parse::<PendingSignIn>().map(drop)),
    ];
    for (what, refused) in refused {
        assert_clean_error(what, &refused.expect_err(what));
    }
}
