//! R5, an API behind a Relatics realm (Keycloak), offered and called: the client's credentials in
//! a Basic header give JWTs, which ride in the header and are judged by a closure with claims of
//! its own.

use crate::{
    raw::{Reply, Server},
    system::{self, ApiClient, JUDGES, Judge, System},
};
use axum::{
    Extension, Json, Router,
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};
use tower::Layer;
use tower_oauth2::{
    AccessToken, ClientAuthentication, ConfigError, ScopeSet, TokenLocation, Transport,
    client::{ClientCredentialsRefresh, Grant, RefreshPolicy, TokenCache, TokenEndpoint},
    server::{Authenticated, RequireToken},
    testing::{ManualClock, RegisteredClient},
    validate::{Principal, Rejection, Validated},
};

const CLIENT: &str = "c005aef4-88d4-42d5-937e-290e4bb19661";
const SECRET: &str = concat!(
    "c5229a8e-0dff-4270-80a6-a5a47267e7f7-ec85c647-d089-4fda-87d3-89866ac5fefe-",
    "80090b3f-cc2c-4c01-8e34-c3c83c145368",
);
/// The header that the documentation makes of the two.
const BASIC: &str = concat!(
    "Basic YzAwNWFlZjQtODhkNC00MmQ1LTkzN2UtMjkwZTRiYjE5NjYxOmM1MjI5YThlLTBkZmYtNDI3MC04MGE2LWE1",
    "YTQ3MjY3ZTdmNy1lYzg1YzY0Ny1kMDg5LTRmZGEtODdkMy04OTg2NmFjNWZlZmUtODAwOTBiM2YtY2MyYy00YzAxLT",
    "hlMzQtYzNjODNjMTQ1MzY4",
);
const ISSUER: &str = "https://authenticate.relatics.com/auth/realms/myenvironment";
const TOKEN_PATH: &str = "/auth/realms/myenvironment/protocol/openid-connect/token";
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
    token_requests: Arc<AtomicU64>,
    condition: Arc<Mutex<Condition>>,
    clock: ManualClock,
}

impl Realm {
    fn new() -> Self {
        let clock = ManualClock::from_wall(SystemTime::UNIX_EPOCH + Duration::from_secs(ISSUED));
        let condition = Arc::new(Mutex::new(Condition::Well));
        Self { issued: Arc::default(), token_requests: Arc::default(), condition, clock }
    }

