//! Tokens that only their authorization server can read ([RFC 7662]).
//!
//! [RFC 7662]: https://www.rfc-editor.org/rfc/rfc7662

mod answer;
mod back_off;
mod format;
mod rules;
#[cfg(feature = "jwt")]
mod signed;

use super::{CacheSupport, Rejection, ValidateToken, Validated, Verdict, times::Leeway};
use crate::{
    Answer, ClientAuthentication, Clock, ConfigError, Origin, RequestHead, Transport,
    back_channel::{
        client_authentication::Asked,
        form_post::{Answered, PostError, post},
        secrets::Secrets,
    },
    vocabulary::origin::fetchable,
};
use answer::Members;
use back_off::BackOff;
use format::{Format, Json};
use http::Uri;
use rules::Rules;
use serde_core::de::DeserializeOwned;
use serde_json::Value;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};
use zeroize::Zeroizing;

/// The longest answer that is read.
const MAX_ANSWER: usize = 256 * 1024;

const DEADLINE: Duration = Duration::from_secs(5);

/// Asks the authorization server about each token
/// ([RFC 7662](https://www.rfc-editor.org/rfc/rfc7662)).
///
/// 1. Only an answer of status 200 that is one JSON object with `"active": true` finds a token
///    good; `"active": false` finds it bad. A 400 whose `error` is `unsupported_token_type` or
///    `invalid_token` is a verdict on the token too. Everything else is an outage: 503, and never
///    kept by a cache. That is any other status, a redirect, a page, a member that is there twice
///    or of the wrong type, an answer that is too long or too late, and a server that refuses the
///    credentials of this resource.
/// 2. What the answer says is checked here again: `exp`, `nbf`, `iat`, `iss` and `aud`. A refresh
///    token, an ID token, and a token that is bound to a key (`cnf`, DPoP) are refused.
/// 3. While the server asks to be left alone (429 or 5xx with `Retry-After`, at most an hour), no
///    token is asked about: 503, with the time that is left.
/// 4. The token goes into the body of the request, never into a URL.
///
/// `"active": false` is said of a revoked token and of one that the server has never heard of alike
/// ([RFC 7662 §2.2](https://www.rfc-editor.org/rfc/rfc7662#section-2.2)), and is final: asked first
/// in a [`first_of`](super::first_of) this validator decides, and the second never sees such a
/// token. Put it last there, or tell tokens apart by a [`Route`](super::Route).
///
/// Each token is a request to the server: put [`Cached`](super::Cached) around it, unless a
/// destroyed token must be refused at once.
///
/// The principal has `sub`, `client_id`, `scope`, `iss`, `aud`, `jti`, `exp`, `iat`, `acr` and
/// `auth_time`. A `scope` that is a list has one scope in each item. An item that is no scope, such
/// as one with a space, grants nothing. Other members are for [`with_claims`](Self::with_claims).
///
/// A clone asks the same server, and leaves it alone together with the others.
///
/// # Defaults
///
/// Any audience and any issuer; a leeway of 30 s; answers within 5 s, of at most 256 KiB, or
/// less where the transport was told so.
///
/// # A destroyed token
///
/// A token that was revoked at the server is refused at the next request. Under
/// [`Cached`](super::Cached) it is taken for as long as a verdict is kept, by default up to 60 s.
///
/// # Security
///
/// Name [the audience](Self::with_audience), or a token that was issued for another resource of
/// the same server is good here.
///
/// # Deployment
///
/// An endpoint that wants a Bearer token and no client: give [`ClientAuthentication::none`], and a
/// transport whose service adds the token: one under `client::AddBearer`.
///
/// # Panics
///
/// Whoever waits for an answer, as [`Transport::send`].
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
    back_off: Arc<BackOff>,
    claims: fn(Members) -> Result<C, Rejection>,
}

#[derive(Clone)]
struct Settings {
    url: Uri,
    client: ClientAuthentication,
    transport: Transport,
    clock: Clock,
    rules: Rules,
    format: Arc<dyn Format>,
}

impl Introspection {
    /// Asks the endpoint at `url` as `client` through `transport`. No I/O is done here.
    ///
    /// # Errors
    ///
    /// When `url` is no absolute `https` URL (or `http` to the machine itself, or whatever the
    /// transport was told to allow), and when `client` puts its parameters into the query.
    pub fn new(
        url: &str,
        client: ClientAuthentication,
        transport: Transport,
    ) -> Result<Self, ConfigError> {
        let url = fetchable(url, transport.allows_plain_http())
            .map_err(|why| ConfigError::new(format!("the introspection URL {why}")))?;
        if client.is_query() {
            return Err(ConfigError::new(
                "introspection has its parameters in the body, and ClientAuthentication::query has not",
            ));
        }
        let transport = transport.at_most(MAX_ANSWER).within(DEADLINE);
        let (clock, rules) = (Clock::system(), Rules::default());
        let format = Arc::new(Json);
        let settings = Settings { url, client, transport, clock, rules, format };
        Ok(Self { settings: Arc::new(settings), back_off: Arc::default(), claims: |_| Ok(()) })
    }
}

