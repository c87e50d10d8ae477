//! Client authentication ([RFC 6749 §2.3](https://www.rfc-editor.org/rfc/rfc6749#section-2.3)).

use super::{assertion::Assertion, secret_source::ClientSecretSource, secrets::Secrets};
use crate::{
    ClientSecret, Clock,
    vocabulary::{
        bond::{Prove, Server},
        token::sensitive_header,
    },
};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderValue, Uri, header::AUTHORIZATION};
use std::{error::Error, path::PathBuf, sync::Arc};
use zeroize::Zeroizing;

/// Authenticates a client at an endpoint of the authorization server.
///
/// ```
/// use tower_oauth2::ClientAuthentication;
///
/// let usual = ClientAuthentication::basic("id", "s3cr3t");
/// let without_a_secret = ClientAuthentication::public("id");
/// assert!(!format!("{usual:?}").contains("s3cr3t"));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ClientAuthentication {
    pub(super) client_id: Option<Box<str>>,
    pub(super) secret: Option<ClientSecretSource>,
    pub(super) method: Method,
}

#[derive(Clone, Debug)]
pub(super) enum Method {
    Basic {
        raw: bool,
    },
    Post,
    Query,
    #[cfg_attr(not(feature = "jwt"), allow(dead_code, reason = "that feature signs them"))]
    Assertion {
        assertion: Arc<dyn Assertion>,
        /// Defaults to the issuer where it is known, else to the URL of the endpoint.
        audience: Option<Box<str>>,
        typ: Box<str>,
    },
    /// The secret is an assertion that others issued.
    Presented {
        /// `client_assertion_type`.
        typ: Box<str>,
    },
    Tls,
    None,
}

/// `client_assertion_type` of [RFC 7523 §2.2](https://www.rfc-editor.org/rfc/rfc7523#section-2.2).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The request in which a client authenticates.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) endpoint: &'a Uri,
    /// The issuer of the endpoint, where it is known.
    pub(crate) issuer: Option<&'a str>,
    /// Shows the time, and draws the name of an assertion.
    pub(crate) clock: &'a Clock,
    /// The key whose possession is proved, if the answer is to be bound to one.
    pub(crate) proof: Option<Proof<'a>>,
}

/// A key, and the server that reads its proof.
#[derive(Clone, Copy)]
pub(crate) struct Proof<'a> {
    pub(crate) key: &'a Arc<dyn Prove>,
    pub(crate) server: &'a Server,
}

type Header = (http::HeaderName, HeaderValue);

impl ClientAuthentication {
    fn with_secret(
        client_id: impl Into<Box<str>>,
        secret: impl Into<ClientSecretSource>,
        method: Method,
    ) -> Self {
        Self { client_id: Some(client_id.into()), secret: Some(secret.into()), method }
    }

    /// Sends `Authorization: Basic`, with id and secret form-encoded
    /// ([RFC 6749 §2.3.1](https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1)).
    pub fn basic(client_id: impl Into<Box<str>>, secret: impl Into<ClientSecretSource>) -> Self {
        Self::with_secret(client_id, secret, Method::Basic { raw: false })
    }

    /// Sends `Authorization: Basic` with id and secret as they are, for servers that do not decode
    /// them.
    pub fn basic_raw(
        client_id: impl Into<Box<str>>,
        secret: impl Into<ClientSecretSource>,
    ) -> Self {
        Self::with_secret(client_id, secret, Method::Basic { raw: true })
    }

    /// Sends `client_id` and `client_secret` in the body.
    pub fn post(client_id: impl Into<Box<str>>, secret: impl Into<ClientSecretSource>) -> Self {
        Self::with_secret(client_id, secret, Method::Post)
    }

    /// Sends every parameter, `client_id` and `client_secret` among them, in the query of the URL,
    /// and an empty body. URLs are logged on the way: use it only for servers that accept nothing
    /// else.
    pub fn query(client_id: impl Into<Box<str>>, secret: impl Into<ClientSecretSource>) -> Self {
        Self::with_secret(client_id, secret, Method::Query)
    }

    /// Sends `client_id` in the body and no secret, as public clients do.
    pub fn public(client_id: impl Into<Box<str>>) -> Self {
        Self { client_id: Some(client_id.into()), secret: None, method: Method::Post }
    }

