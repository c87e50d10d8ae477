use crate::{Algorithm, ConfigError, validate::Jwks};
use std::{fmt, sync::Arc};

/// An issuer whose tokens are accepted, with its keys, the audience and the algorithms.
///
/// # Defaults
///
/// No audience: one must be named. Every algorithm with a public key is allowed; with a
/// [shared secret](Jwks::from_secret) its own alone.
///
/// ```
/// use tower_oauth2::{Algorithm, Transport, validate::{Jwks, TrustedIssuer}};
///
/// let keys = Jwks::from_url("https://as.example/jwks", Transport::https())?;
/// let issuer = TrustedIssuer::new("https://as.example", keys)
///     .with_audience(["https://api.example"])
///     .with_algorithms([Algorithm::Es256, Algorithm::EdDsa])?;
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct TrustedIssuer {
    pub(super) identifier: Arc<str>,
    pub(super) keys: Jwks,
    audience: Vec<Box<str>>,
    algorithms: Vec<Algorithm>,
    without_audience: bool,
}

impl TrustedIssuer {
    /// Creates an issuer of this identifier, which is compared with `iss` byte for byte.
    pub fn new(identifier: impl Into<Arc<str>>, keys: Jwks) -> Self {
        Self {
            identifier: identifier.into(),
            algorithms: keys.algorithms(),
            keys,
            audience: Vec::new(),
            without_audience: false,
        }
    }

    /// Sets the audience: a token must be for one of `audience` (`aud`,
    /// [RFC 9068 §4](https://www.rfc-editor.org/rfc/rfc9068#section-4)), compared byte for byte.
    /// Defaults to none, which validators accept only with
    /// [`dangerous_allow_missing_audience`](Self::dangerous_allow_missing_audience).
    pub fn with_audience<I>(mut self, audience: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Box<str>>,
    {
        self.audience = audience.into_iter().map(Into::into).collect();
        self
    }

    /// Accepts tokens without `aud` too, as some realms of Keycloak issue them. A token without `aud`
    /// that this issuer made for another API is then accepted. An audience that a token names must
    /// still be one of [`with_audience`](Self::with_audience). Defaults to refusing them.
    pub fn dangerous_allow_missing_audience(mut self) -> Self {
        self.without_audience = true;
        self
    }

    /// Sets the algorithms that tokens may be signed with. Defaults to all that suit the keys.
    ///
    /// # Errors
    ///
    /// When `algorithms` is empty, and when one does not suit the keys: algorithms with a shared
    /// secret and algorithms with a public key never mix.
    pub fn with_algorithms<I>(mut self, algorithms: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item = Algorithm>,
    {
        let algorithms: Vec<_> = algorithms.into_iter().map(Algorithm::checked_as).collect();
        if algorithms.is_empty() {
            return Err(ConfigError::new(
                "an issuer needs an algorithm: with_algorithms names none",
            ));
        }
        let possible = self.keys.algorithms();
        if let Some(other) = algorithms.iter().find(|one| !possible.contains(one)) {
            let text = format!("the algorithm {other} does not suit the keys of the issuer");
            return Err(ConfigError::new(text));
        }
        self.algorithms = algorithms;
        Ok(self)
    }

    pub(super) fn allows(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// Returns `true` if an audience is named, or tokens without one are allowed.
    pub(super) fn has_audience(&self) -> bool {
        self.without_audience || !self.audience.is_empty()
    }

    pub(super) fn audience(&self) -> impl Iterator<Item = &str> {
        self.audience.iter().map(|one| &**one)
    }

    /// Returns `true` if a token for `audience` is for this API.
    pub(super) fn is_for_us<'a>(&self, audience: Option<impl Iterator<Item = &'a str>>) -> bool {
        match audience {
            None => self.without_audience,
            Some(mut named) => named.any(|one| self.audience.iter().any(|own| **own == *one)),
        }
    }
}

impl fmt::Debug for TrustedIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustedIssuer")
            .field("identifier", &self.identifier)
            .field("audience", &self.audience)
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}
