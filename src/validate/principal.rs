use super::Rejection;
use crate::ScopeSet;
use std::{sync::Arc, time::SystemTime};

/// The holder of a token and what the token grants, in the same words for every validator.
///
/// ```
/// use tower_oauth2::validate::Principal;
///
/// let alice = Principal::new("alice").with_scopes("read write".parse()?);
/// assert_eq!(alice.subject(), Some("alice"));
/// assert!(alice.scopes().contains("read"));
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Principal {
    pub(super) subject: Option<Box<str>>,
    pub(super) client_id: Option<Box<str>>,
    pub(super) issuer: Option<Arc<str>>,
    pub(super) token_id: Option<Box<str>>,
    pub(super) audience: Audience,
    pub(super) scopes: ScopeSet,
    pub(super) issued_at: Option<SystemTime>,
    pub(super) expires_at: Option<SystemTime>,
    pub(super) acr: Option<Box<str>>,
    pub(super) authenticated_at: Option<SystemTime>,
    /// Boxed: few validators ask for any of it, and a principal is moved.
    pub(super) more: Option<Box<More>>,
}

/// What only some tokens say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct More {
    pub(super) confirmation: Option<Confirmation>,
    pub(super) roles: Vec<Box<str>>,
    pub(super) actor: Option<Actor>,
    pub(super) session_id: Option<Box<str>>,
    pub(super) authentication_methods: Vec<Box<str>>,
}

/// What a token is bound to: a request with it has to prove that it comes from the holder.
/// [`RequireToken`](crate::server::RequireToken) checks that; whoever calls a validator by itself has
/// to.
///
/// Thumbprints are SHA-256 digests in base64url without padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmation {
    pub(super) key: Option<Box<str>>,
    pub(super) certificate: Option<Box<str>>,
}

impl Confirmation {
    /// Creates the confirmation by DPoP with the key of this thumbprint (`jkt`,
    /// [RFC 9449 §6.1](https://www.rfc-editor.org/rfc/rfc9449#section-6.1)).
    #[must_use]
    pub fn from_key(thumbprint: impl Into<Box<str>>) -> Self {
        Self { key: Some(thumbprint.into()), certificate: None }
    }

    /// Creates the confirmation by mutual TLS with the certificate of this thumbprint (`x5t#S256`,
    /// [RFC 8705 §3.1](https://www.rfc-editor.org/rfc/rfc8705#section-3.1)).
    #[must_use]
    pub fn from_certificate(thumbprint: impl Into<Box<str>>) -> Self {
        Self { key: None, certificate: Some(thumbprint.into()) }
    }

    /// Asks for the certificate of this thumbprint too.
    #[must_use]
    pub fn with_certificate(mut self, thumbprint: impl Into<Box<str>>) -> Self {
        self.certificate = Some(thumbprint.into());
        self
    }

    /// Returns the thumbprint of the key that signs DPoP proofs.
    #[must_use]
    pub fn key_thumbprint(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Returns the thumbprint of the client certificate.
    #[must_use]
    pub fn certificate_thumbprint(&self) -> Option<&str> {
        self.certificate.as_deref()
    }
}

/// Who acts for the subject of a token ([RFC 8693 §4.1](https://www.rfc-editor.org/rfc/rfc8693#section-4.1)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    pub(super) subject: Option<Box<str>>,
    pub(super) issuer: Option<Box<str>>,
    pub(super) client_id: Option<Box<str>>,
    pub(super) earlier: Option<Box<Actor>>,
}

impl Actor {
    /// Creates an actor of this subject.
    #[must_use]
    pub fn new(subject: impl Into<Box<str>>) -> Self {
        Self { subject: Some(subject.into()), ..Self::default() }
    }

    /// Returns the subject (`sub`).
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// Returns the issuer that the subject is of (`iss`), if it is named.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Returns the client (`client_id`), if it is named.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// Returns the actor before this one. It tells how the token came about, and decides nothing
    /// (RFC 8693 §4.1).
    #[must_use]
    pub fn earlier(&self) -> Option<&Self> {
        self.earlier.as_deref()
    }
}

/// Most tokens have one, which saves an allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Audience {
    #[default]
    None,
    One(Box<str>),
    Many(Vec<Box<str>>),
}

impl FromIterator<Box<str>> for Audience {
    fn from_iter<I: IntoIterator<Item = Box<str>>>(names: I) -> Self {
        let mut names = names.into_iter();
        match (names.next(), names.next()) {
            (None, _) => Self::None,
            (Some(one), None) => Self::One(one),
            (Some(one), Some(two)) => Self::Many([one, two].into_iter().chain(names).collect()),
        }
    }
}

impl Principal {
    /// Creates the principal of `subject`, without scopes and without an expiry.
    #[must_use]
    pub fn new(subject: impl Into<Box<str>>) -> Self {
        Self { subject: Some(subject.into()), ..Self::default() }
    }

    /// Creates a principal without a subject: of a token that stands for a client alone.
    #[must_use]
    pub fn without_subject() -> Self {
        Self::default()
    }

