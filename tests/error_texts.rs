//! What errors say: what was wrong, where, and what to change. A text is part of what a user reads
//! at night, so each is pinned here.
#![allow(clippy::unwrap_used, reason = "a panic is the verdict of a test")]

use std::time::Duration;
use tower_oauth2::{
    AccessToken, Algorithm, ClientAuthentication, Origin, Scope, SigningKey, TokenLocation,
    Transport,
    client::{AddBearer, ClientCredentialsRefresh, Grant, SignIn, TokenEndpoint},
    server::RequireToken,
    testing::AuthorizationServer,
    validate::{Introspection, Jwks, JwtValidator, StaticTokens, TrustedIssuer},
};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn text<T, E: std::fmt::Display>(result: Result<T, E>) -> String {
    result.err().map(|error| error.to_string()).unwrap_or_default()
}

fn endpoint() -> TokenEndpoint {
    let client = ClientAuthentication::basic("id", "secret");
    TokenEndpoint::new("https://as.example/token", client, Transport::https()).unwrap()
}

fn keys() -> Jwks {
    Jwks::fetched("https://as.example/jwks", Transport::https()).unwrap()
}

#[test]
fn what_is_wrong_with_a_client_is_said() {
    let client = ClientAuthentication::basic("id", "secret");
    let token_url = |url: &str| text(TokenEndpoint::new(url, client.clone(), Transport::https()));
    let layer = ClientCredentialsRefresh::new(endpoint(), "https://api.example").unwrap();
    let sign_in = SignIn::new(endpoint(), "id", "/authorize", "https://app.example/callback");
    for (said, expected) in [
        (text(AccessToken::new("")), "the access token is empty"),
        (
            text(AccessToken::new("a b")),
            "the access token holds a character that is not visible ASCII",
        ),
        (token_url("/token"), "the token URL is no absolute http(s) URL"),
        (token_url("http://as.example/token"), "the token URL is plain http to another machine"),
        (
            text("https://api.example/v1".parse::<Origin>()),
            "an origin has no path, query or fragment",
        ),
        (text(AddBearer::bearer("T", "api.example")), "an origin is no absolute http(s) URL"),
        (
            text(Grant::client_credentials().with_param("scope", "x")),
            "the parameter \"scope\" is set by the grant",
        ),
        (text(Scope::new("a\"b")), "a scope holds a character outside of RFC 6749 section 3.3"),
        (
            text(ClientAuthentication::client_secret_jwt("id", Algorithm::Hs256, "short")),
            "the secret cannot sign: the shared secret is shorter than the hash of its algorithm",
        ),
        (text(sign_in), "the authorization URL is no absolute https URL"),
        (text(layer.with_resource("api")), "a resource is an absolute URI without a fragment"),
    ] {
        assert_eq!(said, expected);
    }
}

#[tokio::test]
async fn a_refused_token_request_says_who_refused_and_how() {
    let client = ClientAuthentication::basic("app", "wrong");
    let transport = Transport::new(AuthorizationServer::new());
    let endpoint = TokenEndpoint::new("https://as.example/token", client, transport).unwrap();
    let error = endpoint.fetch(&Grant::client_credentials()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the authorization server refused the token request (401 Unauthorized): invalid_client: \
         the client is unknown or did not authenticate"
    );
}

#[test]
fn what_is_wrong_with_a_server_is_said() {
    let require = || RequireToken::new("api", StaticTokens::new()).unwrap();
    let issuer = || TrustedIssuer::new("https://as.example", keys());
    let shared = Jwks::shared_secret(Algorithm::Hs256, SECRET).unwrap();
    let shared = TrustedIssuer::new("https://other.example", shared).with_audience(["x"]);
    let validator = || JwtValidator::new(issuer().with_audience(["x"])).unwrap();
    let query = ClientAuthentication::query("id", "secret");
    for (said, expected) in [
        (
            text(RequireToken::new("caf\u{e9}", StaticTokens::new())),
            "the challenge parameter realm holds a character that is not printable ASCII",
        ),
        (text(require().read_from([])), "a token is read in at least one place"),
        (
            text(require().with_resource("http://api.example")),
            "the resource is no absolute https URL without a fragment",
        ),
        (
            text(require().resource_metadata()),
            "metadata are those of a resource: see with_resource",
        ),
        (
            text(StaticTokens::new().insert("", tower_oauth2::validate::Principal::new("x"))),
            "the token is no b64token of RFC 6750 section 2.1",
        ),
        (text(TokenLocation::header("x y")), "the token header's name is no header name"),
        (text(JwtValidator::new(issuer())), "the issuer has no audience: see with_audience"),
        (text(validator().with_issuer(issuer().with_audience(["x"]))), "the issuer is there twice"),
        (
            text(validator().with_issuer(shared)),
            "an issuer with a shared secret cannot stand beside one with public keys",
        ),
        (text(validator().with_leeway(Duration::from_secs(301))), "a leeway is at most 5 minutes"),
        (
            text(issuer().with_algorithms([Algorithm::Hs256])),
            "the algorithm HS256 does not go with the keys of the issuer",
        ),
        (text(issuer().with_algorithms([])), "an issuer needs an algorithm"),
        (
            text(Jwks::fetched("http://as.example/jwks", Transport::https())),
            "the URL of the key set is plain http to another machine",
        ),
        (text(Jwks::fixed("{}")), "the key set cannot be used: it has no member keys"),
        (
            text(Jwks::shared_secret(Algorithm::Hs256, "short")),
            "the shared secret cannot be used: the shared secret is shorter than the hash of its algorithm",
        ),
        (
            text(SigningKey::from_pkcs8_pem(Algorithm::Es256, "-----BEGIN EC PRIVATE KEY-----")),
            "the PEM cannot sign: the private key is not in PKCS#8: convert it, with `openssl pkcs8 -topk8 -nocrypt` for example",
        ),
        (
            text(Introspection::new("https://as.example/introspect", query, Transport::https())),
            "introspection has its parameters in the body",
        ),
    ] {
        assert_eq!(said, expected);
    }
}
