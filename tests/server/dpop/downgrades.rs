//! Every kind of binding, presented in every way, under every setting: what passes is told by a few
//! rules that share nothing with the crate.

use super::*;
use tower_oauth2::TokenLocation;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Binding {
    Nothing,
    Key,
    Certificate,
    Both,
    /// One that is not known here, so that no validator of the crate finds the token good.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Presented {
    Bearer,
    Dpop,
    Query,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Reads {
    Off,
    Allowed,
    Required,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Strict,
    Optional,
    Lenient,
}

/// Who the handler sees; nobody where the request is refused.
fn expected(
    binding: Binding,
    presented: Presented,
    reads: Reads,
    mode: Mode,
    shows_certificate: bool,
) -> &'static str {
    let is_read = match presented {
        Presented::Bearer | Presented::Query => reads != Reads::Required,
        Presented::Dpop => reads != Reads::Off,
    };
    if !is_read {
        // A token in `Authorization` is seen, if not read; one in the query is not.
        let is_seen = presented != Presented::Query;
        return if mode == Mode::Strict || is_seen { "" } else { "anonymous" };
    }
    if binding == Binding::Other {
        return if mode == Mode::Lenient { "anonymous" } else { "" };
    }
    let needs_proof = matches!(binding, Binding::Key | Binding::Both);
    let needs_certificate = matches!(binding, Binding::Certificate | Binding::Both);
    let is_proved = needs_proof == (presented == Presented::Dpop);
    let is_shown = !needs_certificate || shows_certificate;
    if is_proved && is_shown { "alice" } else { "" }
}

#[tokio::test]
async fn no_setting_lets_a_bound_token_pass_as_less_than_it_is() {
    use Binding::{Both, Certificate, Key, Nothing, Other};
    let fixture = Fixture::new();
    let locations = [TokenLocation::Bearer, TokenLocation::Query];
    let plain = fixture.plain().with_locations(locations).unwrap();
    let mut counts = [0; 3];
    for binding in [Nothing, Key, Certificate, Both, Other] {
        let token = match binding {
            Nothing => UNBOUND,
            Key => BOUND,
            Certificate => CERTIFIED,
            Both => BOTH,
            Other => "other-token",
        };
        for presented in [Presented::Bearer, Presented::Dpop, Presented::Query] {
            for reads in [Reads::Off, Reads::Allowed, Reads::Required] {
                for mode in [Mode::Strict, Mode::Optional, Mode::Lenient] {
                    for shows_certificate in [false, true] {
                        let layer = match reads {
                            Reads::Off => plain.clone(),
                            Reads::Allowed => plain.clone().with_dpop(dpop()),
                            Reads::Required => plain.clone().with_dpop(dpop().without_bearer()),
                        };
                        let layer = match mode {
                            Mode::Strict => layer,
                            Mode::Optional => layer.allow_anonymous(),
                            Mode::Lenient => layer.dangerous_pass_bad_tokens_as_anonymous(),
                        };
                        let request = match presented {
                            Presented::Bearer => by("Bearer", token),
                            Presented::Dpop => request(token, &fixture.key.proof(token)),
                            Presented::Query => {
                                let uri = format!("/r?access_token={token}");
                                Request::get(uri).body(()).unwrap()
                            }
                        };
                        let request = match shows_certificate {
                            true => with_certificate(request, CERTIFICATE),
                            false => request,
                        };
                        let reply = send(&layer, request).await;
                        let case = (binding, presented, reads, mode, shows_certificate);
                        let who = expected(binding, presented, reads, mode, shows_certificate);
                        assert_eq!(reply.who, who, "{case:?}: {reply:?}");
                        assert!(!who.is_empty() || reply.status == 401, "{case:?}: {reply:?}");
                        let index = ["alice", "anonymous", ""].iter().position(|one| *one == who);
                        counts[index.unwrap()] += 1;
                    }
                }
            }
        }
    }
    assert_eq!(counts.iter().sum::<i32>(), 270);
    assert!(counts.iter().all(|count| *count > 10), "{counts:?}");
}
