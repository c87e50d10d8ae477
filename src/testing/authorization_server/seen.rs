use super::{AuthorizationServer, dispatch::Endpoint};
use bytes::Bytes;
use http::{Request, header::AUTHORIZATION, request::Parts};
use std::collections::VecDeque;

/// How many token requests are kept.
const MAX_KEPT: usize = 64;

/// What was asked of the server.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) token_requests: usize,
    authorize_requests: usize,
    introspections: usize,
    revocations: usize,
    key_requests: usize,
    kept: VecDeque<Request<Bytes>>,
}

impl Seen {
    pub(super) fn count(&mut self, endpoint: Endpoint, head: &Parts, body: &Bytes) {
        match endpoint {
            Endpoint::Authorize => self.authorize_requests += 1,
            Endpoint::Introspect => self.introspections += 1,
            Endpoint::Revoke => self.revocations += 1,
            Endpoint::Keys => self.key_requests += 1,
            Endpoint::Metadata => {}
            Endpoint::Token | Endpoint::LogIn => {
                self.token_requests += 1;
                if self.kept.len() == MAX_KEPT {
                    self.kept.pop_front();
                }
                self.kept.push_back(request(head, body));
            }
        }
    }
}

/// The request as it came, its extensions left out: they are the connection's.
fn request(head: &Parts, body: &Bytes) -> Request<Bytes> {
    let mut request = Request::new(body.clone());
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = head.uri.clone();
    *request.version_mut() = head.version;
    *request.headers_mut() = head.headers.clone();
    let credentials = request.headers_mut().iter_mut().filter(|(name, _)| *name == AUTHORIZATION);
    credentials.for_each(|(_, value)| value.set_sensitive(true));
    request
}

/// What it saw.
impl AuthorizationServer {
    /// How many requests came to `…/token` and `…/authorization`, whatever became of them.
    #[must_use]
    pub fn token_requests(&self) -> usize {
        self.lock().seen.token_requests
    }

    /// How many requests came to `…/authorize`.
    #[must_use]
    pub fn authorize_requests(&self) -> usize {
        self.lock().seen.authorize_requests
    }

    /// How many requests came to `…/introspect`.
    #[must_use]
    pub fn introspections(&self) -> usize {
        self.lock().seen.introspections
    }

    /// How many requests came to `…/revoke`.
    #[must_use]
    pub fn revocations(&self) -> usize {
        self.lock().seen.revocations
    }

    /// How many requests came to `…/jwks` and `…/certs`.
    #[must_use]
    pub fn key_requests(&self) -> usize {
        self.lock().seen.key_requests
    }

    /// The newest request to `…/token` or `…/authorization` as it came, with every credential in
    /// it.
    #[must_use]
    pub fn last_token_request(&self) -> Option<Request<Bytes>> {
        self.lock().seen.kept.back().cloned()
    }

    /// The last 64 requests to `…/token` and `…/authorization` as they came, the oldest first.
    #[must_use]
    pub fn recent_token_requests(&self) -> Vec<Request<Bytes>> {
        self.lock().seen.kept.iter().cloned().collect()
    }
}
