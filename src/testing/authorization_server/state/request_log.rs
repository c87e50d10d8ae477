use crate::testing::authorization_server::endpoint::Endpoint;
use bytes::Bytes;
use http::{Request, header::AUTHORIZATION};
use std::collections::{HashMap, VecDeque};

/// How many token requests are kept.
const MAX_KEPT: usize = 64;

/// The requests that the server received.
#[derive(Default)]
pub(crate) struct RequestLog {
    counts: HashMap<Endpoint, usize>,
    /// The newest token requests, the oldest first.
    pub(crate) kept: VecDeque<Request<Bytes>>,
}

impl RequestLog {
    pub(crate) fn record(&mut self, endpoint: Endpoint, request: &Request<Bytes>) {
        *self.counts.entry(endpoint).or_default() += 1;
        if matches!(endpoint, Endpoint::Token | Endpoint::LogIn) {
            if self.kept.len() == MAX_KEPT {
                self.kept.pop_front();
            }
            self.kept.push_back(copy(request));
        }
    }

    pub(crate) fn count(&self, endpoint: Endpoint) -> usize {
        self.counts.get(&endpoint).copied().unwrap_or_default()
    }

    pub(crate) fn token_requests(&self) -> usize {
        self.count(Endpoint::Token) + self.count(Endpoint::LogIn)
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
