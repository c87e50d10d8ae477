//! JWTs that were taken back, though a cache has their verdict.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Waker},
    time::{Duration, SystemTime},
};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_oauth2::{
    Algorithm, RequestHead, SigningKey,
    server::{Authenticated, RequireToken, TokenEnd},
    testing::{AuthorizationServer, JwtFormat, ManualClock},
    validate::{
        Cached, Jwks, JwtValidator, Principal, Revocable, Revocations, Route, StaticTokens,
        TrustedIssuer, ValidateToken, first_of, issued_by,
    },
};

const ISSUER: &str = "https://as.example";
const AUDIENCE: &str = "https://api.example";
const NOW: u64 = 1_767_225_600;

struct System {
    server: AuthorizationServer,
    clock: ManualClock,
    revocations: Revocations,
}

impl System {
    fn new() -> Self {
        let clock = ManualClock::from_wall(SystemTime::UNIX_EPOCH + Duration::from_secs(NOW));
        let server = AuthorizationServer::new().with_clock(clock.clock());
        let key = SigningKey::generate(Algorithm::Es256).unwrap().with_key_id("k1");
        server.issue_jwts(JwtFormat::rfc9068(ISSUER, [AUDIENCE]), key);
        let revocations = Revocations::new().with_clock(clock.clock());
        Self { server, clock, revocations }
    }

    fn validator(&self) -> JwtValidator {
        let keys = Jwks::from_json(&self.server.key_set()).unwrap();
        let issuer = TrustedIssuer::new(ISSUER, keys).with_audience([AUDIENCE]);
        let issuer = issuer.with_required_claims(["sub", "client_id", "jti"]).unwrap();
        JwtValidator::new(issuer).unwrap().with_clock(self.clock.clock())
    }

    fn cached(&self) -> Cached<JwtValidator> {
        Cached::new(self.validator()).with_clock(self.clock.clock())
    }

    fn guarded(&self) -> Revocable<Cached<JwtValidator>> {
        Revocable::new(self.cached(), self.revocations.clone())
    }

    fn token(&self, subject: &str, id: &str, issued_at: Option<u64>) -> String {
        let mut claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "client_id": "app", "jti": id,
            "exp": NOW + 3600,
        });
        if let Some(issued_at) = issued_at {
            claims["iat"] = Value::from(issued_at);
        }
        self.server.mint("at+jwt", &claims.to_string()).unwrap()
    }
}

fn bearer(token: &str) -> Request<()> {
    Request::get("/r").header("authorization", format!("Bearer {token}")).body(()).unwrap()
}

async fn status<V: ValidateToken>(layer: &RequireToken<V>, token: &str) -> StatusCode {
    let ok = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new())));
    layer.layer(ok).oneshot(bearer(token)).await.unwrap().status()
}

// case: rev-001
#[tokio::test]
async fn a_jwt_is_refused_with_no_delay_though_the_cache_is_warm() {
    let system = System::new();
    let cached = system.cached();
    let guarded = Revocable::new(cached.clone(), system.revocations.clone());
    let layer = RequireToken::new("api", guarded).unwrap();
    let token = system.token("bob", "j1", Some(NOW));
    for _ in 0..2 {
        assert_eq!(status(&layer, &token).await, StatusCode::OK);
    }
    assert_eq!(cached.len(), 1, "the second came from the cache");
    system.revocations.revoke_token(&token, None).unwrap();
    assert_eq!(status(&layer, &token).await, StatusCode::UNAUTHORIZED);
    let other = system.token("bob", "j2", Some(NOW));
    assert_eq!(status(&layer, &other).await, StatusCode::OK);
}

// case: rev-002
#[tokio::test]
async fn jwts_of_before_a_log_out_everywhere_are_refused_and_no_other() {
    let system = System::new();
    let layer = RequireToken::new("api", system.guarded()).unwrap();
    let tokens = [
        (system.token("bob", "a", Some(NOW - 1)), StatusCode::UNAUTHORIZED),
        (system.token("bob", "b", None), StatusCode::UNAUTHORIZED),
        (system.token("bob", "c", Some(NOW)), StatusCode::OK),
        (system.token("bob", "d", Some(NOW + 1)), StatusCode::OK),
        (system.token("alice", "e", Some(NOW - 1)), StatusCode::OK),
        (system.token("alice", "f", None), StatusCode::OK),
    ];
    for (token, _) in &tokens {
        assert_eq!(status(&layer, token).await, StatusCode::OK);
    }
    let before = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
    system.revocations.revoke_subject(Some(ISSUER), "bob", before, None).unwrap();
    for (token, expected) in &tokens {
        assert_eq!(status(&layer, token).await, *expected);
    }
}

