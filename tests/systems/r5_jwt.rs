//! R5 as a server: the JWTs of a Relatics realm (Keycloak), judged by the keys that the realm
//! publishes, over sockets.

use axum::{Extension, Router, body::Body, routing::get};
use http::{Request, StatusCode, header::WWW_AUTHENTICATE};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use tower::ServiceExt;
use tower_oauth2::{
    Algorithm, ClientAuthentication, SigningKey, Transport,
    client::{Grant, TokenEndpoint},
    server::{Authenticated, RequireToken},
    testing::{AuthorizationServer, BoundServer, JwtFormat, ManualClock, RegisteredClient},
    validate::{Jwks, JwtValidator, TrustedIssuer},
};

const CLIENT: &str = "c005aef4-88d4-42d5-937e-290e4bb19661";
const SECRET: &str = concat!(
    "c5229a8e-0dff-4270-80a6-a5a47267e7f7-ec85c647-d089-4fda-87d3-89866ac5fefe-",
    "80090b3f-cc2c-4c01-8e34-c3c83c145368",
);
const REALM: &str = "/auth/realms/myenvironment";
const ISSUED: u64 = 1_696_859_419;

#[derive(serde::Deserialize)]
struct RealmClaims {
    azp: String,
}

/// The realm on a socket, and an API that takes its tokens.
struct System {
    realm: AuthorizationServer,
    bound: BoundServer,
    clock: ManualClock,
    api: Router,
}

impl System {
    async fn new() -> Self {
        let clock = ManualClock::from_wall(SystemTime::UNIX_EPOCH + Duration::from_secs(ISSUED));
        let realm = AuthorizationServer::new().with_clock(clock.clock());
        realm.set_access_token_lifetime(Some(Duration::from_secs(600)));
        let scopes = "DataExchange".parse().unwrap();
        realm.register_client(RegisteredClient::confidential(CLIENT, SECRET).with_scopes(scopes));
        let bound = realm.bind().await.unwrap();
        let key = SigningKey::generate(Algorithm::Rs256).unwrap().with_key_id("realm-2026");
        realm.issue_jwts(JwtFormat::keycloak(bound.url(REALM)), key);

        let certs = bound.url(&format!("{REALM}/protocol/openid-connect/certs"));
        let keys = Jwks::from_url(&certs, Transport::https()).unwrap();
        let issuer = TrustedIssuer::new(bound.url(REALM), keys)
            .allow_other_profiles()
            .dangerous_allow_missing_audience();
        let validator = JwtValidator::new(issuer)
            .unwrap()
            .with_claims::<RealmClaims>()
            .with_clock(clock.clock());
        let api = Router::new()
            .route("/data", get(who))
            .route_layer(RequireToken::new("relatics", validator).unwrap());
        Self { realm, bound, clock, api }
    }

    async fn token(&self) -> String {
        let client = ClientAuthentication::basic(CLIENT, SECRET);
        let url = self.bound.url(&format!("{REALM}/protocol/openid-connect/token"));
        let endpoint = TokenEndpoint::new(&url, client, Transport::https()).unwrap();
        let response = endpoint.fetch(&Grant::client_credentials()).await.unwrap();
        response.access_token().expose().to_owned()
    }

    /// The claims of the documentation.
    fn claims(&self) -> Value {
        json!({
            "exp": ISSUED + 600,
            "iat": ISSUED,
            "jti": "b7c3a1de-5f2f-4b52-8d7b-000000000001",
            "iss": self.bound.url(REALM),
            "sub": "5f0e7c1a-9a64-4f0f-a6a5-6a3f3a0d5b3e",
            "typ": "Bearer",
            "azp": CLIENT,
            "client_id": CLIENT,
            "scope": "DataExchange",
        })
    }

    async fn call(&self, token: &str) -> (StatusCode, String, String) {
        let header = format!("Bearer {token}");
        let request = Request::get("/data").header("authorization", header);
        let request = request.body(Body::empty()).unwrap();
        let response = self.api.clone().oneshot(request).await.unwrap();
        let challenge = response.headers().get(WWW_AUTHENTICATE);
        let challenge = challenge.map(|value| value.to_str().unwrap().to_owned());
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1024).await.unwrap();
        (status, challenge.unwrap_or_default(), String::from_utf8(body.into()).unwrap())
    }
}

