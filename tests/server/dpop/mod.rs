//! Tokens that are bound to a key or a certificate, from the request to the answer. Proofs are made
//! by hand, with the library alone.

mod bad_proofs;
mod certificates;
mod challenges;
mod downgrades;
mod known_tokens;
mod metadata;
mod modes;
mod nonces;
mod properties;
mod replays;
mod rows;
mod targets;
mod turns;
mod validators;
mod vectors;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, Request, Response, StatusCode, header::WWW_AUTHENTICATE};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};
use tokio::sync::Semaphore;
use tower::{Layer, ServiceExt, service_fn};
use tower_oauth2::{
    Answer,
    server::{
        Authenticated, ClientCertificate, Dpop, FirstUse, ProofId, ProofReplay, ReplayFuture,
        RequireToken,
    },
    testing::ManualClock,
    validate::{Confirmation, Principal, Rejection, RejectionKind, StaticTokens, ValidateToken},
};

const NOW: u64 = 1_800_000_000;
const URL: &str = "https://api.example";

/// Bound to nothing, to the key, to the certificate, and to both.
const UNBOUND: &str = "unbound-token";
const BOUND: &str = "bound-token";
const CERTIFIED: &str = "certified-token";
const BOTH: &str = "both-token";
const CERTIFICATE: &[u8] = b"the certificate";

/// The challenges of a refusal, without what is wrong.
const BEARER: &str = r#"Bearer realm="api""#;
const DPOP: &str = r#"DPoP algs="ES256 ES384 EdDSA PS256", realm="api""#;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn digest(bytes: impl AsRef<[u8]>) -> String {
    encoded(Sha256::digest(bytes))
}

/// A key that signs proofs by ES256.
struct Key(EcdsaKeyPair);

impl Key {
    fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    fn jwk(&self) -> Value {
        // 0x04, then both coordinates.
        let point = &self.0.public_key().as_ref()[1..];
        let (x, y) = point.split_at(32);
        json!({ "kty": "EC", "crv": "P-256", "x": encoded(x), "y": encoded(y) })
    }

    /// RFC 7638 §3.2.
    fn thumbprint(&self) -> String {
        let jwk = self.jwk();
        let (x, y) = (&jwk["x"], &jwk["y"]);
        digest(format!(r#"{{"crv":"P-256","kty":"EC","x":{x},"y":{y}}}"#))
    }

    /// Signs a header and claims as they are written.
    fn sign(&self, header: &str, claims: &str) -> String {
        let input = format!("{}.{}", encoded(header), encoded(claims));
        let signature = self.0.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        format!("{input}.{}", encoded(signature))
    }

    /// The good proof of [`request`] with `token`, at [`NOW`].
    fn proof(&self, token: &str) -> Proof<'_> {
        static LAST: AtomicUsize = AtomicUsize::new(0);
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk() });
        let claims = json!({
            "jti": format!("jti-{}", LAST.fetch_add(1, Relaxed)), "htm": "GET",
            "htu": format!("{URL}/r"), "iat": NOW, "ath": digest(token),
        });
        Proof { key: self, header, claims }
    }
}

/// A proof that is not signed yet.
#[derive(Clone)]
struct Proof<'k> {
    key: &'k Key,
    header: Value,
    claims: Value,
}

impl Proof<'_> {
    /// Sets a claim; `null` takes it out.
    fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        set(&mut self.claims, name, value.into());
        self
    }

    /// Sets a member of the header; `null` takes it out.
    fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        set(&mut self.header, name, value.into());
        self
    }

    fn text(&self) -> String {
        self.key.sign(&self.header.to_string(), &self.claims.to_string())
    }
}

fn set(object: &mut Value, name: &str, value: Value) {
    let members = object.as_object_mut().unwrap();
    match value {
        Value::Null => drop(members.remove(name)),
        value => drop(members.insert(name.to_owned(), value)),
    }
}

/// `GET /r` with `token` by `scheme`.
fn by(scheme: &str, token: &str) -> Request<()> {
    Request::get("/r").header("authorization", format!("{scheme} {token}")).body(()).unwrap()
}

fn with_proof(mut request: Request<()>, proof: &str) -> Request<()> {
    request.headers_mut().append("dpop", proof.parse().unwrap());
    request
}

fn with_certificate(mut request: Request<()>, der: &[u8]) -> Request<()> {
    request.extensions_mut().insert(ClientCertificate::from_der(der));
    request
}

/// `GET /r` with `token` by DPoP, and its proof.
fn request(token: &str, proof: &Proof<'_>) -> Request<()> {
    with_proof(by("DPoP", token), &proof.text())
}

