//! R5, an API behind a Relatics realm (Keycloak), offered: JWTs in the header, judged by a
//! closure with claims of its own.
#![allow(clippy::unwrap_used, reason = "a panic is the verdict of a test")]

#[path = "support/raw.rs"]
mod raw;

use axum::{Extension, Router, routing::get};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use raw::{Reply, Server};
use serde_json::{Value, json};
use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};
use tower_oauth2::{
    AccessToken, ConfigError,
    server::{Authenticated, RequireToken},
    testing::ManualClock,
    validate::{Principal, Rejection, Validated},
};

const CLIENT: &str = "c005aef4-88d4-42d5-937e-290e4bb19661";
const ISSUER: &str = "https://authenticate.relatics.com/auth/realms/myenvironment";
/// When the tokens are issued: the example's `not-before-policy`.
const ISSUED: u64 = 1_696_859_419;
const LIFETIME: u64 = 600;

/// What Keycloak says beyond the principal.
struct RealmClaims {
    azp: String,
    typ: String,
    scope: String,
}

/// How the realm does.
#[derive(Clone, Copy)]
enum Condition {
    Well,
    Unreachable { retry_after: Option<Duration> },
    Broken,
}

#[derive(Clone)]
struct Realm {
    issued: Arc<Mutex<HashSet<String>>>,
    condition: Arc<Mutex<Condition>>,
    clock: ManualClock,
}

impl Realm {
    fn new() -> Self {
        let clock = ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(ISSUED));
        let condition = Arc::new(Mutex::new(Condition::Well));
        Self { issued: Arc::default(), condition, clock }
    }

    /// Issues a token with the claims of the documentation, changed by `change`.
    fn issue(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = json!({
            "exp": ISSUED + LIFETIME,
            "iat": ISSUED,
            "jti": "b7c3a1de-5f2f-4b52-8d7b-0a8d2f6f4a11",
            "iss": ISSUER,
            "sub": "5f0e7c1a-9a64-4f0f-a6a5-6a3f3a0d5b3e",
            "typ": "Bearer",
            "azp": CLIENT,
            "client_id": CLIENT,
            "scope": "DataExchange",
        });
        change(&mut claims);
        let token = jwt(&claims);
        self.issued.lock().unwrap().insert(token.clone());
        token
    }

    fn becomes(&self, condition: Condition) {
        *self.condition.lock().unwrap() = condition;
    }

    /// The verdict on `token`. Only the realm's own tokens are known, so no signature is checked
    /// here; the validator that checks them comes with the feature `jwt`.
    async fn judge(self, token: AccessToken) -> Result<Validated<RealmClaims>, Rejection> {
        match *self.condition.lock().unwrap() {
            Condition::Well => {}
            Condition::Unreachable { retry_after } => {
                return Err(Rejection::unavailable(retry_after));
            }
            Condition::Broken => return Err(Rejection::internal("the key file is unreadable")),
        }
        if !self.issued.lock().unwrap().contains(token.expose()) {
            return Err(Rejection::unknown());
        }
        let claims = payload(token.expose()).ok_or(Rejection::not_mine())?;
        let text =
            |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        if text("typ") != "Bearer" {
            return Err(Rejection::invalid("this is no access token"));
        }
        let expiry = claims
            .get("exp")
            .and_then(Value::as_u64)
            .ok_or(Rejection::invalid("there is no expiry"))?;
        let expiry = SystemTime::UNIX_EPOCH + Duration::from_secs(expiry);
        if self.clock.clock().wall() >= expiry {
            return Err(Rejection::expired());
        }
        let scopes = text("scope").parse().map_err(|_| Rejection::invalid("bad scopes"))?;
        let principal = Principal::new(text("sub"))
            .with_client_id(text("client_id"))
            .with_issuer(text("iss"))
            .with_token_id(text("jti"))
            .with_scopes(scopes)
            .with_expiry(expiry);
        let claims = RealmClaims { azp: text("azp"), typ: text("typ"), scope: text("scope") };
        Ok(Validated::new(principal, claims))
    }

    async fn serve(&self) -> Server {
        Server::start(self.router().unwrap()).await
    }

    fn router(&self) -> Result<Router, ConfigError> {
        let realm = self.clone();
        let guard =
            RequireToken::new("relatics", move |token: AccessToken| realm.clone().judge(token))?;
        Ok(Router::new().route("/data", get(data)).route_layer(guard))
    }
}

fn jwt(claims: &Value) -> String {
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": "realm-key-1"});
    let encode = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
    let signature = BASE64_URL_SAFE_NO_PAD.encode([0x5a; 256]);
    format!("{}.{}.{signature}", encode(&header), encode(claims))
}

fn payload(token: &str) -> Option<Value> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