async fn who(Extension(token): Extension<Authenticated>) -> String {
    let claims = token.claims::<RealmClaims>().unwrap();
    format!("{} {}", claims.azp, token.principal().scopes())
}

#[tokio::test]
async fn r5_a_token_of_the_realm_is_taken_by_the_keys_that_the_realm_publishes() {
    let system = System::new().await;
    let token = system.token().await;
    for _ in 0..3 {
        let (status, _, body) = system.call(&token).await;
        assert_eq!((status, body), (StatusCode::OK, format!("{CLIENT} DataExchange")));
    }
    assert_eq!(system.realm.key_requests(), 1);
    let minted = system.realm.mint("JWT", &system.claims().to_string()).unwrap();
    assert_eq!(system.call(&minted).await.0, StatusCode::OK);
}

#[tokio::test]
async fn r5_with_one_thing_wrong_the_token_is_refused_and_nothing_tells_which() {
    let system = System::new().await;
    let changes: &[(&str, Value)] = &[
        ("exp", json!(ISSUED - 31)),
        ("exp", json!("1696860019")),
        ("exp", Value::Null),
        ("iat", json!(ISSUED + 31)),
        ("nbf", json!(ISSUED + 31)),
        ("iss", json!("https://authenticate.relatics.com/auth/realms/other")),
        ("iss", json!(format!("{}/", system.bound.url(REALM)))),
        ("iss", Value::Null),
        ("aud", json!("account")),
        ("aud", json!(1)),
    ];
    for (name, value) in changes {
        let mut claims = system.claims();
        claims[*name] = value.clone();
        let token = system.realm.mint("JWT", &claims.to_string()).unwrap();
        let (status, challenge, _) = system.call(&token).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{name}: {value}");
        assert_eq!(
            challenge,
            r#"Bearer realm="relatics", error="invalid_token", error_description="the access token is not good""#,
            "{name}: {value}"
        );
    }
    // What is wrong in a token that is well signed may be told.
    for (name, value) in [
        ("typ", json!("ID")),
        ("typ", json!("Refresh")),
        ("at_hash", json!("x")),
        ("cnf", json!({"jkt": "x"})),
        ("azp", Value::Null),
    ] {
        let mut claims = system.claims();
        claims[name] = value.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
        let token = system.realm.mint("JWT", &claims.to_string()).unwrap();
        assert_eq!(system.call(&token).await.0, StatusCode::UNAUTHORIZED, "{name}: {value}");
    }
    for typ in ["dpop+jwt", "id+jwt", ""] {
        let token = system.realm.mint(typ, &system.claims().to_string()).unwrap();
        assert_eq!(system.call(&token).await.0, StatusCode::UNAUTHORIZED, "{typ}");
    }
    let token = system.realm.mint("JWT", &system.claims().to_string()).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, _) = signed.split_once('.').unwrap();
    let other = system.realm.mint("JWT", r#"{"sub":"mallory"}"#).unwrap();
    let (_, payload) = other.rsplit_once('.').unwrap().0.split_once('.').unwrap();
    for forged in [
        format!("{signed}."),
        format!("{header}.{payload}.{signature}"),
        format!("{signed}.{}", signature.to_ascii_lowercase()),
        format!("{signed}.{signature}.{signature}"),
    ] {
        assert_eq!(system.call(&forged).await.0, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn r5_a_token_expires_and_a_key_that_is_taken_back_ends_its_tokens() {
    let system = System::new().await;
    let token = system.token().await;
    assert_eq!(system.call(&token).await.0, StatusCode::OK);
    system.clock.advance(Duration::from_secs(629));
    assert_eq!(system.call(&token).await.0, StatusCode::OK);
    system.clock.advance(Duration::from_secs(1));
    assert_eq!(system.call(&token).await.0, StatusCode::UNAUTHORIZED);

    let evil = AuthorizationServer::new().with_clock(system.clock.clock());
    let key = SigningKey::generate(Algorithm::Rs256).unwrap().with_key_id("realm-2026");
    evil.issue_jwts(JwtFormat::keycloak(system.bound.url(REALM)), key);
    let forged = evil.mint("JWT", &system.claims().to_string()).unwrap();
    assert_eq!(system.call(&forged).await.0, StatusCode::UNAUTHORIZED);
}
