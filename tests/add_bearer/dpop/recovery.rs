//! A refused call with a proof is repeated once for the sake of a nonce, and once for another token.

use super::{
    Api, HOME, TOKEN, Text, answer, bound, clock, get, guarded, invalid_token, nonce_needed,
};
use bytes::Bytes;
use http::{Request, header::WWW_AUTHENTICATE};
use std::{
    future::{Ready, ready},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tower::{Layer, ServiceExt};
use tower_oauth2::{
    AccessToken, Answer, ProofKey, RequestHead,
    client::{AddBearer, Buffered, Error, TokenSource},
    server::{Dpop, DpopNonces},
};

/// A source of `T1`, `T2` and so on, all bound to one key: the next after each rejection.
#[derive(Clone)]
struct Rotating {
    key: ProofKey,
    newest: Arc<AtomicUsize>,
    /// After how many it stays with the same.
    last: usize,
}

impl Rotating {
    fn new(last: usize) -> Self {
        Self { key: ProofKey::generate().unwrap(), newest: Arc::new(1.into()), last }
    }

    fn layer(&self) -> AddBearer<Self> {
        AddBearer::from_source(self.clone(), HOME).unwrap()
    }

    fn rejections(&self) -> usize {
        self.newest.load(SeqCst) - 1
    }
}

impl TokenSource for Rotating {
    type Future = Ready<Result<AccessToken, Error>>;

    fn token(&self, _: RequestHead<'_>) -> Answer<Self::Future> {
        let token = format!("T{}", self.newest.load(SeqCst).min(self.last));
        let token = AccessToken::new(token).unwrap().bound_to(&self.key).unwrap();
        Answer::Pending(ready(Ok(token)))
    }

    fn reject(&self, _: &AccessToken) -> bool {
        self.newest.fetch_add(1, SeqCst);
        true
    }

    fn can_recover(&self) -> bool {
        true
    }
}

fn sent(pairs: &[(&str, &str)]) -> Vec<(String, Option<String>)> {
    let nonce = |nonce: &str| Some(nonce.to_owned()).filter(|nonce| !nonce.is_empty());
    pairs.iter().map(|(token, own)| ((*token).to_owned(), nonce(own))).collect()
}

fn post() -> Request<Text> {
    Request::post(format!("{HOME}/calls")).body(Text::from("body")).unwrap()
}

#[tokio::test]
async fn a_refusal_for_a_nonce_is_repeated_with_the_same_token_and_a_new_proof() {
    let (source, api) = (Rotating::new(9), Api::demanding("n1"));
    let client = source.layer().layer(api.clone());
    assert_eq!(client.clone().oneshot(post()).await.unwrap().status(), 200);
    let seen = api.seen();
    assert_eq!(seen.iter().map(|sent| sent.nonce()).collect::<Vec<_>>(), [None, Some("n1")]);
    assert!(seen.iter().all(|sent| sent.token.as_deref() == Some("T1")));
    assert_ne!(seen[0].claim("jti"), seen[1].claim("jti"));
    assert_eq!(source.rejections(), 0, "the token is good");
    client.oneshot(post()).await.unwrap();
    assert_eq!(api.tokens_and_nonces(), sent(&[("T1", "n1")]));
}

#[tokio::test]
async fn a_token_that_is_rejected_after_the_nonce_is_replaced() {
    let source = Rotating::new(9);
    let api = Api::new(|sent| match (sent.nonce(), sent.token.as_deref()) {
        (None, _) => nonce_needed("n1"),
        (_, Some("T2")) => answer(200, &[]),
        _ => invalid_token(),
    });
    let client = source.layer().layer(api.clone());
    assert_eq!(client.oneshot(post()).await.unwrap().status(), 200);
    assert_eq!(api.tokens_and_nonces(), sent(&[("T1", ""), ("T1", "n1"), ("T2", "n1")]));
    assert_eq!(source.rejections(), 1);
}

#[tokio::test]
async fn a_nonce_that_is_asked_for_after_the_token_was_replaced_is_given() {
    let source = Rotating::new(9);
    let api = Api::new(|sent| match (sent.token.as_deref(), sent.nonce()) {
        (Some("T1"), _) => invalid_token(),
        (_, None) => nonce_needed("n1"),
        _ => answer(200, &[]),
    });
    let client = source.layer().layer(api.clone());
    assert_eq!(client.oneshot(post()).await.unwrap().status(), 200);
    assert_eq!(api.tokens_and_nonces(), sent(&[("T1", ""), ("T2", ""), ("T2", "n1")]));
}

#[tokio::test]
async fn a_call_is_sent_three_times_at_most_and_once_for_each_reason() {
    let always_nonce: fn() -> Api = || Api::new(|_| nonce_needed("n"));
    let always_token: fn() -> Api = || Api::new(|_| invalid_token());
    let in_turn: fn() -> Api = || {
        let turn = AtomicUsize::new(0);
        Api::new(move |_| match turn.fetch_add(1, SeqCst) % 2 {
            0 => nonce_needed("n"),
            _ => invalid_token(),
        })
    };
    let token_first: fn() -> Api = || {
        let turn = AtomicUsize::new(1);
        Api::new(move |_| match turn.fetch_add(1, SeqCst) % 2 {
            0 => nonce_needed("n"),
            _ => invalid_token(),
        })
    };
    for (api, tokens) in [
        (always_nonce(), &["T1", "T1"][..]),
        (always_token(), &["T1", "T2"]),
        (in_turn(), &["T1", "T1", "T2"]),
        (token_first(), &["T1", "T2", "T2"]),
    ] {
        let client = Rotating::new(9).layer().layer(api.clone());
        assert_eq!(client.oneshot(post()).await.unwrap().status(), 401);
        let seen: Vec<_> = api.tokens_and_nonces().into_iter().map(|(token, _)| token).collect();
        assert_eq!(seen, tokens);
    }
}

#[tokio::test]
async fn a_rejected_token_is_not_sent_again_when_the_source_has_no_other() {
    /// One whose answer is at hand, and ever the same.
    #[derive(Clone)]
    struct Same(AccessToken);

    impl TokenSource for Same {
        type Future = Ready<Result<AccessToken, Error>>;

        fn token(&self, _: RequestHead<'_>) -> Answer<Self::Future> {
            Answer::Ready(Ok(self.0.clone()))
        }

        fn reject(&self, _: &AccessToken) -> bool {
            true
        }

        fn can_recover(&self) -> bool {
            true
        }
    }
    let (key, api) = (ProofKey::generate().unwrap(), Api::new(|_| invalid_token()));
    let client = AddBearer::from_source(Same(bound(&key)), HOME).unwrap().layer(api.clone());
    assert_eq!(client.oneshot(post()).await.unwrap().status(), 401);
    assert_eq!(api.seen().len(), 1);
    let client = Rotating::new(1).layer().layer(api.clone());
    assert_eq!(client.oneshot(post()).await.unwrap().status(), 401);
    assert_eq!(api.seen().len(), 1);
}

#[tokio::test]
async fn a_rejection_by_either_scheme_counts_for_a_bound_token_and_by_another_does_not() {
    for (strict, challenge, sends) in [
        (false, r#"DPoP error="invalid_token", algs="ES256""#, 2),
        (true, r#"DPoP error="invalid_token", algs="ES256""#, 2),
        (true, r#"Bearer error="invalid_token""#, 2),
        (false, r#"DPoP algs="ES256""#, 2),
        (true, r#"DPoP algs="ES256""#, 1),
        (false, r#"Bearer realm="x""#, 2),
        (false, r#"Basic realm="x""#, 1),
    ] {
        let api = Api::new(move |_| answer(401, &[(WWW_AUTHENTICATE.as_str(), challenge)]));
        let layer = Rotating::new(9).layer();
        let layer = if strict { layer.with_strict_recovery() } else { layer };
        let response = layer.layer(api.clone()).oneshot(post()).await.unwrap();
        assert_eq!((response.status().as_u16(), api.seen().len()), (401, sends), "{challenge}");
    }
}

#[tokio::test]
async fn a_refused_proof_is_of_no_concern_to_the_source() {
    let challenges: [&[(&str, &str)]; 3] = [
        &[("www-authenticate", r#"DPoP error="invalid_dpop_proof""#), ("dpop-nonce", "n")],
        // Of a server that then gives no nonce.
        &[("www-authenticate", r#"DPoP error="use_dpop_nonce""#)],
        &[
            ("www-authenticate", r#"Bearer realm="x""#),
            ("www-authenticate", r#"DPoP error="invalid_dpop_proof""#),
        ],
    ];
    for headers in challenges {
        let api = Api::new(move |_| answer(401, headers));
        let source = Rotating::new(9);
        let client = source.layer().layer(api.clone());
        assert_eq!(client.oneshot(post()).await.unwrap().status(), 401);
        assert_eq!((api.seen().len(), source.rejections()), (1, 0), "{headers:?}");
    }
    let headers: &[_] = &[
        ("content-type", "application/grpc"),
        ("grpc-status", "16"),
        ("www-authenticate", r#"DPoP error="invalid_dpop_proof""#),
    ];
    let api = Api::new(move |_| answer(200, headers));
    let source = Rotating::new(9);
    let client = source.layer().layer(api.clone());
    assert_eq!(client.oneshot(post()).await.unwrap().status(), 200);
    assert_eq!((api.seen().len(), source.rejections()), (1, 0), "gRPC");
}

#[tokio::test]
async fn a_nonce_beside_a_bearer_challenge_or_in_one_field_is_seen() {
    for challenges in [
        &[r#"Bearer realm="x", DPoP algs="ES256", error="use_dpop_nonce""#][..],
        &[r#"Bearer realm="x""#, r#"DPoP error="use_dpop_nonce", algs="ES256""#],
        &[r#"dpop error="use_dpop_nonce""#],
    ] {
        let api = Api::new(move |sent| {
            let mut headers = vec![("dpop-nonce", "n")];
            headers.extend(challenges.iter().map(|one| (WWW_AUTHENTICATE.as_str(), *one)));
            answer(if sent.nonce().is_some() { 200 } else { 401 }, &headers)
        });
        let client = Rotating::new(9).layer().layer(api.clone());
        assert_eq!(client.oneshot(post()).await.unwrap().status(), 200, "{challenges:?}");
        assert_eq!(api.seen().len(), 2);
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_sent_again_goes_once_and_the_nonce_is_learnt() {
    let (source, api) = (Rotating::new(9), Api::demanding("n"));
    let client = source.layer().layer(api.clone());
    let stream = || {
        let body = http_body_util::combinators::UnsyncBoxBody::new(Text::from("streamed"));
        Request::post(HOME).body(body).unwrap()
    };
    assert_eq!(client.clone().oneshot(stream()).await.unwrap().status(), 401);
    assert_eq!(client.oneshot(stream()).await.unwrap().status(), 200);
    assert_eq!(api.tokens_and_nonces(), sent(&[("T1", ""), ("T1", "n")]));
}

#[tokio::test]
async fn a_buffered_body_is_repeated_once() {
    let source = Rotating::new(9);
    let api = Api::new(|sent| match sent.nonce() {
        None => nonce_needed("n1"),
        _ => invalid_token(),
    });
    let client = source.layer().with_replay(Buffered::default()).layer(api.clone());
    let response = client.oneshot(Request::post(HOME).body(Text::from(Bytes::from("b"))).unwrap());
    assert_eq!(response.await.unwrap().status(), 401);
    assert_eq!(api.tokens_and_nonces(), sent(&[("T1", ""), ("T1", "n1")]));
    assert_eq!(source.rejections(), 1, "the next call has another token");
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_the_caller_s_to_correct_unless_there_are_nonces() {
    let (key, server_clock, client_clock) = (ProofKey::generate().unwrap(), clock(), clock());
    client_clock.advance(Duration::from_secs(3600));
    let api = Api::new(|_| answer(200, &[]));
    let plain = Dpop::new(HOME).unwrap();
    let with_nonces = plain.clone().with_nonces(DpopNonces::random().unwrap());
    for (dpop, own_clock, status) in [
        (plain.clone(), &client_clock, 401),
        (plain, &server_clock, 200),
        (with_nonces, &client_clock, 200),
    ] {
        let server = guarded(&key, dpop, server_clock.clock(), api.clone());
        let layer = AddBearer::from_source(bound(&key), HOME).unwrap();
        let client = layer.with_clock(own_clock.clock()).layer(server);
        let response = client.oneshot(get(HOME)).await.unwrap();
        assert_eq!(response.status(), status);
        if status == 401 {
            let challenges = response.headers().get_all(WWW_AUTHENTICATE).iter();
            let text = challenges.map(|one| one.to_str().unwrap()).collect::<Vec<_>>().join(" ");
            assert!(text.contains("invalid_dpop_proof") && text.contains("iat"), "{text}");
        }
    }
    assert!(api.seen().iter().all(|sent| sent.token.as_deref() == Some(TOKEN)));
}
