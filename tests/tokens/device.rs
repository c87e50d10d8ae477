//! The sign-in on another device (RFC 8628): how often the server is asked, and when that ends.

use crate::{
    engine::{Asked, Reply, World, at_once, exact, seconds, settle},
    leaks::{assert_absent, debug, printed},
};
use tokio::task::JoinHandle;
use tower_oauth2::{
    ClientAuthentication, Transport,
    client::{
        DeviceAuthorization, DeviceSignIn, Error, ErrorKind, TokenCache, TokenEndpoint,
        TokenResponse,
    },
    testing::{AuthorizationServer, ManualClock, Quirk, RegisteredClient},
};

const URL: &str = "https://as.example/device_authorization";

/// What a server says first, with `more` members.
fn codes(more: &str) -> Reply {
    Reply::json(&format!(
        r#"{{"device_code":"d-c0de-0123","user_code":"WDJB-MJHT",
            "verification_uri":"https://as.example/device"{more}}}"#
    ))
}

fn sign_in(world: &World) -> DeviceSignIn {
    DeviceSignIn::new(world.endpoint(), URL).unwrap()
}

async fn begun(world: &World) -> Result<DeviceAuthorization, Error> {
    at_once(sign_in(world).begin()).await
}

/// Polls while the clock goes on for so many seconds, one after the other.
async fn finish_in(
    world: &World,
    device: DeviceAuthorization,
    length: u64,
) -> JoinHandle<Result<TokenResponse, Error>> {
    let finish = tokio::spawn(device.finish());
    for _ in 0..length {
        world.advance(seconds(1)).await;
    }
    finish
}

/// A server that says `codes` and then, of every poll, what `poll` says; polls count from 1.
fn polled(codes: fn() -> Reply, mut poll: impl FnMut(usize) -> Reply + Send + 'static) -> World {
    World::answering(move |asked: &Asked| match asked.number {
        1 => codes(),
        number => poll(number - 1),
    })
}

fn pending() -> Reply {
    Reply::refusal(400, "authorization_pending")
}

