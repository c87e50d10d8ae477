use super::jwts::ClientKeys;
use crate::{ClientSecret, ConfigError, ScopeSet, testing::authorization_server::answer::Refusal};

/// A client of an [`AuthorizationServer`](crate::testing::AuthorizationServer).
///
/// ```
/// use tower_oauth2::testing::RegisteredClient;
///
/// let client = RegisteredClient::confidential("app", "s3cr3t")
///     .with_redirect_uri("http://127.0.0.1:8080/callback")?
///     .with_scopes("read write".parse()?);
/// assert_eq!(client.id(), "app");
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct RegisteredClient {
    id: Box<str>,
    secret: Option<ClientSecret>,
    redirect_uris: Vec<Box<str>>,
    scopes: Option<ScopeSet>,
    pub(crate) keys: ClientKeys,
    pub(crate) needs_proof: bool,
}

impl RegisteredClient {
    /// Creates a client that authenticates with `secret`.
    pub fn confidential(id: impl Into<Box<str>>, secret: impl Into<ClientSecret>) -> Self {
        Self { secret: Some(secret.into()), ..Self::public(id) }
    }

    /// Creates a client without a secret, which only names itself. It gets tokens of users, and no
    /// token of its own.
    pub fn public(id: impl Into<Box<str>>) -> Self {
        let (redirect_uris, keys) = (Vec::new(), ClientKeys::default());
        Self { id: id.into(), secret: None, redirect_uris, scopes: None, keys, needs_proof: false }
    }

    /// Adds a redirect URI. A request must name it byte for byte ([RFC 9700 §2.1]). Defaults to none.
    ///
    /// # Errors
    ///
    /// When `uri` has no scheme, a fragment ([RFC 6749 §3.1.2]) or a character that is not
    /// visible ASCII.
    ///
    /// [RFC 9700 §2.1]: https://www.rfc-editor.org/rfc/rfc9700#section-2.1
    /// [RFC 6749 §3.1.2]: https://www.rfc-editor.org/rfc/rfc6749#section-3.1.2
    pub fn with_redirect_uri(mut self, uri: impl Into<Box<str>>) -> Result<Self, ConfigError> {
        let uri = uri.into();
        if !uri.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ConfigError::new(
                "the redirect URI has a character that is not visible ASCII; percent-encode it",
            ));
        }
        if uri.split_once(':').is_none_or(|(scheme, _)| scheme.is_empty()) || uri.contains('#') {
            return Err(ConfigError::new(
                "the redirect URI is not an absolute URI without a fragment; begin it with a \
                 scheme, and end it before the `#`",
            ));
        }
        self.redirect_uris.push(uri);
        Ok(self)
    }

    /// Sets the scopes that the client may have. It gets all of them if it asks for none. Defaults
    /// to the scopes that it asks for.
    pub fn with_scopes(mut self, scopes: ScopeSet) -> Self {
        self.scopes = Some(scopes);
        self
    }

    /// Refuses the client without a DPoP proof (`dpop_bound_access_tokens`, [RFC 9449 §5.2]; feature
    /// `jwt`). Defaults to Bearer tokens for requests without a proof.
    ///
    /// [RFC 9449 §5.2]: https://www.rfc-editor.org/rfc/rfc9449#section-5.2
    pub fn with_bound_tokens(mut self) -> Self {
        self.needs_proof = true;
        self
    }

    /// Returns the id of the client.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn secret(&self) -> Option<&ClientSecret> {
        self.secret.as_ref()
    }

    /// Returns `true` if the client only names itself.
    pub(crate) fn is_public(&self) -> bool {
        self.secret.is_none() && self.keys.is_empty()
    }

    pub(crate) fn redirect_uris(&self) -> &[Box<str>] {
        &self.redirect_uris
    }

    /// Returns the scopes that the client is granted for itself.
    ///
    /// # Errors
    ///
    /// When none of the `requested` scopes is allowed.
    pub(crate) fn own_scopes(&self, requested: &ScopeSet) -> Result<ScopeSet, Refusal> {
        narrow(requested, self.scopes.as_ref().unwrap_or(requested))
    }

    /// Returns the scopes that the client is granted on behalf of a user with these `rights`.
    ///
    /// # Errors
    ///
    /// As [`own_scopes`](Self::own_scopes).
    pub(crate) fn user_scopes(
        &self,
        requested: &ScopeSet,
        rights: &ScopeSet,
    ) -> Result<ScopeSet, Refusal> {
        match &self.scopes {
            None => narrow(requested, rights),
            Some(own) => narrow(requested, &intersection(rights, own)),
        }
    }
}

/// Returns the `requested` scopes that are allowed, or all that are allowed if none is requested.
fn narrow(requested: &ScopeSet, allowed: &ScopeSet) -> Result<ScopeSet, Refusal> {
    if requested.is_empty() {
        return Ok(allowed.clone());
    }
    let granted = intersection(requested, allowed);
    match granted.is_empty() {
        true => Err(Refusal::invalid_scope()),
        false => Ok(granted),
    }
}

fn intersection(one: &ScopeSet, other: &ScopeSet) -> ScopeSet {
    one.filtered(|scope| other.contains(scope))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_uri_is_absolute_and_has_no_fragment() {
        let add = |uri: &str| RegisteredClient::public("app").with_redirect_uri(uri);
        for good in ["http://127.0.0.1:1/cb", "https://app.example/cb?x=1", "com.example.app:/cb"] {
            assert!(add(good).is_ok(), "{good}");
        }
        for bad in ["", "/cb", "://x", "https://app.example/#x", "https://a b/", "https://\u{e9}/"]
        {
            assert!(add(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn granted_scopes_are_those_that_both_the_user_and_the_client_have() {
        let set = |scopes: &str| scopes.parse::<ScopeSet>().unwrap();
        let (any, bound) = (RegisteredClient::public("app"), set("a b"));
        let bound = RegisteredClient::public("app").with_scopes(bound);
        assert_eq!(any.own_scopes(&set("x y")), Ok(set("x y")));
        assert_eq!(bound.own_scopes(&set("")), Ok(set("a b")));
        assert_eq!(bound.own_scopes(&set("x b")), Ok(set("b")));
        assert_eq!(bound.own_scopes(&set("x")), Err(Refusal::invalid_scope()));
        assert_eq!(any.user_scopes(&set(""), &set("b c")), Ok(set("b c")));
        assert_eq!(bound.user_scopes(&set(""), &set("b c")), Ok(set("b")));
        assert_eq!(bound.user_scopes(&set("c"), &set("b c")), Err(Refusal::invalid_scope()));
    }

    #[test]
    fn debug_does_not_show_the_secret() {
        let client = RegisteredClient::confidential("app", "hunter2");
        assert!(!format!("{client:?} {client:#?}").contains("hunter2"));
    }
}
