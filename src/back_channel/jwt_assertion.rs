//! Signed assertions
//! ([RFC 7523](https://www.rfc-editor.org/rfc/rfc7523)).

use super::{
    assertion::Assertion,
    client_authentication::{ClientAuthentication, Method},
    signing_key_source::SigningKeySource,
};
use crate::{Algorithm, ClientSecret, Clock, ConfigError, SigningKey, jose};
use serde_json::{Map, Value, json};
use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};
use zeroize::Zeroizing;

/// The default lifetime. It covers a slow request and clocks that differ.
const LIFETIME: Duration = Duration::from_secs(60);

/// The longest lifetime: authorization servers refuse longer ones.
const MAX_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// The claims that the assertion sets itself.
const RESERVED: &[&str] = &["iss", "sub", "aud", "jti", "iat", "exp"];

/// Signs a new assertion for each attempt
/// ([RFC 7523 §3](https://www.rfc-editor.org/rfc/rfc7523#section-3), feature `jwt`), for
/// `client::Grant::signed_jwt_bearer`.
///
/// Each has a new `jti`.
///
/// # Defaults
///
/// The subject is the issuer, the audience is the URL of the endpoint, the lifetime is a minute,
/// and there are no further claims.
///
/// # Example
///
/// ```
/// use tower_oauth2::{Algorithm, JwtAssertion, SigningKey};
///
/// let key = SigningKey::from_secret(Algorithm::Hs256, "a client secret of 32 characters")?;
/// let assertion = JwtAssertion::new("reports@project.example", key)
///     .with_subject("alice@example.com")
///     .with_claim("tenant", "\"acme\"")?;
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct JwtAssertion {
    key: SigningKeySource,
    issuer: Box<str>,
    subject: Option<Box<str>>,
    audience: Option<Box<str>>,
    lifetime: Duration,
    claims: Map<String, Value>,
}

impl JwtAssertion {
    /// Returns an assertion of `issuer`, signed by `key`.
    pub fn new(issuer: impl Into<Box<str>>, key: impl Into<SigningKeySource>) -> Self {
        Self {
            key: key.into(),
            issuer: issuer.into(),
            subject: None,
            audience: None,
            lifetime: LIFETIME,
            claims: Map::new(),
        }
    }

