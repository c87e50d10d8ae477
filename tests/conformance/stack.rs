//! Builds the stack of a `config`.

use crate::{
    bound,
    config::{BuildError, Config, unknown},
    fixture::{Body, Fixed, Fixture, Inner, Judge, Seen, Slow},
    jwt::{self, Outbound},
    observed,
};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use std::{
    collections::HashSet,
    convert::Infallible,
    future::ready,
    sync::{Arc, Mutex},
    time::Duration,
};
use tower::{
    Layer, Service, ServiceExt, limit::ConcurrencyLimit, service_fn, util::BoxCloneSyncService,
};
use tower_oauth2::{
    AccessToken, ScopeSet, TokenLocation,
    server::{
        Authenticated, BufferForm, BufferFormBody, RequirePolicy, RequireScope, RequireToken,
        ResourceMetadata, StepUp,
    },
    testing::ManualClock,
    validate::{Cached, Principal, Rejection, SharedValidator, ValidateToken, Validated},
};

pub(crate) type Boxed = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// What happened, in its order.
pub(crate) type Log<T> = Arc<Mutex<Vec<T>>>;

/// A stack, and what can be seen of it.
pub(crate) struct Stack {
    pub(crate) service: Boxed,
    pub(crate) clock: ManualClock,
    pub(crate) validator: Fixture,
    /// What the layer asks.
    pub(crate) judge: SharedValidator<Value>,
    /// Whether it remembers verdicts.
    pub(crate) remembers: bool,
    pub(crate) outbound: Outbound,
    pub(crate) seen: Log<Seen>,
    pub(crate) audited: Log<Value>,
}

/// Builds the stack of `config`, from the inside to the outside.
pub(crate) async fn build(config: &Config<'_>) -> Result<Stack, BuildError> {
    let clock = ManualClock::from_wall(config.now()?);
    let (validator, outbound) = match config.get("validator").map(|name| name.as_str().ok_or(name))
    {
        None | Some(Ok("static" | "slow")) => {
            let accepted: HashSet<_> = texts(config, "accept_tokens")?.into_iter().collect();
            let hostile = config.text("hostile_error_text")?;
            let hostile = hostile.unwrap_or("b\u{e4}d \"token\"\r\n\u{1b}[31m");
            let tokens = Fixed::new(&clock.clock(), accepted, hostile.to_owned());
            (Fixture::new(Judge::Fixed(tokens)), Outbound::default())
        }
        Some(Ok("jwt" | "cached(jwt)")) => {
            let (validator, outbound) = jwt::validator(config, &clock.clock())?;
            (Fixture::new(Judge::Jwt(validator)), outbound)
        }
        // No constructor takes no validator.
        Some(Err(Value::Null)) => {
            return Err(BuildError::Refused("there is no layer without a validator".into()));
        }
        Some(_) => return Err(unknown("validator", &config.0["validator"])),
    };
    let audited = Log::default();
    let name = config.get("validator").and_then(Value::as_str);
    let remembers = name == Some("cached(jwt)");
    let judge = match name {
        Some("slow") => {
            let slow = Slow::new(validator.clone(), clock.clock());
            Cached::new(slow).with_clock(clock.clock()).into_shared()
        }
        _ if remembers => Cached::new(validator.clone()).with_clock(clock.clock()).into_shared(),
        _ => validator.clone().into_shared(),
    };
    let require = require_token(config, judge.clone(), &clock, &audited)?;
    let metadata = metadata(config, &require)?;

    let (inner, seen) = inner(config)?;
    let guarded = boxed(require.layer(policies(config, inner)?));
    let mut service = match config.sources()?.contains(&TokenLocation::Form) {
        true => boxed(buffer_form(config)?.layer(service_fn(move |request| {
            let guarded = guarded.clone();
            async { guarded.oneshot(collected(request).await?).await }
        }))),
        false => guarded,
    };
    if let Some(metadata) = metadata {
        service = boxed(metadata.layer(service));
    }
    if config.flag("outer_inserts_claims")?.unwrap_or_default() {
        let foreign = claims_of("mallory").await;
        service = boxed(service.map_request(move |mut request: Request<Body>| {
            request.extensions_mut().insert(foreign.clone());
            request
        }));
    }
    Ok(Stack { service, clock, validator, judge, remembers, outbound, seen, audited })
}

fn boxed<S>(service: S) -> Boxed
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    BoxCloneSyncService::new(service)
}

/// The request that a service without another type of body gets of a `BufferForm`.
async fn collected(request: Request<BufferFormBody<Body>>) -> Result<Request<Body>, Infallible> {
    let (head, body) = request.into_parts();
    Ok(Request::from_parts(head, body.collect().await?.to_bytes().into()))
}

fn texts(config: &Config<'_>, name: &str) -> Result<Vec<String>, BuildError> {
    Ok(config.texts(name)?.unwrap_or_default())
}

