//! Nonces that resources hand out: which are kept, for whom, and for how many.

use super::{Api, HOME, answer, bound, get, nonce_needed};
use tower::{Layer, ServiceExt};
use tower_oauth2::{
    ProofKey,
    client::{AddBearer, Origins},
};

fn some(nonces: &[&str]) -> Vec<Option<String>> {
    nonces.iter().map(|nonce| Some((*nonce).to_owned()).filter(|text| !text.is_empty())).collect()
}

#[tokio::test]
async fn a_nonce_is_learnt_from_every_answer_and_used_from_then_on() {
    let key = ProofKey::generate().unwrap();
    let api = Api::new(|sent| {
        let status = sent.head.uri.path().trim_start_matches('/').parse().unwrap();
        answer(status, &[("dpop-nonce", &format!("after-{status}"))])
    });
    let client = AddBearer::from_source(bound(&key), HOME).unwrap().layer(api.clone());
    for status in [200, 204, 302, 401, 403, 404, 500, 503] {
        let response = client.clone().oneshot(get(&format!("{HOME}/{status}"))).await.unwrap();
        assert_eq!(response.status(), status);
    }
    let expected = [
        "",
        "after-200",
        "after-204",
        "after-302",
        "after-401",
        "after-403",
        "after-404",
        "after-500",
    ];
    assert_eq!(api.nonces(), some(&expected));
    // Every clone of the key knows it, in another layer too.
    let other = AddBearer::from_source(bound(&key.clone()), HOME).unwrap().layer(api.clone());
    other.oneshot(get(&format!("{HOME}/200"))).await.unwrap();
    assert_eq!(api.nonces(), some(&["after-503"]));
}

#[tokio::test]
async fn sixteen_servers_have_a_nonce_each_and_the_oldest_is_forgotten() {
    let key = ProofKey::generate().unwrap();
    let api = Api::new(|sent| {
        let host = sent.head.uri.host().unwrap();
        answer(200, &[("dpop-nonce", &format!("of-{host}"))])
    });
    let layer = AddBearer::from_source(bound(&key), Origins::dangerous_any_https_origin()).unwrap();
    let client = layer.layer(api.clone());
    let call = async |index: usize| {
        client.clone().oneshot(get(&format!("https://h{index}.example/"))).await.unwrap();
    };
    for index in 0..16 {
        call(index).await;
    }
    // Another port is another origin, and its own nonce makes the oldest go.
    client.clone().oneshot(get("https://h1.example:8443/")).await.unwrap();
    assert!(api.nonces().iter().all(Option::is_none));
    for index in 1..16 {
        call(index).await;
    }
    let nonces = api.nonces();
    assert!(
        (1..16)
            .zip(&nonces)
            .all(|(index, nonce)| { nonce.as_deref() == Some(&*format!("of-h{index}.example")) }),
        "{nonces:?}"
    );
    call(0).await;
    assert_eq!(api.nonces(), some(&[""]));
}

#[tokio::test]
async fn an_odd_nonce_is_as_good_as_none() {
    let long = "n".repeat(512);
    for (values, kept) in [
        (&["good"][..], Some("good")),
        (&[&long], Some(&*long)),
        (&[&"n".repeat(513)], None),
        (&[&"n".repeat(10 * 1024)], None),
        (&["one", "two"], None),
        (&["same", "same"], None),
        (&[""], None),
        (&["a b"], None),
        (&["a\tb"], None),
        (&[r#"x","iat":1,"y":"z"#], None),
        (&[r"a\u0022"], None),
        (&["caf\u{e9}"], None),
    ] {
        let (key, owned) = (ProofKey::generate().unwrap(), values.iter().map(|v| (*v).to_owned()));
        let owned: Vec<String> = owned.collect();
        let refusing = owned.clone();
        let api = Api::new(move |sent| {
            let headers: Vec<_> = refusing.iter().map(|value| ("dpop-nonce", &**value)).collect();
            let mut response = match sent.head.uri.path() {
                "/refused" => nonce_needed("x"),
                _ => answer(200, &[]),
            };
            response.headers_mut().remove("dpop-nonce");
            response.headers_mut().extend(answer(200, &headers).headers().clone());
            response
        });
        let client = AddBearer::from_source(bound(&key), HOME).unwrap().layer(api.clone());
        client.clone().oneshot(get(HOME)).await.unwrap();
        client.clone().oneshot(get(HOME)).await.unwrap();
        let nonces = api.nonces();
        assert_eq!((&nonces[0], nonces[1].as_deref()), (&None, kept), "{owned:?}");
        // A refusal whose nonce is of no use goes to the caller after one request.
        let refused = client.oneshot(get(&format!("{HOME}/refused"))).await.unwrap();
        assert_eq!(refused.status(), 401);
        assert_eq!(api.seen().len(), if kept.is_some() { 2 } else { 1 }, "{owned:?}");
    }
}

#[tokio::test]
async fn a_bound_token_of_a_closure_is_sent_again_with_the_nonce_too() {
    let (key, api) = (ProofKey::generate().unwrap(), Api::demanding("n"));
    let token = bound(&key);
    let source = move || {
        let token = token.clone();
        async move { Ok::<_, std::convert::Infallible>(token) }
    };
    let client = AddBearer::from_source(source, HOME).unwrap().layer(api.clone());
    assert_eq!(client.oneshot(get(HOME)).await.unwrap().status(), 200);
    assert_eq!(api.nonces(), some(&["", "n"]));
}

#[tokio::test]
async fn without_recovery_a_nonce_is_learnt_and_nothing_is_repeated() {
    let (key, api) = (ProofKey::generate().unwrap(), Api::demanding("n"));
    let layer = AddBearer::from_source(bound(&key), HOME).unwrap().without_recovery();
    let client = layer.layer(api.clone());
    assert_eq!(client.clone().oneshot(get(HOME)).await.unwrap().status(), 401);
    assert_eq!(client.oneshot(get(HOME)).await.unwrap().status(), 200);
    assert_eq!(api.nonces(), some(&["", "n"]));
}
