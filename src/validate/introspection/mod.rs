//! Judges tokens by asking their authorization server ([RFC 7662]).
//!
//! **In**: a token. **Out**: the principal that the server's answer names. **Uses** the verdict, and the keys of `jwks` for signed answers.
//!
//! [RFC 7662]: https://www.rfc-editor.org/rfc/rfc7662

mod answer;
mod back_off;
mod format;
mod load;
mod rules;
#[cfg(feature = "jwt")]
mod signed;

use super::{
    CacheSupport, Rejection, RejectionKind, ValidateToken, Validated, Verdict,
    claims::{Holder, holder_setters, unreadable},
    times::Leeway,
};
use crate::{
    Answer, ClientAuthentication, Clock, ConfigError, HealthPart, Origin, RequestHead, Transport,
    TransportErrorKind,
    back_channel::{
        client_authentication::Asked,
        form_post::{self, Answered, PostError},
        scrub,
        secrets::Secrets,
    },
    observe,
    vocabulary::origin::fetchable,
};
use bytes::Bytes;
use format::{Format, Json};
use http::{Request, Uri};
use http_body_util::Full;
use load::Load;
use rules::Rules;
use serde_core::de::DeserializeOwned;
use serde_json::{Value, json};
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};
use tokio::runtime::Handle;
use zeroize::Zeroizing;

/// The longest answer that is read.
const MAX_ANSWER: usize = 256 * 1024;

const DEADLINE: Duration = Duration::from_secs(5);

/// Asks the authorization server about each token
/// ([RFC 7662](https://www.rfc-editor.org/rfc/rfc7662)).
///
/// 1. A token is good only by an answer of status 200 that is one JSON object with
///    `"active": true`, and bad by `"active": false`. A 400 whose `error` is
///    `unsupported_token_type` or `invalid_token` is a verdict on the token too. Any other answer is
///    an outage: 503, and never cached. Such are any other status, a redirect, a page, a member that
///    is repeated, an answer that is too long or too late, and a server that refuses the credentials
///    of this resource.
/// 2. The answer is checked here again: `exp`, `nbf`, `iat`, `iss` and `aud`. A refresh token, an ID
///    token, a security event token (`events`), and a token that is bound to a key (`cnf`, DPoP) are
///    refused. So is one with a member of the wrong type, as
///    [a JWT is](crate::guide::odd_tokens).
/// 3. While the server wants no requests (429, or 5xx with `Retry-After`, at most an hour), it gets
///    none: 503, with the time that is left.
/// 4. At most 64 requests are in flight at once. Others wait for up to a second, then get 503 with
///    `Retry-After`.
/// 5. After five time-outs in a row the server gets no requests for a second, and then for a fifth of
///    the length of the outage, at most 30 s: 503, with the time that is left. After that it gets one
///    request at a time until it answers.
/// 6. An outage is logged at WARN, at most every 10 s. Such is a server that refuses the credentials
///    of this resource.
/// 7. The token is sent in the body of the request, never in a URL.
///
/// The server answers `"active": false` for a revoked token and for an unknown one alike
/// ([RFC 7662 §2.2](https://www.rfc-editor.org/rfc/rfc7662#section-2.2)), and that verdict is final:
/// if this validator is the first of a [`first_of`](super::first_of), the second never sees such a
/// token. Put it last there, or separate tokens by a [`Route`](super::Route).
///
/// Each token costs a request to the server. Put [`Cached`](super::Cached) around the validator,
/// unless a revoked token must be refused at once.
///
/// The principal has `sub`, `client_id` (or `azp`), `scope`, `iss`, `aud`, `jti`, `exp`, `iat`, `acr` and
/// `auth_time`. A `scope` that is a list has one scope in each item, and an item that is not a
/// scope, such as one with a space, grants nothing. Null and empty members are absent; a token whose
/// `iss` is empty is refused. Other members are for [`with_claims`](Self::with_claims).
///
/// A client that signs its requests (`private_key_jwt`) signs each of them, on a thread for blocking
/// work of the tokio runtime.
///
/// A clone asks the same server, and shares its back-off and the bound on requests in flight.
///
/// # Defaults
///
/// Any audience and any issuer; a leeway of 30 s; answers within 5 s and of at most 256 KiB, or
/// the transport's own bounds if they are lower; 64 requests at once.
///
/// # Revoked tokens
///
/// A token that was revoked at the server is refused at the next request. Under
/// [`Cached`](super::Cached) it is accepted while its verdict is cached, by default up to 60 s.
///
/// # Security
///
/// Name [the audience](Self::with_audience). Otherwise a token that was issued for another resource
/// of the same server is good here.
///
/// # Deployment
///
/// If the endpoint wants a Bearer token and no client authentication, use
/// [`ClientAuthentication::none`] and a transport whose service is under `client::AddBearer`.
///
/// # Panics
///
/// The future panics as [`Transport::send`] does.
///
/// # Example
///
/// ```
/// use tower_oauth2::{
///     ClientAuthentication, Transport,
///     server::RequireToken,
///     validate::{Cached, Introspection},
/// };
///
/// let client = ClientAuthentication::basic("my-api", "s3cr3t");
/// let introspection =
///     Introspection::new("https://as.example/introspect", client, Transport::https())?
///         .with_audience(["https://api.example"]);
/// let layer = RequireToken::new("api", Cached::new(introspection))?;
/// # let _ = layer;
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[must_use]
pub struct Introspection<C = ()> {
    settings: Arc<Settings>,
    load: Arc<Load>,
    claims: fn(Value) -> Result<C, serde_json::Error>,
}

