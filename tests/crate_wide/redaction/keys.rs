//! What is fetched from an authorization server: its metadata and its keys.

use super::{
    Body, Failed, SECRET, assert_clean, assert_clean_error, assert_clean_text, url_with_secret,
};
use bytes::Bytes;
use http::{Request, Response};
use std::convert::Infallible;
use tower::service_fn;
use tower_oauth2::{
    Algorithm, Answer, AuthorizationServerMetadata, ClientSecret, RequestHead, SigningKey,
    Transport,
    testing::{AuthorizationServer, JwtFormat},
    validate::{Issuers, Jwks, JwksErrorKind, JwtValidator, TrustedIssuer, ValidateToken},
};

const ISSUER: &str = "https://as.example";

fn failing() -> Transport {
    let url = url_with_secret();
    Transport::new(service_fn(move |_: Request<Body>| {
        let failed = Failed::at(&url);
        async move { Err::<Response<Body>, _>(failed) }
    }))
}

fn answering(body: String) -> Transport {
    Transport::new(service_fn(move |_: Request<Body>| {
        let body = Bytes::from(body.clone());
        async move { Ok::<_, Infallible>(Response::new(Body::new(body))) }
    }))
}

#[tokio::test]
async fn metadata_does_not_print_its_members_nor_errors_a_body() {
    let document = format!(r#"{{"issuer":"{ISSUER}","token":"{SECRET}"}}"#);
    let metadata = AuthorizationServerMetadata::parse(ISSUER, document.as_bytes()).unwrap();
    assert_clean("AuthorizationServerMetadata", &metadata);
    assert_eq!(metadata.extra::<String>("token").as_deref(), Some(SECRET));
    let other = document.replace("as.example", "other.example");
    for transport in [failing(), answering(SECRET.into()), answering(other)] {
        let discovered = AuthorizationServerMetadata::discover(ISSUER, &transport).await;
        let error = discovered.unwrap_err();
        assert_clean("DiscoveryError", &error);
        assert_clean("DiscoveryErrorKind", &error.kind());
        assert_clean_error("DiscoveryError", &error);
    }
}

#[tokio::test]
async fn keys_show_neither_where_they_are_from_nor_what_they_are() {
    let oct = format!(r#"{{"keys":[{{"kty":"oct","kid":"k","k":"{SECRET}"}}]}}"#);
    for transport in [failing(), answering(SECRET.into()), answering(oct.clone())] {
        let jwks = Jwks::from_url(&url_with_secret(), transport).unwrap();
        let error = jwks.warm_up().await.unwrap_err();
        assert_clean("validate::JwksError", &error);
        assert_clean("validate::JwksErrorKind", &error.kind());
        assert_clean_error("validate::JwksError", &error);
        assert_ne!(error.kind(), JwksErrorKind::TooSoon);
        assert_clean("validate::JwksStatus", &jwks.status());
        assert_clean("validate::Jwks", &jwks);
    }
    assert_clean_error("ConfigError", &Jwks::from_json(&oct).unwrap_err());
    let bad = format!("https://user:{SECRET}@as.example/jwks");
    let error = Jwks::from_url(&bad, failing()).unwrap_err();
    assert_clean_text("ConfigError", &error.to_string());
    assert_clean("validate::Jwks", &Jwks::from_secret(Algorithm::Hs256, SECRET).unwrap());
}

#[tokio::test]
async fn a_jwt_shows_in_no_validator_and_in_no_wait_for_its_key() {
    let secret = ClientSecret::new(SECRET.repeat(64 / SECRET.len() + 1));
    let key = SigningKey::from_secret(Algorithm::Hs256, secret.expose()).unwrap();
    let format =
        JwtFormat::rfc9068(ISSUER, ["x"]).with_claim("x", &format!("\"{SECRET}\"")).unwrap();
    assert_clean("testing::JwtFormat", &format);
    let server = AuthorizationServer::new();
    server.issue_jwts(format, key);
    assert_clean("testing::AuthorizationServer", &server);

    let keys = Jwks::from_url("https://as.example/jwks", failing()).unwrap();
    let issuer = TrustedIssuer::new(ISSUER, keys).with_audience(["x"]);
    assert_clean("validate::TrustedIssuer", &issuer);
    let issuers = Issuers::new();
    issuers.insert(issuer.clone()).unwrap();
    assert_clean("validate::Issuers", &issuers);
    let validator = JwtValidator::new(issuer).unwrap();
    assert_clean("validate::JwtValidator", &validator);
    let key = SigningKey::generate(Algorithm::Es256).unwrap().with_key_id("k");
    server.rotate_key(key);
    let claims = format!(r#"{{"iss":"{ISSUER}","aud":"x","exp":9999999999,"sub":"{SECRET}"}}"#);
    let token = server.mint("at+jwt", &claims).unwrap();
    let request = Request::new(());
    let Answer::Pending(waiting) = validator.validate(&token, RequestHead::from_request(&request))
    else {
        panic!("the key cannot be there");
    };
    assert_clean("validate::JwtFuture", &waiting);
    let rejection = waiting.await.unwrap_err();
    assert_clean("validate::Rejection", &rejection);
}