    /// Sets the scopes that the token grants.
    #[must_use]
    pub fn with_scopes(mut self, scopes: ScopeSet) -> Self {
        self.scopes = scopes;
        self
    }

    /// Sets the client that the token was issued to.
    #[must_use]
    pub fn with_client_id(mut self, client_id: impl Into<Box<str>>) -> Self {
        self.client_id = Some(client_id.into());
        self
    }

    /// Sets the issuer.
    #[must_use]
    pub fn with_issuer(mut self, issuer: impl Into<Arc<str>>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Sets the audience.
    #[must_use]
    pub fn with_audience<I: IntoIterator<Item: Into<Box<str>>>>(mut self, audience: I) -> Self {
        self.audience = audience.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the identifier of the token: its `jti`, or a name that its owner gives it.
    #[must_use]
    pub fn with_token_id(mut self, token_id: impl Into<Box<str>>) -> Self {
        self.token_id = Some(token_id.into());
        self
    }

    /// Sets when the token was issued.
    #[must_use]
    pub fn with_issued_at(mut self, issued_at: SystemTime) -> Self {
        self.issued_at = Some(issued_at);
        self
    }

    /// Sets the instant at which the token expires.
    #[must_use]
    pub fn with_expiry(mut self, expires_at: SystemTime) -> Self {
        self.expires_at = Some(expires_at);
        self
    }

    /// Sets how the user authenticated (`acr`), and when (`auth_time`).
    #[must_use]
    pub fn with_authentication(
        mut self,
        acr: Option<&str>,
        authenticated_at: Option<SystemTime>,
    ) -> Self {
        self.acr = acr.map(Into::into);
        self.authenticated_at = authenticated_at;
        self
    }

    /// Sets the roles of the holder.
    #[must_use]
    pub fn with_roles<I: IntoIterator<Item: Into<Box<str>>>>(mut self, roles: I) -> Self {
        self.more_mut().roles = roles.into_iter().map(Into::into).collect();
        self
    }

    /// Sets who acts for the subject.
    #[must_use]
    pub fn with_actor(mut self, actor: Actor) -> Self {
        self.more_mut().actor = Some(actor);
        self
    }

    /// Sets the session of the user (`sid`).
    #[must_use]
    pub fn with_session_id(mut self, session_id: impl Into<Box<str>>) -> Self {
        self.more_mut().session_id = Some(session_id.into());
        self
    }

    /// Sets what the token is bound to.
    #[must_use]
    pub fn with_confirmation(mut self, confirmation: Confirmation) -> Self {
        self.more_mut().confirmation = Some(confirmation);
        self
    }

    fn more_mut(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// Returns the subject of the token (`sub`).
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// Returns the client that the token was issued to (`client_id`).
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// Returns the issuer of the token (`iss`).
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Returns the audience of the token (`aud`).
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        let audience = match &self.audience {
            Audience::None => &[],
            Audience::One(one) => std::slice::from_ref(one),
            Audience::Many(many) => many.as_slice(),
        };
        audience.iter().map(AsRef::as_ref)
    }

    /// Returns the identifier of the token (`jti`).
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        self.token_id.as_deref()
    }

    /// Returns how the user authenticated (`acr`).
    #[must_use]
    pub fn acr(&self) -> Option<&str> {
        self.acr.as_deref()
    }

    /// Returns when the user authenticated (`auth_time`).
    #[must_use]
    pub fn authenticated_at(&self) -> Option<SystemTime> {
        self.authenticated_at
    }

    /// Returns the scopes of the token (`scope`).
    #[must_use]
    pub fn scopes(&self) -> &ScopeSet {
        &self.scopes
    }

    /// Returns when the token was issued (`iat`), if that is known.
    #[must_use]
    pub fn issued_at(&self) -> Option<SystemTime> {
        self.issued_at
    }

    /// Returns when the token expires (`exp`), if that is known.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }

    /// Returns the roles of the holder, from the claims that the validator was told to read.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.more.iter().flat_map(|more| &more.roles).map(AsRef::as_ref)
    }

    /// Returns `true` if the holder has `role`, compared byte for byte.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.roles().any(|own| own == role)
    }

    /// Returns what the token is bound to (`cnf`), if it is.
    #[must_use]
    pub fn confirmation(&self) -> Option<&Confirmation> {
        self.more.as_ref()?.confirmation.as_ref()
    }

    /// Returns who acts for the subject (`act`), if the validator reads it.
    #[must_use]
    pub fn actor(&self) -> Option<&Actor> {
        self.more.as_ref()?.actor.as_ref()
    }

    /// Returns the session of the user (`sid`), if the validator reads it.
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.more.as_ref()?.session_id.as_deref()
    }

    /// Returns how the user authenticated, method by method (`amr`), if the validator reads it.
    pub fn authentication_methods(&self) -> impl Iterator<Item = &str> {
        self.more.iter().flat_map(|more| &more.authentication_methods).map(AsRef::as_ref)
    }

    pub(super) fn check_expiry(&self, now: SystemTime) -> Result<(), Rejection> {
        match self.expires_at {
            Some(expiry) if now >= expiry => Err(Rejection::expired()),
            _ => Ok(()),
        }
    }
}