#[derive(Clone)]
struct Settings {
    url: Uri,
    client: ClientAuthentication,
    transport: Transport,
    rules: Rules,
    format: Arc<dyn Format>,
}

impl Introspection {
    /// Creates a validator that asks the endpoint at `url`, as `client`, through `transport`. Does no
    /// I/O.
    ///
    /// # Errors
    ///
    /// When `url` is not an absolute `https` URL (or `http` to this machine, or as the transport
    /// allows), and when `client` puts its parameters into the query.
    pub fn new(
        url: &str,
        client: ClientAuthentication,
        transport: Transport,
    ) -> Result<Self, ConfigError> {
        let url = fetchable(url, transport.allows_plain_http())
            .map_err(|why| ConfigError::new(format!("the introspection URL {why}")))?;
        if client.is_query() {
            return Err(ConfigError::new(
                "introspection sends its parameters in the body: ClientAuthentication::query cannot be used",
            ));
        }
        let transport = transport.at_most(MAX_ANSWER).within(DEADLINE);
        let rules = Rules::default();
        let format = Arc::new(Json);
        let settings = Settings { url, client, transport, rules, format };
        let load = Arc::new(Load::new(load::DEFAULT_MAX_REQUESTS));
        Ok(Self { settings: Arc::new(settings), load, claims: |_| Ok(()) })
    }
}

