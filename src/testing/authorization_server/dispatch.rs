//! Which endpoint answers, or what befalls the request in its place.

use super::{
    AuthorizationServer, answer, authorize,
    exchange::{Outcome, Reaction},
    faults::Fault,
    introspect, log_in, published, revoke, token,
};
use bytes::Bytes;
use http::{Method, StatusCode, request::Parts};

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Authorize,
    Token,
    LogIn,
    Introspect,
    Revoke,
    Keys,
    Metadata,
}

/// Goes between the host and the path of an issuer (RFC 8414 §3.1).
const WELL_KNOWN: &str = "/.well-known/oauth-authorization-server";

impl Endpoint {
    fn of(path: &str) -> Option<Self> {
        if path.starts_with(WELL_KNOWN) {
            return Some(Self::Metadata);
        }
        match path.rsplit('/').next()? {
            "authorize" => Some(Self::Authorize),
            "token" => Some(Self::Token),
            "authorization" => Some(Self::LogIn),
            "introspect" => Some(Self::Introspect),
            "revoke" => Some(Self::Revoke),
            "jwks" | "certs" => Some(Self::Keys),
            "openid-configuration" => Some(Self::Metadata),
            _ => None,
        }
    }

    fn method(self) -> Method {
        match self {
            Self::Authorize | Self::Keys | Self::Metadata => Method::GET,
            Self::Token | Self::LogIn | Self::Introspect | Self::Revoke => Method::POST,
        }
    }
}

impl AuthorizationServer {
    /// Answers a request whose body is there.
    pub(super) fn react(&self, head: &Parts, body: &Bytes) -> Reaction {
        let Some(endpoint) = Endpoint::of(head.uri.path()) else {
            return answer::not_found().into();
        };
        if head.method != endpoint.method() {
            return answer::method_not_allowed(&endpoint.method()).into();
        }
        let now = self.clock().wall();
        let mut state = self.lock();
        state.seen.count(endpoint, head, body);
        if state.settings.down {
            return answer::bare(StatusCode::SERVICE_UNAVAILABLE).into();
        }
        let answer = match endpoint {
            Endpoint::Authorize => return authorize::answer(&mut state, now, head).into(),
            Endpoint::Introspect => return introspect::answer(&mut state, now, head, body).into(),
            Endpoint::Keys => return published::keys(&state),
            Endpoint::Metadata => return published::metadata(&state).into(),
            Endpoint::Revoke => return revoke::answer(&mut state, now, head, body).into(),
            Endpoint::Token => token::answer,
            Endpoint::LogIn => log_in::answer,
        };
        let outcome = match state.faults.next() {
            None => Outcome::Answer(answer(&mut state, now, head, body)),
            Some(Fault::Answer(response)) => Outcome::Answer(response),
            Some(Fault::Hang) => Outcome::Hang,
            Some(Fault::Drop) => {
                answer(&mut state, now, head, body);
                Outcome::Drop
            }
        };
        Reaction { latency: state.settings.latency, outcome }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        RegisteredClient,
        authorization_server::support::{get, post},
    };
    use http::{
        HeaderValue, Request,
        header::{AUTHORIZATION, CONTENT_TYPE},
    };
    use proptest::prelude::*;

    #[test]
    fn the_last_segment_of_the_path_names_the_endpoint() {
        for (path, endpoint) in [
            ("/token", Some(Endpoint::Token)),
            ("/auth/realms/myenvironment/protocol/openid-connect/token", Some(Endpoint::Token)),
            ("/api/v2/authorize", Some(Endpoint::Authorize)),
            ("/authorization", Some(Endpoint::LogIn)),
            ("/introspect", Some(Endpoint::Introspect)),
            ("/revoke", Some(Endpoint::Revoke)),
            ("/realms/x/protocol/openid-connect/certs", Some(Endpoint::Keys)),
            ("/realms/x/.well-known/openid-configuration", Some(Endpoint::Metadata)),
            ("/.well-known/oauth-authorization-server/realms/x", Some(Endpoint::Metadata)),
            ("/revoke/", None),
            ("/tokens", None),
            ("/", None),
            ("*", None),
        ] {
            assert_eq!(Endpoint::of(path), endpoint, "{path}");
        }
    }

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
            *request.method_mut() = Endpoint::of(request.uri().path()).unwrap().method();
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            request.headers_mut().insert(CONTENT_TYPE, form);
            let credentials = HeaderValue::try_from(credentials).unwrap();
            request.headers_mut().insert(AUTHORIZATION, credentials);
            let body = [body.as_bytes(), &junk].concat();
            let (head, ()) = request.into_parts();
            prop_assert!(matches!(server.react(&head, &body.into()).outcome, Outcome::Answer(_)));
        }
    }
}
