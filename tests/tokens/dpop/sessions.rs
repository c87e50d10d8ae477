//! Sessions of users whose tokens are bound: the sign-in, the renewal, and what survives a restart.

use super::{CALLBACK, Server, is_bound, key, token_of};
use crate::{
    engine::settle,
    scripted_endpoint::{Reply, Script, pairs},
};
use http::{HeaderName, Uri};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tower::ServiceExt;
use tower_oauth2::{
    Algorithm, ClientAuthentication, ProofKey, SigningKey,
    client::{
        ErrorKind, PendingSignIn, RefreshPolicy, SharedSessions, SignIn, StoreKeys, TokenCache,
        TokenResponse,
    },
    testing::{InMemoryStore, Quirk},
};

const AUTHORIZE: &str = "https://as.example/authorize";

fn param(uri: &Uri, name: &str) -> String {
    let pairs = pairs(uri.query().unwrap());
    pairs.into_iter().find(|(own, _)| own == name).unwrap().1
}

impl Server {
    fn sign_in(&self, key: &ProofKey) -> SignIn {
        SignIn::new(self.open(key), "open", AUTHORIZE, CALLBACK).unwrap()
    }

    /// Where alice's browser is sent back to from `url`.
    async fn browse(&self, url: Uri) -> Uri {
        let request = http::Request::get(url).body(http_body_util::Full::<bytes::Bytes>::default());
        let response = self.server.clone().oneshot(request.unwrap()).await.unwrap();
        response.headers()["location"].to_str().unwrap().parse().unwrap()
    }

    async fn alice_signs_in(&self, key: &ProofKey) -> TokenResponse {
        let sign_in = self.sign_in(key);
        let (url, pending) = sign_in.begin().unwrap();
        sign_in.finish(pending, &self.browse(url).await).await.unwrap()
    }

    fn session(&self, key: &ProofKey, response: &TokenResponse) -> TokenCache {
        let policy = RefreshPolicy::default();
        TokenCache::from_sign_in(self.open(key), response, policy, self.manual.clock())
    }

    fn resumed(&self, key: &ProofKey, refresh_token: &str) -> TokenCache {
        let policy = RefreshPolicy::default();
        TokenCache::from_refresh_token(self.open(key), refresh_token, policy, self.manual.clock())
    }
}

#[tokio::test]
async fn the_authorization_request_names_the_key_and_the_code_is_good_for_it_alone() {
    let (server, mine, other) = (Server::new(), key(), key());
    let (url, pending) = server.sign_in(&mine).begin().unwrap();
    assert_eq!(param(&url, "dpop_jkt"), mine.thumbprint());
    let callback = server.browse(url).await;

    // Another key is noticed before the code is spent, after a restart too.
    let kept = pending.to_secret_string();
    let again = || kept.expose().parse::<PendingSignIn>().unwrap();
    for sign_in in [
        server.sign_in(&other),
        SignIn::new(
            server.endpoint(ClientAuthentication::public("open")),
            "open",
            AUTHORIZE,
            CALLBACK,
        )
        .unwrap(),
    ] {
        let error = sign_in.finish(again(), &callback).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SignIn);
        assert_eq!(server.server.token_requests(), 0);
    }
    let response = server.sign_in(&mine).finish(again(), &callback).await.unwrap();
    assert!(is_bound(response.access_token()));
    assert_eq!(server.key_of(response.access_token()).as_deref(), Some(mine.thumbprint()));
}

#[tokio::test]
async fn a_stolen_code_is_of_no_use_with_another_key_or_none() {
    let (server, mine) = (Server::new(), key());
    for thief in [server.open(&key()), server.endpoint(ClientAuthentication::public("open"))] {
        let (url, _) = server.sign_in(&mine).without_pkce().begin().unwrap();
        let callback = server.browse(url).await;
        let code = param(&callback, "code");
        // Into a sign-in of the thief's own.
        let thief = SignIn::new(thief, "open", AUTHORIZE, CALLBACK).unwrap().without_pkce();
        let (url, pending) = thief.begin().unwrap();
        let callback = format!("{CALLBACK}?code={code}&state={}", param(&url, "state"));
        let error = thief.finish(pending, &callback.parse().unwrap()).await.unwrap_err();
        assert_eq!(error.code(), Some("invalid_grant"));
    }
}

#[tokio::test]
async fn a_session_is_renewed_with_its_key_and_a_nonce_costs_no_refresh_token() {
    let (server, mine) = (Server::new(), key());
    let response = server.alice_signs_in(&mine).await;
    server.server.enable(Quirk::DpopNonces);
    let kept = Arc::new(Mutex::new(Vec::new()));
    let log = kept.clone();
    let cache = server.session(&mine, &response);
    let cache =
        cache.on_rotation(move |newest| log.lock().unwrap().push(newest.expose().to_owned()));
    let before = kept.lock().unwrap().len();
    for renewal in 1..=3_usize {
        server.manual.advance(Duration::from_secs(3600));
        server.server.rotate_dpop_nonce();
        let asked = server.server.token_requests();
        let token = token_of(&cache).await.unwrap();
        assert!(is_bound(&token));
        assert_eq!(server.key_of(&token).as_deref(), Some(mine.thumbprint()));
        assert_eq!(server.server.token_requests(), asked + 2, "for the nonce");
        assert_eq!(kept.lock().unwrap().len(), before + renewal);
    }
}

