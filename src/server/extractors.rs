//! Extractors for axum (feature `axum`).
//!
//! **In**: the head of a request below [`RequireToken`](super::RequireToken). **Out**: what that layer attached, or a refusal.
//! **Uses** `vocabulary`, `validate` and `require_token`.

use super::{
    policy::MISSING_ROLE,
    require_token::{Authenticated, refuse, standing::Standing},
};
use crate::{
    RequestHead, ScopeSet,
    validate::{Rejection, RejectionKind},
    vocabulary::grpc::GRPC_STATUS,
};
use axum_core::{
    body::Body,
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header::CONTENT_TYPE, request::Parts};
use std::{error::Error, fmt, marker::PhantomData, ops::Deref};

/// The refusal of an extractor.
///
/// The response is 401 with the layer's challenge for an anonymous request. It is 500, with the reason
/// in its body and at ERROR in the log, if the program is at fault: no
/// [`RequireToken`](super::RequireToken) is above the route, or the claims are of another type. The
/// refusal is counted and audited, even if
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

    fn misplaced(parts: &Parts) -> Self {
        let missing = "no RequireToken is above this extractor: put that layer around the route";
        Self::new(refuse::misplaced(missing, head(parts)))
    }

    /// Returns why the request is refused.
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
        let rejection = self.rejection();
        let is_mistake = rejection.kind() == RejectionKind::Internal;
        let text = Some(rejection.to_string())
            .filter(|_| is_mistake && !self.response.headers().contains_key(GRPC_STATUS));
        let mut response = self.response.map(|()| Body::empty());
        if let Some(text) = text {
            let plain = HeaderValue::from_static("text/plain; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, plain);
            *response.body_mut() = text.into();
        }
        response
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
        match Standing::of(&parts.extensions) {
            Standing::Authenticated(authenticated) => Ok(authenticated.clone()),
            Standing::Anonymous(anonymous) | Standing::Preflight(anonymous) => {
                Err(ExtractorRefusal::new(anonymous.refuse(head(parts))))
            }
            Standing::Undecided => Err(ExtractorRefusal::misplaced(parts)),
        }
    }
}

/// Extracts `None` from anonymous requests and from preflights that
/// [`allow_cors_preflights`](super::RequireToken::allow_cors_preflights) let through. Refuses all
/// requests with 500 without a [`RequireToken`](super::RequireToken) above.
impl<S: Sync> OptionalFromRequestParts<S> for Authenticated {
    type Rejection = ExtractorRefusal;

    async fn from_request_parts(
        parts: &mut Parts,
        _: &S,
    ) -> Result<Option<Self>, ExtractorRefusal> {
        match Standing::of(&parts.extensions) {
            Standing::Authenticated(authenticated) => Ok(Some(authenticated.clone())),
            Standing::Anonymous(_) | Standing::Preflight(_) => Ok(None),
            Standing::Undecided => Err(ExtractorRefusal::misplaced(parts)),
        }
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

impl<C: Send + Sync + 'static> Claims<C> {
    fn new(authenticated: Authenticated, parts: &Parts) -> Result<Self, ExtractorRefusal> {
        if authenticated.claims::<C>().is_none() {
            let reason =
                "the claims of the validator are not of the type of this handler; see with_claims";
            let response = authenticated.refuse(Rejection::internal(reason), head(parts));
            return Err(ExtractorRefusal::new(response));
        }
        Ok(Self { authenticated, claims: PhantomData })
    }
}

impl<C: Send + Sync + 'static, S: Sync> FromRequestParts<S> for Claims<C> {
    type Rejection = ExtractorRefusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ExtractorRefusal> {
        Self::new(allowed(parts, state, |_| Ok(())).await?, parts)
    }
}

/// Extracts `None` as an `Option<Authenticated>` does.
impl<C: Send + Sync + 'static, S: Sync> OptionalFromRequestParts<S> for Claims<C> {
    type Rejection = ExtractorRefusal;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &S,
    ) -> Result<Option<Self>, ExtractorRefusal> {
        let authenticated =
            <Authenticated as OptionalFromRequestParts<S>>::from_request_parts(parts, state);
        authenticated.await?.map(|authenticated| Self::new(authenticated, parts)).transpose()
    }
}

/// Extracts the token that `check` finds enough.
async fn allowed<S: Sync>(
    parts: &mut Parts,
    state: &S,
    check: impl FnOnce(&Authenticated) -> Result<(), Rejection>,
) -> Result<Authenticated, ExtractorRefusal> {
    let extracted = <Authenticated as FromRequestParts<S>>::from_request_parts(parts, state);
    let authenticated = extracted.await?;
    match check(&authenticated) {
        Ok(()) => Ok(authenticated),
        Err(missing) => Err(ExtractorRefusal::new(authenticated.refuse(missing, head(parts)))),
    }
}

impl<C> Clone for Claims<C> {
    fn clone(&self) -> Self {
        Self { authenticated: self.authenticated.clone(), claims: PhantomData }
    }
}

opaque_debug!(Claims<C> { authenticated, .. });

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
        let authenticated = allowed(parts, state, |authenticated| {
            match authenticated.principal().scopes().contains(T::SCOPE) {
                true => Ok(()),
                // A constant that is not a scope is left out of the challenge.
                false => Err(Rejection::insufficient_scope(
                    ScopeSet::new([T::SCOPE]).unwrap_or_default(),
                )),
            }
        });
        Ok(Self { authenticated: authenticated.await?, scope: PhantomData })
    }
}

impl<T> Clone for Scoped<T> {
    fn clone(&self) -> Self {
        Self { authenticated: self.authenticated.clone(), scope: PhantomData }
    }
}

opaque_debug!(Scoped<T> { authenticated, .. });

/// A type that stands for a role, for [`WithRole`].
pub trait RequiredRole {
    /// The role, as [`Principal::roles`](crate::validate::Principal::roles) has it.
    const ROLE: &'static str;
}

/// Extracts the [`Authenticated`] of a token whose holder has the role of `T`. The response is 403 if
/// the holder does not.
///
/// ```
/// use tower_oauth2::server::{RequiredRole, WithRole};
///
/// struct Admin;
///
/// impl RequiredRole for Admin {
///     const ROLE: &'static str = "admin";
/// }
///
/// async fn delete(who: WithRole<Admin>) -> String {
///     format!("{:?} may delete", who.principal().subject())
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::delete(delete));
/// ```
pub struct WithRole<T> {
    authenticated: Authenticated,
    role: PhantomData<fn() -> T>,
}

impl<T> Deref for WithRole<T> {
    type Target = Authenticated;

    fn deref(&self) -> &Authenticated {
        &self.authenticated
    }
}

impl<T: RequiredRole, S: Sync> FromRequestParts<S> for WithRole<T> {
    type Rejection = ExtractorRefusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ExtractorRefusal> {
        let authenticated = allowed(parts, state, |authenticated| {
            match authenticated.principal().has_role(T::ROLE) {
                true => Ok(()),
                false => Err(Rejection::forbidden(MISSING_ROLE)),
            }
        });
        Ok(Self { authenticated: authenticated.await?, role: PhantomData })
    }
}

impl<T> Clone for WithRole<T> {
    fn clone(&self) -> Self {
        Self { authenticated: self.authenticated.clone(), role: PhantomData }
    }
}

opaque_debug!(WithRole<T> { authenticated, .. });