// case: rev-006
#[tokio::test]
async fn the_guard_of_a_stream_resolves_when_its_jwt_is_revoked() {
    let system = System::new();
    let layer =
        RequireToken::new("api", system.guarded()).unwrap().with_clock(system.clock.clock());
    let token = system.token("bob", "j1", Some(NOW));
    assert_eq!(status(&layer, &token).await, StatusCode::OK, "the cache is warm");
    let seen = Arc::new(Mutex::new(None));
    let keep = seen.clone();
    let handler = service_fn(move |request: Request<()>| {
        *keep.lock().unwrap() = request.extensions().get::<Authenticated>().cloned();
        async { Ok::<_, Infallible>(Response::new(String::new())) }
    });
    layer.layer(handler).ready().await.unwrap().call(bearer(&token)).await.unwrap();
    let authenticated = seen.lock().unwrap().take().unwrap();
    let mut ended = pin!(authenticated.ended());
    let mut context = Context::from_waker(Waker::noop());
    assert!(ended.as_mut().poll(&mut context).is_pending());
    system.revocations.revoke_id(Some(ISSUER), "j1", None).unwrap();
    assert_eq!(ended.await, TokenEnd::Revoked);
}

/// A JWT of another issuer, and an opaque token, are the next validator's.
#[tokio::test]
async fn a_token_of_another_kind_or_issuer_is_left_to_the_next_validator() {
    let (ours, theirs) = (System::new(), System::new());
    let opaque = StaticTokens::new();
    opaque.insert("opaque", Principal::new("alice")).unwrap();
    let keys = Jwks::from_json(&theirs.server.key_set()).unwrap();
    let issuer = TrustedIssuer::new("https://other.example", keys).with_audience([AUDIENCE]);
    let other = || {
        let validator = JwtValidator::new(issuer.clone()).unwrap();
        validator.with_clock(theirs.clock.clock())
    };
    let claims = json!({
        "iss": "https://other.example", "aud": AUDIENCE, "sub": "carol", "client_id": "app",
        "jti": "x", "iat": NOW, "exp": NOW + 60,
    });
    let of_other = theirs.server.mint("at+jwt", &claims.to_string()).unwrap();
    let of_ours = ours.token("bob", "j", Some(NOW));

    let chain = first_of(ours.validator(), first_of(other(), opaque.clone()));
    let chain = RequireToken::new("api", chain).unwrap();
    let route = Route::new()
        .when(issued_by("https://other.example"), other())
        .when(issued_by(ISSUER), ours.validator())
        .otherwise(opaque);
    let request = bearer("opaque");
    assert!(route.validate("opaque", RequestHead::from_request(&request)).wait().await.is_ok());
    let route = RequireToken::new("api", route).unwrap();
    for token in [&of_ours, &of_other, "opaque"] {
        assert_eq!(status(&chain, token).await, StatusCode::OK);
        assert_eq!(status(&route, token).await, StatusCode::OK);
    }
    // One that names us and was signed by them is nobody's.
    let forged = theirs.token("bob", "j", Some(NOW));
    for layer in [status(&chain, &forged).await, status(&route, &forged).await] {
        assert_eq!(layer, StatusCode::UNAUTHORIZED);
    }
}

const SECRET: &str = "of at least as many bytes as 256";

/// Who takes tokens of `issuer` by these keys, and a token of it with this `typ`.
fn one_of(issuer: &str, key: SigningKey, typ: &str) -> (JwtValidator, String) {
    let (trusted, token, clock) = trusted(issuer, key, typ);
    (JwtValidator::new(trusted).unwrap().with_clock(clock.clock()), token)
}

fn trusted(issuer: &str, key: SigningKey, typ: &str) -> (TrustedIssuer, String, ManualClock) {
    let clock = ManualClock::from_wall(SystemTime::UNIX_EPOCH + Duration::from_secs(NOW));
    let server = AuthorizationServer::new().with_clock(clock.clock());
    let keys = match key.public_jwk() {
        Some(jwk) => Jwks::from_json(&format!("{{\"keys\":[{jwk}]}}")),
        None => Jwks::from_secret(key.algorithm(), SECRET),
    };
    let trusted = TrustedIssuer::new(issuer, keys.unwrap()).with_audience([AUDIENCE]);
    server.issue_jwts(JwtFormat::rfc9068(issuer, [AUDIENCE]), key);
    let claims = json!({
        "iss": issuer, "aud": AUDIENCE, "sub": "carol", "client_id": "app", "jti": "x",
        "iat": NOW, "exp": NOW + 60,
    });
    let token = server.mint(typ, &claims.to_string()).unwrap();
    (trusted, token, clock)
}

