//! What is wrong with a client that is being put together.

use super::{assert_said, basic, endpoint, text};
use bytes::Bytes;
use http_body_util::Full;
use std::{sync::Arc, time::Duration};
use tower_oauth2::{
    AccessToken, Algorithm, AuthorizationServerMetadata, ClientAuthentication, Clock, JwtAssertion,
    ProofKey, SigningKey, TokenLocation, Transport,
    client::{
        AddBearer, ClientCredentialsRefresh, DeviceSignIn, Grant, Origins, PendingSignIn,
        RefreshPolicy, SignIn, StoreKeys, StorePolicy, TokenCache, TokenEndpoint, TokenResponse,
        TokenRevocation, TokenType, Version,
    },
    testing::InMemoryStore,
};

type Body = Full<Bytes>;

const RESOURCE: &str =
    "the resource is not an absolute URI without a fragment, such as https://api.example/v1";
const AUTHORIZE: &str =
    "the authorization URL is not an absolute https URL, such as https://as.example/authorize";
const REDIRECT: &str = "the redirect URI is not an absolute URI without a fragment, such as \
                        https://app.example/callback";
const ONLY_SERVERS: &str =
    "only a server reads tokens there; a client uses Bearer, Header, Query or BasicUserName";

#[test]
fn what_is_wrong_with_a_transport_is_said() {
    let roots = |pem: &str| text(Transport::https().with_root_certificates(pem));
    let other = || {
        Transport::new(tower::service_fn(async |_: http::Request<Body>| {
            Ok::<_, std::convert::Infallible>(http::Response::new(Body::default()))
        }))
    };
    const OTHER: &str = "this transport has a service of its own, which has to bring its proxy and \
                         certificates; Transport::https takes them";
    assert_said([
        (
            "no certificate",
            roots("hunter2"),
            "the root certificates are unusable: there is no PEM block `BEGIN CERTIFICATE`",
        ),
        (
            "half a block",
            roots("-----BEGIN CERTIFICATE-----\nhunter2"),
            "the root certificates are unusable: block 1 is no valid PEM",
        ),
        (
            "a key",
            roots("-----BEGIN PRIVATE KEY-----\nhunter2=\n-----END PRIVATE KEY-----"),
            "the root certificates are unusable: block 1 is a PrivateKey, not a Certificate",
        ),
        ("files for another service", text(other().with_client_certificate_files("a", "b")), OTHER),
        ("a proxy for another service", text(other().with_proxy_from_env()), OTHER),
    ]);
}

#[test]
fn what_is_wrong_with_the_rows_of_several_apis_is_said() {
    let row = |origin: &str| {
        AddBearer::from_source(AccessToken::new("hunter2").unwrap(), origin).unwrap()
    };
    let any = AddBearer::from_source(
        AccessToken::new("hunter2").unwrap(),
        Origins::dangerous_any_https_origin(),
    );
    let said = |rows: Vec<AddBearer<AccessToken>>| text(AddBearer::by_origin(rows));
    let (one, query) = ("https://api.example", row("https://b.example"));
    assert_said([
        ("no row", said(vec![]), "there is no row; each has origins and a source"),
        (
            "an origin twice",
            said(vec![row(one), row(one)]),
            "the origin https://api.example is in two rows",
        ),
        (
            "any origin",
            said(vec![row(one), any.unwrap()]),
            "a row for any origin leaves none to the others",
        ),
        (
            "the query",
            said(vec![row(one), query.with_location(TokenLocation::Query)]),
            "a token in the query may be copied to another row by a redirect; use a header",
        ),
    ]);
}

#[test]
fn what_is_wrong_with_an_endpoint_is_said() {
    let token = |url: &str| text(TokenEndpoint::new(url, basic(), Transport::https()));
    let revocation = |url: &str| text(TokenRevocation::new(url, basic(), Transport::https()));
    let issuer = |url: &str| text(TokenEndpoint::from_issuer(url, basic(), Transport::https()));
    let of_resource = |url: &str, issuers: &[&str]| {
        text(TokenEndpoint::from_resource(url, issuers, basic(), Transport::https()))
    };
    assert_said([
        (
            "a path alone",
            token("/token"),
            "the token URL is no absolute http(s) URL, such as https://as.example/path",
        ),
        (
            "no URL",
            token("https://"),
            "the token URL is no absolute http(s) URL, such as https://as.example/path",
        ),
        (
            "plain http",
            token("http://as.example/token"),
            "the token URL is plain http to another machine; Transport::allow_plain_http takes it",
        ),
        (
            "a secret in the URL",
            token("https://id:hunter2@as.example/token"),
            "the token URL has a user name, which is for no URL that is fetched",
        ),
        (
            "a path alone, for devices",
            text(
                TokenEndpoint::new("https://as.example/token", basic(), Transport::https())
                    .and_then(|endpoint| DeviceSignIn::new(endpoint, "/device")),
            ),
            "the device authorization URL is no absolute http(s) URL, such as https://as.example/path",
        ),
        (
            "a path alone, to revoke at",
            revocation("/revoke"),
            "the revocation URL is no absolute http(s) URL, such as https://as.example/path",
        ),
        (
            "plain http, to revoke at",
            revocation("http://as.example/revoke"),
            "the revocation URL is plain http to another machine; \
             Transport::allow_plain_http takes it",
        ),
        (
            "a secret in the URL, to revoke at",
            revocation("https://id:hunter2@as.example/revoke"),
            "the revocation URL has a user name, which is for no URL that is fetched",
        ),
        (
            "no issuer",
            issuer("as.example"),
            "the issuer is no absolute http(s) URL, such as https://as.example/path",
        ),
        (
            "an issuer with a secret",
            issuer("https://id:hunter2@as.example"),
            "the issuer has a user name, which is for no URL that is fetched",
        ),
        (
            "an issuer with a query",
            issuer("https://as.example?x=hunter2"),
            "the issuer has a query or a fragment: leave it out",
        ),
        (
            "no resource",
            of_resource("api.example", &["https://as.example"]),
            "the resource is not an absolute https URL without a fragment, such as https://api.example/v1",
        ),
        (
            "a resource and nobody",
            of_resource("https://api.example", &[]),
            "no issuer is listed; list those that may get the client's credentials",
        ),
    ]);
}

