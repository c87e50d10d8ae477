use super::AuthorizationServer;
use bytes::Bytes;
use http::Response;
use std::collections::VecDeque;

/// What happens to a token request in place of an answer.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// Another answer; the request is not carried out.
    Answer(Response<Bytes>),
    /// No answer; the request is not carried out.
    Hang,
    /// No answer; the request is carried out.
    Drop,
}

/// Faults for the next requests, and one for all that follow.
#[derive(Debug, Default)]
pub(super) struct Faults {
    queue: VecDeque<(usize, Fault)>,
    standing: Option<Fault>,
}

impl Faults {
    /// The fault of the next request.
    pub(super) fn next(&mut self) -> Option<Fault> {
        while let Some((left, fault)) = self.queue.front_mut() {
            if let Some(fewer) = left.checked_sub(1) {
                *left = fewer;
                return Some(fault.clone());
            }
            self.queue.pop_front();
        }
        self.standing.clone()
    }
}

/// Its faults. They befall requests to `…/token` and `…/authorization`, in the order in which
/// they were asked for, and after the latency; the requests count.
impl AuthorizationServer {
    /// Answers the next `n` token requests with `response`, without looking at them.
    pub fn fail_next(&self, n: usize, response: Response<Bytes>) {
        self.lock().faults.queue.push_back((n, Fault::Answer(response)));
    }

    /// Never answers the next `n` token requests.
    pub fn hang_next(&self, n: usize) {
        self.lock().faults.queue.push_back((n, Fault::Hang));
    }

    /// Carries the next `n` token requests out and loses the answers: a bound server closes the
    /// connection (HTTP/2: resets the stream), the service, which cannot fail, never answers.
    pub fn drop_next(&self, n: usize) {
        self.lock().faults.queue.push_back((n, Fault::Drop));
    }

    /// Answers every token request with `response` once the faults for the next ones are used
    /// up, until [`clear_faults`](Self::clear_faults).
    pub fn always(&self, response: Response<Bytes>) {
        self.lock().faults.standing = Some(Fault::Answer(response));
    }

    /// Never answers a token request once the faults for the next ones are used up, until
    /// [`clear_faults`](Self::clear_faults).
    pub fn hang(&self) {
        self.lock().faults.standing = Some(Fault::Hang);
    }

    /// Answers every request, to whatever endpoint, with 503 and carries none out, until
    /// [`come_back`](Self::come_back). Requests count. What becomes of token requests alone is said by
    /// [`always`](Self::always) and [`hang`](Self::hang), of those for keys by
    /// [`fail_keys`](Self::fail_keys).
    pub fn go_down(&self) {
        self.lock().settings.down = true;
    }

    /// Answers again, and knows what it knew.
    pub fn come_back(&self) {
        self.lock().settings.down = false;
    }

    /// Takes back every fault that has not befallen a request yet. A request that hangs goes on
    /// hanging.
    pub fn clear_faults(&self) {
        self.lock().faults = Faults::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::authorization_server::support::{get, post};

    #[test]
    fn while_it_is_down_every_endpoint_is_and_a_token_of_before_is_good_again_afterwards() {
        let server = AuthorizationServer::new();
        server.set_issuer(Some("https://as.example"));
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
    fn faults_come_in_their_order_and_the_standing_one_last() {
        let server = AuthorizationServer::new();
        server.fail_next(1, Response::new("a".into()));
        server.hang_next(0);
        server.drop_next(2);
        server.always(Response::new("b".into()));
        let next = || match server.lock().faults.next() {
            None => "none".to_owned(),
            Some(Fault::Answer(response)) => String::from_utf8(response.body().to_vec()).unwrap(),
            Some(fault) => format!("{fault:?}"),
        };
        assert_eq!([next(), next(), next(), next(), next()], ["a", "Drop", "Drop", "b", "b"]);
        server.hang();
        assert_eq!(next(), "Hang");
        server.clear_faults();
        assert_eq!(next(), "none");
    }
}
