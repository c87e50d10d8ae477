//! Tokens that are bound to a key or a certificate, and the proofs of a request with one.

use crate::{
    config::{BuildError, Config, unknown},
    keys::Key,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::Response;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    convert::Infallible,
    future::{Future, ready},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};
use tower::{Layer, Service, service_fn};
use tower_oauth2::{
    ClientSecret,
    server::{ClientCertificate, Dpop, DpopNonces, RequireToken},
    testing::ManualClock,
    validate::StaticTokens,
};

/// The certificate that tokens are bound to, and another one. Only their digests count.
const CERTIFICATE: &[u8] = b"certificate C";
const OTHER_CERTIFICATE: &[u8] = b"another certificate";

/// The names of the bound tokens.
pub(crate) const TOKENS: [&str; 4] = ["AT", "AT_BOUND", "AT_UNBOUND", "AT_X5T"];

fn digest(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(bytes))
}

fn proof_key(name: &str) -> Arc<Key> {
    Key::of(name, "ES256").unwrap()
}

/// RFC 7638 §3.2.
fn thumbprint(key: &Key) -> String {
    let member = |name: &str| key.members()[name].clone();
    let (x, y) = (member("x"), member("y"));
    digest(format!(r#"{{"crv":"P-256","kty":"EC","x":{x},"y":{y}}}"#).as_bytes())
}

/// What to mint as the token `name` of [`TOKENS`].
pub(crate) fn recipe(name: &str) -> Value {
    let mut claims = json!({
        "iss": "https://as.example", "aud": "https://api.example", "exp": "now+300",
        "iat": "now-10", "sub": "alice", "client_id": "c1", "jti": "j1", "scope": "read",
    });
    match name {
        "AT_UNBOUND" => {}
        "AT_X5T" => claims["cnf"] = json!({ "x5t#S256": digest(CERTIFICATE) }),
        _ => claims["cnf"] = json!({ "jkt": thumbprint(&proof_key("proof")) }),
    }
    let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": "k1" });
    json!({ "header": header, "claims": claims, "signed_by": "k1" })
}

/// The certificate of the client, if it has one.
pub(crate) fn certificate(config: &Config<'_>) -> Result<Option<ClientCertificate>, BuildError> {
    Ok(match config.text("client_cert")? {
        None => None,
        Some("match") => Some(ClientCertificate::from_der(CERTIFICATE)),
        Some("other") => Some(ClientCertificate::from_der(OTHER_CERTIFICATE)),
        Some(other) => return Err(unknown("client_cert", &other.into())),
    })
}

fn origin<'c>(config: &Config<'c>) -> Result<&'c str, BuildError> {
    Ok(config.text("origin")?.unwrap_or("https://api.example"))
}

/// A switch: `true`, `false`, or a word for one of them.
fn switch(config: &Config<'_>, name: &str) -> Result<Option<bool>, BuildError> {
    config.read(name, |value| match value {
        Value::Bool(on) => Some(*on),
        Value::String(word) => match &**word {
            "required" | "on" | "memory" | "refused" => Some(true),
            "off" | "none" | "allowed" => Some(false),
            _ => None,
        },
        _ => None,
    })
}

/// The nonces of every stack: the secret is shared, so that the runner knows them.
fn nonces(config: &Config<'_>) -> Result<Option<DpopNonces>, BuildError> {
    let secret = ClientSecret::new("the secret of the nonces of all cases");
    Ok(match switch(config, "dpop_nonce")? {
        Some(true) => Some(DpopNonces::from_secret(&secret)?),
        _ => None,
    })
}

/// The DPoP settings of `config`.
pub(crate) fn dpop(config: &Config<'_>) -> Result<Option<Dpop>, BuildError> {
    let mut dpop = match config.text("dpop")? {
        None => return Ok(None),
        Some("allowed") => Dpop::new(origin(config)?)?,
        Some("required") => Dpop::new(origin(config)?)?.without_bearer(),
        Some(other) => return Err(unknown("dpop", &other.into())),
    };
    if let Some(nonces) = nonces(config)? {
        dpop = dpop.with_nonces(nonces);
    }
    if switch(config, "dpop_replay")? == Some(false) {
        dpop = dpop.dangerous_allow_replay();
    }
    Ok(Some(dpop))
}

/// The nonce that a client learns from a refusal at the time of `config`.
fn current_nonce(config: &Config<'_>) -> Result<Option<String>, BuildError> {
    let Some(nonces) = nonces(config)? else { return Ok(None) };
    let clock = ManualClock::from_wall(config.now()?).clock();
    let layer = RequireToken::new("nonces", StaticTokens::new())?
        .with_clock(clock)
        .with_dpop(Dpop::new(origin(config)?)?.with_nonces(nonces));
    let mut service = layer
        .layer(service_fn(|_: http::Request<()>| ready(Ok::<_, Infallible>(Response::new(())))));
    let request = http::Request::get("/").header("authorization", "DPoP x").header("dpop", "x");
    let refused = pin!(service.call(request.body(()).unwrap()));
    match refused.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(refused)) => {
            Ok(refused.headers().get("dpop-nonce").map(|nonce| nonce.to_str().unwrap().to_owned()))
        }
        Poll::Pending => Err(BuildError::Case("expected a nonce, got no answer".into())),
    }
}

