//! An authorization server in the process ([RFC 6749]).
//!
//! 1. An answer follows from the state, its clock and the request alone ([`endpoints`]). The future
//!    around it reads the body and holds the answer back ([`exchange`]).
//! 2. A request takes effect when it arrives, also if its answer is late or lost.
//! 3. A setter takes effect with the next request.
//!
//! **In**: HTTP requests, and what a test sets. **Out**: HTTP answers. **Uses** the rooms below
//! `testing`. From bottom to top: `answer`, `endpoint`, `form`; `state`; `endpoints`; the type
//! `AuthorizationServer` with what a test may set and read; `exchange`, `bind` and `validator`.
//!
//! [RFC 6749]: https://www.rfc-editor.org/rfc/rfc6749

mod answer;
mod bind;
mod endpoint;
mod endpoints;
mod exchange;
mod form;
#[cfg(feature = "jwt")]
mod keys;
mod knobs;
mod mint;
mod outages;
mod requests;
mod state;
#[cfg(test)]
mod support;
#[cfg(feature = "server")]
mod validator;

pub use bind::BoundServer;
pub use exchange::ResponseFuture;
#[cfg(feature = "jwt")]
pub use state::JwtFormat;
pub use state::{IssuedToken, Quirk, RegisteredClient};
#[cfg(feature = "server")]
pub use validator::IssuedTokens;

use crate::{Clock, ScopeSet};
use bytes::Bytes;
use endpoints::Reaction;
use exchange::Exchange;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use state::{Approval, State};
use std::{
    convert::Infallible,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};
use tower_service::Service;

/// Answers as an authorization server, in the process of a test.
///
/// It is a [`Service`] for a [`Transport`](crate::Transport), or [binds](Self::bind) to a socket on
/// loopback. The last segment of the path names the endpoint, so the server has the addresses of any
/// system: `/token`, `/api/v2/token`, `/realms/x/protocol/openid-connect/token`.
///
/// | endpoint | answer |
/// |---|---|
/// | `GET …/authorize` | approves at once: 302 with a code, with PKCE (`S256`) or without |
/// | `POST …/token` | issues tokens for the grants `client_credentials`, `authorization_code`, `refresh_token` and `password`, for assertions about users ([RFC 7523 §2.1]), for devices, and in exchange for its own access tokens ([RFC 8693]) |
/// | `POST …/device_authorization` | issues the codes of a device ([RFC 8628]), which [`approve_device`](Self::approve_device) and [`deny_device`](Self::deny_device) end; polled more often than its interval it says `slow_down`, after ten minutes `expired_token` |
/// | `POST …/authorization` | logs a user in by a form of `username` and `password`, without a grant or a client: 200, or 401 without a body |
/// | `POST …/introspect` | describes an access token to a client with a secret ([RFC 7662]) |
/// | `POST …/revoke` | revokes a token ([RFC 7009]) |
/// | `GET …/jwks`, `GET …/certs` | publishes the keys of JWTs |
/// | `GET …/.well-known/…` | publishes the metadata ([RFC 8414], OpenID Connect Discovery) of a server with an issuer |
///
/// A client authenticates by Basic, in the body, in the query of a request without a body, or by an
/// assertion that it signs. A public client only names itself.
///
/// A token request with a DPoP proof gets a token that is bound to the key of the proof
/// ([RFC 9449 §5], feature `jwt`), and so is the refresh token of a public client.
///
/// A code can be used once, for ten minutes. A second use of a code or a refresh token revokes every
/// token of its grant ([RFC 9700 §4.14]).
///
/// Clones share one state. All of it can be changed while the server is serving.
///
/// # Defaults
///
/// Access tokens live for an hour. Clients of users get refresh tokens, which rotate. The answer has
/// `token_type`, `scope` and `expires_in`. There is no latency and no fault.
///
/// # Security
///
/// For tests only: the server keeps passwords and secrets as they are, and takes every visitor of
/// `…/authorize` for the approving user. Its tokens are unguessable all the same.
///
/// # Example
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use http::{Request, header::CONTENT_TYPE};
/// use tower_oauth2::{
///     Transport,
///     testing::{AuthorizationServer, RegisteredClient},
/// };
///
/// let server = AuthorizationServer::new();
/// server.register_client(RegisteredClient::confidential("app", "s3cr3t"));
///
/// let request = Request::post("https://as.example/token")
///     .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
///     .body("grant_type=client_credentials&client_id=app&client_secret=s3cr3t".into())?;
/// let response = Transport::new(server.clone()).send(request).await?;
///
/// let answer: serde_json::Value = serde_json::from_slice(response.body())?;
/// let token = answer["access_token"].as_str().ok_or("no token")?;
/// let issued = server.introspect(token).ok_or("not known")?;
/// assert_eq!((issued.client_id(), server.token_requests()), (Some("app"), 1));
///
/// assert!(server.revoke(token));
/// assert!(server.introspect(token).is_none());
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
/// #     .block_on(example()).unwrap();
/// ```
///
/// # Example: an outage over a socket
///
/// ```
/// # async fn example() -> std::io::Result<()> {
/// use bytes::Bytes;
/// use http::{Response, header::RETRY_AFTER};
/// use tower_oauth2::testing::AuthorizationServer;
///
/// let server = AuthorizationServer::new();
/// let bound = server.bind().await?;
/// assert!(bound.url("/token").starts_with("http://127.0.0.1:"));
///
/// let down = Response::builder().status(503).header(RETRY_AFTER, "2").body(Bytes::new());
/// server.fail_all(down.unwrap());
/// // …
/// server.clear_faults();
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
/// #     .block_on(example()).unwrap();
/// ```
///
/// [RFC 7009]: https://www.rfc-editor.org/rfc/rfc7009
/// [RFC 7523 §2.1]: https://www.rfc-editor.org/rfc/rfc7523#section-2.1
/// [RFC 7662]: https://www.rfc-editor.org/rfc/rfc7662
/// [RFC 8414]: https://www.rfc-editor.org/rfc/rfc8414
/// [RFC 8628]: https://www.rfc-editor.org/rfc/rfc8628
/// [RFC 8693]: https://www.rfc-editor.org/rfc/rfc8693
/// [RFC 9449 §5]: https://www.rfc-editor.org/rfc/rfc9449#section-5
/// [RFC 9700 §4.14]: https://www.rfc-editor.org/rfc/rfc9700#section-4.14
#[derive(Clone, Default)]
pub struct AuthorizationServer {
    state: Arc<Mutex<State>>,
}