/// What a caller sees.
#[derive(Debug)]
struct Reply {
    status: StatusCode,
    challenges: Vec<String>,
    nonce: Option<String>,
    headers: HeaderMap,
    kind: Option<RejectionKind>,
    /// The subject, or `anonymous`; nothing if the inner service was not called.
    who: String,
}

impl Reply {
    fn of(response: Response<String>) -> Self {
        let headers = response.headers().clone();
        let texts = |name: &str| headers.get_all(name).into_iter();
        let texts = |name| texts(name).map(|line| line.to_str().unwrap().to_owned());
        let kind = response.extensions().get::<Rejection>().map(Rejection::kind);
        let challenges = texts(WWW_AUTHENTICATE.as_str()).collect();
        let nonce = texts("dpop-nonce").next();
        Self {
            status: response.status(),
            challenges,
            nonce,
            kind,
            who: response.into_body(),
            headers,
        }
    }

    /// The error codes of the challenges, in their order.
    fn errors(&self) -> Vec<&str> {
        let errors = self.challenges.iter().filter_map(|line| line.split_once("error=\""));
        errors.filter_map(|(_, rest)| Some(rest.split_once('"')?.0)).collect()
    }
}

/// Tells who calls.
async fn who(request: Request<()>) -> Result<Response<String>, Infallible> {
    let authenticated = request.extensions().get::<Authenticated>();
    let subject = authenticated.and_then(|token| token.principal().subject());
    Ok(Response::new(subject.unwrap_or("anonymous").to_owned()))
}

async fn send<V: ValidateToken>(layer: &RequireToken<V>, request: Request<()>) -> Reply {
    Reply::of(layer.layer(service_fn(who)).oneshot(request).await.unwrap())
}

/// A key, tokens that are bound to it, and a clock.
struct Fixture {
    key: Key,
    tokens: StaticTokens,
    clock: ManualClock,
}

impl Fixture {
    fn new() -> Self {
        let clock = ManualClock::from_wall(SystemTime::UNIX_EPOCH + seconds(NOW));
        let fixture = Self { key: Key::new(), tokens: StaticTokens::new(), clock };
        let certificate = digest(CERTIFICATE);
        let to_key = Confirmation::from_key(fixture.key.thumbprint());
        let to_certificate = Confirmation::from_certificate(certificate.clone());
        let both = to_key.clone().with_certificate(certificate);
        for (token, confirmation) in [
            (UNBOUND, None),
            (BOUND, Some(to_key)),
            (CERTIFIED, Some(to_certificate)),
            (BOTH, Some(both)),
        ] {
            let mut alice = Principal::new("alice").with_scopes("read".parse().unwrap());
            if let Some(confirmation) = confirmation {
                alice = alice.with_confirmation(confirmation);
            }
            fixture.tokens.insert(token, alice).unwrap();
        }
        fixture
    }

    /// A layer that reads no proofs.
    fn plain(&self) -> RequireToken<StaticTokens> {
        RequireToken::new("api", self.tokens.clone()).unwrap().with_clock(self.clock.clock())
    }

    fn layer(&self) -> RequireToken<StaticTokens> {
        self.plain().with_dpop(dpop())
    }

    fn proof(&self) -> Proof<'_> {
        self.key.proof(BOUND)
    }
}

fn dpop() -> Dpop {
    Dpop::new(URL).unwrap()
}

/// A memory for proofs that answers as it is told.
#[derive(Clone, Default)]
struct Memory {
    asked: Arc<Mutex<Vec<(ProofId, SystemTime)>>>,
    says: Arc<Mutex<Option<Result<FirstUse, &'static str>>>>,
    /// One permit for each answer; nothing where answers are there at once.
    gate: Option<Arc<Semaphore>>,
}

impl Memory {
    fn slow() -> Self {
        Self { gate: Some(Arc::new(Semaphore::new(0))), ..Self::default() }
    }

    fn say(&self, answer: Result<FirstUse, &'static str>) {
        *self.says.lock().unwrap() = Some(answer);
    }

    fn let_answer(&self) {
        self.gate.as_ref().unwrap().add_permits(1);
    }

    fn asked(&self) -> Vec<(ProofId, SystemTime)> {
        self.asked.lock().unwrap().clone()
    }
}

impl ProofReplay for Memory {
    fn first_use(&self, proof: ProofId, until: SystemTime) -> Answer<ReplayFuture> {
        let mut asked = self.asked.lock().unwrap();
        let seen = asked.iter().any(|(id, _)| *id == proof);
        asked.push((proof, until));
        let usual = Ok(if seen { FirstUse::Replayed } else { FirstUse::First });
        let answer = self.says.lock().unwrap().unwrap_or(usual).map_err(Into::into);
        let Some(gate) = self.gate.clone() else { return Answer::Ready(answer) };
        Answer::Pending(Box::pin(async move {
            gate.acquire().await.unwrap().forget();
            answer
        }))
    }
}
