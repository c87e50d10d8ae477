//! The answer of each endpoint, as a function of the state and the request.
//!
//! **In**: a request with its whole body, and the state. **Out**: an [`Outcome`], and the state that
//! follows. **Uses** no socket and no future.

mod assertions;
mod authorize;
mod client_auth;
mod device;
mod introspect;
mod log_in;
mod published;
mod revoke;
mod token;

use super::{
    answer::{self, Refusal},
    endpoint::Endpoint,
    state::{Outcome, Quirk, State},
};
use crate::vocabulary::location::DPOP_NONCE;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use std::time::Duration;

/// How the server reacts to a request.
#[derive(Debug)]
pub(super) struct Reaction {
    pub(super) latency: Duration,
    pub(super) outcome: Outcome,
}

impl From<Response<Bytes>> for Reaction {
    fn from(response: Response<Bytes>) -> Self {
        Self { latency: Duration::ZERO, outcome: Outcome::Answer(response) }
    }
}

/// Carries the request out, unless a fault replaces its answer.
pub(super) fn react(state: &mut State, request: &Request<Bytes>) -> Reaction {
    let Some(endpoint) = Endpoint::from_path(request.uri().path()) else {
        return answer::not_found().into();
    };
    if *request.method() != endpoint.method() {
        return answer::method_not_allowed(&endpoint.method()).into();
    }
    state.requests.record(endpoint, request);
    if state.settings.down {
        return answer::bare(StatusCode::SERVICE_UNAVAILABLE).into();
    }
    let (fault, latency) = match endpoint {
        Endpoint::Token | Endpoint::LogIn => (state.faults.next(), state.settings.latency),
        Endpoint::Keys => (state.settings.keys_fault.clone(), state.settings.keys_latency),
        _ => (None, Duration::ZERO),
    };
    let outcome = match fault {
        None => Outcome::Answer(answer(state, endpoint, request)),
        Some(Outcome::Drop) => {
            answer(state, endpoint, request);
            Outcome::Drop
        }
        Some(fault) => fault,
    };
    Reaction { latency, outcome }
}

fn answer(state: &mut State, endpoint: Endpoint, request: &Request<Bytes>) -> Response<Bytes> {
    let answer = match endpoint {
        Endpoint::Authorize => authorize::answer(state, request),
        Endpoint::Device => device::answer(state, request),
        Endpoint::Introspect => introspect::answer(state, request),
        Endpoint::Keys => Ok(published::keys(state)),
        Endpoint::LogIn => Ok(log_in::answer(state, request)),
        Endpoint::Metadata => Ok(published::metadata(state)),
        Endpoint::Revoke => revoke::answer(state, request),
        Endpoint::Token => token::answer(state, request),
    };
    let mut response = answer.unwrap_or_else(Refusal::into_response);
    if endpoint == Endpoint::Token
        && state.settings.has(Quirk::DpopNonces)
        && let Some(nonce) = state.proofs.nonce(state.clock.wall())
    {
        response.headers_mut().insert(DPOP_NONCE, nonce);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        AuthorizationServer, RegisteredClient,
        authorization_server::support::{get, post},
    };
    use http::{
        HeaderValue,
        header::{AUTHORIZATION, CONTENT_TYPE},
    };
    use proptest::prelude::*;

    #[test]
    fn another_path_or_method_is_refused_and_does_not_count() {
        let server = AuthorizationServer::new();
        for (refused, allowed) in [
            (get(&server, "/token?grant_type=client_credentials"), "POST"),
            (post(&server, "/authorize", ""), "GET"),
        ] {
            assert_eq!(refused.status(), 405);
            assert_eq!(refused.headers()["allow"], allowed);
        }
        assert_eq!(get(&server, "/").status(), 404);
        assert_eq!((server.token_requests(), server.authorize_requests()), (0, 0));
    }

    fn endpoint() -> impl Strategy<Value = &'static str> {
        prop_oneof![
            Just("authorize"),
            Just("device_authorization"),
            Just("token"),
            Just("authorization"),
            Just("introspect"),
            Just("revoke")
        ]
    }

    fn parameters() -> impl Strategy<Value = String> {
        let name = prop_oneof![
            Just("grant_type=authorization_code".to_owned()),
            Just("client_id=app".to_owned()),
            Just("response_type=code".to_owned()),
            "(state|scope|code|code_challenge|token|redirect_uri|username)=[ -~]{0,9}",
            "[%&=+a-f0-9;]{0,9}",
        ];
        proptest::collection::vec(name, 0..6).prop_map(|pairs| pairs.join("&"))
    }

    proptest! {
        #[test]
        fn nothing_that_a_peer_sends_panics(
            endpoint in endpoint(),
            query in parameters(),
            body in parameters(),
            junk in proptest::collection::vec(any::<u8>(), 0..9),
            credentials in "(Basic )?[ -~]{0,20}",
        ) {
            let server = AuthorizationServer::new();
            let client = RegisteredClient::public("app").with_redirect_uri("https://a.example");
            server.register_client(client.unwrap());
            let Ok(mut request) = Request::get(format!("/{endpoint}?{query}")).body(()) else {
                return Ok(());
            };
            *request.method_mut() = Endpoint::from_path(request.uri().path()).unwrap().method();
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            request.headers_mut().insert(CONTENT_TYPE, form);
            let credentials = HeaderValue::try_from(credentials).unwrap();
            request.headers_mut().insert(AUTHORIZATION, credentials);
            let body = [body.as_bytes(), &junk].concat();
            let reaction = server.react(&request.map(|()| body.into()));
            prop_assert!(matches!(reaction.outcome, Outcome::Answer(_)));
        }
    }
}
