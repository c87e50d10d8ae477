//! The one error of the client.

use super::error_code;
use crate::{
    DiscoveryError, DiscoveryErrorKind, Origin, TransportError,
    back_channel::{form_post::PostError, scrub, secrets::Secrets},
};
use http::StatusCode;
use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

/// The reason why a token could not be fetched or attached.
///
/// A layer returns it inside the service's [`Box<dyn Error>`](tower_service::Service::Error); the
/// layer has not sent the request then. All callers that waited for one fetch get the same failure
/// ([`is_same`](Self::is_same)). It contains no token, no secret and no query string, and of an
/// answer no more than its code, its message and what it is.
#[derive(Clone)]
pub struct Error {
    failure: Arc<Failure>,
    next_try: Option<Duration>,
}

struct Failure {
    kind: ErrorKind,
    text: Box<str>,
    code: Option<Box<str>>,
    status: Option<StatusCode>,
    retry_after: Option<Duration>,
    cause: Option<Cause>,
    /// The exchange of an authorization code failed. A code is never sent twice.
    spent_code: bool,
    /// The request cannot have reached the server.
    unsent: bool,
    /// The response is valid but unusable, and so will the next one be.
    lasting: bool,
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request goes to an origin that the token is not for, or its URI may contain the token.
    ForeignOrigin,
    /// The token cannot be attached: only servers read its location, it has a `:` and would be a
    /// Basic user name, or the header or URI would become too long. Also a URL of the authorization
    /// server that would become too long with its parameters.
    Placement,
    /// The user's own source of tokens, or the source of the client's secret or assertion, failed.
    Source,
    /// The authorization server could not be reached, or did not answer in time.
    Transport,
    /// The authorization server refused. [`code`](Error::code) is its reason, if it gave one.
    Refused,
    /// The answer of the authorization server cannot be used.
    InvalidResponse,
    /// The fetch ended without an answer: its runtime was shut down, it panicked, or another replica that
    /// renews a shared session took too long.
    Aborted,
    /// The fetch of a token needs a tokio runtime with timers, and there is none.
    NoRuntime,
    /// There is no token and no way to fetch one: the user has to sign in.
    SignInNeeded,
    /// The request has no key of a [`TokenPool`](super::TokenPool).
    NoKey,
    /// Each token expired or was replaced while the call waited for the inner service.
    Expired,
    /// The next attempt is not due: a replica failed to fetch the token of a [store](super::TokenStore), or
    /// the answers to the refresh token of a shared session were lost.
    Paused,
    /// The cache was shut down.
    ShutDown,
    /// A sign-in failed: its callback is malformed, is late, belongs to another sign-in or reports
    /// an error, or the sign-in could not begin.
    SignIn,
}

/// The source of an [`Error`]: the failure of the transport, rendered once.
#[derive(Clone, Debug)]
pub struct Cause {
    text: Box<str>,
}

impl Error {
    pub(super) fn new(kind: ErrorKind, text: impl Into<Box<str>>) -> Self {
        Self::of(Failure::new(kind, text))
    }

    /// Wraps the error of a source of tokens. It is rendered once, on one line of at most 512 bytes,
    /// without query strings. An [`Error`] is returned unchanged.
    pub fn from_source(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        match error.into().downcast::<Self>() {
            Ok(own) => *own,
            Err(foreign) => {
                Self::new(ErrorKind::Source, scrub::chain(foreign.as_ref(), str::to_owned))
            }
        }
    }

    /// Wraps the error of a source that would fail again with the same input: a wrong secret, an
    /// account that is locked. It is rendered as by [`from_source`](Self::from_source), and is not
    /// [transient](Self::is_transient): a cache tries again after seconds, and its callers do not wait.
    pub fn from_refusal(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(ErrorKind::Refused, scrub::chain(error.into().as_ref(), str::to_owned))
    }

    /// Returns the same failure with the time until the next try, which is how long a cache waits, an
    /// hour at most. Defaults to the cache's own back-off.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_oauth2::client::Error;
    ///
    /// let busy = Error::from_source("the vault is sealed");
    /// let busy = busy.with_retry_after(Duration::from_secs(30));
    /// assert!(busy.is_transient());
    /// ```
    #[must_use]
    pub fn with_retry_after(&self, wait: Duration) -> Self {
        Self { failure: self.failure.clone(), next_try: Some(wait) }
    }

    pub(super) fn foreign_origin(uri: &http::Uri) -> Self {
        let text = match Origin::from_uri(uri) {
            Some(origin) => {
                format!("the token is not for {origin}, which is not an origin of its layer")
            }
            None => "the token is not for this URI".into(),
        };
        Self::new(ErrorKind::ForeignOrigin, text)
    }

