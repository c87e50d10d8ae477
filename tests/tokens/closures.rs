//! Tokens of closures, for endpoints that are not quite OAuth, and tokens without a request.

use crate::{
    engine::{Asked, Reply, World, at_once, exact, impatient, seconds},
    leaks::{assert_absent, debug},
    scripted_endpoint::{self, Script, pairs},
};
use bytes::Bytes;
use http::Response;
use std::{
    sync::{Arc, Mutex},
    time::SystemTime,
};
use tower_oauth2::{
    AccessToken, ClientAuthentication, RequestHead,
    client::{Error, ErrorKind, Grant, TokenCache, TokenPool, TokenResponse, TokenState},
    testing::ManualClock,
};

fn token(text: &str) -> AccessToken {
    AccessToken::new(text).unwrap()
}

/// A cache of what `fetch` says, on a clock that stands still.
fn cache_of(
    clock: &ManualClock,
    fetch: impl Fn(SystemTime) -> Result<TokenResponse, Error> + Send + Sync + 'static,
) -> TokenCache {
    let time = clock.clock();
    let fetch = move || std::future::ready(fetch(time.wall()));
    TokenCache::from_fn(fetch, impatient(), clock.clock())
}

#[tokio::test]
async fn a_token_with_an_absolute_end_is_good_until_then_and_an_expired_one_is_an_error() {
    let clock = ManualClock::new();
    let cache = cache_of(&clock, |now| {
        Ok(TokenResponse::new(token("T"))
            .with_lifetime(seconds(5))
            .with_expiry(now + seconds(100))
            .with_scope("read".parse().unwrap()))
    });
    assert_eq!(at_once(cache.access_token()).await.unwrap().expose(), "T");
    let status = cache.status();
    assert_eq!(status.expires_in(), Some(seconds(100)));
    assert_eq!(status.granted().map(ToString::to_string).as_deref(), Some("read"));

    let cache = cache_of(&clock, |now| Ok(TokenResponse::new(token("T")).with_expiry(now)));
    let error = at_once(cache.access_token()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidResponse);
    assert!(error.to_string().contains("had expired when it came"), "{error}");

    // One that the program stores, and a JWT that says so itself.
    let jwt = crate::workloads::jwt("x", 90);
    let response = TokenResponse::new(token(&jwt)).with_jwt_expiry();
    cache.store(&response);
    let left = cache.status().expires_in().unwrap();
    assert!((seconds(80)..=seconds(90)).contains(&left), "{left:?}");
    let opaque = TokenResponse::new(token("opaque")).with_jwt_expiry().with_lifetime(seconds(7));
    cache.store(&opaque);
    assert_eq!(cache.status().expires_in(), Some(seconds(7)));
}

#[tokio::test]
async fn a_closure_says_whether_and_when_its_error_is_worth_another_try() {
    for (error, transient, wait) in [
        (Error::from_source("busy"), true, None),
        (Error::from_source("busy").with_retry_after(seconds(30)), true, Some(30)),
        // An hour at most.
        (Error::from_source("busy").with_retry_after(seconds(86_400)), true, Some(3600)),
        (Error::from_refusal("locked"), false, None),
        (Error::from_refusal("locked").with_retry_after(seconds(30)), false, Some(30)),
    ] {
        let (clock, tries) = (ManualClock::new(), Arc::new(Mutex::new(0)));
        let counted = tries.clone();
        let cache = cache_of(&clock, move |_| {
            *counted.lock().unwrap() += 1;
            Err(error.clone())
        });
        let failed = at_once(cache.access_token()).await.unwrap_err();
        assert_eq!(failed.is_transient(), transient, "{failed}");
        let before = wait.unwrap_or(2) - 1;
        for (second, tried) in [(before, 1), (2, 2)] {
            if wait.is_some() {
                clock.advance(seconds(second));
                let again = at_once(cache.access_token()).await.unwrap_err();
                assert_eq!(again.is_transient(), transient);
                assert_eq!(*tries.lock().unwrap(), tried, "{failed}");
            }
        }
    }
}

