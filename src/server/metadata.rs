//! Tells clients how to get a token for this API
//! ([RFC 9728](https://www.rfc-editor.org/rfc/rfc9728)).

use super::AnsweredFuture;
use crate::{
    ConfigError, Origin, ScopeSet, TokenLocation, back_channel::well_known::resource_metadata,
};
use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CONTENT_TYPE},
};
use serde_json::{Map, Value, json};
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Serves the metadata of a protected resource at its well-known path, to requests with and without a
/// token. All other requests go to the inner service.
///
/// Put it above the [`RequireToken`](super::RequireToken) that returned it.
///
/// ```
/// use axum::{Router, routing::get};
/// use tower::ServiceBuilder;
/// use tower_oauth2::{server::RequireToken, validate::StaticTokens};
///
/// let require = RequireToken::new("api", StaticTokens::new())?
///     .with_resource("https://api.example")?;
/// let metadata = require
///     .resource_metadata()?
///     .with_authorization_servers(["https://as.example"])?;
/// let app: Router = Router::new().route("/calls", get(|| async { "the calls" }));
/// let app = ServiceBuilder::new().layer(metadata).layer(require).service(app);
/// # let _ = app;
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ResourceMetadata {
    path: Box<str>,
    document: Map<String, Value>,
}

impl ResourceMetadata {
    pub(super) fn new(resource: &str, locations: &[TokenLocation]) -> Result<Self, ConfigError> {
        let mut methods: Vec<&str> = Vec::new();
        for location in locations {
            let method = match location {
                TokenLocation::Bearer => "header",
                TokenLocation::Query => "query",
                TokenLocation::Form => "body",
                _ => continue,
            };
            methods.push(method);
        }
        let mut document = Map::new();
        document.insert("resource".into(), resource.into());
        document.insert("bearer_methods_supported".into(), json!(methods));
        Ok(Self { path: resource_metadata(resource)?.path().into(), document })
    }

    /// Says what tokens can, or must, be bound to: `algorithms` are those of proofs.
    pub(super) fn with_binding(
        mut self,
        algorithms: Option<&str>,
        is_dpop_alone: bool,
        by_certificate: bool,
    ) -> Self {
        let algorithms: Vec<String> =
            algorithms.unwrap_or_default().split_whitespace().map(Into::into).collect();
        for (name, holds) in [
            ("dpop_bound_access_tokens_required", is_dpop_alone),
            ("tls_client_certificate_bound_access_tokens", by_certificate),
        ] {
            if holds {
                self.document.insert(name.into(), true.into());
            }
        }
        self.with_list("dpop_signing_alg_values_supported", &algorithms)
    }

    /// Sets the issuer identifiers of the authorization servers that issue tokens for this resource.
    /// Defaults to none.
    ///
    /// # Errors
    ///
    /// When one of `issuers` is not an absolute `https` URL.
    pub fn with_authorization_servers<I>(self, issuers: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let issuers: Vec<String> = issuers.into_iter().map(|one| one.as_ref().into()).collect();
        for issuer in &issuers {
            let uri: Option<Uri> = issuer.parse().ok();
            if !uri.and_then(|uri| Origin::from_uri(&uri)).is_some_and(|origin| origin.is_secure())
            {
                return Err(ConfigError::new(format!(
                    "the issuer {issuer:?} is not an absolute https URL; write one such as \
                     https://as.example"
                )));
            }
        }
        Ok(self.with_list("authorization_servers", &issuers))
    }

    /// Sets the scopes that requests may need. Defaults to those of
    /// [`with_scope_hint`](super::RequireToken::with_scope_hint).
    pub fn with_scopes(self, scopes: &ScopeSet) -> Self {
        let scopes: Vec<_> = scopes.iter().map(ToString::to_string).collect();
        self.with_list("scopes_supported", &scopes)
    }

    /// RFC 9728 §3.2: a list without elements is left out.
    fn with_list(mut self, name: &str, list: &[String]) -> Self {
        if list.is_empty() {
            self.document.remove(name);
        } else {
            self.document.insert(name.into(), json!(list));
        }
        self
    }

    /// Responds to a request for the document.
    fn respond<R: From<Bytes> + Default>(&self, method: &Method) -> Response<R> {
        let mut response = Response::new(R::default());
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        match *method {
            Method::GET | Method::HEAD => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                if *method == Method::GET {
                    // It is all names and texts, which cannot fail to be JSON.
                    let document = serde_json::to_vec(&self.document).unwrap_or_default();
                    *response.body_mut() = R::from(Bytes::from(document));
                }
            }
            Method::OPTIONS => {
                headers.insert(ALLOW, HeaderValue::from_static(ALLOWED));
                headers
                    .insert("access-control-allow-methods", HeaderValue::from_static("GET, HEAD"));
                headers.insert("access-control-allow-headers", HeaderValue::from_static("*"));
                *response.status_mut() = StatusCode::NO_CONTENT;
            }
            _ => {
                headers.insert(ALLOW, HeaderValue::from_static(ALLOWED));
                *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            }
        }
        response
    }
}

const ALLOWED: &str = "GET, HEAD, OPTIONS";

impl<S> Layer<S> for ResourceMetadata {
    type Service = ResourceMetadataService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ResourceMetadataService { inner, metadata: self.clone() }
    }
}

/// The service of [`ResourceMetadata`].
#[derive(Clone, Debug)]
pub struct ResourceMetadataService<S> {
    inner: S,
    metadata: ResourceMetadata,
}

impl<S> ResourceMetadataService<S> {
    inner_service_accessors!();
}

impl<S, B, R> Service<Request<B>> for ResourceMetadataService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: From<Bytes> + Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = AnsweredFuture<S::Future, Response<R>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if request.uri().path() == &*self.metadata.path {
            AnsweredFuture::answered(self.metadata.respond(request.method()))
        } else {
            AnsweredFuture::calling(self.inner.call(request))
        }
    }
}
