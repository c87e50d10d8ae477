//! The exchange of one token for another
//! ([RFC 8693](https://www.rfc-editor.org/rfc/rfc8693)).

use super::grant::{Exchange, absolute};
use crate::{ClientSecret, ConfigError, client::Grant};
use std::{borrow::Cow, fmt};
use zeroize::Zeroizing;

const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// What a token is, as a URI
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
    /// An access token of the authorization server that is asked.
    pub const ACCESS_TOKEN: Self = Self::known("urn:ietf:params:oauth:token-type:access_token");
    /// A refresh token of the authorization server that is asked.
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

    /// Another type.
    ///
    /// # Errors
    ///
    /// When `uri` is no absolute URI without a fragment.
    pub fn new(uri: impl Into<String>) -> Result<Self, ConfigError> {
        absolute("a token type", Self::ACCESS_TOKEN.as_str(), uri.into())
            .map(|uri| Self(Cow::Owned(uri)))
    }

    /// The URI.
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
    /// Another token in exchange for `subject_token`, which says for whom it is
    /// ([RFC 8693 §2.1](https://www.rfc-editor.org/rfc/rfc8693#section-2.1)).
    ///
    /// Its answer has to say what was issued (`issued_token_type`), and that it is sent as a
    /// Bearer token: one whose `token_type` is `N_A` is no access token, and is an error.
    ///
    /// ```
    /// use tower_oauth2::client::{Grant, TokenType};
    ///
    /// let grant = Grant::token_exchange("eyJhbGciOi", &TokenType::ACCESS_TOKEN)
    ///     .with_resource("https://backend.example/api")?;
    /// # Ok::<(), tower_oauth2::ConfigError>(())
    /// ```
    pub fn token_exchange(
        subject_token: impl Into<ClientSecret>,
        subject_token_type: &TokenType,
    ) -> Self {
        let subject_token = subject_token.into();
        let mut grant = Self::standard(&[
            ("grant_type", TOKEN_EXCHANGE),
            ("subject_token", subject_token.expose()),
            ("subject_token_type", subject_token_type.as_str()),
        ]);
        grant.exchange = Some(Exchange { type_may_miss: false });
        grant
    }

    /// Names who acts for the subject of a token exchange.
    ///
    /// # Errors
    ///
    /// When this is another grant, or names somebody already.
    pub fn with_actor_token(
        self,
        actor_token: impl Into<ClientSecret>,
        actor_token_type: &TokenType,
    ) -> Result<Self, ConfigError> {
        self.with_exchanged("actor_token", actor_token.into().expose())?
            .with_exchanged("actor_token_type", actor_token_type.as_str())
    }

    /// Names what a token exchange is to issue. Defaults to what the server thinks fit.
    ///
    /// # Errors
    ///
    /// When this is another grant, or names a type already.
    pub fn with_requested_token_type(self, requested: &TokenType) -> Result<Self, ConfigError> {
        self.with_exchanged("requested_token_type", requested.as_str())
    }

    /// Takes an answer to a token exchange that does not say what was issued, of a server that
    /// leaves it out. Other grants are not changed by it.
    pub fn allow_missing_issued_token_type(mut self) -> Self {
        if let Some(exchange) = &mut self.exchange {
            exchange.type_may_miss = true;
        }
        self
    }

    fn with_exchanged(mut self, name: &'static str, value: &str) -> Result<Self, ConfigError> {
        if self.exchange.is_none() {
            return Err(ConfigError::new(format!(
                "{name} is of a token exchange: see Grant::token_exchange"
            )));
        }
        if self.params.iter().any(|(own, _)| *own == name) {
            return Err(ConfigError::new(format!("the parameter {name:?} is there twice")));
        }
        self.params.push((name, Zeroizing::new(value.to_owned())));
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_an_exchange_goes_to_no_other_grant_and_is_there_once() {
        let other = Grant::client_credentials();
        assert!(other.clone().with_actor_token("A", &TokenType::JWT).is_err());
        assert!(other.clone().with_requested_token_type(&TokenType::JWT).is_err());
        assert_eq!(other.allow_missing_issued_token_type().exchange, None);

        let exchange = Grant::token_exchange("S", &TokenType::ID_TOKEN);
        let once = exchange.with_actor_token("A", &TokenType::JWT).unwrap();
        assert!(once.clone().with_actor_token("A", &TokenType::JWT).is_err());
        let once = once.with_requested_token_type(&TokenType::ACCESS_TOKEN).unwrap();
        assert!(once.clone().with_requested_token_type(&TokenType::JWT).is_err());
        assert!(once.allow_missing_issued_token_type().exchange.unwrap().type_may_miss);
    }

    #[test]
    fn a_token_type_is_an_absolute_uri() {
        for bad in ["", "jwt", "urn:", "https://as.example/#x"] {
            assert!(TokenType::new(bad).is_err(), "{bad}");
        }
        assert_eq!(TokenType::new(TokenType::JWT.as_str()), Ok(TokenType::JWT));
    }
}
