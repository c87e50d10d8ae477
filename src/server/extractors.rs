//! Extractors for axum (feature `axum`).
//!
//! **In**: the head of a request below [`RequireToken`](super::RequireToken). **Out**: what that layer attached, or a refusal.
//! **Uses** `vocabulary`, `validate` and `require_token`.

use super::require_token::{Anonymous, Authenticated, refuse};
use crate::{RequestHead, ScopeSet, validate::Rejection};
use axum_core::{
    body::Body,
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use http::request::Parts;
use std::{convert::Infallible, error::Error, fmt, marker::PhantomData, ops::Deref};

/// The refusal of an extractor.
///
/// The response is 401 with the layer's challenge for an anonymous request, and 500 without a
/// [`RequireToken`](super::RequireToken) above the route. The refusal is counted and audited, even if
/// a handler takes a `Result<Authenticated, ExtractorRefusal>` and responds otherwise; take an
/// `Option<Authenticated>` to serve anonymous requests. The text is that of the [`Rejection`], for
/// logs; a response may contain [`Rejection::public_description`].
#[derive(Debug)]
pub struct ExtractorRefusal {
    /// Without the type of its empty body, which is not `Sync` as errors have to be.
    response: Box<Response<()>>,
}

impl ExtractorRefusal {
    fn new(response: Response<()>) -> Self {
        Self { response: Box::new(response) }
    }

    /// Returns why the request is refused.
    #[must_use]
    pub fn rejection(&self) -> &Rejection {
        #[expect(clippy::expect_used, reason = "every refusal has one")]
        self.response.extensions().get().expect("a refusal has a rejection")
    }
}

impl fmt::Display for ExtractorRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rejection().fmt(f)
    }
}

impl Error for ExtractorRefusal {}

impl IntoResponse for ExtractorRefusal {
    fn into_response(self) -> Response {
        self.response.map(|()| Body::empty())
    }
}

fn head(parts: &Parts) -> RequestHead<'_> {
    let Parts { method, uri, version, headers, extensions, .. } = parts;
    RequestHead::new(method, uri, *version, headers, extensions)
}

/// Refuses anonymous requests with 401, and all requests with 500 without a
/// [`RequireToken`](super::RequireToken) above. A handler that takes a
/// `Result<Authenticated, ExtractorRefusal>` sees the refusal.
impl<S: Sync> FromRequestParts<S> for Authenticated {
    type Rejection = ExtractorRefusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ExtractorRefusal> {
        if let Some(authenticated) = parts.extensions.get::<Self>() {
            return Ok(authenticated.clone());
        }
        let response = match parts.extensions.get::<Anonymous>() {
            Some(anonymous) => anonymous.refuse(head(parts)),
            None => refuse::without_settings(Rejection::internal(
                "no RequireToken is above this extractor: put that layer around the route",
            )),
        };
        Err(ExtractorRefusal::new(response))
    }
}

/// Extracts `None` from anonymous requests, and without a [`RequireToken`](super::RequireToken) above.
impl<S: Sync> OptionalFromRequestParts<S> for Authenticated {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

/// Extracts the validator's own claims. The response is 500 if they are not of type `C`.
///
/// ```
/// use axum::{Router, routing::get};
/// use tower_oauth2::{
///     AccessToken,
///     server::{Claims, RequireToken},
///     validate::{Principal, Rejection, Validated},
/// };
///
/// struct Tenant(String);
///
/// async fn tenant(claims: Claims<Tenant>) -> String {
///     claims.0.clone()
/// }
///
/// let judge = async |_: AccessToken| {
///     Ok::<_, Rejection>(Validated::new(Principal::new("alice"), Tenant("acme".into())))
/// };
/// let app: Router = Router::new()
///     .route("/tenant", get(tenant))
///     .route_layer(RequireToken::new("api", judge)?);
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
pub struct Claims<C> {
    authenticated: Authenticated,
    claims: PhantomData<fn() -> C>,
}

impl<C> Claims<C> {
    /// Returns the token that the claims belong to.
    #[must_use]
    pub fn authenticated(&self) -> &Authenticated {
        &self.authenticated
    }
}

impl<C: Send + Sync + 'static> Deref for Claims<C> {
    type Target = C;

    fn deref(&self) -> &C {
        #[expect(clippy::expect_used, reason = "checked at the extraction")]
        self.authenticated.claims().expect("the claims are of this type")
    }
}

impl<C: Send + Sync + 'static, S: Sync> FromRequestParts<S> for Claims<C> {
    type Rejection = ExtractorRefusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ExtractorRefusal> {
        let authenticated =
            <Authenticated as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        if authenticated.claims::<C>().is_none() {
            let reason =
                "the claims of the validator are not of the type of this handler; see with_claims";
            let response = authenticated.refuse(Rejection::internal(reason), head(parts));
            return Err(ExtractorRefusal::new(response));
        }
        Ok(Self { authenticated, claims: PhantomData })
    }
}

impl<C> Clone for Claims<C> {
    fn clone(&self) -> Self {
        Self { authenticated: self.authenticated.clone(), claims: PhantomData }
    }
}

impl<C> fmt::Debug for Claims<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims").field("authenticated", &self.authenticated).finish()
    }
}

/// A type that stands for a scope, for [`Scoped`].
pub trait RequiredScope {
    /// The scope: one `scope-token` of RFC 6749 §3.3.
    const SCOPE: &'static str;
}

/// Extracts the [`Authenticated`] of a token that grants the scope of `T`. The response is 403
/// `insufficient_scope` if it does not.
///
/// ```
/// use axum::{Router, routing::post};
/// use tower_oauth2::{
///     server::{RequireToken, RequiredScope, Scoped},
///     validate::StaticTokens,
/// };
///
/// struct Write;
///
/// impl RequiredScope for Write {
///     const SCOPE: &'static str = "write";
/// }
///
/// async fn change(who: Scoped<Write>) -> String {
///     format!("{:?} may write", who.principal().subject())
/// }
///
/// let app: Router = Router::new()
///     .route("/calls", post(change))
///     .route_layer(RequireToken::new("api", StaticTokens::new())?);
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
pub struct Scoped<T> {
    authenticated: Authenticated,
    scope: PhantomData<fn() -> T>,
}

impl<T> Deref for Scoped<T> {
    type Target = Authenticated;

    fn deref(&self) -> &Authenticated {
        &self.authenticated
    }
}

impl<T: RequiredScope, S: Sync> FromRequestParts<S> for Scoped<T> {
    type Rejection = ExtractorRefusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ExtractorRefusal> {
        let authenticated =
            <Authenticated as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        if authenticated.principal().scopes().contains(T::SCOPE) {
            return Ok(Self { authenticated, scope: PhantomData });
        }
        // A constant that is not a scope is left out of the challenge; the request is still refused.
        let missing = Rejection::insufficient_scope(ScopeSet::new([T::SCOPE]).unwrap_or_default());
        Err(ExtractorRefusal::new(authenticated.refuse(missing, head(parts))))
    }
}

impl<T> Clone for Scoped<T> {
    fn clone(&self) -> Self {
        Self { authenticated: self.authenticated.clone(), scope: PhantomData }
    }
}

impl<T> fmt::Debug for Scoped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scoped").field("authenticated", &self.authenticated).finish()
    }
}