#[test]
fn what_is_wrong_with_where_a_token_goes_is_said() {
    let layer = ClientCredentialsRefresh::new(endpoint(), "https://api.example").unwrap();
    let fixed = |token: &str, place| {
        text(AddBearer::bearer(token, "https://api.example").unwrap().with_location(place))
    };
    assert_said([
        (
            "no origin",
            text(Origins::new([] as [&str; 0])),
            "no origin is listed; a token is for at least one, such as https://api.example",
        ),
        (
            "an origin without a scheme",
            text(AddBearer::bearer("T", "api.example")),
            "an origin is scheme and host, such as https://api.example",
        ),
        (
            "plain http",
            text(AddBearer::bearer("T", "http://api.example")),
            "http://api.example is plain http to another machine; Origins::allow_plain_http takes it",
        ),
        ("a resource without a scheme", text(layer.with_resource("api")), RESOURCE),
        (
            "a colon where Basic has one",
            fixed("a:b", TokenLocation::BasicUserName),
            "a token with a colon cannot be a Basic user name",
        ),
        ("a form, at a client", fixed("T", TokenLocation::Form), ONLY_SERVERS),
    ]);
}

#[test]
fn what_is_wrong_with_a_key_that_tokens_are_bound_to_is_said() {
    let key = ProofKey::generate().unwrap();
    let token = AccessToken::new("T").unwrap().bound_to(&key).unwrap();
    assert_said([
        (
            "a slow algorithm",
            text(ProofKey::new(SigningKey::from_secret(Algorithm::Hs256, "x".repeat(32)).unwrap())),
            "proofs are signed by ES256, ES384 or EdDSA, not by HS256",
        ),
        (
            "a secret as a PEM",
            text(SigningKey::generate_pem(Algorithm::Hs256)),
            "generate_pem makes keys for ECDSA and Ed25519, not for HS256",
        ),
        (
            "a bound token as the fixed one",
            text(AddBearer::bearer(token, "https://api.example")),
            "a token that is bound to a key may need a second request, for a nonce; use \
             AddBearer::from_source",
        ),
    ]);
}

#[test]
fn what_is_wrong_with_a_grant_is_said() {
    let param = |name: &str| text(Grant::client_credentials().with_param(name, "hunter2"));
    let twice = Grant::client_credentials().with_param("a", "1").unwrap();
    let exchange = Grant::token_exchange("T", &TokenType::JWT);
    let exchange = exchange.with_actor_token("A", &TokenType::JWT).unwrap();
    assert_said([
        (
            "a parameter of the grant",
            param("scope"),
            "the parameter \"scope\" is set by the grant itself; leave it out",
        ),
        ("a parameter without a name", param(""), "a parameter without a name cannot be sent"),
        (
            "a parameter twice",
            text(twice.with_param("a", "2")),
            "the parameter \"a\" is set twice; set it once",
        ),
        ("no resource", text(Grant::client_credentials().with_resource("api")), RESOURCE),
        (
            "an extension grant of no type",
            text(Grant::extension("", [("a", "b")])),
            "the grant type \"\" is neither a name nor a URI; use that of the server",
        ),
        (
            "no token type",
            text(TokenType::new("access_token")),
            "the token type is not an absolute URI without a fragment, such as \
             urn:ietf:params:oauth:token-type:access_token",
        ),
        (
            "an actor of another grant",
            text(Grant::client_credentials().with_actor_token("A", &TokenType::JWT)),
            "only a token exchange has actor_token; see Grant::token_exchange",
        ),
        (
            "two actors",
            text(exchange.with_actor_token("B", &TokenType::JWT)),
            "the parameter \"actor_token\" is set twice; set it once",
        ),
    ]);
}

