//! Answers that are signed ([RFC 9701]).
//!
//! [RFC 9701]: https://www.rfc-editor.org/rfc/rfc9701

use super::{
    Introspection,
    answer::{Members, malformed, object},
    rules::{instant, texts},
};
use crate::{
    ConfigError,
    jose::{Compact, Header, base64url},
    validate::{Jwks, Rejection, jwks::Found},
    vocabulary::{flight::Joined, members::Texts},
};
use serde_json::Value;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

/// How often keys are waited for: once for those of the issuer, once for one that is new.
const ROUNDS: usize = 2;

/// How many keys of one name are tried.
const MAX_CANDIDATES: usize = 4;

/// Who signs answers, and for whom they are.
#[derive(Clone)]
pub(super) struct Signed {
    keys: Jwks,
    issuer: Arc<str>,
    client_id: Arc<str>,
}

/// What becomes of an answer at once.
enum Opened {
    Members(Members),
    /// Keys are being fetched.
    Wait(Joined<()>),
}

impl Signed {
    pub(super) fn accept(&self) -> &'static str {
        "application/token-introspection+jwt"
    }

    /// What the answer `jwt` says of the token.
    ///
    /// # Errors
    ///
    /// When it is not signed by the authorization server for this client, and when nobody can tell
    /// yet.
    pub(super) async fn read(
        &self,
        jwt: &[u8],
        now: SystemTime,
        leeway: Duration,
    ) -> Result<Members, Rejection> {
        let mut waited = false;
        for _ in 0..=ROUNDS {
            match self.open(jwt, now, leeway, waited)? {
                Opened::Members(members) => return Ok(members),
                Opened::Wait(joined) => joined.wait().await,
            };
            waited = true;
        }
        Err(Rejection::unavailable(None).because("the keys of the introspection answer are late"))
    }

    fn open(
        &self,
        jwt: &[u8],
        now: SystemTime,
        leeway: Duration,
        waited: bool,
    ) -> Result<Opened, Rejection> {
        let compact = str::from_utf8(jwt).ok().and_then(|jwt| Compact::parse(jwt.trim()));
        let compact = compact.ok_or_else(|| malformed("it is not signed"))?;
        let header = base64url::decode(compact.header).unwrap_or_default();
        let header = Header::parse(&header).ok_or_else(|| malformed("its header is"))?;
        let kind = header.typ.as_deref().unwrap_or_default();
        let kind = kind.rsplit_once('/').map_or(kind, |(_, kind)| kind);
        if header.is_critical || !kind.eq_ignore_ascii_case("token-introspection+jwt") {
            return Err(malformed("it is a JWT of another type"));
        }
        let algorithm = header.algorithm.filter(|one| self.keys.algorithms().contains(one));
        let algorithm = algorithm.ok_or_else(|| malformed("the algorithm is not allowed"))?;
        let payload = base64url::decode(compact.payload).unwrap_or_default();
        let mut claims = object(&payload)?;
        self.check(&claims, now, leeway)?;
        let signature = base64url::decode(compact.signature).unwrap_or_default();
        let kid = header.kid.as_deref();
        let keys = match self.keys.look_up(kid, algorithm, waited) {
            Found::Keys(keys) => keys,
            Found::Unknown => return Err(malformed("the server has no such key")),
            Found::Wait(joined) => return Ok(Opened::Wait(joined)),
            Found::Unavailable(retry_after) => {
                let cause = "the keys of the introspection answer cannot be had";
                return Err(Rejection::unavailable(retry_after).because(cause));
            }
        };
        let signed = compact.signing_input.as_bytes();
        let mut candidates = keys.candidates(kid, algorithm).take(MAX_CANDIDATES);
        if !candidates.any(|key| key.verify(algorithm, signed, &signature)) {
            return Err(malformed("the signature is wrong"));
        }
        match claims.remove("token_introspection") {
            Some(Value::Object(members)) => Ok(Opened::Members(members)),
            _ => Err(malformed("there is no `token_introspection`")),
        }
    }

    fn check(&self, claims: &Members, now: SystemTime, leeway: Duration) -> Result<(), Rejection> {
        if claims.get("iss").and_then(Value::as_str) != Some(&self.issuer) {
            return Err(malformed("it is of another issuer"));
        }
        let audience = texts(claims, "aud")?;
        if !audience.iter().flat_map(Texts::iter).any(|one| *one == *self.client_id) {
            return Err(malformed("it is for another client"));
        }
        match instant(claims, "iat")? {
            Some(issued) if !issued.is_ahead(now, leeway) => Ok(()),
            _ => Err(malformed("it does not say since when it is true")),
        }
    }
}

/// Answers that are signed (feature `jwt`).
impl<C> Introspection<C> {
    /// Asks for answers signed by `issuer` with one of `keys`
    /// ([RFC 9701](https://www.rfc-editor.org/rfc/rfc9701)), and takes no other: the type, the
    /// issuer, the audience (the identifier of the client that asks) and the signature are
    /// checked, and whatever fails there is an outage. Encrypted answers are not read. Defaults to
    /// plain JSON, which TLS alone protects.
    ///
    /// # Errors
    ///
    /// When the client that asks has no identifier.
    pub fn with_signed_responses(
        self,
        issuer: impl Into<Arc<str>>,
        keys: Jwks,
    ) -> Result<Self, ConfigError> {
        let client_id = self.settings.client.client_id().map(Arc::from);
        let client_id = client_id.ok_or_else(|| {
            ConfigError::new("a signed answer is for a client with an identifier, which ClientAuthentication::none has not")
        })?;
        let signed = Signed { keys, issuer: issuer.into(), client_id };
        Ok(self.with(|settings| settings.signed = Some(signed)))
    }
}