    /// Authenticates by a TLS certificate
    /// ([RFC 8705 §2](https://www.rfc-editor.org/rfc/rfc8705#section-2)), with `client_id` in the body.
    /// The transport presents the certificate: [`Transport::https`](crate::Transport) that of files
    /// (`with_client_certificate_files`), a service of your own any. A discovered `TokenEndpoint`, and a `SignIn` from
    /// metadata, use the endpoint for clients with a certificate, if there is one, and so do other clients
    /// whose `Transport::https` shows one
    /// ([§5](https://www.rfc-editor.org/rfc/rfc8705#section-5)). For other endpoints see
    /// [`with_mtls_aliases`](crate::AuthorizationServerMetadata::with_mtls_aliases).
    pub fn tls(client_id: impl Into<Box<str>>) -> Self {
        Self { client_id: Some(client_id.into()), secret: None, method: Method::Tls }
    }

    /// Sends the assertion in the file at `path`, which another program issues and replaces: the
    /// token of a Kubernetes service account, a SPIFFE JWT-SVID
    /// ([RFC 7523 §2.2](https://www.rfc-editor.org/rfc/rfc7523#section-2.2)). This needs no feature.
    ///
    /// The file is read as [`ClientSecretSource::from_file`] reads it, at each attempt. Nothing is
    /// sent if the assertion is a JWT that has expired by its own `exp` or is cut off before its
    /// signature. The error, of the kind [`Source`](crate::client::ErrorKind::Source), names the file.
    ///
    /// ```
    /// use tower_oauth2::ClientAuthentication;
    ///
    /// let client = ClientAuthentication::assertion_from_file("/var/run/secrets/tokens/entra")
    ///     .with_client_id("6e74172b-be56-4843-9ff4-e66a39bb12e3");
    /// ```
    pub fn assertion_from_file(path: impl Into<PathBuf>) -> Self {
        Self::presented(ClientSecretSource::from_file(path))
    }

