//! The device authorization grant ([RFC 8628](https://www.rfc-editor.org/rfc/rfc8628)).

use super::{
    answer_body::{members, text, what_it_is},
    endpoint::TokenEndpoint,
    refusal::{is_refusal, refusal},
    token_response::lifetime,
};
use crate::{
    ClientSecret, ConfigError, ScopeSet,
    back_channel::{form_post::Answered, retry_after::retry_after},
    client::{Error, ErrorKind, Grant, TokenResponse},
    vocabulary::clock::Now,
};
use http::Uri;
use std::time::Duration;

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What an answer without `interval` means, and what `slow_down` adds
/// ([RFC 8628 §3.5](https://www.rfc-editor.org/rfc/rfc8628#section-3.5)).
const INTERVAL: Duration = Duration::from_secs(5);
const MAX_INTERVAL: Duration = Duration::from_secs(5 * 60);
/// The longest interval to which failures lead by themselves: what was approved meanwhile is not missed.
const MAX_BACK_OFF: Duration = Duration::from_secs(60);
/// The longest time for which it polls, and that for which it polls if the server names none.
const MAX_LIFETIME: Duration = Duration::from_secs(60 * 60);
const LIFETIME: Duration = Duration::from_secs(10 * 60);
/// The longest user code, in bytes: a user types it.
const MAX_CODE: usize = 64;

/// Signs a user in on another device: for a program without a browser, such as a command line
/// ([RFC 8628](https://www.rfc-editor.org/rfc/rfc8628)).
///
/// [`begin`](Self::begin) returns a [`DeviceAuthorization`], with a code to show to the user, who
/// enters it in a browser. [`DeviceAuthorization::finish`] waits until the user has approved. Its
/// token, and the refresh token that may be with it, are for
/// [`TokenCache::from_sign_in`](crate::client::TokenCache::from_sign_in).
///
/// # Security
///
/// An attacker may show a code of their own to a user, who then approves the attacker's device
/// ([RFC 8628 §5.4](https://www.rfc-editor.org/rfc/rfc8628#section-5.4)). Use a [`SignIn`] where
/// there is a browser.
///
/// # Example
///
/// ```
/// use tower_oauth2::{
///     ClientAuthentication, Transport,
///     client::{DeviceSignIn, Error, TokenEndpoint, TokenResponse},
/// };
///
/// async fn sign_in(sign_in: DeviceSignIn) -> Result<TokenResponse, Error> {
///     let device = sign_in.begin().await?;
///     println!("Open {} and enter {}", device.verification_uri(), device.user_code());
///     device.finish().await
/// }
///
/// let client = ClientAuthentication::public("id");
/// let endpoint = TokenEndpoint::new("https://as.example/token", client, Transport::https())?;
/// let device = DeviceSignIn::new(endpoint, "https://as.example/device_authorization")?
///     .with_scopes("read offline_access".parse()?);
/// # let _ = sign_in(device);
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
///
/// [`SignIn`]: crate::client::SignIn
#[derive(Clone, Debug)]
#[must_use]
pub struct DeviceSignIn {
    endpoint: TokenEndpoint,
    url: Uri,
    asked: Grant,
    resources: Vec<String>,
}

impl DeviceSignIn {
    /// Requests codes at `url`, the `device_authorization_endpoint`, and tokens at `endpoint`. Both
    /// get the credentials of its client, so both must be of the same server.
    ///
    /// # Errors
    ///
    /// If `url` is not an absolute `https` URL. `http` is accepted to the machine itself, or as the
    /// transport of the endpoint allows it.
    pub fn new(endpoint: TokenEndpoint, url: &str) -> Result<Self, ConfigError> {
        let wrong = |why: &str| ConfigError::new(format!("the device authorization URL {why}"));
        let url = endpoint.parse_url(url).map_err(wrong)?;
        Ok(Self { endpoint, url, asked: Grant::standard(&[]), resources: Vec::new() })
    }

    /// Requests `scopes`. Defaults to none: the server decides.
    pub fn with_scopes(mut self, scopes: ScopeSet) -> Self {
        self.asked = self.asked.with_scopes(scopes);
        self
    }

    /// Requests a token for `resource`, and so do the renewals of a
    /// [`TokenCache::from_sign_in`](crate::client::TokenCache::from_sign_in). Another call adds
    /// another resource. Defaults to none.
    ///
    /// # Errors
    ///
    /// If `resource` is not an absolute URI without a fragment.
    pub fn with_resource(mut self, resource: impl Into<String>) -> Result<Self, ConfigError> {
        let resource = resource.into();
        self.asked = self.asked.with_resource(resource.clone())?;
        self.resources.push(resource);
        Ok(self)
    }

    /// Adds a parameter to the request for a code, such as `audience`. Defaults to none.
    ///
    /// # Errors
    ///
    /// If `name` is empty, set already, or one that a grant sets itself.
    pub fn with_param(
        mut self,
        name: impl Into<String>,
        value: impl Into<ClientSecret>,
    ) -> Result<Self, ConfigError> {
        let name = name.into();
        self.asked = match &*name {
            "audience" => self.asked.with_audience(value.into().expose()),
            _ => self.asked.with_param(name, value)?,
        };
        Ok(self)
    }

