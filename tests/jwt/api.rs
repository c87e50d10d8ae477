//! An API that takes JWTs of two issuers, and what is sent to it.

use crate::keys::Key;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header::WWW_AUTHENTICATE};
use http_body_util::Full;
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneSyncService};
use tower_oauth2::{
    Clock, Transport,
    server::{Authenticated, RequireToken},
    testing::ManualClock,
    validate::{Jwks, JwtValidator, TrustedIssuer, ValidateToken},
};

/// When every token is judged, in seconds since the epoch.
pub(crate) const NOW: u64 = 1_767_225_600;

pub(crate) const ISSUER: &str = "https://as.example";
pub(crate) const OTHER: &str = "https://other.example";
pub(crate) const AUDIENCE: &str = "https://api.example";

/// The keys of each issuer, by name and algorithm: another one at each, under the same name.
pub(crate) const KEYS: [(&str, &str); 4] =
    [("k1", "ES256"), ("p3", "ES384"), ("r1", "RS256"), ("e1", "EdDSA")];

/// The key of this name at `issuer`.
pub(crate) fn key_of(issuer: &str, kid: &str) -> Arc<Key> {
    let (_, algorithm) = KEYS.iter().find(|(name, _)| *name == kid).expect("a key");
    Key::of(&format!("{kid} of {issuer}"), algorithm).unwrap()
}

/// The entries of the key set of `issuer`.
pub(crate) fn entries(issuer: &str) -> Vec<Value> {
    KEYS.iter().map(|(kid, _)| key_of(issuer, kid).jwk(kid)).collect()
}

pub(crate) fn encoded(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn decoded(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// The header of an access token.
pub(crate) fn header(algorithm: &str, kid: &str) -> Value {
    json!({"alg": algorithm, "typ": "at+jwt", "kid": kid})
}

/// The claims of an access token that is good.
pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 300, "iat": NOW - 10, "sub": "alice",
        "client_id": "c1", "jti": "j1", "scope": "read",
    })
}

/// `object` with these members, each in the place of what was there.
pub(crate) fn with(mut object: Value, members: Value) -> Value {
    let Value::Object(members) = members else { panic!("members of an object") };
    members.into_iter().for_each(|(name, value)| object[name] = value);
    object
}

/// What `key` signs by its own algorithm.
pub(crate) fn signed(key: &Key, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    sealed(key, "", &format!("{}.{}", encoded(header), encoded(payload)))
}

/// The token of this signing input.
pub(crate) fn sealed(key: &Key, algorithm: &str, input: &str) -> String {
    format!("{input}.{}", encoded(key.sign(algorithm, input.as_bytes())))
}

/// A token of the first issuer's key `k1` with this header and these claims.
pub(crate) fn token(header: &Value, claims: &Value) -> String {
    signed(&key_of(ISSUER, "k1"), header.to_string(), claims.to_string())
}

/// One with further claims.
pub(crate) fn claiming(more: Value) -> String {
    token(&header("ES256", "k1"), &with(claims(), more))
}

/// A good token by this key of the first issuer.
pub(crate) fn good(kid: &str) -> String {
    let (_, algorithm) = KEYS.iter().find(|(name, _)| *name == kid).expect("a key");
    signed(&key_of(ISSUER, kid), header(algorithm, kid).to_string(), claims().to_string())
}

/// A response as a caller sees it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    /// The subject that the inner service got.
    pub(crate) subject: Option<String>,
}

type Sets = Vec<(String, Vec<Value>)>;

/// Where key sets are, and who asked for what.
#[derive(Clone, Default)]
pub(crate) struct Web {
    sets: Arc<Mutex<Sets>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Web {
    /// Shows `entries` as the key set of `issuer`.
    pub(crate) fn publish(&self, issuer: &str, entries: Vec<Value>) {
        let mut sets = self.sets.lock().unwrap();
        sets.retain(|(own, _)| own != issuer);
        sets.push((issuer.to_owned(), entries));
    }

    fn transport(&self) -> Transport {
        let this = self.clone();
        Transport::new(service_fn(move |request: Request<Full<Bytes>>| {
            let url = request.uri().to_string();
            let sets = this.sets.lock().unwrap();
            let set = sets.iter().find(|(issuer, _)| format!("{issuer}/jwks") == url);
            let answer = match set {
                Some((_, entries)) => Response::new(json!({"keys": entries}).to_string()),
                None => Response::builder().status(404).body(String::new()).unwrap(),
            };
            this.asked.lock().unwrap().push(url);
            std::future::ready(Ok::<_, Infallible>(answer))
        }))
    }

    /// The keys of `issuer`, which are fetched when they are needed.
    pub(crate) fn jwks(&self, issuer: &str) -> Jwks {
        Jwks::from_url(&format!("{issuer}/jwks"), self.transport()).unwrap()
    }

    pub(crate) fn issuer(&self, issuer: &str) -> TrustedIssuer {
        TrustedIssuer::new(issuer, self.jwks(issuer)).with_audience([AUDIENCE])
    }

    /// The addresses that were asked.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

pub(crate) fn clock() -> Clock {
    ManualClock::from_wall(SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)).clock()
}

/// A protected resource.
pub(crate) struct Api {
    service: BoxCloneSyncService<Request<()>, Response<String>, Infallible>,
    subjects: Arc<Mutex<Vec<String>>>,
    pub(crate) web: Web,
}

impl Api {
    /// One that takes tokens of both issuers.
    pub(crate) fn new() -> Self {
        Self::trusting(|issuer| issuer)
    }

