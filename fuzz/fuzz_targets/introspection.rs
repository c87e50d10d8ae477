//! The answer of an introspection endpoint, behind letters and `|` that are settings, or none.
//! Whatever it is, there is no panic, no secret in what is refused, no token is good that the body does
//! not call active and for this audience, and a server that wants no requests gets none.
#![no_main]

use bytes::Bytes;
use http::{Request, Response};
use libfuzzer_sys::fuzz_target;
use std::time::Duration;
use tower_oauth2::{
    Answer, ClientAuthentication, RequestHead,
    validate::{Introspection, Principal, Rejection, RejectionKind, ValidateToken},
};
use tower_oauth2_fuzz::{
    Json, Peer, SECRET, answer,
    claims::{ISSUER, is_active, is_active_for_any},
    clock, is_wait_of, now, retry_after,
};

const TOKEN: &str = "mF_9.B5f-4.1JqM";

/// The settings, a letter each.
#[derive(Clone, Copy)]
struct Settings<'a>(&'a [u8]);

impl<'a> Settings<'a> {
    /// Returns them, and what comes after them.
    fn split(input: &'a [u8]) -> (Self, &'a [u8]) {
        let end = input.iter().take(9).position(|byte| *byte == b'|').unwrap_or(0);
        let (letters, rest) = input.split_at(end);
        (Self(letters), rest.strip_prefix(b"|").unwrap_or(rest))
    }

    fn has(self, letter: u8) -> bool {
        self.0.contains(&letter)
    }

    fn set(self, asking: Introspection) -> Introspection {
        self.0.iter().fold(asking, |asking, letter| match letter {
            b'n' => asking.allow_numeric_subjects(),
            b'a' => asking.dangerous_allow_missing_audience(),
            b'c' => asking.with_client_ids(["app", "c1"]),
            b'k' => asking.with_client_claims(["azp", "client_id"]),
            b'o' => asking.with_role_claims(["/a/0", "roles"]).unwrap().allow_role_objects(),
            b'x' => asking.with_actor().with_session_claims(),
            _ => asking,
        })
    }

    fn check(self, principal: &Principal, json: &Json) {
        assert!(is_active_for_any(json));
        assert!(json.names("aud", "a") || (self.has(b'a') && json.lacks("aud")));
        let is_number = json.number("sub").is_some() && self.has(b'n');
        assert!(is_number || principal.subject() == json.filled("sub"));
        let (client, azp) = (json.filled("client_id"), json.filled("azp"));
        let named = if self.has(b'k') { azp.or(client) } else { client.or(azp) };
        assert_eq!(principal.client_id(), named);
        assert!(!self.has(b'c') || matches!(named, Some("app" | "c1")));
        assert!(!self.has(b'k') || named.is_some());
        assert!(principal.roles().count() <= 256);
        let has_actor = matches!(json.get("act"), Some(Json::Object(_)));
        assert_eq!(principal.actor().is_some(), has_actor && self.has(b'x'));
    }
}

fuzz_target!(|input: &[u8]| {
    let (settings, input) = Settings::split(input);
    let Some(answer) = answer(input) else { return };
    let (time, peer) = (clock(), Peer::answering([answer.clone()]));
    let client = ClientAuthentication::post("id", SECRET);
    let introspection = Introspection::new("https://as.example/i", client, peer.transport());
    let introspection = introspection.unwrap().with_clock(time.clock());
    let introspection = settings.set(introspection.with_audience(["a"]).with_issuer(ISSUER));
    let request = Request::new(());
    let validate = || introspection.validate(TOKEN, RequestHead::from_request(&request));
    let Answer::Pending(asked) = validate() else { panic!("nothing was asked yet") };
    let json = Json::unique(answer.body()).unwrap_or(Json::Null);
    match now(asked) {
        Ok(validated) => {
            assert_eq!(answer.status(), 200);
            settings.check(validated.principal(), &json);
            check_principal(validated.principal(), &json);
        }
        Err(rejection) => {
            let is_refused = settings.has(b'c') || settings.has(b'k');
            assert!(is_refused || !(answer.status() == 200 && is_plain(&json)), "{rejection:?}");
            check_rejection(&rejection, &answer, &json);
        }
    }
    check_pause(
        &answer,
        &|| match validate() {
            Answer::Pending(_) => None,
            Answer::Ready(verdict) => Some(verdict.expect_err("nobody was asked").retry_after()),
        },
        &|wait| time.advance(wait),
    );
});

/// An answer that nobody can misread.
fn is_plain(json: &Json) -> bool {
    is_active(json)
        && json.has_only(&["active", "sub", "aud", "exp", "iss"])
        && json.text("aud").is_some()
        && json.text("sub").is_some_and(|sub| !sub.is_empty())
        && json.text("iss").is_some()
        && json.number("exp").is_some()
}

fn check_principal(principal: &Principal, json: &Json) {
    assert_eq!(principal.token_id(), json.filled("jti"));
    assert!(principal.audience().all(|one| json.names("aud", one)));
    assert!(principal.scopes().iter().all(|scope| {
        json.names("scope", scope)
            || json.text("scope").is_some_and(|all| all.split(' ').any(|one| one == scope))
    }));
}

fn check_rejection(rejection: &Rejection, answer: &Response<Bytes>, json: &Json) {
    let shown = format!("{rejection} {rejection:?} {}", rejection.public_description());
    assert!(!shown.contains(SECRET) && !shown.contains(TOKEN));
    // A verdict is only what the server said about the token.
    let is_said = match answer.status().as_u16() {
        200 => matches!(json.get("active"), Some(Json::Bool(_))),
        400 => json.text("error").is_some(),
        _ => false,
    };
    assert!(is_said || rejection.kind() == RejectionKind::Unavailable, "{shown}");
}

/// Asks no sooner than it was told to, and then does.
fn check_pause(
    answer: &Response<Bytes>,
    ask: &dyn Fn() -> Option<Option<Duration>>,
    advance: &dyn Fn(Duration),
) {
    let heeded = answer.status() == 429 || answer.status().is_server_error();
    let told = retry_after(answer).filter(|_| heeded).map(|told| told.min(3600));
    match ask() {
        Some(wait) => {
            assert!(heeded);
            let wait = wait.expect("a wait");
            assert!(
                answer.status() == 429 && retry_after(answer).is_none()
                    || is_wait_of(Some(wait), answer)
            );
            advance(wait);
            assert_eq!(ask(), None);
        }
        None => assert!(told.is_none_or(|told| told == 0)),
    }
}
