use crate::testing::authorization_server::endpoint::Endpoint;
use bytes::Bytes;
use http::{Request, header::AUTHORIZATION};
use std::collections::VecDeque;

/// How many token requests are kept.
const MAX_KEPT: usize = 64;

/// The requests that the server received.
#[derive(Default)]
pub(crate) struct RequestLog {
    pub(crate) token_requests: usize,
    pub(crate) authorize_requests: usize,
    pub(crate) introspections: usize,
    pub(crate) revocations: usize,
    pub(crate) key_requests: usize,
    /// The newest token requests, the oldest first.
    pub(crate) kept: VecDeque<Request<Bytes>>,
}

impl RequestLog {
    pub(crate) fn record(&mut self, endpoint: Endpoint, request: &Request<Bytes>) {
        match endpoint {
            Endpoint::Authorize => self.authorize_requests += 1,
            Endpoint::Introspect => self.introspections += 1,
            Endpoint::Revoke => self.revocations += 1,
            Endpoint::Keys => self.key_requests += 1,
            Endpoint::Device | Endpoint::Metadata => {}
            Endpoint::Token | Endpoint::LogIn => {
                self.token_requests += 1;
                if self.kept.len() == MAX_KEPT {
                    self.kept.pop_front();
                }
                self.kept.push_back(copy(request));
            }
        }
    }
}

/// Copies the request without its extensions, which belong to the connection.
fn copy(request: &Request<Bytes>) -> Request<Bytes> {
    let mut copy = request.clone();
    copy.extensions_mut().clear();
    let credentials = copy.headers_mut().iter_mut().filter(|(name, _)| *name == AUTHORIZATION);
    credentials.for_each(|(_, value)| value.set_sensitive(true));
    copy
}