fn require_token(
    config: &Config<'_>,
    validator: SharedValidator<Value>,
    clock: &ManualClock,
    audited: &Log<Value>,
) -> Result<RequireToken<SharedValidator<Value>>, BuildError> {
    let audited = audited.clone();
    let mut require = RequireToken::new(config.text("realm")?.unwrap_or("api"), validator)?
        .with_clock(clock.clock())
        .with_audit(move |event| audited.lock().unwrap().push(observed::audit(event)))
        .with_locations(config.sources()?)?;
    if let Some(dpop) = bound::dpop(config)? {
        require = require.with_dpop(dpop);
    }
    if config.is("query_methods", "any")? {
        require = require.allow_query_on_any_method();
    }
    if config.is("multiple", "first_wins")? {
        require = require.dangerous_first_token_wins();
    }
    require = match config.flag("strip")? {
        None => require,
        Some(true) => require.with_full_token_removal(),
        Some(false) => require.without_token_removal(),
    };
    let passwords = |value: &Value| -> Option<Vec<String>> {
        value.as_array()?.iter().map(|one| one.as_str().map(Into::into)).collect()
    };
    if let Some(passwords) = config.read("basic_passwords", passwords)? {
        require = require.with_basic_passwords(passwords);
    }
    if config.flag("cookie_csrf")? == Some(false) {
        require = require.dangerous_allow_cross_site_requests();
    }
    if let Some(resource) = config.text("resource")? {
        require = require.with_resource(resource)?;
    }
    if let Some(hint) = config.texts("scope_hint")? {
        require = require.with_scope_hint(ScopeSet::new(hint)?);
    }
    if let Some(uri) = config.text("error_uri")? {
        require = require.with_error_uri(uri)?;
    }
    if config.flag("error_details")? == Some(false) {
        require = require.with_terse_refusals();
    }
    if config.flag("expose_challenge")? == Some(true) {
        require = require.with_exposed_challenges();
    }
    if config.flag("cors_preflight")? == Some(true) {
        require = require.allow_cors_preflights();
    }
    if let Some(limit) = config.number("validator_timeout_ms")? {
        require = require.with_validator_timeout(Duration::from_millis(limit));
    }
    Ok(match config.text("mode")? {
        None | Some("required") => require,
        Some("optional") => require.allow_anonymous(),
        Some("lenient") => require.dangerous_pass_bad_tokens_as_anonymous(),
        Some(other) => return Err(unknown("mode", &other.into())),
    })
}

/// The metadata of the resource, where the case names one.
fn metadata(
    config: &Config<'_>,
    require: &RequireToken<SharedValidator<Value>>,
) -> Result<Option<ResourceMetadata>, BuildError> {
    let servers = texts(config, "authorization_servers")?;
    if config.get("resource").is_none() {
        return match servers.is_empty() {
            true => Ok(None),
            false => Err(BuildError::Case("expected a config.resource, got none".into())),
        };
    }
    let metadata = require.resource_metadata()?.with_authorization_servers(servers)?;
    let required = texts(config, "require_scopes")?;
    if required.is_empty() {
        return Ok(Some(metadata));
    }
    // The layer does not know of the policies below it.
    let scopes = texts(config, "scope_hint")?.into_iter().chain(required);
    Ok(Some(metadata.with_scopes(&ScopeSet::new(scopes)?)))
}

fn buffer_form(config: &Config<'_>) -> Result<BufferForm, BuildError> {
    let limit = config.number("form_limit")?;
    let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(limit.map_or_else(BufferForm::default, BufferForm::new))
}

/// The policies of the case above `inner`.
fn policies(config: &Config<'_>, inner: Boxed) -> Result<Boxed, BuildError> {
    let mut service = inner;
    let scopes = texts(config, "require_scopes")?;
    if !scopes.is_empty() {
        service = boxed(RequireScope::all_of(scopes)?.layer(service));
    }
    let (acr, max_age) = (config.text("require_acr")?, config.number("max_auth_age")?);
    if acr.is_some() || max_age.is_some() {
        let mut step_up = StepUp::default();
        if let Some(acr) = acr {
            step_up = step_up.with_acr(acr);
        }
        if let Some(max_age) = max_age {
            step_up = step_up.with_max_age(Duration::from_secs(max_age));
        }
        service = boxed(RequirePolicy::new(step_up).layer(service));
    }
    Ok(service)
}

fn inner(config: &Config<'_>) -> Result<(Boxed, Log<Seen>), BuildError> {
    let status = config.number("inner_status")?.map_or(Ok(200), u16::try_from);
    let status = status.ok().and_then(|status| StatusCode::from_u16(status).ok());
    let status = status.ok_or_else(|| unknown("inner_status", &config.0["inner_status"]))?;
    let headers = config.headers("inner_response_headers")?;
    let seen = Log::default();
    let mut inner = Inner { status, headers, is_ready: true, seen: seen.clone() };
    let service = match config.text("inner")? {
        None => boxed(inner),
        Some("ConcurrencyLimit(1)") => boxed(ConcurrencyLimit::new(inner, 1)),
        Some("never_ready") => {
            inner.is_ready = false;
            boxed(inner)
        }
        Some(other) => return Err(unknown("inner", &other.into())),
    };
    Ok((service, seen))
}

/// The claims of `subject` as the crate makes them.
async fn claims_of(subject: &'static str) -> Authenticated {
    let judge = move |_: AccessToken| async move {
        Ok::<_, Rejection>(Validated::from(Principal::new(subject)))
    };
    let claims = service_fn(|request: Request<()>| {
        let claims = request.extensions().get::<Authenticated>().cloned();
        ready(Ok::<_, Infallible>(Response::new(claims)))
    });
    let request = Request::get("/").header("authorization", "Bearer x").body(()).unwrap();
    let outer = RequireToken::new("outer", judge).unwrap();
    outer.layer(claims).oneshot(request).await.unwrap().into_body().unwrap()
}