#[test]
fn the_tolerant_reader_takes_bytes_and_refuses_what_no_token_is() {
    let read = |body: &str| TokenResponse::from_json(body.as_bytes());
    let odd = r#"{"access_token":"T","expires_in":"3599","refresh_token":"","scope":["a","b"],
                  "token_type":"BearerToken","instance_url":"https://eu1.example"}"#;
    let good = read(odd).unwrap();
    assert_eq!(good.lifetime(), Some(seconds(3599)));
    assert_eq!(good.scope().unwrap().to_string(), "a b");
    assert!(good.refresh_token().is_none());
    assert_eq!(good.extra("instance_url"), Some("https://eu1.example".to_owned()));
    for (body, kind) in [
        (r#"{"ok":false,"error":"invalid_auth"}"#, ErrorKind::Refused),
        (r#"{"access_token":"s3cr3t b","token_type":"mac"}"#, ErrorKind::InvalidResponse),
        (r#"{"access_token":["s3cr3t"]}"#, ErrorKind::InvalidResponse),
        ("[]", ErrorKind::InvalidResponse),
        ("", ErrorKind::InvalidResponse),
        ("s3cr3t", ErrorKind::InvalidResponse),
    ] {
        let error = read(body).unwrap_err();
        assert_eq!(error.kind(), kind, "{body}");
        assert_absent(&["s3cr3t"], &debug(&error));
    }
    let response = |status: u16| {
        let response = Response::builder().status(status).header("retry-after", "30");
        response.body(Bytes::from_static(br#"{"error":"x"}"#)).unwrap()
    };
    assert!(TokenResponse::read_body(&response(201)).is_ok());
    for (status, transient) in [(404, false), (429, true), (503, true), (302, false)] {
        let error = TokenResponse::read_body(&response(status)).unwrap_err();
        assert_eq!(error.status().unwrap().as_u16(), status);
        assert_eq!((error.is_transient(), error.retry_after()), (transient, Some(seconds(30))));
    }
}

#[tokio::test]
async fn a_token_without_a_request_is_that_of_the_calls_and_waits_as_they_do() {
    let world = World::new();
    let cache = world.cache(exact());
    assert_eq!(cache.status().state(), TokenState::Absent);
    assert_eq!(at_once(cache.access_token()).await.unwrap(), token("T1"));
    assert_eq!(at_once(cache.access_token()).await.unwrap(), token("T1"));
    world.advance(seconds(3600)).await;
    assert_eq!(at_once(cache.access_token()).await.unwrap(), token("T2"));
    assert_eq!(world.requests().len(), 2);

    let pool = TokenPool::new(|_: RequestHead<'_>| None::<u8>);
    let none = at_once(pool.access_token(&1)).await.unwrap_err();
    assert!(none.is_sign_in_needed());
    pool.insert(1, cache.clone());
    assert_eq!(at_once(pool.access_token(&1)).await.unwrap(), token("T2"));
    cache.shutdown();
    assert_eq!(cache.access_token().await.unwrap_err().kind(), ErrorKind::ShutDown);
}

#[tokio::test]
async fn a_renewal_says_the_parameters_of_the_session_each_time() {
    let forms = Arc::new(Mutex::new(Vec::new()));
    let log = forms.clone();
    let world = World::answering(move |asked: &Asked| {
        log.lock().unwrap().push(asked.form.clone());
        Reply::rotated("T", &format!("R{}", asked.number + 1), 60)
    });
    let session = || world.session(exact());
    let cache = session().with_param("audience", "orders").unwrap();
    let cache = cache.with_param("scope", "read").unwrap();
    for _ in 0..2 {
        world.advance(seconds(60)).await;
        at_once(cache.access_token()).await.unwrap();
    }
    for (form, sent) in forms.lock().unwrap().iter().zip(["R1", "R2"]) {
        let expected = [
            ("grant_type", "refresh_token"),
            ("refresh_token", sent),
            ("audience", "orders"),
            ("scope", "read"),
        ];
        assert_eq!(pairs(form), expected.map(|(name, value)| (name.into(), value.into())));
    }
    for name in ["", "grant_type", "refresh_token", "client_id", "client_assertion"] {
        assert!(session().with_param(name, "x").is_err(), "{name}");
    }
    assert!(session().with_param("a", "1").unwrap().with_param("a", "2").is_err());
    assert!(world.cache(exact()).with_param("a", "1").is_err(), "it has no session");
}

#[tokio::test]
async fn several_audiences_and_a_resource_that_is_no_uri_are_sent_as_they_are() {
    let script = Script::of([scripted_endpoint::Reply::token("T", 60)]);
    let grant = Grant::client_credentials()
        .with_audience("orders")
        .with_audience("billing")
        .with_non_uri_resource("6731de76-14a6-49ae-97bc-6eba6914391e");
    script.endpoint(ClientAuthentication::none()).fetch(&grant).await.unwrap();
    let sent = pairs(script.request().body());
    let expected = [
        ("grant_type", "client_credentials"),
        ("audience", "orders"),
        ("audience", "billing"),
        ("resource", "6731de76-14a6-49ae-97bc-6eba6914391e"),
    ];
    assert_eq!(sent, expected.map(|(name, value)| (name.into(), value.into())));
    for bad in ["", "two words", "a\nb", "caf\u{e9}", "a\"b", "<x>"] {
        assert!(Grant::extension(bad, None::<(String, String)>).is_err(), "{bad:?}");
    }
    for good in ["account_credentials", "urn:ietf:params:oauth:grant-type:saml2-bearer"] {
        assert!(Grant::extension(good, None::<(String, String)>).is_ok(), "{good}");
    }
}

#[tokio::test]
async fn a_token_of_another_type_is_taken_only_if_the_endpoint_allows_that_type() {
    let fetch = async |typ: &str, allowed: &[&'static str]| -> Result<(), Error> {
        let body = format!(r#"{{"access_token":"T","token_type":"{typ}"}}"#);
        let script = Script::of([scripted_endpoint::Reply::json(body)]);
        let endpoint = script.endpoint(ClientAuthentication::none());
        let endpoint = endpoint.allow_token_types(allowed.iter().copied());
        endpoint.fetch(&Grant::client_credentials()).await.map(drop)
    };
    for typ in ["bot", "BOT", "user", "Bearer", "BearerToken", ""] {
        assert!(fetch(typ, &["bot", "user"]).await.is_ok(), "{typ}");
    }
    for typ in ["mac", "DPoP", "N_A"] {
        let error = fetch(typ, &["bot"]).await.unwrap_err();
        assert!(error.to_string().contains(typ) && !error.is_transient(), "{error}");
    }
    assert!(fetch("bot", &[]).await.is_err());
}
