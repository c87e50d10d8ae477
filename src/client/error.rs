use crate::{
    DiscoveryError, DiscoveryErrorKind, Origin, TransportError,
    back_channel::{form_post::PostError, scrub, secrets::Secrets},
};
use http::StatusCode;
use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

/// Why a call could not be given a token, or a token request brought none.
///
/// As an error of a layer it comes inside the service's
/// [`Box<dyn Error>`](tower_service::Service::Error), and nothing was sent when it comes. All
/// callers that waited for one fetch get the same failure ([`is_same`](Self::is_same)). It holds
/// no token, no secret, no query string and no answer's body.
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
    /// What failed was the exchange of a code, which is never sent twice.
    spent_code: bool,
    /// The request cannot have reached the server.
    unsent: bool,
    /// The server answers something else than what is asked for, and will do so again.
    lasting: bool,
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request goes to an origin that the token is not for, or may take it there inside of
    /// its URI.
    ForeignOrigin,
    /// The token cannot ride where it should: a `:` in a Basic user name, a URI that would
    /// become too long.
    Placement,
    /// The user's own source of tokens failed.
    Source,
    /// The authorization server could not be reached, or did not answer in time.
    Transport,
    /// The authorization server refused; [`code`](Error::code) says why, where it said so.
    Refused,
    /// The answer of the authorization server cannot be used.
    InvalidResponse,
    /// The fetch ended without an answer: its runtime was shut down, or it panicked.
    Aborted,
    /// A token has to be fetched, and there is no tokio runtime to do it on.
    NoRuntime,
    /// There is no token, or it is gone and cannot be fetched again: the user has to sign in.
    SignInNeeded,
    /// The request does not say whose token it wants: see [`TokenPool`](super::TokenPool).
    NoKey,
    /// The cache was shut down.
    ShutDown,
    /// The answer to a sign-in is not one to this sign-in, or says that it failed.
    SignIn,
}

/// What lies below an [`Error`]: the failure of the transport, rendered once.
#[derive(Clone, Debug)]
pub struct Cause {
    text: Box<str>,
}

impl Error {
    pub(super) fn new(kind: ErrorKind, text: impl Into<Box<str>>) -> Self {
        Self::of(Failure::new(kind, text))
    }

    /// The error of a user's own source: `error` is rendered once, bounded and on one line, and
    /// query strings are cut out of it. An [`Error`] stays what it is.
    pub fn from_source(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        match error.into().downcast::<Self>() {
            Ok(own) => *own,
            Err(foreign) => {
                Self::new(ErrorKind::Source, scrub::chain(foreign.as_ref(), str::to_owned))
            }
        }
    }

    pub(super) fn foreign_origin(uri: &http::Uri) -> Self {
        let text = match Origin::from_uri(uri) {
            Some(origin) => format!("the token is not for {origin}, which its layer was not given"),
            None => "the token is not for this URI".into(),
        };
        Self::new(ErrorKind::ForeignOrigin, text)
    }

    /// A request elsewhere, in whose URI the token may be where it cannot be cut out.
    pub(super) fn token_inside(uri: &http::Uri) -> Self {
        let origin =
            Origin::from_uri(uri).map_or_else(String::new, |origin| format!(" to {origin}"));
        let text = format!(
            "the URI{origin} has an access_token inside of another value, which may be the one that \
             this layer attached"
        );
        Self::new(ErrorKind::ForeignOrigin, text)
    }

    pub(super) fn placement(text: &'static str) -> Self {
        Self::new(ErrorKind::Placement, text)
    }

    /// A form that was not posted, or not answered.
    pub(super) fn post(error: PostError) -> Self {
        match error {
            PostError::Client(text) => Self::new(ErrorKind::Source, text),
            PostError::Url => Self::placement("the URL cannot take the parameters in its query"),
            PostError::Transport(error) => Self::transport(&error),
        }
    }

