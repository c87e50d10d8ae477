//! What rides on a request beside a bound token, and which requests get none.

use super::{ATH, Api, HOME, TOKEN, Text, answer, bound, clock, get, guarded, key_for};
use http::{
    Method, Request,
    header::{AUTHORIZATION, LOCATION},
};
use std::{collections::HashSet, time::Duration};
use tower::{Layer, Service, ServiceExt};
use tower_http::follow_redirect::FollowRedirectLayer;
use tower_oauth2::{
    AccessToken, Algorithm, ProofKey, TokenLocation,
    client::{AddBearer, Error, ErrorKind, Origins},
    server::Dpop,
};

#[tokio::test]
async fn every_request_has_a_new_proof_for_its_method_its_url_and_its_token() {
    let key = ProofKey::generate().unwrap();
    let (api, manual) = (Api::new(|_| answer(200, &[])), clock());
    let layer = AddBearer::from_source(bound(&key), HOME).unwrap().with_clock(manual.clock());
    let client = layer.layer(api.clone());
    let mut seconds = 1_800_000_000_u64;
    for (method, uri, htu) in [
        (Method::GET, "https://api.example/a%2Fb?x=1", "https://api.example/a%2Fb"),
        (Method::POST, "https://API.example:443/a/../b//c", "https://api.example/a/../b//c"),
        (Method::GET, "https://api.example", "https://api.example/"),
        (Method::OPTIONS, "*", "https://api.example/"),
        (Method::from_bytes(b"get").unwrap(), "https://api.example/%7e", "https://api.example/%7e"),
    ] {
        manual.advance(Duration::from_secs(1));
        let request = Request::builder().method(method.clone()).uri(uri).body(Text::default());
        let response = client.clone().oneshot(request.unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        let [sent] = <[_; 1]>::try_from(api.seen()).unwrap();
        assert_eq!((sent.token.as_deref(), sent.claim("htu")), (Some(TOKEN), Some(htu)));
        assert_eq!((sent.claim("htm"), sent.claim("ath")), (Some(method.as_str()), Some(ATH)));
        seconds += 1;
        assert_eq!(sent.claims["iat"], seconds);
        assert_eq!(sent.claims.as_object().unwrap().len(), 5, "no nonce: {}", sent.claims);
        assert_eq!(
            (&sent.header["typ"], &sent.header["alg"]),
            (&"dpop+jwt".into(), &"ES256".into())
        );
        let jwk = sent.header["jwk"].as_object().unwrap();
        let members: HashSet<_> = jwk.keys().map(String::as_str).collect();
        assert_eq!(members, HashSet::from(["kty", "crv", "x", "y"]), "nothing private");
        assert_eq!(sent.header.as_object().unwrap().len(), 3);
        assert!(sent.head.headers.values().all(|value| value.is_sensitive()));
    }
}

#[tokio::test]
async fn no_two_of_a_hundred_proofs_have_the_same_name() {
    let (key, api) = (ProofKey::generate().unwrap(), Api::new(|_| answer(200, &[])));
    let client = AddBearer::from_source(bound(&key), HOME).unwrap().layer(api.clone());
    for _ in 0..100 {
        client.clone().oneshot(get(HOME)).await.unwrap();
    }
    let names: HashSet<_> =
        api.seen().iter().map(|sent| sent.claim("jti").unwrap().to_owned()).collect();
    assert_eq!(names.len(), 100);
    assert!(names.iter().all(|name| name.len() == 22), "128 bits: {names:?}");
}

#[tokio::test]
async fn a_server_accepts_the_proofs_of_every_kind_of_key_and_of_odd_paths() {
    let es256 = ProofKey::generate().unwrap();
    let keys =
        [es256, key_for(Algorithm::Es384), key_for(Algorithm::EdDsa), key_for(Algorithm::Ed25519)];
    for key in keys {
        let (api, manual) = (Api::new(|_| answer(200, &[])), clock());
        let server = guarded(&key, Dpop::new(HOME).unwrap(), manual.clock(), api.clone());
        let layer = AddBearer::from_source(bound(&key), HOME).unwrap().with_clock(manual.clock());
        let client = layer.layer(server);
        for path in [
            "/",
            "/a?q={}",
            r#"/"},"htu":"https://evil.example/"#,
            r"/a\b\",
            "/{id}/}",
            "/caf\u{e9}/\u{1f511}",
            "/%22%0A%zz",
        ] {
            let request = get(&format!("{HOME}{path}"));
            let response = client.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), 200, "{path:?} {key:?} {:?}", response.headers());
            let [sent] = <[_; 1]>::try_from(api.seen()).unwrap();
            let path = path.split('?').next().unwrap();
            assert_eq!(sent.claim("htu").unwrap(), format!("{HOME}{path}"));
        }
    }
}