impl AuthorizationServer {
    /// Creates a server without clients and users.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the clock. Tokens expire by its wall clock, and its timers measure the latency. Defaults
    /// to the system's clock.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        self.lock().clock = clock;
        self
    }

    /// Adds a client, in place of the client with the same id, for example to change its secret. Its
    /// tokens stay active.
    pub fn register_client(&self, client: RegisteredClient) {
        self.lock().clients.insert(client.id().into(), client);
    }

    /// Adds a user, in place of the user of the same name. `scopes` are the rights of the user: a
    /// token of the user grants no other, and grants all of them if none is requested.
    ///
    /// The user registered first approves at `…/authorize`, until
    /// [`set_approving_user`](Self::set_approving_user).
    pub fn register_user(
        &self,
        name: impl Into<String>,
        password: impl Into<String>,
        scopes: ScopeSet,
    ) {
        self.lock().register_user(name.into(), password.into(), scopes);
    }

    /// Approves the device with this code as the user `name`. Returns `false` if no device waits for a
    /// user with this code.
    pub fn approve_device(&self, user_code: &str, name: impl Into<String>) -> bool {
        self.lock().end_device(user_code, Approval::By(name.into()))
    }

    /// Denies the device with this code. Returns `false` if no device waits for a user with this code.
    pub fn deny_device(&self, user_code: &str) -> bool {
        self.lock().end_device(user_code, Approval::Denied)
    }

    /// Returns the contents of an access token, or `None` if it is unknown, expired or revoked.
    #[must_use]
    pub fn introspect(&self, token: &str) -> Option<IssuedToken> {
        self.lock().active(token).ok().cloned()
    }

    /// Revokes an access token, or a refresh token and every token of its grant, without notice to
    /// the client. Returns `true` if it was not revoked before.
    pub fn revoke(&self, token: &str) -> bool {
        self.lock().revoke(token)
    }

    /// Revokes every token and every code.
    pub fn revoke_all(&self) {
        self.lock().revoke_all();
    }

    /// Reacts to a request with its whole body.
    fn react(&self, request: &Request<Bytes>) -> Reaction {
        endpoints::react(&mut self.lock(), request)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics between two writes, so the state behind a poisoned lock is consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Body> Service<Request<B>> for AuthorizationServer {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = ResponseFuture<B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture<B> {
        ResponseFuture::new(Exchange::new(self.clone(), request))
    }
}

/// Shows counts, never a token or a secret.
impl fmt::Debug for AuthorizationServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("AuthorizationServer")
            .field("clients", &state.clients.len())
            .field("users", &state.users.len())
            .field("token_requests", &state.requests.token_requests())
            .finish_non_exhaustive()
    }
}