    /// A request to another origin whose URI has a token that cannot be removed.
    pub(super) fn token_inside(uri: &http::Uri) -> Self {
        let origin =
            Origin::from_uri(uri).map_or_else(String::new, |origin| format!(" to {origin}"));
        let text = format!(
            "the URI{origin} has an access_token inside another value, which may be the one that \
             this layer attached"
        );
        Self::new(ErrorKind::ForeignOrigin, text)
    }

    pub(super) fn placement(text: &'static str) -> Self {
        Self::new(ErrorKind::Placement, text)
    }

    /// A token request that could not be made or got no response.
    pub(super) fn post(error: PostError) -> Self {
        match error {
            PostError::Client(text) => Self::new(ErrorKind::Source, text),
            PostError::Url => Self::placement("the URL cannot take the parameters in its query"),
            PostError::Transport(error) => Self::transport(&error),
        }
    }

    /// A failure of the transport. Its text has no secrets: the transport removes them.
    pub(super) fn transport(error: &TransportError) -> Self {
        let cause = Cause { text: error.to_string().into() };
        let text = "the authorization server did not answer the token request";
        let unsent = error.is_unsent();
        Self::of(Failure { cause: Some(cause), unsent, ..Failure::new(ErrorKind::Transport, text) })
    }

    /// A refusal with the `error` and `error_description` that came with it.
    pub(super) fn refused(
        status: StatusCode,
        code: Option<&str>,
        description: Option<&str>,
        secrets: &Secrets,
    ) -> Self {
        let shown = |text: &str| Some(secrets.scrub(text)).filter(|shown| !shown.is_empty());
        let code = match code {
            // Beside its letters and digits it may have anything.
            Some(known) if error_code::is_known(known) => Some(scrub::description(known)),
            code => code.and_then(shown),
        };
        let mut text = format!("the authorization server refused the token request ({status})");
        for part in [code.clone(), description.and_then(shown)].into_iter().flatten() {
            text.push_str(": ");
            text.push_str(&part);
        }
        // Nobody knows what would have to change at this end.
        let unknown = code.as_deref().is_some_and(|code| !error_code::is_known(code));
        Self::of(Failure {
            code: code.map(Into::into),
            status: Some(status),
            lasting: unknown && !error_code::is_transient_status(status),
            ..Failure::new(ErrorKind::Refused, text)
        })
    }

    pub(super) fn invalid_response(status: StatusCode, text: impl Into<String>) -> Self {
        let text = format!("the token response cannot be used: {}", text.into());
        Self::of(Failure { status: Some(status), ..Failure::new(ErrorKind::InvalidResponse, text) })
    }

    /// A valid response that is unusable, as the next one will be.
    pub(super) fn of_no_use(status: StatusCode, text: impl Into<String>) -> Self {
        let mut error = Self::invalid_response(status, text);
        if let Some(failure) = Arc::get_mut(&mut error.failure) {
            failure.lasting = true;
        }
        error
    }

    pub(super) fn sign_in_needed() -> Self {
        let text = "there is no access token and no way to fetch one; the user has to sign in";
        Self::new(ErrorKind::SignInNeeded, text)
    }

    /// A pool has no cache for the key of the request.
    pub(super) fn not_signed_in() -> Self {
        let text = "the token pool has no tokens of this user; the user has to sign in";
        Self::new(ErrorKind::SignInNeeded, text)
    }

    /// The request has no key of a pool.
    pub(super) fn no_key() -> Self {
        let text = "the request has no key of the token pool; put it into the extensions";
        Self::new(ErrorKind::NoKey, text)
    }

    pub(super) fn shut_down() -> Self {
        Self::new(ErrorKind::ShutDown, "the source of tokens was shut down")
    }

    pub(super) fn too_soon() -> Self {
        let text = "there is no token, and the next may not be fetched yet";
        Self::new(ErrorKind::Transport, text)
    }

    pub(super) fn aborted() -> Self {
        let text = "the token request was aborted: its runtime was shut down, or it panicked";
        Self::new(ErrorKind::Aborted, text)
    }

    /// The fetch exceeded its deadline.
    pub(super) fn timed_out() -> Self {
        Self::new(ErrorKind::Transport, "the token request took too long")
    }

    /// The metadata that name the token endpoint could not be read. No token request was sent.
    pub(super) fn discovery(error: &DiscoveryError) -> Self {
        let kind = match error.kind() {
            DiscoveryErrorKind::Transport => ErrorKind::Transport,
            DiscoveryErrorKind::Refused => ErrorKind::Refused,
            _ => ErrorKind::InvalidResponse,
        };
        let failure = Failure { unsent: true, ..Failure::new(kind, error.to_string()) };
        Self::of(Failure { status: error.status(), retry_after: error.retry_after(), ..failure })
    }

    pub(super) fn no_token_endpoint() -> Self {
        let text = "the metadata have no usable token_endpoint";
        Self::of(Failure { unsent: true, ..Failure::new(ErrorKind::InvalidResponse, text) })
    }