    /// One that takes tokens of both issuers, the first of which has other settings.
    pub(crate) fn trusting(configure: impl FnOnce(TrustedIssuer) -> TrustedIssuer) -> Self {
        let web = Web::default();
        web.publish(ISSUER, entries(ISSUER));
        web.publish(OTHER, entries(OTHER));
        let validator = JwtValidator::new(configure(web.issuer(ISSUER))).unwrap();
        let validator = validator.with_issuer(web.issuer(OTHER)).unwrap().with_clock(clock());
        Self::over(validator, web)
    }

    pub(crate) fn over<V: ValidateToken<Claims = ()>>(validator: V, web: Web) -> Self {
        let subjects = Arc::<Mutex<Vec<String>>>::default();
        let inner = {
            let subjects = subjects.clone();
            service_fn(move |request: Request<()>| {
                let token = request.extensions().get::<Authenticated>().expect("a principal");
                let subject = token.principal().subject().unwrap_or("nobody").to_owned();
                subjects.lock().unwrap().push(subject);
                std::future::ready(Ok::<_, Infallible>(Response::new(String::new())))
            })
        };
        let layer = RequireToken::new("api", validator).unwrap();
        Self { service: BoxCloneSyncService::new(layer.layer(inner)), subjects, web }
    }

    /// What becomes of a request with `token`.
    pub(crate) async fn sees(&self, token: &str) -> Seen {
        let request = Request::get("/r").header("authorization", format!("Bearer {token}"));
        let response = self.service.clone().oneshot(request.body(()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let subject = self.subjects.lock().unwrap().pop();
        Seen { status: parts.status, headers: parts.headers, body, subject }
    }

    /// What a signature that is wrong has for an answer.
    async fn refusal(&self) -> Seen {
        let (token, other) = (good("k1"), claiming(json!({"jti": "j2"})));
        let (input, signature) = (token.rsplit_once('.').unwrap().0, other.rsplit('.').next());
        let forged = format!("{input}.{}", signature.unwrap());
        let seen = self.sees(&forged).await;
        assert_eq!(seen.status, StatusCode::UNAUTHORIZED);
        seen
    }

    /// The attack `name` is refused as a wrong signature is, asks nobody but for the issuers' key
    /// sets, and leaves good tokens good.
    pub(crate) async fn refuses(&self, name: &str, token: &str) {
        let seen = self.sees(token).await;
        assert_eq!(seen, self.refusal().await, "{name}: {token}");
        self.stands(name).await;
    }

    /// The attack `name` is refused in words of its own: its signature is good, or its length is
    /// all that was looked at.
    pub(crate) async fn refuses_openly(&self, name: &str, token: &str) {
        let seen = self.sees(token).await;
        assert_eq!(seen.status, StatusCode::UNAUTHORIZED, "{name}");
        let challenge = seen.headers[WWW_AUTHENTICATE].to_str().unwrap();
        assert!(challenge.contains("error=\"invalid_token\""), "{name}: {challenge}");
        assert_eq!(seen.subject, None, "{name}");
        self.stands(name).await;
    }

    /// The attack `name` is no token at all, or refused as a wrong signature is.
    pub(crate) async fn turns_away(&self, name: &str, token: &str) {
        let seen = self.sees(token).await;
        if seen.status != StatusCode::BAD_REQUEST {
            assert_eq!(seen, self.refusal().await, "{name}: {token}");
        }
        assert_eq!(seen.subject, None, "{name}");
        self.stands(name).await;
    }

    pub(crate) async fn takes(&self, name: &str, token: &str) {
        let seen = self.sees(token).await;
        let subject = seen.subject.as_deref();
        assert_eq!((seen.status, subject), (StatusCode::OK, Some("alice")), "{name}: {token}");
    }

    /// The good token is still good, and nobody was asked for anything but keys.
    pub(crate) async fn stands(&self, after: &str) {
        self.takes(after, &good("k1")).await;
        for url in self.web.asked() {
            assert!(url == format!("{ISSUER}/jwks") || url == format!("{OTHER}/jwks"), "{url}");
        }
    }
}
