//! An authorization server in the process ([RFC 6749]).
//!
//! 1. What it answers follows from its state, its clock and the request alone; the future around
//!    that reads the body and holds the answer back.
//! 2. A request takes effect when it arrives, also where its answer is late or gets lost.
//! 3. What a knob changes holds from the next request on.
//!
//! [RFC 6749]: https://www.rfc-editor.org/rfc/rfc6749

mod answer;
#[cfg(feature = "jwt")]
mod assertions;
#[cfg(not(feature = "jwt"))]
#[path = "no_assertions.rs"]
mod assertions;
mod authorize;
mod bind;
mod client_auth;
mod dispatch;
mod exchange;
mod faults;
mod form;
mod introspect;
mod issued;
#[cfg(feature = "jwt")]
mod jwts;
#[cfg(not(feature = "jwt"))]
#[path = "no_jwts.rs"]
mod jwts;
mod knobs;
mod log_in;
mod mint;
mod published;
mod registered;
mod revoke;
mod seen;
mod state;
#[cfg(test)]
mod support;
mod token;
#[cfg(feature = "server")]
mod validator;

pub use bind::BoundServer;
pub use exchange::ResponseFuture;
pub use issued::IssuedToken;
#[cfg(feature = "jwt")]
pub use jwts::JwtFormat;
pub use registered::RegisteredClient;
#[cfg(feature = "server")]
pub use validator::IssuedTokens;

use crate::{Clock, ScopeSet};
use bytes::Bytes;
use exchange::Exchange;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use state::State;
use std::{
    convert::Infallible,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};
use tower_service::Service;

/// An authorization server for tests, in the process: a [`Service`] to make a
/// [`Transport`](crate::Transport) of, or [bound](Self::bind) to a socket on loopback.
///
/// The last segment of the path names the endpoint, so it answers at every address that a system
/// gives its own: `/token`, `/api/v2/token`, `/realms/x/protocol/openid-connect/token`.
///
/// - `GET …/authorize` approves at once: 302 with a code, with PKCE (`S256`) or without.
/// - `POST …/token` knows the grants `client_credentials`, `authorization_code`, `refresh_token`
///   and `password`, assertions about users ([RFC 7523 §2.1]) and the exchange of its own access
///   tokens ([RFC 8693]). The client authenticates by Basic, in the body, or in the query of a request
///   without a body, or by an assertion that it signs; a public one only names itself.
/// - `POST …/authorization` logs a user in: a form of `username` and `password`, no grant and no
///   client; 200, or 401 without a body.
/// - `POST …/introspect` tells a client with a secret what an access token stands for
///   ([RFC 7662]).
/// - `POST …/revoke` revokes ([RFC 7009]).
/// - `GET …/jwks` and `GET …/certs` show the keys of JWTs, and `GET …/.well-known/…` the metadata
///   ([RFC 8414], OpenID Connect Discovery), where the server has an issuer identifier.
///
/// Codes are good once and for ten minutes. A code or a refresh token that is used a second time
/// takes every token of its grant with it ([RFC 9700 §4.14]).
///
/// A clone is the same server, and everything can be changed while it is serving.
///
/// # Defaults
///
/// Access tokens live for an hour; refresh tokens are issued to users' clients, and rotate; the
/// answer names its `token_type`, its `scope` and its `expires_in`; no latency and no faults.
///
/// # Security
///
/// For tests only: passwords and secrets are kept as they are, and whoever asks
/// `…/authorize` is taken for the user. What it issues is unguessable all the same.
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
/// assert!(server.revoke(token), "destroyed");
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
/// server.always(down.unwrap());
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
/// [RFC 8693]: https://www.rfc-editor.org/rfc/rfc8693
/// [RFC 9700 §4.14]: https://www.rfc-editor.org/rfc/rfc9700#section-4.14
#[derive(Clone)]
pub struct AuthorizationServer {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    state: Mutex<State>,
}

impl AuthorizationServer {
    /// A server without clients and users, on the system's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Clock::system())
    }

    /// A server without clients and users, whose tokens expire by the wall of `clock` and whose
    /// latency is waited for with its timers.
    #[must_use]
    pub fn with_clock(clock: Clock) -> Self {
        Self { shared: Arc::new(Shared { clock, state: Mutex::default() }) }
    }

    /// Adds a client, and replaces what was registered under its id: a secret is changed thus.
    /// Tokens stay good.
    pub fn register_client(&self, client: RegisteredClient) {
        self.lock().clients.insert(client.id().into(), client);
    }

    /// Adds a user, and replaces what was registered under the name. `scopes` are the rights of
    /// the user: no token of hers grants more, and it grants all of them where none were asked
    /// for.
    ///
    /// The user registered first is the one who approves at `…/authorize`, until
    /// [`set_approving_user`](Self::set_approving_user) says otherwise.
    pub fn register_user(
        &self,
        name: impl Into<String>,
        password: impl Into<String>,
        scopes: ScopeSet,
    ) {
        self.lock().register_user(name.into(), password.into(), scopes);
    }

    /// What `token` stands for, and nothing where it is unknown, expired or revoked.
    #[must_use]
    pub fn introspect(&self, token: &str) -> Option<IssuedToken> {
        let now = self.shared.clock.wall();
        self.lock().standing(token, now).ok().cloned()
    }

    fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics between two writes, so a poisoned state is a whole one.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for AuthorizationServer {
    fn default() -> Self {
        Self::new()
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

/// Shows how much there is, never a token or a secret.
impl fmt::Debug for AuthorizationServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("AuthorizationServer")
            .field("clients", &state.clients.len())
            .field("users", &state.users.len())
            .field("token_requests", &state.seen.token_requests)
            .finish_non_exhaustive()
    }
}
