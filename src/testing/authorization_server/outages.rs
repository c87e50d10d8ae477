use super::{
    AuthorizationServer,
    state::{Faults, Outcome},
};
use bytes::Bytes;
use http::Response;

/// # Outages
///
/// Faults concern requests to `…/token` and `…/authorization`. They occur in the order of the calls
/// below, and after the latency. The requests count.
impl AuthorizationServer {
    /// Answers the next `n` token requests with `response`, and does not carry them out.
    pub fn fail_next(&self, n: usize, response: Response<Bytes>) {
        self.lock().faults.queue(n, Outcome::Answer(response));
    }

    /// Never answers the next `n` token requests, and does not carry them out.
    pub fn hang_next(&self, n: usize) {
        self.lock().faults.queue(n, Outcome::Hang);
    }

    /// Carries the next `n` token requests out and loses the answers. A bound server closes the
    /// connection (HTTP/2: resets the stream). The service, which cannot fail, never answers.
    pub fn drop_next(&self, n: usize) {
        self.lock().faults.queue(n, Outcome::Drop);
    }

    /// Answers every token request with `response`, once the faults of the next requests are used
    /// up and until [`clear_faults`](Self::clear_faults).
    pub fn fail_all(&self, response: Response<Bytes>) {
        self.lock().faults.standing = Some(Outcome::Answer(response));
    }

    /// Never answers a token request, once the faults of the next requests are used up and until
    /// [`clear_faults`](Self::clear_faults).
    pub fn hang_all(&self) {
        self.lock().faults.standing = Some(Outcome::Hang);
    }

    /// Removes every fault that has not occurred yet. A request that hangs already gets no answer.
    pub fn clear_faults(&self) {
        self.lock().faults = Faults::default();
    }

    /// Answers every request to every endpoint with 503, and carries none out, until
    /// [`come_back`](Self::come_back). The requests count. For token requests alone, use
    /// [`fail_all`](Self::fail_all); for the keys alone, [`fail_keys`](Self::fail_keys).
    pub fn go_down(&self) {
        self.lock().settings.down = true;
    }

    /// Answers again, with everything that the server knew before it went down.
    pub fn come_back(&self) {
        self.lock().settings.down = false;
    }

    /// Answers every request for the keys with `response`, until
    /// [`restore_keys`](Self::restore_keys).
    pub fn fail_keys(&self, response: Response<Bytes>) {
        self.lock().settings.keys_fault = Some(Outcome::Answer(response));
    }

    /// Never answers a request for the keys, until [`restore_keys`](Self::restore_keys).
    pub fn hang_keys(&self) {
        self.lock().settings.keys_fault = Some(Outcome::Hang);
    }

    /// Serves the keys again.
    pub fn restore_keys(&self) {
        self.lock().settings.keys_fault = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::authorization_server::support::{get, post};

    #[test]
    fn every_endpoint_is_down_and_tokens_are_active_again_when_the_server_comes_back() {
        let server = AuthorizationServer::new();
        server.set_issuer("https://as.example");
        let token = server.mint_opaque("{}").unwrap();
        let statuses = || {
            let gets = ["/jwks", "/.well-known/openid-configuration"].map(|uri| get(&server, uri));
            let form = format!("token={token}");
            let posts = ["/token", "/introspect", "/revoke"].map(|uri| post(&server, uri, &form));
            gets.into_iter().chain(posts).map(|answer| answer.status().as_u16()).collect::<Vec<_>>()
        };
        server.go_down();
        assert_eq!(statuses(), [503; 5]);
        server.come_back();
        assert_eq!(statuses(), [200, 200, 401, 401, 401]);
        assert_eq!((server.token_requests(), server.introspections()), (2, 2));
        assert!(server.introspect(&token).is_some());
    }

    #[test]
    fn faults_occur_in_order_and_the_one_for_all_requests_last() {
        let server = AuthorizationServer::new();
        server.fail_next(1, Response::new("a".into()));
        server.hang_next(0);
        server.drop_next(2);
        server.fail_all(Response::new("b".into()));
        let next = || match server.lock().faults.next() {
            None => "none".to_owned(),
            Some(Outcome::Answer(response)) => String::from_utf8(response.body().to_vec()).unwrap(),
            Some(outcome) => format!("{outcome:?}"),
        };
        assert_eq!([next(), next(), next(), next(), next()], ["a", "Drop", "Drop", "b", "b"]);
        server.hang_all();
        assert_eq!(next(), "Hang");
        server.clear_faults();
        assert_eq!(next(), "none");
    }
}