impl<C> Introspection<C> {
    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }

    /// Sets the audience: a token must be for one of `audience`. A token without `aud` is refused
    /// too; see [`dangerous_allow_missing_audience`](Self::dangerous_allow_missing_audience). An
    /// empty list refuses every token. Defaults to any audience.
    pub fn with_audience<I: IntoIterator<Item: Into<Box<str>>>>(self, audience: I) -> Self {
        let audience = audience.into_iter().map(Into::into).collect();
        self.with(|settings| settings.rules.audience = Some(audience))
    }

    /// Accepts answers whose `aud` is absent or empty where [an audience](Self::with_audience) is set. Only safe with
    /// a server whose tokens are all for this resource: the token of any other resource would be
    /// accepted. Defaults to refusing them.
    pub fn dangerous_allow_missing_audience(self) -> Self {
        self.with(|settings| settings.rules.missing_audience = true)
    }

    /// Accepts a `sub` that is a whole number, as the text of its digits: 42 and `"42"` are then one
    /// subject. Defaults to refusing such tokens.
    pub fn allow_numeric_subjects(self) -> Self {
        self.with(|settings| settings.rules.profile.numeric_subjects = true)
    }

    /// Sets the issuer that a token must have, if the answer names one: most do not. Where it names
    /// none, the principal has this issuer, so that [`Revocations`](super::Revocations) by issuer
    /// match. Defaults to any issuer.
    pub fn with_issuer(self, issuer: impl Into<Arc<str>>) -> Self {
        let issuer = issuer.into();
        self.with(|settings| settings.rules.issuer = Some(issuer))
    }

    holder_setters!();

    fn with_holder(self, change: impl FnOnce(&mut Holder)) -> Self {
        self.with(|settings| change(&mut settings.rules.profile.holder))
    }

    /// Sets how far the clocks of the server and of this machine may differ, at most 5 minutes: a
    /// token is good so long after `exp`, and so long before `nbf` and `iat`. Defaults to 30 s.
    ///
    /// # Errors
    ///
    /// When `leeway` is longer.
    pub fn with_leeway(self, leeway: Duration) -> Result<Self, ConfigError> {
        let leeway = Leeway::new(leeway)?;
        Ok(self.with(|settings| settings.rules.leeway = leeway))
    }

    /// Sets the deadline of an answer, in place of the transport's. Defaults to 5 s, or the
    /// transport's if that is shorter.
    pub fn with_deadline(self, deadline: Duration) -> Self {
        self.with(|settings| {
            settings.transport = settings.transport.clone().with_deadline(deadline);
        })
    }

    /// Sets how many requests are in flight at once. A request beyond them waits for up to a second,
    /// then the token is refused with 503. Call it before cloning. Defaults to 64.
    pub fn with_max_requests(mut self, requests: usize) -> Self {
        self.load = Arc::new(Load::new(requests));
        self
    }

    /// Sets the clock, for expiry, back-off and the deadline. Defaults to the transport's.
    pub fn with_clock(self, clock: Clock) -> Self {
        self.with(|settings| settings.transport = settings.transport.clone().with_clock(clock))
    }

    /// Deserializes the members of each answer into the [claims](Validated::claims), a `D`. A token
    /// whose answer does not fit is refused as invalid. Defaults to `()`, which reads nothing.
    pub fn with_claims<D: DeserializeOwned>(self) -> Introspection<D> {
        Introspection { settings: self.settings, load: self.load, claims: serde_json::from_value }
    }
}

impl<C: 'static> Introspection<C> {
    /// Returns the verdict, and logs an outage.
    async fn ask(self, token: Zeroizing<String>) -> Verdict<C> {
        let clock = self.settings.transport.clock();
        // Until then a request that waits holds no more than its token.
        let _slot = self.load.enter(clock).await?;
        let (verdict, back_off) = (self.answer(&token).await, &self.load.back_off);
        let unavailable = verdict.as_ref().err();
        let unavailable = unavailable.filter(|why| why.kind() == RejectionKind::Unavailable);
        let failure = unavailable.map(|why| scrub::description(why.description()));
        if let Some(failure) = failure.as_ref().filter(|_| back_off.may_warn(clock.monotonic())) {
            observe::not_introspected(failure);
        }
        back_off.note(failure);
        verdict
    }

    async fn answer(&self, token: &str) -> Verdict<C> {
        let Settings { transport, rules, format, .. } = &*self.settings;
        let (clock, back_off) = (transport.clock(), &self.load.back_off);
        let answered = form_post::repeatable(|| self.settings.post(token)).await;
        match &answered {
            Ok(_) => back_off.answered(),
            Err(PostError::Transport(error)) if error.kind() == TransportErrorKind::TimedOut => {
                back_off.timed_out(clock.monotonic());
            }
            Err(_) => {}
        }
        let Answered { response, secrets } = answered.map_err(unasked)?;
        let now = clock.wall();
        if let Some(wait) = answer::back_off(&response, now) {
            back_off.extend(clock.monotonic(), wait);
        }
        let body = answer::body(&response, &secrets, now)?;
        let said = Value::Object(answer::active(format.read(body, now, rules.leeway).await?)?);
        let principal = rules.judge(&said, now)?;
        let good_until = rules.good_until(&principal);
        let claims = (self.claims)(said).map_err(|error| unreadable(&error))?;
        let validated = Validated::new(principal, claims);
        Ok(Arc::new(validated.with_good_until(good_until)))
    }
}

/// Always ready: another replica would ask the same authorization server.
impl<C> From<&Introspection<C>> for HealthPart {
    fn from(introspection: &Introspection<C>) -> Self {
        Self::new(json!({ "ready": true, "error": introspection.load.back_off.failure() }))
    }
}