/// Whatever the first finds wrong before it knows the issuer as its own.
#[tokio::test]
async fn a_jwt_of_another_algorithm_or_type_is_left_to_the_next_validator() {
    let public = || SigningKey::generate(Algorithm::Es256).unwrap().with_key_id("k1");
    let (other, shared) =
        ("https://other.example", SigningKey::from_secret(Algorithm::Hs256, SECRET));
    let (ours, of_ours) = one_of(ISSUER, public(), "at+jwt");
    let (by_secret, of_secret) = one_of(other, shared.unwrap(), "at+jwt");
    let (lenient, of_lenient, clock) = trusted(other, public(), "JWT");
    let lenient = JwtValidator::new(lenient.allow_other_profiles()).unwrap();
    let lenient = lenient.with_clock(clock.clock());
    let opaque = StaticTokens::new();
    // Two dots make no JWT, and neither does anything before them.
    let paseto = "v4.local.abc";
    let (header, critical) = ("e30.e30.abc", "eyJhbGciOiJFUzI1NiIsImNyaXQiOlsieCJdfQ.e30.abc");
    let (no_payload, no_claims) = ("..abc", "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.W10.abc");
    let nobody = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.e30.abc";
    for token in [paseto, header, critical, no_payload, no_claims, nobody] {
        opaque.insert(token, Principal::new("alice")).unwrap();
    }
    let two = RequireToken::new("api", first_of(ours.clone(), by_secret.clone())).unwrap();
    let turned = RequireToken::new("api", first_of(by_secret, ours.clone())).unwrap();
    let types = RequireToken::new("api", first_of(ours.clone(), lenient)).unwrap();
    let mixed = RequireToken::new("api", first_of(ours.clone(), opaque)).unwrap();
    for token in [&of_ours, &of_secret] {
        assert_eq!(status(&two, token).await, StatusCode::OK, "{token}");
        assert_eq!(status(&turned, token).await, StatusCode::OK, "{token}");
    }
    for token in [&of_ours, &of_lenient] {
        assert_eq!(status(&types, token).await, StatusCode::OK, "{token}");
    }
    for token in [&of_ours, paseto, header, critical, no_payload, no_claims, nobody] {
        assert_eq!(status(&mixed, token).await, StatusCode::OK, "{token}");
    }
    // Who knows the issuer decides.
    let claims = json!({"iss": ISSUER, "aud": AUDIENCE, "exp": NOW - 3600});
    let encoded = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
    let expired = format!("eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.{encoded}.abc");
    // Nor is an ID token of its own left to whoever would take it.
    let good = json!({"iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 3600});
    let encoded = BASE64_URL_SAFE_NO_PAD.encode(good.to_string());
    let id_token = format!("eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.{encoded}.abc");
    let all = StaticTokens::new();
    for token in [&expired, &id_token] {
        all.insert(token, Principal::new("alice")).unwrap();
    }
    let layer = RequireToken::new("api", first_of(ours.clone(), all)).unwrap();
    for token in [&expired, &id_token] {
        assert_eq!(status(&layer, token).await, StatusCode::UNAUTHORIZED, "{token}");
    }
    assert_eq!(status(&two, &of_lenient).await, StatusCode::UNAUTHORIZED);

    // Of what nobody knows the log says what was found out, and the caller learns nothing more.
    let chain = first_of(StaticTokens::new(), ours);
    let critical = format!("eyJhbGciOiJFUzI1NiIsImNyaXQiOlsieCJdfQ.{encoded}.abc");
    for (token, found) in [(&critical, "critical"), (&of_lenient, "iss"), (&id_token, "typ")] {
        let request = bearer(token);
        let verdict = chain.validate(token, RequestHead::from_request(&request)).wait().await;
        let rejection = verdict.unwrap_err();
        assert!(rejection.description().contains(found), "{rejection:?}");
        assert_eq!(rejection.public_description(), "the access token is not good");
    }
}
