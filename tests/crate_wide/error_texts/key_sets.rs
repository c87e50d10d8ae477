//! Why there are no keys to judge by.

use super::{
    assert_said,
    discovery::{answering, unreachable},
    text,
};
use tower_oauth2::{Transport, testing::ManualClock, validate::Jwks};

const URL: &str = "https://as.example/jwks";

fn fetched(transport: Transport) -> Jwks {
    Jwks::from_url(URL, transport).unwrap().with_clock(ManualClock::new().clock())
}

#[tokio::test]
async fn why_the_keys_are_not_to_be_had_is_said() {
    let of = async |transport: Transport| text(fetched(transport).warm_up().await);
    let discovered = async |transport: Transport| {
        text(Jwks::from_issuer("https://as.example", transport).unwrap().warm_up().await)
    };
    let secret = r#"{"keys":[{"kty":"oct","k":"aHVudGVyMg"}]}"#;
    assert_said([
        (
            "nobody there",
            of(unreachable()).await,
            "the key set could not be fetched: there is no route",
        ),
        (
            "nothing there",
            of(answering(404, "")).await,
            "the server did not give its key set (404 Not Found)",
        ),
        (
            "elsewhere",
            of(answering(302, "")).await,
            "the key set is elsewhere (302 Found), which is not followed",
        ),
        (
            "a page",
            of(answering(200, "<html>")).await,
            "the key set cannot be used: it is not a JSON object without repeated members and with a \
             list of keys",
        ),
        (
            "no key",
            of(answering(200, r#"{"keys":[]}"#)).await,
            "the key set cannot be used: it is empty",
        ),
        (
            "a secret alone",
            of(answering(200, secret)).await,
            "the key set cannot be used: none of its keys can be: key 0, without a kid: it is a \
             shared secret",
        ),
        (
            "metadata without a key set",
            discovered(answering(200, r#"{"issuer":"https://as.example"}"#)).await,
            "the metadata of the server names no key set that may be fetched",
        ),
        (
            "no metadata",
            discovered(answering(404, "")).await,
            "the metadata of https://as.example is not there (404 Not Found)",
        ),
    ]);
}

#[test]
fn keys_without_a_runtime_say_what_they_need() {
    let keys = fetched(answering(404, ""));
    let said = tokio_test::task::spawn(keys.warm_up()).poll();
    let std::task::Poll::Ready(said) = said else { panic!("it waits") };
    assert_said([(
        "a fetch outside of a runtime",
        text(said),
        "the key set has to be fetched, which needs a tokio runtime: warm up within one",
    )]);
}