#[tokio::test]
async fn a_redirect_hop_has_a_proof_of_its_own_and_another_origin_gets_none() {
    let (key, manual) = (ProofKey::generate().unwrap(), clock());
    let api = Api::new(|sent| match sent.head.uri.path() {
        "/start" => answer(302, &[(LOCATION.as_str(), "/next")]),
        "/next" => answer(307, &[(LOCATION.as_str(), "https://b.example/end")]),
        _ => answer(200, &[]),
    });
    let layer = AddBearer::from_source(bound(&key), HOME).unwrap().with_clock(manual.clock());
    let layer = layer.allow_other_origins();
    let client = FollowRedirectLayer::new().layer(layer.layer(api.clone()));
    let request = Request::post(format!("{HOME}/start")).body(Text::default()).unwrap();
    assert_eq!(client.oneshot(request).await.unwrap().status(), 200);
    let seen = api.seen();
    let proved: Vec<_> = seen.iter().map(|sent| (sent.claim("htm"), sent.claim("htu"))).collect();
    let (start, next) = ("https://api.example/start", "https://api.example/next");
    assert_eq!(proved, [(Some("POST"), Some(start)), (Some("GET"), Some(next)), (None, None)]);
    assert_ne!(seen[0].claim("jti"), seen[1].claim("jti"));
    assert_eq!(seen[2].head.headers.get(AUTHORIZATION), None);
}

#[tokio::test]
async fn a_call_without_an_authority_is_proved_for_the_only_origin() {
    let (key, api) = (ProofKey::generate().unwrap(), Api::new(|_| answer(200, &[])));
    let client = AddBearer::from_source(bound(&key), HOME).unwrap().layer(api.clone());
    client.oneshot(get("/svc/Method?x")).await.unwrap();
    assert_eq!(api.seen()[0].claim("htu"), Some("https://api.example/svc/Method"));

    let all = Origins::dangerous_any_https_origin();
    let several = Origins::try_from([HOME, "https://b.example"]).unwrap();
    for origins in [all, several] {
        let client = AddBearer::from_source(bound(&key), origins).unwrap().layer(api.clone());
        let error = client.clone().oneshot(get("/svc")).await.unwrap_err();
        let error = error.downcast::<Error>().unwrap();
        assert_eq!(error.kind(), ErrorKind::Placement);
        assert!(error.to_string().contains("origin"), "{error}");
        assert!(api.seen().is_empty());
        client.oneshot(get("https://b.example/x")).await.unwrap();
        assert_eq!(api.seen()[0].claim("htu"), Some("https://b.example/x"));
    }
}

#[tokio::test]
async fn a_bound_token_goes_nowhere_but_into_authorization() {
    let (key, api) = (ProofKey::generate().unwrap(), Api::new(|_| answer(200, &[])));
    for location in [
        TokenLocation::Query,
        TokenLocation::BasicUserName,
        TokenLocation::header("x-api-key").unwrap(),
        TokenLocation::header_with_scheme("authorization", "Token").unwrap(),
    ] {
        let layer = AddBearer::from_source(bound(&key), HOME).unwrap();
        let client = layer.with_location(location.clone()).layer(api.clone());
        let error = client.oneshot(get(HOME)).await.unwrap_err().downcast::<Error>().unwrap();
        assert_eq!(error.kind(), ErrorKind::Placement, "{location:?}");
        assert!(error.to_string().contains("RFC 9449"), "{error}");
    }
    assert!(api.seen().is_empty());
}

#[tokio::test]
async fn a_credential_of_the_caller_is_left_alone_unless_it_is_to_be_overwritten() {
    let (key, api) = (ProofKey::generate().unwrap(), Api::new(|_| answer(200, &[])));
    let layer = AddBearer::from_source(bound(&key), HOME).unwrap();
    let jwt = "e30.e30.x";
    for own in [
        &[("authorization", "Bearer own")][..],
        &[("authorization", "DPoP own"), ("dpop", jwt)],
        &[("dpop", jwt)],
    ] {
        let request = || {
            let mut request = get("https://api.example/r?access_token=own");
            for (name, value) in own {
                request.headers_mut().insert(*name, value.parse().unwrap());
            }
            request
        };
        // Cold, and warm.
        let mut client = layer.layer(api.clone());
        for _ in 0..2 {
            client.clone().oneshot(request()).await.unwrap();
            let [sent] = <[_; 1]>::try_from(api.seen()).unwrap();
            assert_eq!(sent.head.headers, *request().headers());
            assert_eq!(&sent.head.uri, request().uri());
            ServiceExt::<Request<Text>>::ready(&mut client).await.unwrap();
            client.call(get(HOME)).await.unwrap();
            api.seen();
        }
        let overwriting = layer.clone().allow_credential_overwrite().layer(api.clone());
        overwriting.oneshot(request()).await.unwrap();
        let [sent] = <[_; 1]>::try_from(api.seen()).unwrap();
        assert_eq!((sent.token.as_deref(), sent.claim("ath")), (Some(TOKEN), Some(ATH)));
        assert_eq!((sent.head.headers.len(), sent.head.uri.query()), (2, None));
    }
}

#[test]
fn a_fixed_bound_token_is_sent_to_from_source() {
    let key = ProofKey::generate().unwrap();
    let error = AddBearer::bearer(bound(&key), HOME).unwrap_err();
    assert!(error.to_string().contains("AddBearer::from_source"), "{error}");
}

#[test]
fn a_bound_token_shows_neither_itself_nor_its_key() {
    let key = ProofKey::generate().unwrap();
    let token = bound(&key);
    assert_eq!(token.expose(), TOKEN);
    assert_eq!(token.authorization(), "DPoP mF_9.B5f-4.1JqM");
    assert!(token.authorization().is_sensitive());
    assert!(!format!("{token:?}{token:#?}").contains(TOKEN));
    assert!(AccessToken::new(TOKEN).unwrap().bound_to(&key).is_ok());
}