    /// The failure of the transport, which was asked to keep the secrets of the attempt out of it.
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
        let code = code.and_then(shown);
        let mut text = format!("the authorization server refused the token request ({status})");
        for part in [code.clone(), description.and_then(shown)].into_iter().flatten() {
            text.push_str(": ");
            text.push_str(&part);
        }
        Self::of(Failure {
            code: code.map(Into::into),
            status: Some(status),
            ..Failure::new(ErrorKind::Refused, text)
        })
    }

    pub(super) fn invalid_response(status: StatusCode, text: impl Into<String>) -> Self {
        let text = format!("the token response cannot be used: {}", text.into());
        Self::of(Failure { status: Some(status), ..Failure::new(ErrorKind::InvalidResponse, text) })
    }

    /// The answer can be read, and holds what is no use here: the next one will too.
    pub(super) fn of_no_use(status: StatusCode, text: impl Into<String>) -> Self {
        let mut error = Self::invalid_response(status, text);
        if let Some(failure) = Arc::get_mut(&mut error.failure) {
            failure.lasting = true;
        }
        error
    }

    pub(super) fn sign_in_needed() -> Self {
        let text = "the access token is gone and cannot be fetched again: sign in again";
        Self::new(ErrorKind::SignInNeeded, text)
    }

    /// A pool has no cache for what the request names.
    pub(super) fn not_signed_in() -> Self {
        Self::new(ErrorKind::SignInNeeded, "there are no tokens of this user: sign in")
    }

    /// The request does not say which cache of a pool it is for.
    pub(super) fn no_key() -> Self {
        Self::new(
            ErrorKind::NoKey,
            "the request does not say whose token it wants: the pool looks into its extensions",
        )
    }

    pub(super) fn shut_down() -> Self {
        Self::new(ErrorKind::ShutDown, "the source of tokens was shut down")
    }

    pub(super) fn aborted() -> Self {
        let text = "the token request was aborted: its runtime was shut down, or it panicked";
        Self::new(ErrorKind::Aborted, text)
    }

    /// The deadline of a fetch is over.
    pub(super) fn timed_out() -> Self {
        Self::new(ErrorKind::Transport, "the token request took too long")
    }

    /// The metadata that say where the token endpoint is are not to be had; no token request was
    /// sent.
    pub(super) fn discovery(error: &DiscoveryError) -> Self {
        let kind = match error.kind() {
            DiscoveryErrorKind::Transport => ErrorKind::Transport,
            DiscoveryErrorKind::Refused => ErrorKind::Refused,
            _ => ErrorKind::InvalidResponse,
        };
        let (status, retry_after) = (error.status(), error.retry_after());
        let failure = Failure::new(kind, error.to_string());
        Self::of(Failure { status, retry_after, unsent: true, ..failure })
    }

    pub(super) fn no_token_endpoint() -> Self {
        let text = "the metadata names no token endpoint that may be asked";
        Self::of(Failure { unsent: true, ..Failure::new(ErrorKind::InvalidResponse, text) })
    }

    /// The refresh token may be used up, and is not sent again.
    pub(super) fn answers_lost() -> Self {
        let text = "the answers to a refresh were lost, and its refresh token may be used up: \
                    sign in again";
        Self::new(ErrorKind::SignInNeeded, text)
    }

    /// The user, or the server, said no to a sign-in.
    pub(super) fn sign_in_refused(code: &str, description: Option<&str>) -> Self {
        let code = scrub::description(code);
        let mut text = format!("the sign-in was refused: {code}");
        if let Some(description) = description {
            text.push_str(": ");
            text.push_str(&scrub::description(description));
        }
        Self::of(Failure { code: Some(code.into()), ..Failure::new(ErrorKind::SignIn, text) })
    }

    /// An error of the exchange of a code.
    pub(super) fn of_exchange(self) -> Self {
        let text = format!("{}; the sign-in has to begin anew", self.failure.text);
        Self::of(Failure {
            text: text.into(),
            code: self.failure.code.clone(),
            cause: self.failure.cause.clone(),
            spent_code: true,
            ..*self.failure
        })
    }

    /// Whether the request cannot have reached the server.
    pub(super) fn is_unsent(&self) -> bool {
        self.failure.unsent
    }

    /// Whether the server answers something else than what is asked for.
    pub(super) fn is_lasting(&self) -> bool {
        self.failure.lasting
    }

    fn of(failure: Failure) -> Self {
        Self { failure: Arc::new(failure), next_try: None }
    }

    /// The same failure, and how long it is until the next try.
    pub(super) fn with_next_try(&self, next_try: Duration) -> Self {
        Self { failure: self.failure.clone(), next_try: Some(next_try) }
    }

    pub(super) fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        if let Some(failure) = Arc::get_mut(&mut self.failure) {
            failure.retry_after = retry_after;
        }
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.failure.kind
    }

    /// The `error` code of the authorization server ([RFC 6749 §5.2]), where it sent one.
    ///
    /// [RFC 6749 §5.2]: https://www.rfc-editor.org/rfc/rfc6749#section-5.2
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.failure.code.as_deref()
    }

    /// The status of the authorization server's answer, where there was one.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.failure.status
    }

    /// How long it is until the next try, or what the server asked for.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.next_try.or(self.failure.retry_after)
    }

    /// Whether the same may succeed later without anybody changing anything: transport failures,
    /// unusable answers, and the statuses 408, 425, 429 and 5xx whatever the body says; not where
    /// the answer is a token of another type, or one that does not say what was issued where it
    /// must. Nothing of the kind helps a sign-in, whose code is never sent twice.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self.failure.kind {
            _ if self.failure.spent_code || self.failure.lasting => false,
            ErrorKind::Transport
            | ErrorKind::Source
            | ErrorKind::InvalidResponse
            | ErrorKind::Aborted
            | ErrorKind::NoRuntime => true,
            ErrorKind::Refused => self.failure.status.is_some_and(|status| {
                status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)
            }),
            ErrorKind::ForeignOrigin
            | ErrorKind::Placement
            | ErrorKind::SignInNeeded
            | ErrorKind::NoKey
            | ErrorKind::ShutDown
            | ErrorKind::SignIn => false,
        }
    }

    /// Whether the user has to sign in again: the token is gone for good, or a sign-in failed,
    /// for whatever reason.
    #[must_use]
    pub fn is_sign_in_needed(&self) -> bool {
        let kind = self.failure.kind;
        self.failure.spent_code || matches!(kind, ErrorKind::SignInNeeded | ErrorKind::SignIn)
    }

    /// Whether both are one failure: that of the same fetch.
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