async fn data(Extension(client): Extension<Authenticated>) -> String {
    assert!(client.claims::<()>().is_none(), "claims are had by their own type only");
    let claims: &RealmClaims = client.claims().unwrap();
    let principal = client.principal();
    format!(
        "{} {} {} for {} of {}",
        claims.azp,
        claims.typ,
        claims.scope,
        principal.client_id().unwrap(),
        principal.issuer().unwrap(),
    )
}

async fn get_data(server: &Server, token: &str) -> Reply {
    server.send("GET /data", &[&format!("Authorization: Bearer {token}")]).await
}

/// `reply` is 401 with the one challenge that says `description`.
fn assert_invalid(reply: &Reply, description: &str) {
    let challenge = format!(
        r#"Bearer realm="relatics", error="invalid_token", error_description="{description}""#
    );
    assert_eq!((reply.status, reply.challenges()), (401, vec![challenge.as_str()]));
}

#[tokio::test]
async fn r5_the_claims_of_the_realm_reach_the_handler_as_their_own_type() {
    let realm = Realm::new();
    let reply = get_data(&realm.serve().await, &realm.issue(|_| ())).await;
    let seen = format!("{CLIENT} Bearer DataExchange for {CLIENT} of {ISSUER}");
    assert_eq!((reply.status, reply.body), (200, seen));
}

#[tokio::test]
async fn r5_the_token_rides_in_the_request_headers_and_nowhere_else() {
    let realm = Realm::new();
    let server = realm.serve().await;
    let token = realm.issue(|_| ());
    let user = BASE64_STANDARD.encode(format!("{token}:"));
    let basic = format!("Authorization: Basic {user}");
    let in_query = format!("GET /data?access_token={token}");
    for (head, lines) in [("GET /data", [basic.as_str()].as_slice()), (&in_query, &[])] {
        let reply = server.send(head, lines).await;
        assert_eq!(reply.status, 401);
        assert_eq!(reply.challenges(), [r#"Bearer realm="relatics""#]);
    }
}

#[tokio::test]
async fn r5_an_unreachable_realm_is_503_with_retry_after_and_no_challenge() {
    let realm = Realm::new();
    let server = realm.serve().await;
    let token = realm.issue(|_| ());
    let half_a_minute = Some(Duration::from_millis(29_001));
    for (retry_after, expected) in [(None, "5"), (half_a_minute, "30")] {
        realm.becomes(Condition::Unreachable { retry_after });
        let reply = get_data(&server, &token).await;
        assert_eq!((reply.status, reply.challenges()), (503, vec![]));
        assert_eq!(reply.values("retry-after"), [expected]);
        assert_eq!(reply.values("cache-control"), ["no-store"]);
    }
    realm.becomes(Condition::Well);
    assert_eq!(get_data(&server, &token).await.status, 200);
}

#[tokio::test]
async fn r5_without_a_token_an_unreachable_realm_is_not_asked() {
    let realm = Realm::new();
    realm.becomes(Condition::Unreachable { retry_after: None });
    let reply = realm.serve().await.send("GET /data", &[]).await;
    assert_eq!((reply.status, reply.challenges()), (401, vec![r#"Bearer realm="relatics""#]));
}

#[tokio::test]
async fn r5_a_fault_of_the_validator_is_500_without_challenge_or_reason() {
    let realm = Realm::new();
    realm.becomes(Condition::Broken);
    let reply = get_data(&realm.serve().await, &realm.issue(|_| ())).await;
    assert_eq!((reply.status, reply.challenges()), (500, vec![]));
    assert_eq!(reply.values("retry-after"), [""; 0]);
    assert!(!format!("{reply:?}").contains("key file"), "{reply:?}");
}

#[tokio::test]
async fn r5_a_token_is_refused_from_its_exp_on() {
    let realm = Realm::new();
    let server = realm.serve().await;
    let token = realm.issue(|_| ());
    realm.clock.advance(Duration::from_secs(LIFETIME - 1));
    assert_eq!(get_data(&server, &token).await.status, 200);
    realm.clock.advance(Duration::from_secs(1));
    assert_invalid(&get_data(&server, &token).await, "the access token expired");
}

#[tokio::test]
async fn r5_an_id_token_and_a_refresh_token_of_the_realm_are_no_access_tokens() {
    let realm = Realm::new();
    let server = realm.serve().await;
    for typ in ["ID", "Refresh"] {
        let token = realm.issue(|claims| claims["typ"] = typ.into());
        assert_invalid(&get_data(&server, &token).await, "this is no access token");
    }
}

#[tokio::test]
async fn r5_a_token_that_the_realm_did_not_issue_is_refused() {
    let realm = Realm::new();
    let server = realm.serve().await;
    let token = realm.issue(|_| ());
    let mut claims = payload(&token).unwrap();
    claims["scope"] = "DataExchange Everything".into();
    for foreign in [&jwt(&claims), "opaque", "a.b.c"] {
        assert_invalid(&get_data(&server, foreign).await, "the access token is not known");
    }
}
