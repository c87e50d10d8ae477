use super::parameters::{RESOURCE, absolute, new_param};
use crate::{
    ClientSecret, ClientSecretSource, ConfigError, ScopeSet,
    back_channel::{
        assertion::Assertion, client_authentication::Asked, form_post::Params, secrets::Secrets,
    },
};
use std::{fmt, sync::Arc};
use zeroize::Zeroizing;

/// Names that a standard grant sets itself.
const RESERVED: &[&str] = &[
    "grant_type",
    "scope",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "audience",
    "resource",
    "code",
    "code_verifier",
    "redirect_uri",
    "refresh_token",
    "username",
    "password",
    "assertion",
    "subject_token",
    "subject_token_type",
    "actor_token",
    "actor_token_type",
    "requested_token_type",
];

/// Names that an extension grant may not set: those of the client, and those with a setter.
const CLIENTS: &[&str] = &[
    "grant_type",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "scope",
    "audience",
    "resource",
];

/// Parameters that hold no secret.
const SHOWN: &[&str] = &[
    "grant_type",
    "client_id",
    "client_assertion_type",
    "scope",
    "audience",
    "resource",
    "redirect_uri",
    "username",
    "subject_token_type",
    "actor_token_type",
    "requested_token_type",
];

pub(super) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// An authorization grant, which a client sends to get an access token
/// ([RFC 6749 §1.3](https://www.rfc-editor.org/rfc/rfc6749#section-1.3)).
///
/// ```
/// use tower_oauth2::client::Grant;
///
/// let grant = Grant::client_credentials()
///     .with_scopes("read write".parse()?)
///     .with_audience("https://api.example");
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Grant {
    /// Begins with `grant_type`. Some values are secret, so all are zeroized.
    pub(in crate::client) params: Vec<(&'static str, Zeroizing<String>)>,
    /// Read for each attempt.
    sources: Vec<(&'static str, ClientSecretSource)>,
    /// Signed for each attempt.
    pub(super) assertion: Option<Arc<dyn Assertion>>,
    /// `Some` for a token exchange, whose answer has a member of its own.
    pub(in crate::client) exchange: Option<Exchange>,
    own_form: Option<Vec<(String, ClientSecret)>>,
    scopes: ScopeSet,
    audiences: Vec<String>,
    resources: Vec<String>,
    extras: Vec<(String, ClientSecret)>,
}

/// What the answer to a token exchange must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) struct Exchange {
    pub(in crate::client) allow_missing_type: bool,
}

impl Grant {
    pub(in crate::client) fn standard(params: &[(&'static str, &str)]) -> Self {
        Self {
            params: params.iter().map(|(name, v)| (*name, Zeroizing::new((*v).into()))).collect(),
            sources: Vec::new(),
            assertion: None,
            exchange: None,
            own_form: None,
            scopes: ScopeSet::empty(),
            audiences: Vec::new(),
            resources: Vec::new(),
            extras: Vec::new(),
        }
    }

    /// Sends no more than the client's own credentials
    /// ([RFC 6749 §4.4](https://www.rfc-editor.org/rfc/rfc6749#section-4.4)).
    pub fn client_credentials() -> Self {
        Self::standard(&[("grant_type", "client_credentials")])
    }

    /// Sends a user's name and password as a standard grant
    /// ([RFC 6749 §4.3](https://www.rfc-editor.org/rfc/rfc6749#section-4.3)), which OAuth 2.1
    /// removed. For an endpoint with a form of its own see [`form`](Self::form).
    pub fn password(username: &str, password: &ClientSecret) -> Self {
        Self::standard(&[
            ("grant_type", "password"),
            ("username", username),
            ("password", password.expose()),
        ])
    }

    /// Sends a refresh token
    /// ([RFC 6749 §6](https://www.rfc-editor.org/rfc/rfc6749#section-6)) with one request. Most can
    /// be used once: to go on with a session, use [`TokenCache::from_refresh_token`].
    ///
    /// [`TokenCache::from_refresh_token`]: crate::client::TokenCache::from_refresh_token
    pub fn refresh_token(refresh_token: &ClientSecret) -> Self {
        Self::standard(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token.expose()),
        ])
    }

    /// Sends an assertion of another issuer, usually a JWT
    /// ([RFC 7523 §2.1](https://www.rfc-editor.org/rfc/rfc7523#section-2.1)). Most expire within
    /// minutes: a [`ClientSecretSource`] reads a new one from a file or a closure at each attempt, and
    /// `signed_jwt_bearer` (feature `jwt`) signs one. A JWT from a file or a closure that has expired
    /// is an error of the kind [`Source`](crate::client::ErrorKind::Source), and nothing is sent.
    ///
    /// ```
    /// use tower_oauth2::{ClientSecretSource, client::Grant};
    ///
    /// let assertion = ClientSecretSource::from_file("/var/run/secrets/tokens/api");
    /// let grant = Grant::jwt_bearer(assertion);
    /// ```
    pub fn jwt_bearer(assertion: impl Into<ClientSecretSource>) -> Self {
        let grant = Self::standard(&[("grant_type", JWT_BEARER)]);
        grant.with_source("assertion", assertion.into())
    }

    /// Adds a parameter that is secret, and may change.
    pub(super) fn with_source(mut self, name: &'static str, source: ClientSecretSource) -> Self {
        match source.fixed() {
            Some(secret) => self.params.push((name, secret.expose().to_owned().into())),
            None => self.sources.push((name, source)),
        }
        self
    }

    /// Returns `true` if it has the parameter `name` of its own.
    pub(super) fn has_param(&self, name: &str) -> bool {
        let sources = self.sources.iter().map(|(own, _)| *own);
        self.params.iter().map(|(own, _)| *own).chain(sources).any(|own| own == name)
    }

    /// Returns `true` if a parameter may change by itself.
    pub(in crate::client) fn may_change(&self) -> bool {
        !self.sources.is_empty()
    }

    /// Returns `true` if a parameter has changed since it was last sent.
    pub(in crate::client) fn has_changed(&self) -> bool {
        self.sources.iter().any(|(_, source)| source.has_changed())
    }

    /// Returns a grant that remembers what it sent last apart from this one.
    pub(in crate::client) fn detached(mut self) -> Self {
        self.sources.iter_mut().for_each(|(_, source)| *source = source.detached());
        self
    }

    /// Sends the code of a sign-in
    /// ([RFC 6749 §4.1.3](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3)).
    pub(in crate::client) fn authorization_code(
        code: &str,
        redirect_uri: &str,
        code_verifier: Option<&str>,
    ) -> Self {
        let mut grant = Self::standard(&[
            ("grant_type", "authorization_code"),
            ("redirect_uri", redirect_uri),
            ("code", code),
        ]);
        let verifier = code_verifier.map(|it| ("code_verifier", Zeroizing::new(it.to_owned())));
        grant.params.extend(verifier);
        grant
    }

    /// Sends a grant of another type with `params`
    /// ([RFC 6749 §4.5](https://www.rfc-editor.org/rfc/rfc6749#section-4.5)). The client
    /// authenticates as with every standard grant.
    ///
    /// ```
    /// use tower_oauth2::client::Grant;
    ///
    /// let grant = Grant::extension("account_credentials", [("account_id", "A-1")])?;
    /// # Ok::<(), tower_oauth2::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If `grant_type` is neither a name nor a URI, or a parameter has no name, is set twice, or is one that the client
    /// or another method of the grant sets, such as `scope`.
    pub fn extension<N: Into<String>, V: Into<ClientSecret>>(
        grant_type: &str,
        params: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, ConfigError> {
        // RFC 6749, appendix A.10.
        let is_named = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
        if grant_type.is_empty() || !grant_type.bytes().all(is_named) {
            return Err(ConfigError::new(format!(
                "the grant type {grant_type:?} is neither a name nor a URI; use that of the server"
            )));
        }
        let mut grant = Self::standard(&[("grant_type", grant_type)]);
        for (name, value) in params {
            let name = new_param(name.into(), "grant", CLIENTS, &grant.extras)?;
            grant.extras.push((name, value.into()));
        }
        Ok(grant)
    }

    /// Sends these fields and nothing else, for an endpoint that is not an OAuth token endpoint. The
    /// client of the [`TokenEndpoint`] does not authenticate: its identifier and its secret are
    /// sent only if they are among the fields. For another `grant_type` at a token endpoint see
    /// [`extension`](Self::extension).
    ///
    /// [`TokenEndpoint`]: crate::client::TokenEndpoint
    ///
    /// ```
    /// use tower_oauth2::client::Grant;
    ///
    /// let log_in = Grant::form([("username", "alice"), ("password", "s3cr3t")]);
    /// ```
    pub fn form<N, V>(fields: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<String>,
        V: Into<ClientSecret>,
    {
        let fields = fields.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self { own_form: Some(fields.collect()), ..Self::standard(&[]) }
    }

    /// Requests `scopes`. Defaults to none: the server decides.
    pub fn with_scopes(mut self, scopes: ScopeSet) -> Self {
        self.scopes = scopes;
        self
    }

    /// Requests a token for `audience`, a parameter that many servers know. Another call adds another
    /// audience ([RFC 8693 §2.1](https://www.rfc-editor.org/rfc/rfc8693#section-2.1)). Defaults to
    /// none.
    pub fn with_audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// Requests a token for `resource`
    /// ([RFC 8707 §2](https://www.rfc-editor.org/rfc/rfc8707#section-2)). Another call adds another
    /// resource. Defaults to none.
    ///
    /// # Errors
    ///
    /// If `resource` is not an absolute URI without a fragment.
    pub fn with_resource(mut self, resource: impl Into<String>) -> Result<Self, ConfigError> {
        self.resources.push(absolute("the resource", RESOURCE, resource.into())?);
        Ok(self)
    }

    /// Requests a token for `resource`, which need not be a URI, for servers with names of their own
    /// there, such as the client identifiers of AD FS. Another call adds another resource. Defaults
    /// to none.
    pub fn with_non_uri_resource(mut self, resource: impl Into<String>) -> Self {
        self.resources.push(resource.into());
        self
    }

    /// Adds `params`, which are checked.
    pub(in crate::client) fn with_params(mut self, params: &[(String, ClientSecret)]) -> Self {
        self.extras.extend_from_slice(params);
        self
    }

    /// Requests a token for `resources`, which are checked.
    pub(in crate::client) fn with_resources(mut self, resources: &[String]) -> Self {
        self.resources.extend_from_slice(resources);
        self
    }

    /// Adds a parameter to the standard ones. Defaults to none.
    ///
    /// # Errors
    ///
    /// If `name` is empty, set already, or a name that the grant sets itself.
    pub fn with_param(
        mut self,
        name: impl Into<String>,
        value: impl Into<ClientSecret>,
    ) -> Result<Self, ConfigError> {
        let name = new_param(name.into(), "grant", RESERVED, &self.extras)?;
        self.extras.push((name, value.into()));
        Ok(self)
    }

    /// Returns the requested scopes.
    #[must_use]
    pub fn scopes(&self) -> &ScopeSet {
        &self.scopes
    }

    /// Returns the `grant_type`, or `None` for [`form`](Self::form).
    pub(in crate::client) fn kind(&self) -> Option<&str> {
        let mut params = self.params.iter().filter(|_| self.is_standard());
        let kind = params.find(|(name, _)| *name == "grant_type");
        kind.map(|(_, value)| value.as_str())
    }

    /// Returns `true` if the client authenticates.
    pub(in crate::client) fn is_standard(&self) -> bool {
        self.own_form.is_none()
    }

    /// Returns what identifies the tokens of this grant: the parameters that stay the same at each
    /// attempt, and the claims of an assertion. They are secret.
    pub(in crate::client) fn identity(&self) -> Vec<(&str, Zeroizing<String>)> {
        let own = self.params.iter().map(|(name, value)| (*name, value.clone()));
        let forms = self.own_form.iter().flatten().chain(&self.extras);
        let forms = forms.map(|(name, value)| (name.as_str(), value.expose().to_owned().into()));
        let assertion = self.assertion.iter().map(|it| ("assertion", it.identity()));
        let audience = self.audiences.iter().map(|it| ("audience", it.clone().into()));
        let resources = self.resources.iter().map(|it| ("resource", it.clone().into()));
        let mut scopes: Vec<_> = self.scopes.iter().collect();
        scopes.sort_unstable();
        let scopes = scopes.into_iter().map(|it| ("scope", it.to_owned().into()));
        own.chain(forms).chain(assertion).chain(audience).chain(resources).chain(scopes).collect()
    }

    /// Returns every parameter in its order, and adds the secret ones to `secrets`.
    ///
    /// # Errors
    ///
    /// If an assertion cannot be signed, or a source has nothing or an expired JWT.
    pub(in crate::client) fn params(
        &self,
        asked: Asked<'_>,
        secrets: &mut Secrets,
    ) -> Result<Params<'_>, Box<str>> {
        let mut all = Params::new();
        for (name, value) in &self.params {
            if !SHOWN.contains(name) {
                secrets.add(value);
            }
            all.push((*name, value.clone()));
        }
        for (name, source) in &self.sources {
            let secret = source.unexpired(asked.clock.wall())?;
            secrets.add(secret.expose());
            all.push((*name, secret.expose().to_owned().into()));
        }
        if let Some(assertion) = &self.assertion {
            let signed = assertion.sign(&asked.endpoint.to_string(), "JWT", asked.clock)?;
            secrets.add(&signed);
            all.push(("assertion", signed));
        }
        for (name, value) in self.own_form.iter().flatten().chain(&self.extras) {
            if !SHOWN.contains(&name.as_str()) {
                secrets.add(value.expose());
            }
            all.push((name.as_str(), value.expose().to_owned().into()));
        }
        if !self.scopes.is_empty() {
            all.push(("scope", self.scopes.to_string().into()));
        }
        all.extend(self.audiences.iter().map(|audience| ("audience", audience.clone().into())));
        all.extend(self.resources.iter().map(|resource| ("resource", resource.clone().into())));
        Ok(all)
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = self.own_form.iter().flatten().map(|(name, _)| name.as_str());
        let sources = self.sources.iter().map(|(name, _)| *name);
        let names = self.params.iter().map(|(name, _)| *name).chain(sources).chain(own);
        f.debug_struct("Grant")
            .field("params", &names.collect::<Vec<_>>())
            .field("scopes", &self.scopes)
            .field("audiences", &self.audiences)
            .field("resources", &self.resources)
            .field("assertion", &self.assertion)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Clock;

    fn names(grant: &Grant) -> Vec<String> {
        let endpoint = http::Uri::from_static("https://as.example/token");
        let asked =
            Asked { endpoint: &endpoint, issuer: None, clock: &Clock::system(), proof: None };
        let params = grant.params(asked, &mut Secrets::default()).unwrap();
        params.into_iter().map(|(name, _)| name.to_owned()).collect()
    }

    // case: auth-10
    #[test]
    fn a_reserved_parameter_is_an_error_that_names_it() {
        for name in ["grant_type", "scope", "client_id", "client_secret", "resource"] {
            let error = Grant::client_credentials().with_param(name, "x").unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
        let twice = Grant::client_credentials().with_param("a", "1").unwrap();
        assert!(twice.with_param("a", "2").is_err());
        let own = Grant::form([("grant_type", "x"), ("client_id", "y")]);
        assert_eq!(names(&own), ["grant_type", "client_id"]);
    }

    #[test]
    fn resources_are_absolute_and_repeat() {
        let grant = Grant::client_credentials();
        for bad in ["api", "/x", "https:", "https://x#f"] {
            assert!(grant.clone().with_resource(bad).is_err(), "{bad}");
        }
        let two = grant.with_resource("https://a").unwrap().with_resource("urn:b").unwrap();
        assert_eq!(names(&two), ["grant_type", "resource", "resource"]);
    }
}