#[test]
fn what_is_wrong_with_an_assertion_or_its_key_is_said() {
    let key = || SigningKey::from_secret(Algorithm::Hs256, "x".repeat(32)).unwrap();
    let assertion = || JwtAssertion::new("id", key());
    assert_said([
        (
            "a day",
            text(assertion().with_lifetime(Duration::from_secs(86_400))),
            "the lifetime of an assertion, 86400s, is not between a second and an hour",
        ),
        (
            "a claim that is set",
            text(assertion().with_claim("iss", "\"x\"")),
            "the claim \"iss\" is set already, or is one that the assertion sets itself",
        ),
        (
            "text without quotes",
            text(assertion().with_claim("tenant", "hunter2")),
            "the value of the claim \"tenant\" is not JSON: put text in quotes",
        ),
        (
            "a shared secret as a private key",
            text(ClientAuthentication::private_key_jwt("id", key())),
            "private_key_jwt needs a private key; client_secret_jwt is for a shared secret",
        ),
        (
            "a short secret",
            text(ClientAuthentication::client_secret_jwt("id", Algorithm::Hs256, "hunter2")),
            "the secret cannot sign: the shared secret is shorter than the 32, 48 or 64 bytes of \
             HS256, HS384 or HS512",
        ),
    ]);
}

#[test]
fn what_is_wrong_with_a_sign_in_is_said() {
    let new =
        |authorize: &str, redirect: &str| text(SignIn::new(endpoint(), "id", authorize, redirect));
    let sign_in =
        || SignIn::new(endpoint(), "id", "https://as.example/a", "https://app.example/c").unwrap();
    let metadata = |members: &str| {
        let body = format!(r#"{{"issuer":"https://as.example"{members}}}"#);
        AuthorizationServerMetadata::parse("https://as.example", body.as_bytes()).unwrap()
    };
    let by_metadata = |metadata: &AuthorizationServerMetadata, client| {
        let transport = Transport::https();
        text(SignIn::from_metadata(metadata, client, transport, "https://app.example/c"))
    };
    let both = r#","token_endpoint":"https://as.example/t","authorization_endpoint":"https://as.example/a""#;
    assert_said([
        ("a path alone", new("/authorize", "https://app.example/c"), AUTHORIZE),
        ("no URL", new("https://", "https://app.example/c"), AUTHORIZE),
        ("plain http", new("http://as.example/a", "https://app.example/c"), AUTHORIZE),
        ("a redirect to a path", new("https://as.example/a", "/callback"), REDIRECT),
        (
            "a redirect to a fragment",
            new("https://as.example/a", "https://app.example/#c"),
            REDIRECT,
        ),
        (
            "a redirect to a port",
            new("https://as.example/a", "localhost:8080/c"),
            "the redirect URI `localhost:8080/c` has a host and no scheme, or a scheme and no host; \
             write it as https://app.example/callback",
        ),
        (
            "metadata without endpoints",
            by_metadata(&metadata(""), basic()),
            "the metadata have no usable authorization_endpoint or no usable token_endpoint",
        ),
        (
            "nobody signs users in",
            by_metadata(&metadata(both), ClientAuthentication::none()),
            "ClientAuthentication::none has no client identifier, which a sign-in needs; use public",
        ),
        ("no resource", text(sign_in().with_resource("api")), RESOURCE),
        (
            "a parameter of the sign-in",
            text(sign_in().with_param("state", "x")),
            "the parameter \"state\" is set by the sign-in itself; leave it out",
        ),
        (
            "a parameter without a name",
            text(sign_in().with_param("", "x")),
            "a parameter without a name cannot be sent",
        ),
        (
            "a parameter twice",
            text(sign_in().with_param("a", "1").unwrap().with_param("a", "2")),
            "the parameter \"a\" is set twice; set it once",
        ),
        (
            "another cookie",
            text("hunter2".parse::<PendingSignIn>()),
            "to_secret_string of this version did not write this pending sign-in; begin the \
             sign-in again",
        ),
    ]);
}

#[test]
fn what_is_wrong_with_a_store_is_said() {
    let store = || Arc::new(InMemoryStore::new());
    let keys = || StoreKeys::new(&[7; 32]).unwrap();
    let cache =
        || TokenCache::new(endpoint(), Grant::client_credentials(), RefreshPolicy::default());
    let fetch = async || Err::<TokenResponse, _>("nothing is fetched");
    let closure = TokenCache::from_fn(fetch, RefreshPolicy::default(), Clock::system());
    let used = cache();
    let _clone = used.clone();
    assert_said([
        (
            "a closure's tokens",
            text(closure.with_store(store(), keys(), StorePolicy::default())),
            "a store is for the tokens of an endpoint and a grant, not of a session or a closure",
        ),
        ("no resource", text(cache().with_resources(&["api"])), RESOURCE),
        (
            "the resources of no session",
            text(cache().with_resources(&[])),
            "the token cache has no session to renew: Grant::with_resource and with_param are for other grants",
        ),
        (
            "a store after a clone",
            text(used.with_store(store(), keys(), StorePolicy::default())),
            "the token cache was cloned or used already: call this on a new one",
        ),
        (
            "the name of something else",
            text("hunter2 ".parse::<Version>()),
            "a name in a store is 1 to 64 letters, digits, `-` and `_`: parse what `as_str` returned",
        ),
    ]);
}