    /// Sets the subject (`sub`). Defaults to the issuer.
    pub fn with_subject(mut self, subject: impl Into<Box<str>>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Sets the audience (`aud`), the issuer identifier for example. Defaults to the URL of the
    /// endpoint.
    pub fn with_audience(mut self, audience: impl Into<Box<str>>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Sets the lifetime, in whole seconds. Defaults to a minute.
    ///
    /// # Errors
    ///
    /// When it is shorter than a second or longer than an hour.
    pub fn with_lifetime(mut self, lifetime: Duration) -> Result<Self, ConfigError> {
        if !(Duration::from_secs(1)..=MAX_LIFETIME).contains(&lifetime) {
            return Err(ConfigError::new(format!(
                "the lifetime of an assertion, {lifetime:?}, is not between a second and an hour"
            )));
        }
        self.lifetime = lifetime;
        Ok(self)
    }

    /// Returns a new one for `audience`, unless it is always for another, in an envelope that does not
    /// show it: for an endpoint that takes it as a bearer token, as that of GitHub Apps does.
    ///
    /// # Errors
    ///
    /// When there is no key, the system gives no random numbers, or the clock is before the epoch.
    pub fn to_jwt(&self, audience: &str, clock: &Clock) -> Result<ClientSecret, ConfigError> {
        let signed = self.sign(audience, "JWT", clock);
        signed
            .map(|jwt| ClientSecret::new(&**jwt))
            .map_err(|text| ConfigError::new(text.into_string()))
    }

    /// Adds the claim `name` with the value `json`.
    ///
    /// # Errors
    ///
    /// When `json` is not JSON, and when `name` is set already or is one that the assertion sets
    /// itself.
    pub fn with_claim(mut self, name: &str, json: &str) -> Result<Self, ConfigError> {
        if RESERVED.contains(&name) || self.claims.contains_key(name) {
            return Err(ConfigError::new(format!(
                "the claim {name:?} is set already, or is one that the assertion sets itself"
            )));
        }
        let invalid = |_| {
            ConfigError::new(format!(
                "the value of the claim {name:?} is not JSON: put text in quotes"
            ))
        };
        self.claims.insert(name.to_owned(), serde_json::from_str(json).map_err(invalid)?);
        Ok(self)
    }
}

impl Assertion for JwtAssertion {
    fn sign(
        &self,
        audience: &str,
        typ: &str,
        clock: &Clock,
    ) -> Result<Zeroizing<String>, Box<str>> {
        let key = self.key.key()?;
        let jti = clock.secret().ok_or("the system gives no random numbers")?;
        let now = clock.wall().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.map_err(|_| "the clock shows a time before 1970")?.as_secs();
        let mut claims = self.claims.clone();
        for (name, value) in [
            ("iss", Value::from(&*self.issuer)),
            ("sub", self.subject.as_deref().unwrap_or(&self.issuer).into()),
            ("aud", self.audience.as_deref().unwrap_or(audience).into()),
            ("jti", jose::base64url::encode(&jti).into()),
            ("iat", now.into()),
            ("exp", now.saturating_add(self.lifetime.as_secs()).into()),
        ] {
            claims.insert(name.to_owned(), value);
        }
        let signed = key.sign(typ, Value::Object(claims).to_string().as_bytes());
        signed.map(Zeroizing::new).map_err(|_| "the assertion could not be signed".into())
    }

    fn identity(&self) -> Zeroizing<String> {
        let key = self.key.identity();
        let key = key.as_ref().map(|key| key.as_str());
        let content = (&*self.issuer, self.subject.as_deref(), self.audience.as_deref());
        Zeroizing::new(json!([key, content, self.claims]).to_string())
    }
}

/// Shows the names of the added claims, without their values.
impl fmt::Debug for JwtAssertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtAssertion")
            .field("key", &self.key)
            .field("issuer", &self.issuer)
            .field("subject", &self.subject)
            .field("audience", &self.audience)
            .field("lifetime", &self.lifetime)
            .field("claims", &self.claims.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// Clients that authenticate by a signed assertion (feature `jwt`).
impl ClientAuthentication {
    /// Sends an assertion that `key` signs, a new one at each attempt with a lifetime of a minute:
    /// `private_key_jwt` ([OpenID Connect Core §9]).
    ///
    /// # Errors
    ///
    /// When `key` is a shared secret. A closure that returns one fails the attempt.
    ///
    /// [OpenID Connect Core §9]: https://openid.net/specs/openid-connect-core-1_0.html#ClientAuthentication
    pub fn private_key_jwt(
        client_id: impl Into<Box<str>>,
        key: impl Into<SigningKeySource>,
    ) -> Result<Self, ConfigError> {
        Ok(Self::by_assertion(client_id.into(), key.into().private()?))
    }

    /// Sends an assertion that `secret` signs with `algorithm`, a new one at each attempt with a
    /// lifetime of a minute: `client_secret_jwt` ([OpenID Connect Core §9]).
    ///
    /// # Errors
    ///
    /// When `algorithm` is not symmetric, or `secret` is shorter than its hash.
    ///
    /// [OpenID Connect Core §9]: https://openid.net/specs/openid-connect-core-1_0.html#ClientAuthentication
    pub fn client_secret_jwt(
        client_id: impl Into<Box<str>>,
        algorithm: Algorithm,
        secret: impl Into<ClientSecret>,
    ) -> Result<Self, ConfigError> {
        let key = SigningKey::from_secret(algorithm, secret.into().expose())?;
        Ok(Self::by_assertion(client_id.into(), key.into()))
    }

    /// Sets the audience of assertions. Defaults to the issuer where it is known, at an endpoint
    /// that was discovered or taken from metadata or has a `with_issuer`, and else to the URL of the endpoint. It has no
    /// effect on clients that authenticate without an assertion.
    ///
    /// OpenIddict 7 and servers of FAPI 2.0 take the issuer alone, Okta takes the URL of its token
    /// endpoint.
    pub fn with_assertion_audience(mut self, audience: impl Into<Box<str>>) -> Self {
        if let Method::Assertion { audience: own, .. } = &mut self.method {
            *own = Some(audience.into());
        }
        self
    }

    /// Sets the type in the header (`typ`) of signed assertions. Defaults to `JWT`. OpenIddict 7 wants
    /// `client-authentication+jwt`. It has no effect on other clients.
    pub fn with_assertion_header_type(mut self, typ: impl Into<Box<str>>) -> Self {
        if let Method::Assertion { typ: own, .. } = &mut self.method {
            *own = typ.into();
        }
        self
    }

    fn by_assertion(client_id: Box<str>, key: SigningKeySource) -> Self {
        let assertion = JwtAssertion::new(client_id.clone(), key);
        let method =
            Method::Assertion { assertion: Arc::new(assertion), audience: None, typ: "JWT".into() };
        Self { client_id: Some(client_id), secret: None, method }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ManualClock;

    fn key() -> SigningKey {
        SigningKey::from_secret(Algorithm::Hs256, "a client secret of 32 characters").unwrap()
    }

    fn at(wall: SystemTime) -> Clock {
        ManualClock::from_wall(wall).clock()
    }

    fn claims(assertion: &JwtAssertion, now: u64) -> Value {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now);
        let signed = assertion.sign("https://as.example/token", "JWT", &at(now)).unwrap();
        let payload = signed.split('.').nth(1).unwrap();
        serde_json::from_slice(&jose::base64url::decode(payload).unwrap()).unwrap()
    }

    #[test]
    fn each_has_issuer_subject_audience_and_lifetime_and_a_new_jti() {
        let usual = JwtAssertion::new("app", key());
        let (one, other) = (claims(&usual, 1000), claims(&usual, 1000));
        assert_eq!((&one["iss"], &one["sub"]), (&"app".into(), &"app".into()));
        assert_eq!(one["aud"], "https://as.example/token");
        assert_eq!((&one["iat"], &one["exp"]), (&1000.into(), &1060.into()));
        assert_ne!(one["jti"], other["jti"]);

        let full = usual
            .with_subject("alice")
            .with_audience("https://as.example")
            .with_lifetime(Duration::from_secs(300))
            .and_then(|it| it.with_claim("scope", r#"["a","b"]"#))
            .unwrap();
        let all = claims(&full, 0);
        assert_eq!((&all["sub"], &all["aud"]), (&"alice".into(), &"https://as.example".into()));
        assert_eq!((&all["exp"], &all["scope"][1]), (&300.into(), &"b".into()));
        assert!(!format!("{full:?}").contains("\"b\""));
    }

    #[test]
    fn a_claim_is_set_once_and_a_lifetime_is_bounded() {
        let assertion = JwtAssertion::new("app", key()).with_claim("a", "1").unwrap();
        for (name, json) in [("iss", "1"), ("exp", "1"), ("jti", "1"), ("a", "2"), ("b", "{")] {
            assert!(assertion.clone().with_claim(name, json).is_err(), "{name}");
        }
        for bad in [Duration::ZERO, MAX_LIFETIME + Duration::from_secs(1), Duration::MAX] {
            assert!(assertion.clone().with_lifetime(bad).is_err(), "{bad:?}");
        }
        let latest = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(u32::MAX));
        assert!(assertion.sign("x", "JWT", &at(latest)).is_ok());
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert!(assertion.sign("x", "JWT", &at(before)).is_err());
    }
}