    /// The user or the server refused a sign-in.
    pub(super) fn sign_in_refused(code: &str, description: Option<&str>) -> Self {
        let code = scrub::description(code);
        let more = description.map(|text| format!(": {}", scrub::description(text)));
        let text = format!("the sign-in was refused: {code}{}", more.unwrap_or_default());
        Self::of(Failure { code: Some(code.into()), ..Failure::new(ErrorKind::SignIn, text) })
    }

    /// Returns this error of a token request as that of the exchange of an authorization code.
    pub(super) fn after_code_exchange(self) -> Self {
        let text = format!("{}; begin the sign-in again", self.failure.text);
        Self::of(Failure {
            text: text.into(),
            code: self.failure.code.clone(),
            cause: self.failure.cause.clone(),
            spent_code: true,
            ..*self.failure
        })
    }

    /// Returns `true` if the request cannot have reached the server.
    pub(super) fn is_unsent(&self) -> bool {
        self.failure.unsent
    }

    /// Returns `true` if the refresh that failed so can never succeed (RFC 6749 §5.2): its refresh
    /// token is not good any more. A client that is refused may be let in again.
    pub(super) fn ends_session(&self) -> bool {
        !self.is_transient() && self.code().is_some_and(error_code::ends_session)
    }

    /// Returns `true` if the next response will be unusable too.
    pub(super) fn is_lasting(&self) -> bool {
        self.failure.lasting
    }

    fn of(failure: Failure) -> Self {
        Self { failure: Arc::new(failure), next_try: None }
    }

    /// Sets the server's `Retry-After`. Call it before the error is cloned: it has no effect later.
    pub(super) fn answered_with(mut self, retry_after: Option<Duration>) -> Self {
        if let Some(failure) = Arc::get_mut(&mut self.failure) {
            failure.retry_after = retry_after;
        }
        self
    }

    /// Returns the kind of this error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.failure.kind
    }

    /// Returns the `error` code of the authorization server ([RFC 6749 §5.2]), or the vendor's own in
    /// its place, if it sent one.
    ///
    /// [RFC 6749 §5.2]: https://www.rfc-editor.org/rfc/rfc6749#section-5.2
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.failure.code.as_deref()
    }

    /// Returns the status of the authorization server's response, if there was one.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.failure.status
    }

    /// Returns the time until the next try, or the server's `Retry-After`.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.next_try.or(self.failure.retry_after)
    }

    /// Returns `true` if the same call may succeed later: after a failure of the transport or of a
    /// source, an unusable response, an aborted fetch, a missing runtime, a status 408, 425, 429 or
    /// 5xx with any body, or a code such as `temporarily_unavailable` with any status. Returns `false`
    /// if the response is a token of another type or lacks a required `issued_token_type`, and after
    /// the exchange of a sign-in's code, which is never repeated.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self.failure.kind {
            _ if self.failure.spent_code || self.failure.lasting => false,
            ErrorKind::Transport
            | ErrorKind::Source
            | ErrorKind::InvalidResponse
            | ErrorKind::Aborted
            | ErrorKind::NoRuntime
            | ErrorKind::Paused
            | ErrorKind::Expired => true,
            ErrorKind::Refused => {
                self.failure.status.is_some_and(error_code::is_transient_status)
                    || self.code().is_some_and(error_code::is_transient)
            }
            ErrorKind::ForeignOrigin
            | ErrorKind::Placement
            | ErrorKind::SignInNeeded
            | ErrorKind::NoKey
            | ErrorKind::ShutDown
            | ErrorKind::SignIn => false,
        }
    }

    /// Returns `true` if the user has to sign in again: the token cannot be refreshed, or a sign-in
    /// failed for any reason.
    #[must_use]
    pub fn is_sign_in_needed(&self) -> bool {
        let kind = self.failure.kind;
        self.failure.spent_code || matches!(kind, ErrorKind::SignInNeeded | ErrorKind::SignIn)
    }

    /// Returns `true` if both are the failure of one fetch.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.failure, &other.failure)
    }
}

impl Failure {
    fn new(kind: ErrorKind, text: impl Into<Box<str>>) -> Self {
        let (code, status, retry_after, cause) = (None, None, None, None);
        let (spent_code, unsent, lasting) = (false, false, false);
        let text = text.into();
        Self { kind, text, code, status, retry_after, cause, spent_code, unsent, lasting }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.failure.kind)
            .field("text", &self.failure.text)
            .field("status", &self.failure.status)
            .field("cause", &self.failure.cause)
            .field("retry_after", &self.retry_after())
            .finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.failure.text)?;
        match self.next_try {
            Some(wait) => write!(f, "; next try in {:.1} s", wait.as_secs_f64()),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.failure.cause.as_ref().map(|cause| cause as _)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for Cause {}
