use super::{answer::Refusal, assertions::ClientKeys};
use crate::{ClientSecret, ConfigError, ScopeSet};

/// A client as an [`AuthorizationServer`](super::AuthorizationServer) knows it.
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
    #[cfg_attr(not(feature = "jwt"), allow(dead_code, reason = "only assertions are signed"))]
    pub(super) keys: ClientKeys,
}

impl RegisteredClient {
    /// A client that authenticates with `secret`.
    pub fn confidential(id: impl Into<Box<str>>, secret: impl Into<ClientSecret>) -> Self {
        Self { secret: Some(secret.into()), ..Self::public(id) }
    }

    /// A client without a secret, which only names itself. It is given no token of its own, only
    /// those of users.
    pub fn public(id: impl Into<Box<str>>) -> Self {
        let (redirect_uris, keys) = (Vec::new(), ClientKeys::default());
        Self { id: id.into(), secret: None, redirect_uris, scopes: None, keys }
    }

    /// Adds an address that a browser may be sent back to; requests must name it byte for byte
    /// ([RFC 9700 §2.1]). Defaults to none.
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
                "the redirect URI holds a character that is not visible ASCII",
            ));
        }
        if uri.split_once(':').is_none_or(|(scheme, _)| scheme.is_empty()) || uri.contains('#') {
            return Err(ConfigError::new("the redirect URI is no absolute URI without a fragment"));
        }
        self.redirect_uris.push(uri);
        Ok(self)
    }

    /// The scopes that the client may have, which are also what it gets where it asks for none.
    /// Defaults to whatever it asks for.
    pub fn with_scopes(mut self, scopes: ScopeSet) -> Self {
        self.scopes = Some(scopes);
        self
    }

    /// The client's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn secret(&self) -> Option<&ClientSecret> {
        self.secret.as_ref()
    }

    /// Whether it only names itself.
    pub(super) fn is_public(&self) -> bool {
        self.secret.is_none() && !self.is_asserting()
    }

    pub(super) fn redirect_uris(&self) -> &[Box<str>] {
        &self.redirect_uris
    }

    /// What the client is granted for itself.
    ///
    /// # Errors
    ///
    /// When nothing of what is `asked` is allowed.
    pub(super) fn own_scopes(&self, asked: &ScopeSet) -> Result<ScopeSet, Refusal> {
        narrow(asked, self.scopes.as_ref().unwrap_or(asked))
    }

    /// What the client is granted in the name of a user with these `rights`.
    ///
    /// # Errors
    ///
    /// As [`own_scopes`](Self::own_scopes).
    pub(super) fn users_scopes(
        &self,
        asked: &ScopeSet,
        rights: &ScopeSet,
    ) -> Result<ScopeSet, Refusal> {
        match &self.scopes {
            None => narrow(asked, rights),
            Some(own) => narrow(asked, &both(rights, own)),
        }
    }
}

/// What is allowed of `asked`, and all that is allowed where nothing was asked for.
fn narrow(asked: &ScopeSet, allowed: &ScopeSet) -> Result<ScopeSet, Refusal> {
    if asked.is_empty() {
        return Ok(allowed.clone());
    }
    let granted = both(asked, allowed);
    match granted.is_empty() {
        true => Err(Refusal::invalid_scope()),
        false => Ok(granted),
    }
}

fn both(one: &ScopeSet, other: &ScopeSet) -> ScopeSet {
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
    fn no_more_is_granted_than_the_user_has_and_the_client_may() {
        let set = |scopes: &str| scopes.parse::<ScopeSet>().unwrap();
        let (any, bound) = (RegisteredClient::public("app"), set("a b"));
        let bound = RegisteredClient::public("app").with_scopes(bound);
        assert_eq!(any.own_scopes(&set("x y")), Ok(set("x y")));
        assert_eq!(bound.own_scopes(&set("")), Ok(set("a b")));
        assert_eq!(bound.own_scopes(&set("x b")), Ok(set("b")));
        assert_eq!(bound.own_scopes(&set("x")), Err(Refusal::invalid_scope()));
        assert_eq!(any.users_scopes(&set(""), &set("b c")), Ok(set("b c")));
        assert_eq!(bound.users_scopes(&set(""), &set("b c")), Ok(set("b")));
        assert_eq!(bound.users_scopes(&set("c"), &set("b c")), Err(Refusal::invalid_scope()));
    }

    #[test]
    fn its_secret_does_not_show() {
        let client = RegisteredClient::confidential("app", "hunter2");
        assert!(!format!("{client:?} {client:#?}").contains("hunter2"));
    }
}