#[tokio::test]
async fn the_server_is_asked_at_its_interval_and_less_often_when_it_says_so_or_is_away() {
    let world = polled(
        || codes(r#","expires_in":1800,"interval":5"#),
        |poll| match poll {
            1 | 5 => pending(),
            2 => Reply::refusal(400, "slow_down"),
            3 => Reply::broken(),
            4 => Reply::unavailable("60"),
            _ => Reply::rotated("T", "R", 600),
        },
    );
    let device = begun(&world).await.unwrap();
    assert_eq!(device.user_code(), "WDJB-MJHT");
    assert_eq!(device.verification_uri(), "https://as.example/device");
    assert_eq!((device.verification_uri_complete(), device.lifetime()), (None, seconds(1800)));
    let response = finish_in(&world, device, 400).await.await.unwrap().unwrap();
    assert_eq!(response.access_token().expose(), "T");
    assert_eq!(world.requests(), [0, 5, 10, 20, 40, 100, 160].map(seconds));
}

#[tokio::test]
async fn an_outage_delays_a_request_by_a_minute_at_most_and_ends_the_sign_in_no_sooner_than_its_code()
 {
    let broken = |poll| match poll {
        ..=20 => Reply::broken(),
        _ => Reply::token("T", 60),
    };
    let world = polled(|| codes(r#","expires_in":1800"#), broken);
    let device = begun(&world).await.unwrap();
    let finish = finish_in(&world, device, 1800).await;
    assert_eq!(finish.await.unwrap().unwrap().access_token().expose(), "T");
    let minutes = (1..=17).map(|minute| 75 + 60 * minute);
    let expected: Vec<_> = [0, 5, 15, 35, 75].into_iter().chain(minutes).map(seconds).collect();
    assert_eq!(world.requests(), expected);

    // A server that is away to the end, and one whose own interval is longer.
    for (more, expected, ends) in [
        (r#","expires_in":200"#, &[0, 5, 15, 35, 75, 135, 195][..], 200),
        (r#","expires_in":400,"interval":120"#, &[0, 120, 240, 360], 400),
    ] {
        let more = more.to_owned();
        let world = World::answering(move |asked: &Asked| match asked.number {
            1 => codes(&more),
            _ => Reply::broken(),
        });
        let device = begun(&world).await.unwrap();
        let finish = finish_in(&world, device, ends - 1).await;
        assert!(!finish.is_finished());
        world.advance(seconds(1)).await;
        assert_eq!(at_once(finish).await.unwrap().unwrap_err().code(), Some("expired_token"));
        assert_eq!(world.requests(), expected.iter().copied().map(seconds).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_user_who_approves_gets_a_session_that_renews() {
    let clock = ManualClock::new();
    let server = AuthorizationServer::new().with_clock(clock.clock());
    server.register_client(RegisteredClient::public("cli"));
    server.register_user("alice", "", "read write".parse().unwrap());
    server.enable(Quirk::NoInterval);
    let transport = Transport::new(server.clone()).with_clock(clock.clock());
    let client = ClientAuthentication::public("cli");
    let endpoint = TokenEndpoint::new("https://as.example/token", client, transport).unwrap();
    let sign_in = DeviceSignIn::new(endpoint.clone(), URL).unwrap();
    let sign_in = sign_in.with_scopes("read".parse().unwrap());
    let advance = async |length: u64| {
        for _ in 0..length {
            settle().await;
            clock.advance(seconds(1));
        }
        settle().await;
    };

    let device = sign_in.begin().await.unwrap();
    let code = device.user_code().to_owned();
    assert!(device.verification_uri_complete().unwrap().ends_with(&code));
    let finish = tokio::spawn(device.finish());
    advance(12).await;
    assert!(!finish.is_finished());
    assert!(server.approve_device(&code, "alice") && !server.deny_device("BBBB-BBBB"));
    advance(60).await;
    assert_eq!(server.token_requests(), 3, "at 5 s, 10 s and 15 s, and not after the token");
    let response = finish.await.unwrap().unwrap();
    let issued = server.introspect(response.access_token().expose()).unwrap();
    assert_eq!((issued.subject(), issued.scopes().to_string().as_str()), (Some("alice"), "read"));

    let cache = TokenCache::from_sign_in(endpoint, &response, exact(), clock.clock());
    clock.advance(seconds(3600));
    let renewed = cache.access_token().await.unwrap();
    assert_ne!(renewed, *response.access_token());
    assert!(server.introspect(renewed.expose()).is_some());

    // A user who denies, and one who does not come.
    for (denies, code) in [(true, "access_denied"), (false, "expired_token")] {
        let device = sign_in.begin().await.unwrap();
        assert!(!denies || server.deny_device(device.user_code()));
        let finish = tokio::spawn(device.finish());
        advance(601).await;
        let error = finish.await.unwrap().unwrap_err();
        assert_eq!((error.code(), error.is_transient()), (Some(code), false));
        assert!(error.is_sign_in_needed() && error.to_string().contains("begin"), "{error}");
    }
}

#[tokio::test]
async fn a_device_that_polls_too_often_is_told_to_slow_down() {
    let clock = ManualClock::new();
    let server = AuthorizationServer::new().with_clock(clock.clock());
    server.register_client(RegisteredClient::public("cli"));
    let post = async |path: &str, form: &str| {
        let request = http::Request::post(format!("https://as.example/{path}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.to_owned().into());
        let body = Transport::new(server.clone()).send(request.unwrap()).await.unwrap();
        serde_json::from_slice::<serde_json::Value>(body.body()).unwrap()
    };
    let begun = post("device_authorization", "client_id=cli").await;
    let poll = async || {
        let form = format!(
            "client_id=cli&device_code={}&grant_type=urn:ietf:params:oauth:grant-type:device_code",
            begun["device_code"].as_str().unwrap()
        );
        post("token", &form).await["error"].as_str().unwrap().to_owned()
    };
    assert_eq!(poll().await, "slow_down");
    clock.advance(seconds(9));
    assert_eq!(poll().await, "slow_down");
    clock.advance(seconds(15));
    assert_eq!(poll().await, "authorization_pending");
}

#[tokio::test]
async fn the_first_token_is_the_last_request_whatever_the_server_would_redeem() {
    // As django-oauth-toolkit does: each poll brings another token.
    let world = polled(|| codes(""), |poll| Reply::token(&format!("T{poll}"), 60));
    let device = begun(&world).await.unwrap();
    let finish = finish_in(&world, device, 60).await;
    assert_eq!(finish.await.unwrap().unwrap().access_token().expose(), "T1");
    assert_eq!(world.requests(), [0, 5].map(seconds));
}

#[tokio::test]
async fn a_refusal_or_an_unusable_token_is_the_end() {
    for (reply, code, kind) in [
        (|| Reply::refusal(400, "access_denied"), Some("access_denied"), ErrorKind::Refused),
        (|| Reply::refusal(400, "expired_token"), Some("expired_token"), ErrorKind::Refused),
        (|| Reply::refusal(400, "invalid_grant"), Some("invalid_grant"), ErrorKind::Refused),
        (|| Reply::refusal(401, "invalid_client"), Some("invalid_client"), ErrorKind::Refused),
        (|| Reply::json(r#"{"access_token":7}"#), None, ErrorKind::InvalidResponse),
        (|| Reply::json("<html>"), None, ErrorKind::InvalidResponse),
    ] as [(fn() -> Reply, _, _); 6]
    {
        let world = polled(|| codes(""), move |_| reply());
        let device = begun(&world).await.unwrap();
        let error = finish_in(&world, device, 60).await.await.unwrap().unwrap_err();
        assert_eq!((error.code(), error.kind()), (code, kind), "{error}");
        assert!(error.is_sign_in_needed() && !error.is_transient());
        assert_absent(&["d-c0de-0123"], &printed(&error));
        assert_eq!(world.requests().len(), 2);
    }
}

#[tokio::test]
async fn a_server_that_never_ends_is_asked_no_longer_than_it_said_or_an_hour() {
    for (more, ends) in [
        (r#","expires_in":30"#, 30),
        (r#","expires_in":"30""#, 30),
        (r#","expires_in":1e300"#, 3600),
        (r#","expires_in":0"#, 600),
        (r#","expires_in":[30]"#, 600),
        ("", 600),
    ] {
        let more = more.to_owned();
        let world = World::answering(move |asked: &Asked| match asked.number {
            1 => codes(&more),
            _ => pending(),
        });
        let device = begun(&world).await.unwrap();
        assert_eq!(device.lifetime(), seconds(ends));
        let finish = finish_in(&world, device, ends).await;
        let error = at_once(finish).await.unwrap().unwrap_err();
        assert_eq!((error.code(), error.kind()), (Some("expired_token"), ErrorKind::SignIn));
        assert!(*world.requests().last().unwrap() < seconds(ends));
    }
}

#[tokio::test]
async fn an_interval_of_any_type_is_one_from_a_second_to_five_minutes() {
    for (more, first) in [
        (r#","interval":1"#, 1),
        (r#","interval":"2""#, 2),
        (r#","interval":0"#, 5),
        (r#","interval":-7"#, 5),
        (r#","interval":null"#, 5),
        (r#","interval":{"s":1}"#, 5),
        (r#","interval":1e18"#, 300),
        ("", 5),
    ] {
        let more = more.to_owned();
        let world = World::answering(move |asked: &Asked| match asked.number {
            1 => codes(&more),
            _ => Reply::token("T", 60),
        });
        let device = begun(&world).await.unwrap();
        finish_in(&world, device, first).await.await.unwrap().unwrap();
        assert_eq!(world.requests(), [0, first].map(seconds));
    }
}

#[tokio::test]
async fn an_answer_without_what_the_user_needs_is_a_typed_error_without_its_codes() {
    let good = [
        ("device_code", r#""d-c0de-0123""#),
        ("user_code", r#""WDJB-MJHT""#),
        ("verification_uri", r#""https://as.example/device""#),
    ];
    let object = |name: &str, value: &str| {
        let members = good
            .map(|(own, usual)| format!("\"{own}\":{}", if own == name { value } else { usual }));
        format!("{{{}}}", members.join(","))
    };
    for (name, _) in good {
        for bad in ["null", "7", "\"\"", "[]", "{}", "true"] {
            let body = object(name, bad);
            let world = World::answering(move |_: &Asked| Reply::json(&body));
            let error = begun(&world).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidResponse);
            assert!(error.to_string().contains(name), "{error}");
            assert_absent(&["d-c0de-0123", "WDJB-MJHT"], &printed(&error));
        }
    }
    let long = format!("\"{}\"", "A".repeat(65));
    for (name, bad) in [
        ("user_code", r#""\u001b[2J""#),
        ("user_code", r#""caf\u00e9""#),
        ("user_code", &*long),
        ("user_code", r#""   ""#),
        ("verification_uri", r#""javascript:alert(1)""#),
        ("verification_uri", r#""http://as.example/device""#),
        ("verification_uri", r#""/device""#),
        ("verification_uri", r#""https://as.example/\u009b2J""#),
    ] {
        let body = object(name, bad);
        let world = World::answering(move |_: &Asked| Reply::json(&body));
        assert!(begun(&world).await.unwrap_err().to_string().contains(name), "{name} {bad}");
    }
    for body in ["[]", "null", "{}", "\"x\"", "<html>", ""] {
        let world = World::answering(move |_: &Asked| Reply::json(body));
        assert_eq!(begun(&world).await.unwrap_err().kind(), ErrorKind::InvalidResponse, "{body}");
    }
    let world = World::answering(|_: &Asked| Reply::unavailable("7"));
    let error = begun(&world).await.unwrap_err();
    assert_eq!((error.is_transient(), error.retry_after()), (true, Some(seconds(7))));
}

#[tokio::test]
async fn a_sign_in_that_is_dropped_asks_no_more() {
    let world = polled(|| codes(""), |_| pending());
    let device = begun(&world).await.unwrap();
    assert_absent(&["d-c0de-0123", "WDJB-MJHT"], &debug(&device));
    let finish = finish_in(&world, device, 12).await;
    finish.abort();
    world.advance(seconds(60)).await;
    assert_eq!(world.requests(), [0, 5, 10].map(seconds));
}

#[test]
fn outside_of_a_runtime_it_is_an_error_and_nothing_is_asked() {
    let server = AuthorizationServer::new();
    server.register_client(RegisteredClient::public("cli"));
    let client = ClientAuthentication::public("cli");
    let transport = Transport::new(server.clone());
    let endpoint = TokenEndpoint::new("https://as.example/token", client, transport).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sign_in = DeviceSignIn::new(endpoint, URL).unwrap();
    let device = runtime.block_on(sign_in.begin()).unwrap();
    let error = tokio_test::task::spawn(device.finish()).poll();
    let std::task::Poll::Ready(Err(error)) = error else { panic!("it waits") };
    assert_eq!((error.kind(), server.token_requests()), (ErrorKind::NoRuntime, 0));
}
