//! axum's extractors (feature `axum`).

use super::require_token::{Anonymous, Authenticated, refuse};
use crate::{RequestHead, ScopeSet, validate::Rejection};
use axum_core::{
    body::Body,
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use http::request::Parts;
use std::{convert::Infallible, error::Error, fmt, marker::PhantomData, ops::Deref};

/// The refusal of an extractor: 401 with the layer's challenge where nothing was presented to an
/// optional [`RequireToken`](super::RequireToken), 500 where there is none above.
///
/// A handler that takes a `Result<Authenticated, ExtractorRefusal>` may look at it first. It is
/// counted and audited as refused; who serves such requests takes an `Option<Authenticated>`. Its
/// text is that of the [`Rejection`], for whoever runs the server: callers may be told
/// [`Rejection::public_description`].
#[derive(Debug)]
pub struct ExtractorRefusal {
    /// The body is empty; without its type this is `Sync`, as errors have to be.
    response: Box<Response<()>>,
}

impl ExtractorRefusal {
    fn new(response: Response<()>) -> Self {
        Self { response: Box::new(response) }
    }

    /// Why the request is refused.
    #[must_use]
    pub fn rejection(&self) -> &Rejection {
        #[expect(clippy::expect_used, reason = "whoever makes a refusal puts it there")]
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

impl<S: Sync> FromRequestParts<S> for Authenticated {
    type Rejection = ExtractorRefusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ExtractorRefusal> {
        if let Some(authenticated) = parts.extensions.get::<Self>() {
            return Ok(authenticated.clone());
        }
        let response = match parts.extensions.get::<Anonymous>() {
            Some(anonymous) => anonymous.refuse(head(parts)),
            None => refuse::without_settings(Rejection::internal(
                "an extractor stands below no RequireToken: put that layer around the route",
            )),
        };
        Err(ExtractorRefusal::new(response))
    }
}

/// Nothing where nothing was presented, or where no [`RequireToken`](super::RequireToken) is
/// above.
impl<S: Sync> OptionalFromRequestParts<S> for Authenticated {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

/// The validator's own claims, as an extractor: 500 where they are of another type.
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
    /// Whose claims they are.
    #[must_use]
    pub fn authenticated(&self) -> &Authenticated {
        &self.authenticated
    }
}

impl<C: Send + Sync + 'static> Deref for Claims<C> {
    type Target = C;

    fn deref(&self) -> &C {
        #[expect(clippy::expect_used, reason = "looked up when it was extracted")]
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
                "the validator's claims are of another type than the handler's: see with_claims";
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

/// A scope as a type, for [`Scoped`].
pub trait RequiredScope {
    /// The scope: one `scope-token` of RFC 6749 §3.3.
    const SCOPE: &'static str;
}

/// An [`Authenticated`] whose token grants the scope of `T`, as an extractor: 403
/// `insufficient_scope` where it does not.
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
