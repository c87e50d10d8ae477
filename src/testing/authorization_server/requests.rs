use super::{AuthorizationServer, endpoint::Endpoint};
use bytes::Bytes;
use http::Request;

/// # Received requests
impl AuthorizationServer {
    /// Returns the number of requests to `…/token` and `…/authorization`, failed ones included.
    #[must_use]
    pub fn token_requests(&self) -> usize {
        self.lock().requests.token_requests()
    }

    /// Returns the number of requests to `…/authorize`.
    #[must_use]
    pub fn authorize_requests(&self) -> usize {
        self.lock().requests.count(Endpoint::Authorize)
    }

    /// Returns the number of requests to `…/introspect`.
    #[must_use]
    pub fn introspections(&self) -> usize {
        self.lock().requests.count(Endpoint::Introspect)
    }

    /// Returns the number of requests to `…/revoke`.
    #[must_use]
    pub fn revocations(&self) -> usize {
        self.lock().requests.count(Endpoint::Revoke)
    }

    /// Returns the number of requests to `…/jwks` and `…/certs`.
    #[must_use]
    pub fn key_requests(&self) -> usize {
        self.lock().requests.count(Endpoint::Keys)
    }

    /// Returns the newest request to `…/token` or `…/authorization` as it arrived, with its
    /// credentials.
    #[must_use]
    pub fn last_token_request(&self) -> Option<Request<Bytes>> {
        self.lock().requests.kept.back().cloned()
    }

    /// Returns the newest 64 requests to `…/token` and `…/authorization` as they arrived, the oldest
    /// first.
    #[must_use]
    pub fn recent_token_requests(&self) -> Vec<Request<Bytes>> {
        self.lock().requests.kept.iter().cloned().collect()
    }
}