    /// Sends the assertion that `assertion` returns, which is called at each attempt and must not
    /// block for long. Otherwise as [`assertion_from_file`](Self::assertion_from_file).
    ///
    /// ```
    /// use tower_oauth2::{ClientAuthentication, ClientSecret};
    ///
    /// // An ID token of GitLab CI.
    /// let client = ClientAuthentication::assertion_from_fn(|| {
    ///     std::env::var("ENTRA_ID_TOKEN").map(ClientSecret::from)
    /// });
    /// ```
    pub fn assertion_from_fn<F, E>(assertion: F) -> Self
    where
        F: Fn() -> Result<ClientSecret, E> + Send + Sync + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        Self::presented(ClientSecretSource::from_fn(assertion))
    }

    fn presented(assertion: ClientSecretSource) -> Self {
        let method = Method::Presented { typ: JWT_BEARER.into() };
        Self { client_id: None, secret: Some(assertion), method }
    }

    /// Sets the identifier that is sent beside an assertion from a file or a closure. Defaults to
    /// none: the subject of the assertion is the client. It has no effect on other clients.
    pub fn with_client_id(mut self, client_id: impl Into<Box<str>>) -> Self {
        if let Method::Presented { .. } = self.method {
            self.client_id = Some(client_id.into());
        }
        self
    }

    /// Sets the type (`client_assertion_type`) of an assertion from a file or a closure, for example
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-spiffe`. Defaults to that of a JWT,
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-bearer`. It has no effect on other clients.
    pub fn with_assertion_type(mut self, typ: impl Into<Box<str>>) -> Self {
        if let Method::Presented { typ: own } = &mut self.method {
            *own = typ.into();
        }
        self
    }

    /// Sends nothing, for an endpoint that does not authenticate clients.
    pub fn none() -> Self {
        Self { client_id: None, secret: None, method: Method::None }
    }

    /// Returns the identifier of the client, if it has one.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// Returns what distinguishes clients of one identifier: the method, and the credential unless
    /// it changes. It is secret.
    pub(crate) fn identity(&self) -> (&'static str, Option<Zeroizing<String>>) {
        let secret = self.secret.as_ref().and_then(ClientSecretSource::fixed);
        let secret = secret.map(|secret| Zeroizing::new(secret.expose().to_owned()));
        match &self.method {
            Method::Basic { raw: false } => ("basic", secret),
            Method::Basic { raw: true } => ("basic_raw", secret),
            Method::Post => ("post", secret),
            Method::Query => ("query", secret),
            Method::Assertion { assertion, .. } => ("assertion", Some(assertion.identity())),
            Method::Presented { .. } => ("presented", None),
            Method::Tls => ("tls", None),
            Method::None => ("none", None),
        }
    }

    /// Returns `true` if the parameters of a request go into the query.
    pub(crate) fn is_query(&self) -> bool {
        matches!(self.method, Method::Query)
    }

    /// Returns `true` if each request is signed, which takes time.
    #[cfg_attr(not(feature = "server"), allow(dead_code, reason = "introspection asks"))]
    pub(crate) fn signs(&self) -> bool {
        matches!(self.method, Method::Assertion { .. })
    }

    /// Returns `true` if the client authenticates by a certificate.
    pub(crate) fn is_tls(&self) -> bool {
        matches!(self.method, Method::Tls)
    }

    /// Returns the same client, with its own memory of the last secret.
    pub(crate) fn detached(&self) -> Self {
        let secret = self.secret.as_ref().map(ClientSecretSource::detached);
        Self { secret, ..self.clone() }
    }

    /// Returns `true` if the secret may change by itself.
    pub(crate) fn rotates_its_secret(&self) -> bool {
        self.secret.as_ref().is_some_and(ClientSecretSource::may_change)
    }

    /// Returns `true` if the secret has changed since it was last sent.
    pub(crate) fn has_another_secret(&self) -> bool {
        self.secret.as_ref().is_some_and(ClientSecretSource::has_changed)
    }

    /// Adds the credentials: parameters to `params`, or the returned header. Secrets that must not
    /// show in an error are added to `secrets`.
    ///
    /// # Errors
    ///
    /// When there is no secret, or an assertion cannot be signed or has expired.
    pub(crate) fn apply(
        &self,
        asked: Asked<'_>,
        params: &mut Vec<(&'static str, Zeroizing<String>)>,
        secrets: &mut Secrets,
    ) -> Result<Option<Header>, Box<str>> {
        let client_id = self.client_id.as_deref();
        let secret = self.secret.as_ref().map(|source| match self.method {
            Method::Presented { .. } => source.unexpired(asked.clock.wall()),
            _ => source.secret(),
        });
        let secret = secret.transpose()?;
        let secret = secret.as_ref().map(ClientSecret::expose);
        secrets.add(secret.unwrap_or_default());
        if let (Method::Basic { raw }, Some(client_id), Some(secret)) =
            (&self.method, client_id, secret)
        {
            return Ok(basic(client_id, secret, *raw, secrets));
        }
        let zeroizing = |text: &str| Zeroizing::new(text.to_owned());
        params.extend(client_id.map(|client_id| ("client_id", zeroizing(client_id))));
        match (&self.method, secret) {
            (Method::Assertion { assertion, audience, typ }, _) => {
                let endpoint = asked.endpoint.to_string();
                let audience = audience.as_deref().or(asked.issuer).unwrap_or(&endpoint);
                let assertion = assertion.sign(audience, typ, asked.clock)?;
                secrets.add(&assertion);
                params.push(("client_assertion_type", zeroizing(JWT_BEARER)));
                params.push(("client_assertion", assertion));
            }
            (Method::Presented { typ }, Some(assertion)) => {
                params.push(("client_assertion_type", zeroizing(typ)));
                params.push(("client_assertion", zeroizing(assertion)));
            }
            (_, Some(secret)) => params.push(("client_secret", zeroizing(secret))),
            (_, None) => {}
        }
        Ok(None)
    }
}

fn basic(client_id: &str, secret: &str, raw: bool, secrets: &mut Secrets) -> Option<Header> {
    let encoded = |text: &str| match raw {
        true => text.to_owned(),
        false => form_urlencoded::byte_serialize(text.as_bytes()).collect(),
    };
    let pair = Zeroizing::new(format!("{}:{}", encoded(client_id), encoded(secret)));
    secrets.add(&pair);
    let value = Zeroizing::new(BASE64_STANDARD.encode(pair.as_bytes()));
    // Base64 fits into any header.
    Some((AUTHORIZATION, sensitive_header(&["Basic ", &value]).ok()?))
}