impl<C> Introspection<C> {
    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }

    /// Whom a token must be meant for: one of `audience`. An answer without `aud` is then refused
    /// too; see [`dangerous_allow_missing_audience`](Self::dangerous_allow_missing_audience). An empty list is of
    /// nobody. Defaults to anybody.
    pub fn with_audience<I>(self, audience: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Box<str>>,
    {
        let audience = audience.into_iter().map(Into::into).collect();
        self.with(|settings| settings.rules.audience = Some(audience))
    }

    /// Takes answers that do not say whom the token is meant for, where an audience is asked for.
    /// Only for a server that has tokens for this resource alone. Defaults to refusing them.
    pub fn dangerous_allow_missing_audience(self) -> Self {
        self.with(|settings| settings.rules.missing_audience = true)
    }

    /// Who must have issued a token, where the answer says who did: most do not. Defaults to
    /// anybody.
    pub fn with_issuer(self, issuer: impl Into<Arc<str>>) -> Self {
        let issuer = issuer.into();
        self.with(|settings| settings.rules.issuer = Some(issuer))
    }

    /// How far the clocks of the server and of this machine may be apart, at most 5 minutes: so
    /// much later than `exp`, and so much sooner than `nbf` and `iat`, a token is good. Defaults
    /// to 30 s.
    ///
    /// # Errors
    ///
    /// When it is longer.
    pub fn with_leeway(self, leeway: Duration) -> Result<Self, ConfigError> {
        let leeway = Leeway::new(leeway)?;
        Ok(self.with(|settings| settings.rules.leeway = leeway))
    }

    /// The time within which an answer must be there, whatever the transport's own. Defaults to
    /// 5 s, or less where the transport was told so.
    pub fn with_deadline(self, deadline: Duration) -> Self {
        self.with(|settings| {
            settings.transport = settings.transport.clone().with_deadline(deadline);
        })
    }

    /// The clock by which tokens expire and the server is left alone. Defaults to the system's.
    /// The deadline is by that of the transport.
    pub fn with_clock(self, clock: Clock) -> Self {
        self.with(|settings| settings.clock = clock)
    }

    /// Reads the members of each answer as a `D` too, the [claims](Validated::claims) of the
    /// token. A token whose answer is no `D` is refused as invalid. Defaults to `()`, and nothing
    /// is read.
    pub fn with_claims<D: DeserializeOwned>(self) -> Introspection<D> {
        Introspection {
            settings: self.settings,
            back_off: self.back_off,
            claims: |members| {
                let unfit = "the access token does not say what this resource has to know";
                serde_json::from_value(Value::Object(members))
                    .map_err(|_| Rejection::invalid(unfit))
            },
        }
    }
}

impl<C: 'static> Introspection<C> {
    fn ask(&self, token: &str) -> impl Future<Output = Verdict<C>> + Send + use<C> {
        let this = self.clone();
        let mut secrets = Secrets::default();
        secrets.add(token);
        let Settings { url, client, transport, clock, format, .. } = &*self.settings;
        let params = [("token", token), ("token_type_hint", "access_token")];
        let params = params.map(|(name, value)| (name, Zeroizing::new(value.to_owned()))).to_vec();
        let accept = format.media_type();
        let asked = Asked { endpoint: url, now: clock.wall() };
        let posted = post(asked, client, &params, accept, secrets, transport);
        async move {
            let Settings { clock, rules, format, .. } = &*this.settings;
            let Answered { response, secrets } = posted.await.map_err(unasked)?;
            let now = clock.wall();
            if let Some(wait) = answer::back_off(&response, now) {
                this.back_off.extend(clock.monotonic(), wait);
            }
            let body = answer::body(&response, &secrets, now)?;
            let members = answer::active(format.read(body, now, rules.leeway).await?)?;
            let principal = rules.judge(&members, now)?;
            let good_until = rules.good_until(&principal);
            let validated = Validated::new(principal, (this.claims)(members)?);
            Ok(Arc::new(validated.with_good_until(good_until)))
        }
    }
}

/// The endpoint did not answer, or was not asked.
fn unasked(error: PostError) -> Rejection {
    let cause = match error {
        PostError::Client(cause) => cause.into(),
        PostError::Url => "the introspection URL cannot take the parameters in its query".into(),
        PostError::Transport(error) => {
            format!("the introspection endpoint cannot be asked: {error}")
        }
    };
    Rejection::unavailable(None).because(cause)
}

impl<C: Send + Sync + 'static> ValidateToken for Introspection<C> {
    type Claims = C;
    type Future = IntrospectionFuture<C>;

    fn validate(&self, token: &str, _: RequestHead<'_>) -> Answer<IntrospectionFuture<C>> {
        match self.back_off.left(self.settings.clock.monotonic()) {
            None => Answer::Pending(IntrospectionFuture { asked: Box::pin(self.ask(token)) }),
            Some(left) => Answer::Ready(Err(Rejection::unavailable(Some(left))
                .because("the introspection endpoint asked to be left alone"))),
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
}

/// The wait for the answer to an [`Introspection`].
///
/// # Cancel safety
///
/// Dropping the future drops the request. Nothing is lost by that but the answer.
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
        Self {
            settings: self.settings.clone(),
            back_off: self.back_off.clone(),
            claims: self.claims,
        }
    }
}

impl<C> fmt::Debug for Introspection<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { url, client, transport, rules, .. } = &*self.settings;
        f.debug_struct("Introspection")
            .field("origin", &Origin::of(url).map(|origin| origin.to_string()))
            .field("client", client)
            .field("transport", transport)
            .field("rules", rules)
            .finish_non_exhaustive()
    }
}

impl<C> fmt::Debug for IntrospectionFuture<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectionFuture").finish_non_exhaustive()
    }
}