    /// Requests a code for the user.
    ///
    /// # Errors
    ///
    /// If the request fails, or the answer lacks a code or an `https` URL for the user.
    ///
    /// # Panics
    ///
    /// As [`Transport::send`](crate::Transport::send).
    pub async fn begin(&self) -> Result<DeviceAuthorization, Error> {
        let Answered { response, secrets } =
            self.endpoint.ask(&self.url, &self.asked, None).await?;
        let status = response.status();
        let invalid = |what: &str| {
            Error::invalid_response(status, format!("{what} (of the device authorization)"))
        };
        let wait = retry_after(response.headers(), self.endpoint.clock().wall());
        let refused = || refusal(&response, &secrets).answered_with(wait);
        let members = members(&response).filter(|_| status.is_success());
        let members = match members {
            Some(members) if !is_refusal(&members) => members,
            None if status.is_success() => return Err(invalid(&what_it_is(&response, &secrets))),
            _ => return Err(refused()),
        };
        let device_code = text(&members, "device_code").ok_or_else(|| invalid("no device_code"))?;
        let user_code = text(&members, "user_code").filter(|code| is_typed(code));
        // Terminals obey control characters, and browsers open what is no web page.
        let is_shown = |url: &&str| url.bytes().all(|byte| byte.is_ascii_graphic());
        let url = |name| {
            let url = text(&members, name).filter(is_shown);
            url.filter(|url| self.endpoint.parse_url(url).is_ok())
        };
        // Google's name is that of a draft.
        let uri = url("verification_uri").or_else(|| url("verification_url"));
        let seconds = |name| members.get(name).and_then(lifetime).filter(|it| !it.is_zero());
        Ok(DeviceAuthorization {
            grant: Grant::standard(&[("grant_type", DEVICE_CODE), ("device_code", device_code)]),
            user_code: user_code.ok_or_else(|| invalid("no usable user_code"))?.into(),
            verification_uri: uri.ok_or_else(|| invalid("no usable verification_uri"))?.into(),
            complete: url("verification_uri_complete").map(Into::into),
            lifetime: seconds("expires_in").unwrap_or(LIFETIME).min(MAX_LIFETIME),
            interval: seconds("interval").unwrap_or(INTERVAL).min(MAX_INTERVAL),
            began: self.endpoint.clock().now(),
            sign_in: self.clone(),
        })
    }
}

/// Returns `true` for a code that a user can read and type.
fn is_typed(code: &str) -> bool {
    let is_short = code.len() <= MAX_CODE && !code.trim().is_empty();
    is_short && code.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

/// A sign-in that waits for the user, who approves it on another device. Made by
/// [`DeviceSignIn::begin`].
#[must_use = "it does not poll before `finish` is called"]
pub struct DeviceAuthorization {
    sign_in: DeviceSignIn,
    grant: Grant,
    user_code: Box<str>,
    verification_uri: Box<str>,
    complete: Option<Box<str>>,
    lifetime: Duration,
    interval: Duration,
    began: Now,
}

impl DeviceAuthorization {
    /// Returns the code that the user enters: visible ASCII.
    #[must_use]
    pub fn user_code(&self) -> &str {
        &self.user_code
    }

    /// Returns the URL at which the user enters the code.
    #[must_use]
    pub fn verification_uri(&self) -> &str {
        &self.verification_uri
    }

    /// Returns a URL with the code in it, for a QR code, if the server sent one. Show the code too,
    /// for the user to compare.
    #[must_use]
    pub fn verification_uri_complete(&self) -> Option<&str> {
        self.complete.as_deref()
    }

    /// Returns for how long the user may approve: at most an hour, and ten minutes if the server
    /// names no time.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Waits until the user has approved, and returns the token.
    ///
    /// It asks the server at the `interval` that this named, or every 5 s, and 5 s less often after
    /// each `slow_down`. After an outage, a time-out or a `Retry-After` it asks half as often, or as
    /// the server says ([RFC 8628 §3.5](https://www.rfc-editor.org/rfc/rfc8628#section-3.5)). It stops
    /// at the first answer with a token, so no code is redeemed twice.
    ///
    /// # Errors
    ///
    /// If the user refuses (`access_denied`), does not approve in time (`expired_token`), or the server
    /// refuses for another reason. [`Error::code`] says which. An answer with a token that cannot be
    /// used is an error as well. Outside of a tokio runtime the kind is
    /// [`NoRuntime`](ErrorKind::NoRuntime).
    ///
    /// # Panics
    ///
    /// As [`Transport::send`](crate::Transport::send).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the sign-in: the server gets no further request.
    pub async fn finish(self) -> Result<TokenResponse, Error> {
        let Self { sign_in: DeviceSignIn { endpoint, resources, .. }, mut interval, .. } = self;
        let clock = endpoint.clock();
        if !clock.has_timers() {
            let text =
                "a device is polled for in a tokio runtime with timers: call from within one";
            return Err(Error::new(ErrorKind::NoRuntime, text));
        }
        loop {
            let left = self.lifetime.saturating_sub(clock.now().since(self.began));
            clock.sleep(interval.min(left)).await;
            if left <= interval {
                let why = "the user did not approve in time; begin the sign-in again";
                return Err(Error::sign_in_refused("expired_token", Some(why)));
            }
            match endpoint.fetch(&self.grant).await {
                Ok(response) => return Ok(response.with_resources(resources)),
                Err(error) => match next_interval(&error, interval) {
                    Some(next) => interval = next,
                    None => return Err(error.after_code_exchange()),
                },
            }
        }
    }
}

/// Returns how long to wait after `error`, or `None` if that is the end.
fn next_interval(error: &Error, interval: Duration) -> Option<Duration> {
    let doubled = (interval * 2).min(interval.max(MAX_BACK_OFF));
    let next = match (error.code(), error.kind()) {
        (Some("authorization_pending"), _) => interval,
        (Some("slow_down"), _) => interval + INTERVAL,
        (_, ErrorKind::Transport | ErrorKind::Source) => doubled,
        (_, ErrorKind::Refused) if error.is_transient() => doubled,
        _ => return None,
    };
    Some(next.max(error.retry_after().unwrap_or_default()).min(MAX_INTERVAL))
}

// Shows neither code.
opaque_debug!(DeviceAuthorization { verification_uri, lifetime, interval, .. });