    /// Issues a token with the claims of the documentation, changed by `change`.
    fn issue(&self, change: impl FnOnce(&mut Value)) -> String {
        let now = self.clock.clock().wall().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.unwrap().as_secs();
        let serial = self.token_requests.load(Ordering::Relaxed);
        let mut claims = json!({
            "exp": now + LIFETIME,
            "iat": now,
            "jti": format!("b7c3a1de-5f2f-4b52-8d7b-{serial:012x}"),
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
        let api = Router::new().route("/data", get(data)).route_layer(guard);
        Ok(Router::new().route(TOKEN_PATH, post(grant)).with_state(self.clone()).merge(api))
    }
}

/// The token endpoint, which takes the request of the documentation and no other.
async fn grant(State(realm): State<Realm>, headers: HeaderMap, body: String) -> Response {
    realm.token_requests.fetch_add(1, Ordering::Relaxed);
    let is = |name: HeaderName, value| headers.get(name).is_some_and(|own| own == value);
    let documented = is(header::AUTHORIZATION, BASIC)
        && is(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        && body == "grant_type=client_credentials";
    if !documented {
        let error = Json(json!({"error": "invalid_client", "error_description": "no"}));
        return (StatusCode::UNAUTHORIZED, error).into_response();
    }
    let answer = json!({
        "access_token": realm.issue(|_| ()),
        "expires_in": LIFETIME,
        "not-before-policy": ISSUED,
        "refresh_expires_in": 0,
        "scope": "DataExchange",
        "token_type": "Bearer",
    });
    ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
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

fn client() -> ClientAuthentication {
    ClientAuthentication::basic(CLIENT, SECRET)
}

/// The layer at its defaults, but that it renews at the same moment in every run.
fn layer(endpoint: TokenEndpoint, api: String, clock: &ManualClock) -> ClientCredentialsRefresh {
    let policy = RefreshPolicy::default().without_jitter();
    let layer = ClientCredentialsRefresh::new(endpoint, api).unwrap();
    layer.with_policy(policy).with_clock(clock.clock())
}

/// A realm with the crate's own authorization server, whose tokens are opaque; and its client.
async fn relatics(judge: Judge) -> (System, TokenCache, ApiClient) {
    let system = System::start(judge, &[TokenLocation::Bearer]).await;
    let scopes = "DataExchange".parse().unwrap();
    let server = &system.authorization;
    server.register_client(RegisteredClient::confidential(CLIENT, SECRET).with_scopes(scopes));
    server.set_access_token_lifetime(Some(Duration::from_secs(LIFETIME)));
    server.set_extra_member("not-before-policy", "1696859419").unwrap();
    server.set_extra_member("refresh_expires_in", "0").unwrap();
    let layer = layer(system.endpoint(TOKEN_PATH, client()), system.origin(), &system.clock);
    let client = ApiClient::new(layer.layer(system.http.clone()));
    (system, layer.cache().clone(), client)
}

#[tokio::test]
async fn r5_the_token_request_is_that_of_the_documentation_byte_for_byte() {
    let (system, _, mut client) = relatics(Judge::Documented).await;
    system.assert_requests(0, 0);
    system.assert_called(&mut client, CLIENT).await;

    let sent = system.authorization.last_token_request().unwrap();
    assert_eq!((sent.method().as_str(), sent.uri()), ("POST", &TOKEN_PATH.parse().unwrap()));
    assert_eq!(sent.body(), "grant_type=client_credentials");
    let form = "application/x-www-form-urlencoded";
    for (name, value) in [(header::AUTHORIZATION, BASIC), (header::CONTENT_TYPE, form)] {
        assert_eq!(sent.headers().get_all(name).iter().collect::<Vec<_>>(), [value]);
    }
}

#[tokio::test]
async fn r5_the_answer_of_keycloak_is_understood_and_its_other_members_can_be_read() {
    let realm = Realm::new();
    let server = realm.serve().await;
    let url = format!("{}{TOKEN_PATH}", server.origin());
    let endpoint = TokenEndpoint::new(&url, client(), Transport::new(system::http())).unwrap();
    let response = endpoint.fetch(&Grant::client_credentials()).await.unwrap();
    assert_eq!(response.lifetime(), Some(Duration::from_secs(LIFETIME)));
    assert_eq!(response.scope().map(ScopeSet::to_string).as_deref(), Some("DataExchange"));
    assert!(response.refresh_token().is_none());
    assert_eq!(response.extra("not-before-policy"), Some(ISSUED));
    assert_eq!(response.extra("refresh_expires_in"), Some(0));
    let claims = payload(response.access_token().expose()).unwrap();
    assert_eq!(claims.get("azp").unwrap(), CLIENT);
}

#[tokio::test]
async fn r5_one_token_request_serves_every_call_until_the_token_expires() {
    for judge in JUDGES {
        let (system, _, mut client) = relatics(judge).await;
        let lifetime = Duration::from_secs(LIFETIME);
        system.assert_used_until_it_expires(&mut client, CLIENT, lifetime).await;
    }
}

#[tokio::test]
async fn r5_a_token_near_its_end_is_renewed_while_calls_go_on_with_it() {
    for judge in JUDGES {
        let (system, cache, mut client) = relatics(judge).await;
        // A lead is a fifth of the lifetime.
        let age = Duration::from_secs(LIFETIME / 5 * 4);
        system.assert_renewed_in_use((&mut client, &cache), CLIENT, age).await;
    }
}

#[tokio::test]
async fn r5_a_destroyed_token_is_replaced_and_the_call_succeeds() {
    for judge in JUDGES {
        let (system, _, mut client) = relatics(judge).await;
        system.assert_replaced_once_destroyed(&mut client, CLIENT).await;
    }
}

/// The realm above with its JWTs, from the first call to the one after an end without notice.
#[tokio::test]
async fn r5_a_jwt_is_fetched_used_renewed_and_replaced_as_an_opaque_token_is() {
    let realm = Realm::new();
    let server = realm.serve().await;
    let url = format!("{}{TOKEN_PATH}", server.origin());
    let endpoint = TokenEndpoint::new(&url, client(), Transport::new(system::http())).unwrap();
    let layer = layer(endpoint, server.origin(), &realm.clock);
    let mut client = ApiClient::new(layer.layer(system::http()));
    let data = format!("{}/data", server.origin());
    let mut assert_token_requests = async |token_requests: u64| {
        for _ in 0..3 {
            let reply = system::call(&mut client, &data).await.unwrap();
            assert!(reply.body().starts_with(CLIENT), "{reply:?}");
        }
        assert_eq!(realm.token_requests.load(Ordering::Relaxed), token_requests);
    };
    assert_token_requests(1).await;
    realm.clock.advance(Duration::from_secs(LIFETIME));
    assert_token_requests(2).await;
    realm.issued.lock().unwrap().clear();
    assert_token_requests(3).await;
}