impl Settings {
    /// Asks about `token`. A signature is made off the executor, and for each request: an assertion is
    /// good once.
    async fn post(self: &Arc<Self>, token: &str) -> Result<Answered, PostError> {
        let made = match self.client.signs().then(Handle::try_current) {
            Some(Ok(runtime)) => {
                let (this, token) = (self.clone(), Zeroizing::new(token.to_owned()));
                let made = runtime.spawn_blocking(move || this.request(&token)).await;
                let failed = |_| PostError::Client("the assertion could not be signed".into());
                made.map_err(failed)?
            }
            _ => self.request(token),
        };
        let (request, secrets) = made?;
        form_post::send(request, secrets, &self.transport).await
    }

    fn request(&self, token: &str) -> Result<(Request<Full<Bytes>>, Secrets), PostError> {
        let mut secrets = Secrets::default();
        secrets.add(token);
        let params = [("token", token), ("token_type_hint", "access_token")];
        let params = params.map(|(name, value)| (name, Zeroizing::new(value.to_owned()))).to_vec();
        let (issuer, clock) = (self.rules.issuer.as_deref(), self.transport.clock());
        let asked = Asked { endpoint: &self.url, issuer, clock, proof: None };
        let accept = self.format.media_type();
        let request = form_post::request(asked, &self.client, &params, accept, &mut secrets)?;
        Ok((request, secrets))
    }
}

/// Describes why the endpoint did not answer.
fn unasked(error: PostError) -> Rejection {
    let cause = match error {
        PostError::Client(cause) => cause.into(),
        PostError::Url => "the introspection URL cannot take the parameters in its query".into(),
        PostError::Transport(error) => {
            format!("the introspection endpoint cannot be asked: {error}")
        }
    };
    Rejection::unavailable(None).with_cause(cause)
}

impl<C: Send + Sync + 'static> ValidateToken for Introspection<C> {
    type Claims = C;
    type Future = IntrospectionFuture<C>;

    fn validate(&self, token: &str, _: RequestHead<'_>) -> Answer<IntrospectionFuture<C>> {
        match self.load.back_off.admit(self.settings.transport.clock().monotonic()) {
            Ok(()) => {
                let asked = self.clone().ask(Zeroizing::new(token.to_owned()));
                Answer::Pending(IntrospectionFuture { asked: Box::pin(asked) })
            }
            Err(left) => {
                Answer::Ready(Err(Rejection::unavailable(Some(left)).with_cause(load::BACKING_OFF)))
            }
        }
    }

    fn cache_support(&self) -> &dyn CacheSupport<C> {
        self
    }
}

impl<C: Send + Sync + 'static> CacheSupport<C> for Introspection<C> {
    fn recheck(&self, validated: &Validated<C>, now: SystemTime) -> Result<(), Rejection> {
        self.settings.rules.recheck(validated.principal(), now)
    }

    fn clock(&self) -> Option<Clock> {
        Some(self.settings.transport.clock().clone())
    }
}

/// The future of an [`Introspection`].
///
/// # Cancel safety
///
/// Dropping the future drops the request. Only the answer is lost.
#[must_use = "futures do nothing unless polled"]
pub struct IntrospectionFuture<C> {
    asked: Pin<Box<dyn Future<Output = Verdict<C>> + Send>>,
}

impl<C> Future for IntrospectionFuture<C> {
    type Output = Verdict<C>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Verdict<C>> {
        self.asked.as_mut().poll(cx)
    }
}

impl<C> Clone for Introspection<C> {
    fn clone(&self) -> Self {
        Self { settings: self.settings.clone(), load: self.load.clone(), claims: self.claims }
    }
}

impl<C> fmt::Debug for Introspection<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { url, client, transport, rules, .. } = &*self.settings;
        f.debug_struct("Introspection")
            .field("origin", &Origin::from_uri(url).map(|origin| origin.to_string()))
            .field("client", client)
            .field("transport", transport)
            .field("rules", rules)
            .finish_non_exhaustive()
    }
}

opaque_debug!(IntrospectionFuture<C> { .. });