#[tokio::test]
async fn the_session_of_a_public_client_survives_a_restart_with_the_kept_key_alone() {
    let server = Server::new();
    let (signing, pem) = SigningKey::generate_pem(Algorithm::Es256).unwrap();
    let mine = ProofKey::new(signing).unwrap();
    let response = server.alice_signs_in(&mine).await;
    let refresh_token = response.refresh_token().unwrap().expose().to_owned();

    let other = server.resumed(&key(), &refresh_token);
    assert!(token_of(&other).await.unwrap_err().is_sign_in_needed());

    let kept = SigningKey::from_pkcs8_pem(Algorithm::Es256, pem.expose()).unwrap();
    let kept = ProofKey::new(kept).unwrap();
    assert_eq!(kept.thumbprint(), mine.thumbprint());
    let token = token_of(&server.resumed(&kept, &refresh_token)).await.unwrap();
    assert!(is_bound(&token));
    assert_eq!(server.key_of(&token).as_deref(), Some(mine.thumbprint()));
}

#[tokio::test]
async fn the_refresh_token_that_comes_with_an_unbound_answer_is_not_lost() {
    let downgraded = r#"{"access_token":"T2","token_type":"Bearer","refresh_token":"R2"}"#;
    let bound = r#"{"access_token":"T3","token_type":"DPoP","refresh_token":"R3"}"#;
    let script = Script::of([Reply::json(downgraded), Reply::json(bound)]);
    let endpoint = script.endpoint(ClientAuthentication::public("id")).with_proof(key());
    let manual = tower_oauth2::testing::ManualClock::from_wall(std::time::SystemTime::now());
    let policy = RefreshPolicy::default();
    let cache = TokenCache::from_refresh_token(endpoint, "R1", policy, manual.clock());
    let error = token_of(&cache).await.unwrap_err();
    assert!(error.to_string().contains("not DPoP"), "{error}");
    manual.advance(Duration::from_secs(3600));
    assert!(is_bound(&token_of(&cache).await.unwrap()));
    let sent: Vec<_> = script
        .requests()
        .iter()
        .flat_map(|request| pairs(request.body()))
        .filter(|(name, _)| name == "refresh_token")
        .map(|(_, token)| token)
        .collect();
    assert_eq!(sent, ["R1", "R2"]);
}

#[tokio::test]
async fn a_refresh_token_that_a_nonce_was_asked_for_counts_as_sent_once() {
    let nonce = Reply::status(400)
        .with_body(r#"{"error":"use_dpop_nonce"}"#)
        .with_header(HeaderName::from_static("dpop-nonce"), "n");
    let token = Reply::json(r#"{"access_token":"T1","token_type":"DPoP","refresh_token":"R2"}"#);
    let script = Script::of([nonce, token]);
    let endpoint = script.endpoint(ClientAuthentication::public("id")).with_proof(key());
    let manual = tower_oauth2::testing::ManualClock::from_wall(std::time::SystemTime::now());
    let cache =
        TokenCache::from_refresh_token(endpoint, "R1", RefreshPolicy::default(), manual.clock());
    assert!(is_bound(&token_of(&cache).await.unwrap()));
    assert_eq!((script.asked(), cache.status().fetches()), (2, 1));
    assert!(cache.status().last_error().is_none());
}

#[tokio::test]
async fn replicas_share_a_session_if_they_have_its_key_and_another_key_is_not_sent() {
    let (server, mine, other) = (Server::new(), key(), key());
    let response = server.alice_signs_in(&mine).await;
    let store = Arc::new(InMemoryStore::new().with_clock(server.manual.clock()));
    let sessions = |key| {
        let keys = StoreKeys::new(&[7; 32]).unwrap();
        SharedSessions::new(server.open(key), store.clone(), keys, "pepper")
    };
    sessions(&mine).sign_in("alice", &response).await.unwrap();
    let replica = |key| {
        let policy = RefreshPolicy::default().with_patience(Duration::ZERO);
        TokenCache::from_shared_session(&sessions(key), "alice", policy)
    };
    for renewal in 0..3 {
        let requests = server.server.token_requests();
        for cache in [replica(&mine), replica(&mine)] {
            let token = token_of(&cache).await.unwrap();
            assert_eq!(server.key_of(&token).as_deref(), Some(mine.thumbprint()));
            settle().await;
        }
        assert_eq!(server.server.token_requests() - requests, usize::from(renewal > 0));
        let error = token_of(&replica(&other)).await.unwrap_err();
        assert!(error.to_string().contains("bound to another proof key"), "{error}");
        assert_eq!(server.server.token_requests() - requests, usize::from(renewal > 0));
        server.manual.advance(Duration::from_secs(3600));
    }
}