/// Makes the proofs of one request.
pub(crate) struct Proofs<'c> {
    pub(crate) config: &'c Map<String, Value>,
    pub(crate) method: &'c str,
    pub(crate) uri: &'c str,
    /// The token of the request.
    pub(crate) token: &'c str,
    /// One text is one proof.
    pub(crate) made: RefCell<BTreeMap<String, String>>,
}

impl Proofs<'_> {
    /// The proof that `form` stands for: `PROOF`, or `PROOF:name=value`.
    ///
    /// # Errors
    ///
    /// What is wrong with it, as `expected …, got …`.
    pub(crate) fn proof(&self, form: &str) -> Result<Option<String>, String> {
        let Some(change) = form.strip_prefix("PROOF") else { return Ok(None) };
        if let Some(made) = self.made.borrow().get(form) {
            return Ok(Some(made.clone()));
        }
        let wrong = || format!("expected PROOF:name=value, got {form:?}");
        let change = match change {
            "" => None,
            change => {
                let change = change.strip_prefix(':').and_then(|change| change.split_once('='));
                Some(change.ok_or_else(wrong)?)
            }
        };
        let proof = self.mint(change).map_err(|error| match error {
            BuildError::Case(text) | BuildError::Refused(text) => text,
        })?;
        self.made.borrow_mut().insert(form.to_owned(), proof.clone());
        Ok(Some(proof))
    }

    fn mint(&self, change: Option<(&str, &str)>) -> Result<String, BuildError> {
        static LAST: AtomicUsize = AtomicUsize::new(0);
        let config = Config(self.config);
        let path = self.uri.parse::<http::Uri>().map(|uri| uri.path().to_owned());
        let path = path.unwrap_or_default();
        let since = config.now()?.duration_since(SystemTime::UNIX_EPOCH);
        let mut key = proof_key("proof");
        let mut header = json!({ "typ": "dpop+jwt", "alg": "ES256" });
        let mut claims = json!({
            "jti": format!("proof {}", LAST.fetch_add(1, Relaxed)),
            "htm": self.method,
            "htu": origin(&config)?.trim_end_matches('/').to_owned() + &path,
            "iat": since.unwrap_or(Duration::ZERO).as_secs(),
            "ath": digest(self.token.as_bytes()),
        });
        if let Some(nonce) = current_nonce(&config)? {
            claims["nonce"] = nonce.into();
        }
        let mut is_private = false;
        match change {
            None | Some(("jti", "seen")) => {}
            Some(("ath", "other")) => claims["ath"] = digest(b"another token").into(),
            Some(("nonce", "none")) => {
                claims.as_object_mut().unwrap().remove("nonce");
            }
            Some(("key", "other")) => key = proof_key("another proof"),
            Some(("jwk", "private")) => is_private = true,
            Some(("iat", date)) => {
                let offset = date.strip_prefix("now").and_then(|date| match date {
                    "" => Some(0),
                    date => date.parse::<i64>().ok(),
                });
                let now = claims["iat"].as_i64().unwrap_or_default();
                let iat = offset.and_then(|offset| now.checked_add(offset));
                claims["iat"] = iat.map_or_else(|| date.into(), Into::into);
            }
            Some(("typ" | "alg", text)) => {
                header[change.unwrap_or_default().0] = text.into();
            }
            Some((name @ ("ath" | "htm" | "htu" | "jti" | "nonce"), text)) => {
                claims[name] = text.into();
            }
            Some((name, value)) => {
                let text = format!("expected a known form of PROOF, got {name}={value}");
                return Err(BuildError::Case(text));
            }
        }
        let mut jwk = key.members();
        if is_private {
            jwk.insert("d".into(), key.private().into());
        }
        header["jwk"] = jwk.into();
        let encoded = |json: &Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
        let input = format!("{}.{}", encoded(&header), encoded(&claims));
        let signature = BASE64_URL_SAFE_NO_PAD.encode(key.sign("ES256", input.as_bytes()));
        Ok(format!("{input}.{signature}"))
    }
}

/// The token of a request, wherever it is.
pub(crate) fn token_of<'r>(headers: &'r [(String, String)], uri: &'r str) -> &'r str {
    let header = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    let token = header.and_then(|(_, value)| value.split_once(' ')).map(|(_, token)| token.trim());
    let in_query = || uri.split(['?', '&']).find_map(|pair| pair.strip_prefix("access_token="));
    token.or_else(in_query).unwrap_or_default()
}
