//! Reads signed answers ([RFC 9701]).
//!
//! [RFC 9701]: https://www.rfc-editor.org/rfc/rfc9701

use super::{
    Introspection,
    answer::{Members, malformed, object},
    format::{Format, Reading},
};
use crate::{
    ConfigError,
    jose::{Compact, Header, base64url},
    validate::{Jwks, Rejection, claims::Claims, jwks::Unverified, times::Leeway},
};
use serde_json::Value;
use std::{sync::Arc, time::SystemTime};

/// The issuer and the keys that sign answers, and the client that they are for.
#[derive(Clone)]
pub(super) struct Signed {
    keys: Jwks,
    issuer: Arc<str>,
    client_id: Arc<str>,
}

impl Format for Signed {
    fn media_type(&self) -> &'static str {
        "application/token-introspection+jwt"
    }

    fn read<'a>(&'a self, body: &'a [u8], now: SystemTime, leeway: Leeway) -> Reading<'a> {
        Box::pin(self.verified(body, now, leeway))
    }
}

impl Signed {
    /// Returns the members that the answer `jwt` has about the token.
    ///
    /// # Errors
    ///
    /// When the authorization server did not sign it for this client, and when the keys cannot be
    /// fetched.
    async fn verified(
        &self,
        jwt: &[u8],
        now: SystemTime,
        leeway: Leeway,
    ) -> Result<Members, Rejection> {
        let compact = str::from_utf8(jwt).ok().and_then(|jwt| Compact::parse(jwt.trim()));
        let compact = compact.ok_or_else(|| malformed("it is not signed"))?;
        let header = base64url::decode(compact.header).unwrap_or_default();
        let header = Header::parse(&header).ok_or_else(|| malformed("its header is malformed"))?;
        let kind = header.typ.as_deref().unwrap_or_default();
        let kind = kind.rsplit_once('/').map_or(kind, |(_, kind)| kind);
        if header.is_critical || !kind.eq_ignore_ascii_case("token-introspection+jwt") {
            return Err(malformed("it is a JWT of another type"));
        }
        let algorithm = header.algorithm.ok().filter(|one| self.keys.algorithms().contains(one));
        let algorithm = algorithm.ok_or_else(|| malformed("the algorithm is not allowed"))?;
        let payload = base64url::decode(compact.payload).unwrap_or_default();
        let mut members = object(&payload)?;
        self.check(&payload, now, leeway)?;
        let kid = header.kid.as_ref();
        let mut waited = None;
        while let Err(why) = self.keys.verify(compact, kid, algorithm, None, waited) {
            match why {
                Unverified::NoKey(why) => return Err(malformed(why)),
                Unverified::WrongSignature => return Err(malformed("the signature is wrong")),
                Unverified::Unavailable(away) => {
                    return Err(away.rejection("the introspection answer"));
                }
                Unverified::Fetching(wait) => waited = Some(wait.over().await),
            }
        }
        match members.remove("token_introspection") {
            Some(Value::Object(members)) => Ok(members),
            _ => Err(malformed("there is no `token_introspection`")),
        }
    }

    fn check(&self, payload: &[u8], now: SystemTime, leeway: Leeway) -> Result<(), Rejection> {
        let mut claims = Claims::default();
        claims.read(payload, &[]).ok_or_else(|| malformed("it is not a JSON object"))?;
        if claims.iss() != Ok(Some(&*self.issuer)) {
            return Err(malformed("it is of another issuer"));
        }
        if !claims.is_for(&[Box::from(&*self.client_id)]) {
            return Err(malformed("it is for another client"));
        }
        match claims.times.iat {
            Some(issued) if leeway.has_come(issued, now) => Ok(()),
            _ => Err(malformed("its `iat` is missing, or lies in the future")),
        }
    }
}

/// Signed answers (feature `jwt`).
impl<C> Introspection<C> {
    /// Asks for answers signed by `issuer` with one of `keys`
    /// ([RFC 9701](https://www.rfc-editor.org/rfc/rfc9701)), and accepts no other. The type, the
    /// issuer, the audience (the identifier of the client that asks) and the signature are checked;
    /// a failure there is an outage. Encrypted answers are not read. A token whose answer names no
    /// issuer is of `issuer`, or of that of [`with_issuer`](Self::with_issuer). Defaults to plain
    /// JSON, which TLS alone protects.
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
            ConfigError::new("a signed answer names the client that asks, and ClientAuthentication::none has no identifier")
        })?;
        let issuer = issuer.into();
        Ok(self.with(|settings| {
            settings.rules.signer = Some(issuer.clone());
            settings.format = Arc::new(Signed { keys, issuer, client_id });
        }))
    }
}
