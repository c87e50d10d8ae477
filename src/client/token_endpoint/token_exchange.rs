//! The exchange of one token for another
//! ([RFC 8693](https://www.rfc-editor.org/rfc/rfc8693)).

use super::{
    grant::Exchange,
    parameters::{absolute, set_twice},
};
use crate::{ClientSecretSource, ConfigError, client::Grant};
use std::{borrow::Cow, fmt};

const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// The type of a token, as a URI
/// ([RFC 8693 §3](https://www.rfc-editor.org/rfc/rfc8693#section-3)).
///
/// ```
/// use tower_oauth2::client::TokenType;
///
/// let own = TokenType::new("https://as.example/token-types/ticket")?;
/// assert_ne!(own, TokenType::ACCESS_TOKEN);
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenType(Cow<'static, str>);

impl TokenType {
    /// An access token of the authorization server that gets the request.
    pub const ACCESS_TOKEN: Self = Self::known("urn:ietf:params:oauth:token-type:access_token");
    /// A refresh token of the authorization server that gets the request.
    pub const REFRESH_TOKEN: Self = Self::known("urn:ietf:params:oauth:token-type:refresh_token");
    /// An ID token of OpenID Connect.
    pub const ID_TOKEN: Self = Self::known("urn:ietf:params:oauth:token-type:id_token");
    /// Any JWT.
    pub const JWT: Self = Self::known("urn:ietf:params:oauth:token-type:jwt");
    /// A SAML 1.1 assertion, in base64url.
    pub const SAML1: Self = Self::known("urn:ietf:params:oauth:token-type:saml1");
    /// A SAML 2.0 assertion, in base64url.
    pub const SAML2: Self = Self::known("urn:ietf:params:oauth:token-type:saml2");

    const fn known(uri: &'static str) -> Self {
        Self(Cow::Borrowed(uri))
    }

    /// Names another type.
    ///
    /// # Errors
    ///
    /// If `uri` is not an absolute URI without a fragment.
    pub fn new(uri: impl Into<String>) -> Result<Self, ConfigError> {
        absolute("the token type", Self::ACCESS_TOKEN.as_str(), uri.into())
            .map(|uri| Self(Cow::Owned(uri)))
    }

    /// Returns the URI.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TokenType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Token exchange.
impl Grant {
    /// Exchanges `subject_token` for another token of its subject
    /// ([RFC 8693 §2.1](https://www.rfc-editor.org/rfc/rfc8693#section-2.1)).
    ///
    /// The answer must name the type of the issued token (`issued_token_type`). A `token_type` of
    /// `N_A` is an error: such a token is not an access token.
    ///
    /// ```
    /// use tower_oauth2::client::{Grant, TokenType};
    ///
    /// let grant = Grant::token_exchange("eyJhbGciOi", &TokenType::ACCESS_TOKEN)
    ///     .with_resource("https://backend.example/api")?;
    /// # Ok::<(), tower_oauth2::ConfigError>(())
    /// ```
    ///
    /// A [`ClientSecretSource`] reads the subject token from a file or a closure at each attempt. If
    /// that is a JWT that has expired, nothing is sent.
    pub fn token_exchange(
        subject_token: impl Into<ClientSecretSource>,
        subject_token_type: &TokenType,
    ) -> Self {
        let mut grant = Self::standard(&[("grant_type", TOKEN_EXCHANGE)])
            .with_source("subject_token", subject_token.into());
        let typ = subject_token_type.as_str().to_owned();
        grant.params.push(("subject_token_type", typ.into()));
        grant.exchange = Some(Exchange { allow_missing_type: false });
        grant
    }

    /// Sets the token of the party that acts for the subject of a token exchange. Defaults to none.
    ///
    /// # Errors
    ///
    /// If this grant is not a token exchange, or has an actor token.
    pub fn with_actor_token(
        self,
        actor_token: impl Into<ClientSecretSource>,
        actor_token_type: &TokenType,
    ) -> Result<Self, ConfigError> {
        self.with_exchanged("actor_token", actor_token.into())?
            .with_exchanged("actor_token_type", actor_token_type.as_str().into())
    }

    /// Requests a type of token from a token exchange. Defaults to none: the server decides.
    ///
    /// # Errors
    ///
    /// If this grant is not a token exchange, or requests a type.
    pub fn with_requested_token_type(self, requested: &TokenType) -> Result<Self, ConfigError> {
        self.with_exchanged("requested_token_type", requested.as_str().into())
    }

    /// Accepts an answer to a token exchange without `issued_token_type`, for servers that leave it
    /// out. Does not change other grants.
    pub fn allow_missing_issued_token_type(mut self) -> Self {
        if let Some(exchange) = &mut self.exchange {
            exchange.allow_missing_type = true;
        }
        self
    }

    fn with_exchanged(
        self,
        name: &'static str,
        value: ClientSecretSource,
    ) -> Result<Self, ConfigError> {
        if self.exchange.is_none() {
            return Err(ConfigError::new(format!(
                "only a token exchange has {name}; see Grant::token_exchange"
            )));
        }
        match self.has_param(name) {
            true => Err(set_twice(name)),
            false => Ok(self.with_source(name, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_an_exchange_are_refused_for_other_grants_and_when_set_twice() {
        let other = Grant::client_credentials();
        assert!(other.clone().with_actor_token("A", &TokenType::JWT).is_err());
        assert!(other.clone().with_requested_token_type(&TokenType::JWT).is_err());
        assert_eq!(other.allow_missing_issued_token_type().exchange, None);

        let exchange = Grant::token_exchange("S", &TokenType::ID_TOKEN);
        let once = exchange.with_actor_token("A", &TokenType::JWT).unwrap();
        assert!(once.clone().with_actor_token("A", &TokenType::JWT).is_err());
        let once = once.with_requested_token_type(&TokenType::ACCESS_TOKEN).unwrap();
        assert!(once.clone().with_requested_token_type(&TokenType::JWT).is_err());
        assert!(once.allow_missing_issued_token_type().exchange.unwrap().allow_missing_type);
    }

    #[test]
    fn a_token_type_is_an_absolute_uri() {
        for bad in ["", "jwt", "urn:", "https://as.example/#x"] {
            assert!(TokenType::new(bad).is_err(), "{bad}");
        }
        assert_eq!(TokenType::new(TokenType::JWT.as_str()), Ok(TokenType::JWT));
    }
}
