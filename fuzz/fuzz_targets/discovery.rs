//! The answers to those who look for the metadata of a server, each behind a line of three dashes:
//! the second place is asked only where the first has none, and what was found is that of the
//! issuer. Then a client asks the endpoint that was found, and no other, for a token.
#![no_main]

use bytes::Bytes;
use http::{Response, Uri};
use libfuzzer_sys::fuzz_target;
use tower_oauth2::{
    AuthorizationServerMetadata, ClientAuthentication, Origin,
    client::{Grant, TokenEndpoint},
};
use tower_oauth2_fuzz::{
    Json, Peer, SECRET, answer, clock, count, is_shown_on_one_line, is_wait_of, now, parts,
};

const ISSUER: &str = "https://as.example/t1";
const PLACES: [&str; 2] = [
    "https://as.example/t1/.well-known/openid-configuration",
    "https://as.example/.well-known/oauth-authorization-server/t1",
];

fuzz_target!(|input: &[u8]| {
    let answers: Vec<_> = parts(input).into_iter().take(3).map_while(answer).collect();
    let Some(first) = answers.first() else { return };
    // Those of a client that errs, without those that ask for another try.
    let is_absent = matches!(first.status().as_u16(), 400..500)
        && ![408, 425, 429].contains(&first.status().as_u16());
    let places = usize::from(is_absent) + 1;

    let peer = Peer::answering(answers.iter().take(2).cloned());
    let transport = peer.transport().with_clock(clock().clock());
    let found = now(AuthorizationServerMetadata::discover(ISSUER, &transport));
    let asked: Vec<_> = peer.asked().iter().map(|request| request.uri().to_string()).collect();
    assert_eq!(asked, PLACES[..places]);
    let last = answers.get(places - 1);
    match &found {
        Ok(_) => assert!(last.is_some_and(|last| last.status() == 200 && is_of_issuer(last))),
        Err(error) => {
            is_shown_on_one_line(&error.to_string());
            let Some(last) = last else { return };
            assert!(last.status() != 200 || !is_of_issuer(last));
            assert!(error.status().is_none_or(|status| status == last.status()));
            assert!(error.status().is_none() || is_wait_of(error.retry_after(), last));
        }
    }

    let peer = Peer::answering(answers.iter().cloned());
    let client = ClientAuthentication::post("id", SECRET);
    let endpoint = TokenEndpoint::from_issuer(ISSUER, client, peer.transport()).unwrap();
    let fetched = now(endpoint.with_clock(clock().clock()).fetch(&Grant::client_credentials()));
    let endpoint = found.ok().and_then(|found| found.token_endpoint().map(str::to_owned));
    let asked = peer.asked();
    assert!(asked.iter().take(places).all(|request| request.body().is_empty()));
    match (asked.get(places), endpoint) {
        (Some(request), Some(endpoint)) => {
            let endpoint: Uri = endpoint.parse().expect("a URL");
            assert!(Origin::from_uri(&endpoint).expect("an origin").is_secure());
            assert_eq!((request.uri(), count(request.body(), SECRET)), (&endpoint, 1));
        }
        (None, None) => assert!(fetched.is_err()),
        (asked, endpoint) => panic!("{asked:?} {endpoint:?}"),
    }
    assert!(asked.len() <= places + 1);
});

fn is_of_issuer(answer: &Response<Bytes>) -> bool {
    let body = answer.body().strip_prefix(b"\xef\xbb\xbf").unwrap_or(answer.body());
    Json::parse(body).is_some_and(|json| json.text("issuer") == Some(ISSUER))
}
