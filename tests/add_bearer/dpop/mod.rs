//! A token that is bound to a key goes as `DPoP`, with a new proof on every request (RFC 9449).

mod nonces;
mod placement;
mod recovery;
mod transports;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, Response, header::WWW_AUTHENTICATE, request::Parts};
use http_body_util::Full;
use serde_json::Value;
use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::{Duration, SystemTime},
};
use tower::{Layer, Service};
use tower_oauth2::{
    AccessToken, Algorithm, Clock, ProofKey, SigningKey,
    server::{Dpop, RequireToken, RequireTokenService},
    testing::ManualClock,
    validate::{Confirmation, Principal, StaticTokens},
};

const HOME: &str = "https://api.example";
const TOKEN: &str = "mF_9.B5f-4.1JqM";
/// The SHA-256 digest of the token, in base64url, as `openssl dgst` makes it.
const ATH: &str = "uOFIVFsTx4vHTaLxpydd1x5W3ezhKdfS97PswG95lNo";

type Text = Full<Bytes>;
/// Answers a request.
type Script = dyn Fn(&Sent) -> Response<Text> + Send + Sync;

fn clock() -> ManualClock {
    ManualClock::from_wall(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000))
}

fn bound(key: &ProofKey) -> AccessToken {
    AccessToken::new(TOKEN).unwrap().bound_to(key).unwrap()
}

fn get(uri: &str) -> Request<Text> {
    Request::get(uri).body(Text::default()).unwrap()
}

fn answer(status: u16, headers: &[(&str, &str)]) -> Response<Text> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Text::default()).unwrap()
}

fn nonce_needed(nonce: &str) -> Response<Text> {
    let challenge = r#"DPoP algs="ES256", error="use_dpop_nonce""#;
    answer(401, &[(WWW_AUTHENTICATE.as_str(), challenge), ("dpop-nonce", nonce)])
}

fn invalid_token() -> Response<Text> {
    answer(401, &[(WWW_AUTHENTICATE.as_str(), r#"DPoP error="invalid_token", algs="ES256""#)])
}

/// A request as a resource got it.
#[derive(Clone, Debug)]
struct Sent {
    head: Parts,
    /// The token of `Authorization: DPoP`.
    token: Option<String>,
    header: Value,
    claims: Value,
}

impl Sent {
    /// The signatures are for servers of this crate to check, in other tests.
    fn new(head: Parts) -> Self {
        let json = |part: &str| -> Value {
            serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        let mut proofs = head.headers.get_all("dpop").iter();
        let (header, claims) = match proofs.next() {
            None => (Value::Null, Value::Null),
            Some(proof) => {
                let parts: Vec<_> = proof.to_str().unwrap().split('.').collect();
                assert_eq!(parts.len(), 3);
                (json(parts[0]), json(parts[1]))
            }
        };
        assert!(proofs.next().is_none());
        let token = head.headers.get("authorization").map(|value| value.to_str().unwrap());
        let token = token.and_then(|value| value.strip_prefix("DPoP ")).map(str::to_owned);
        Self { head, token, header, claims }
    }

    fn claim(&self, name: &str) -> Option<&str> {
        self.claims.get(name).map(|claim| claim.as_str().unwrap())
    }

    fn nonce(&self) -> Option<&str> {
        self.claim("nonce")
    }
}

/// A resource that answers as a function says, and remembers the requests.
#[derive(Clone)]
struct Api {
    seen: Arc<Mutex<Vec<Sent>>>,
    answer: Arc<Script>,
}

impl Api {
    fn new(answer: impl Fn(&Sent) -> Response<Text> + Send + Sync + 'static) -> Self {
        Self { seen: Arc::default(), answer: Arc::new(answer) }
    }

    /// One that demands this nonce.
    fn demanding(nonce: &'static str) -> Self {
        Self::new(move |sent| match sent.nonce() == Some(nonce) {
            true => answer(200, &[]),
            false => nonce_needed(nonce),
        })
    }

    /// The requests since the last look.
    fn seen(&self) -> Vec<Sent> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// Their tokens and nonces.
    fn tokens_and_nonces(&self) -> Vec<(String, Option<String>)> {
        let seen = self.seen().into_iter();
        seen.map(|sent| (sent.token.clone().unwrap(), sent.nonce().map(str::to_owned))).collect()
    }

    fn nonces(&self) -> Vec<Option<String>> {
        self.tokens_and_nonces().into_iter().map(|(_, nonce)| nonce).collect()
    }
}

impl<B> Service<Request<B>> for Api {
    type Response = Response<Text>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Text>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let sent = Sent::new(request.into_parts().0);
        let response = (self.answer)(&sent);
        self.seen.lock().unwrap().push(sent);
        ready(Ok(response))
    }
}

/// [`TOKEN`], known to be bound to `key`.
fn tokens(key: &ProofKey) -> StaticTokens {
    let tokens = StaticTokens::new();
    let confirmation = Confirmation::from_key(key.thumbprint());
    tokens.insert(TOKEN, Principal::new("app").with_confirmation(confirmation)).unwrap();
    tokens
}

/// A resource of this crate in front of `inner`, which refuses what is not proved.
fn guarded<S>(
    key: &ProofKey,
    dpop: Dpop,
    clock: Clock,
    inner: S,
) -> RequireTokenService<S, StaticTokens> {
    let layer = RequireToken::new("api", tokens(key)).unwrap().with_clock(clock);
    layer.with_dpop(dpop).layer(inner)
}

fn key_for(algorithm: Algorithm) -> ProofKey {
    ProofKey::new(SigningKey::generate(algorithm).unwrap()).unwrap()
}
