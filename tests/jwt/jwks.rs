//! Where `JwtValidator` has its keys from, as `RequireToken` shows it: one request to the
//! authorization server where one is needed, and an outage of it that does not become ours.

use bytes::Bytes;
use http::{
    Request, Response, StatusCode,
    header::{AUTHORIZATION, CACHE_CONTROL, ETAG, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE},
};
use http_body::{Frame, SizeHint};
use http_body_util::Full;
use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::{Duration, SystemTime},
};
use tokio::{
    sync::watch,
    task::{JoinHandle, yield_now},
};
use tower::{Layer, ServiceExt, service_fn};
use tower_oauth2::{
    Algorithm, SigningKey, Transport,
    server::RequireToken,
    testing::{AuthorizationServer, ManualClock},
    validate::{Issuers, Jwks, JwtValidator, TrustedIssuer},
};

pub(super) const ISSUER: &str = "https://as.example";
pub(super) const API: &str = "https://api.example";
const URL: &str = "https://as.example/jwks";

/// A body of unknown length, in chunks.
struct Chunks(Bytes);

impl http_body::Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let len = self.0.len().min(8 * 1024);
        let chunk = self.0.split_to(len);
        Poll::Ready((len > 0).then(|| Ok(Frame::data(chunk))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// An authorization server that shows a key set when its gate is open, and counts who asks.
#[derive(Clone)]
struct Issuer {
    answer: Arc<Mutex<Response<Bytes>>>,
    fetches: Arc<Mutex<usize>>,
    gate: watch::Sender<bool>,
    clock: ManualClock,
}

impl Issuer {
    fn of(keys: &[&Key]) -> Self {
        let issuer = Self {
            answer: Arc::default(),
            fetches: Arc::default(),
            gate: watch::Sender::new(true),
            clock: ManualClock::new(),
        };
        issuer.publish(keys);
        issuer
    }

    fn publish(&self, keys: &[&Key]) {
        let entries: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
        self.publish_entries(&entries);
    }

    fn publish_entries(&self, entries: &[String]) {
        self.say(Response::new(format!(r#"{{"keys":[{}]}}"#, entries.join(",")).into()));
    }

    fn say(&self, answer: Response<Bytes>) {
        *self.answer.lock().unwrap() = answer;
    }

    fn fail(&self, status: u16) {
        self.say(Response::builder().status(status).body(Bytes::new()).unwrap());
    }

    fn transport(&self) -> Transport {
        let this = self.clone();
        let service = service_fn(move |_: Request<Full<Bytes>>| {
            let this = this.clone();
            async move {
                *this.fetches.lock().unwrap() += 1;
                this.gate.subscribe().wait_for(|open| *open).await.unwrap();
                let answer = this.answer.lock().unwrap().clone();
                Ok::<_, Infallible>(answer.map(Chunks))
            }
        });
        Transport::new(service).with_clock(self.clock.clock())
    }

    fn jwks(&self) -> Jwks {
        Jwks::from_url(URL, self.transport()).unwrap().with_clock(self.clock.clock())
    }

    fn api(&self) -> Api {
        Api::over(self.jwks(), &self.clock)
    }

    fn fetches(&self) -> usize {
        *self.fetches.lock().unwrap()
    }

    async fn asked(&self, fetches: usize) {
        while self.fetches() < fetches {
            yield_now().await;
        }
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// A key that signs, and what makes tokens with it.
pub(super) struct Key {
    key: SigningKey,
    server: AuthorizationServer,
}

impl Key {
    pub(super) fn named(kid: &str) -> Self {
        Self::of(kid, SigningKey::generate(Algorithm::Es256).unwrap())
    }

    fn of(kid: &str, key: SigningKey) -> Self {
        let (key, server) = (key.with_key_id(kid), AuthorizationServer::new());
        server.rotate_key(key.clone());
        Self { key, server }
    }

    pub(super) fn nameless() -> Self {
        let (key, server) =
            (SigningKey::generate(Algorithm::Es256).unwrap(), AuthorizationServer::new());
        server.rotate_key(key.clone());
        Self { key, server }
    }

    pub(super) fn jwk(&self) -> String {
        self.key.public_jwk().unwrap()
    }

    /// The JWK with further members.
    fn jwk_with(&self, members: &str) -> String {
        self.jwk().replacen('{', &format!("{{{members},"), 1)
    }

    /// A token that is good for five minutes.
    pub(super) fn token(&self, clock: &ManualClock) -> String {
        let now = clock.clock().wall().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let claims = format!(
            r#"{{"iss":"{ISSUER}","aud":"{API}","exp":{},"iat":{},"sub":"alice",
                "client_id":"c1","jti":"j1","scope":"read"}}"#,
            now + 300,
            now - 10
        );
        self.server.mint("at+jwt", &claims).unwrap()
    }
}

fn trusted(keys: Jwks) -> TrustedIssuer {
    TrustedIssuer::new(ISSUER, keys).with_audience([API])
}

/// A protected resource.
#[derive(Clone)]
pub(super) struct Api {
    layer: RequireToken<JwtValidator>,
    clock: ManualClock,
}

impl Api {
    pub(super) fn over(keys: Jwks, clock: &ManualClock) -> Self {
        Self::of(JwtValidator::new(trusted(keys)).unwrap(), clock)
    }

    fn of(validator: JwtValidator, clock: &ManualClock) -> Self {
        let validator = validator.with_clock(clock.clock());
        Self { layer: RequireToken::new("api", validator).unwrap(), clock: clock.clone() }
    }

    pub(super) async fn call(&self, token: &str) -> Response<Full<Bytes>> {
        let inner = service_fn(|_: Request<Full<Bytes>>| async {
            Ok::<_, Infallible>(Response::new(Full::default()))
        });
        let request = Request::get("/r").header(AUTHORIZATION, format!("Bearer {token}"));
        let request = request.body(Full::default()).unwrap();
        self.layer.layer(inner).oneshot(request).await.unwrap()
    }

    /// The status for a token that `key` signs now.
    pub(super) async fn status(&self, key: &Key) -> u16 {
        self.call(&key.token(&self.clock)).await.status().as_u16()
    }

    pub(super) fn spawn(&self, key: &Key) -> JoinHandle<u16> {
        let (this, token) = (self.clone(), key.token(&self.clock));
        tokio::spawn(async move { this.call(&token).await.status().as_u16() })
    }
}

// case: jwks-001
#[tokio::test]
async fn a_key_that_is_new_costs_one_fetch() {
    let (k1, k2) = (Key::named("k1"), Key::named("k2"));
    let issuer = Issuer::of(&[&k1]);
    let api = issuer.api();
    assert_eq!(api.status(&k1).await, 200);
    issuer.publish(&[&k2]);
    issuer.pass(31);
    assert_eq!(issuer.fetches(), 1);
    assert_eq!(api.status(&k2).await, 200);
    assert_eq!(api.status(&k2).await, 200);
    assert_eq!(issuer.fetches(), 2);
    assert_eq!(api.status(&k1).await, 401, "the server has taken it back");
}

#[tokio::test]
async fn a_key_without_a_name_that_replaces_another_costs_one_fetch() {
    let (old, new, foreign) = (Key::nameless(), Key::nameless(), Key::nameless());
    let issuer = Issuer::of(&[&old]);
    let api = issuer.api();
    assert_eq!(api.status(&old).await, 200);
    issuer.publish(&[&new]);
    assert_eq!(api.status(&new).await, 200);
    assert_eq!((api.status(&new).await, issuer.fetches()), (200, 2));
    // A forger costs no more than the two budgets.
    for _ in 0..10 {
        assert_eq!(api.status(&foreign).await, 401);
    }
    assert_eq!((api.status(&old).await, api.status(&new).await), (401, 200));
    assert!(issuer.fetches() <= 6, "{}", issuer.fetches());
}

// case: jwks-003
#[tokio::test]
async fn a_flood_of_unknown_keys_does_not_hold_up_known_ones() {
    let k1 = Key::named("k1");
    let issuer = Issuer::of(&[&k1]);
    let api = issuer.api();
    assert_eq!(api.status(&k1).await, 200);
    issuer.pass(31);
    issuer.gate.send_replace(false);
    let flood: Vec<_> = (0..100).map(|n| api.spawn(&Key::named(&format!("x{n}")))).collect();
    issuer.asked(2).await;
    for _ in 0..100 {
        assert_eq!(api.status(&k1).await, 200);
    }
    assert_eq!(issuer.fetches(), 2);
    assert!(flood.iter().all(|call| !call.is_finished()));
    issuer.gate.send_replace(true);
    for call in flood {
        assert_eq!(call.await.unwrap(), 401);
    }
    assert_eq!(issuer.fetches(), 2);
}

// case: jwks-004
#[tokio::test]
async fn many_requests_without_keys_cost_one_fetch() {
    let k1 = Key::named("k1");
    let issuer = Issuer::of(&[&k1]);
    let api = issuer.api();
    issuer.gate.send_replace(false);
    let calls: Vec<_> = (0..50).map(|_| api.spawn(&k1)).collect();
    issuer.asked(1).await;
    issuer.gate.send_replace(true);
    for call in calls {
        assert_eq!(call.await.unwrap(), 200);
    }
    assert_eq!(issuer.fetches(), 1);
}

// case: jwks-007
#[tokio::test]
async fn an_outage_is_survived_until_the_keys_are_too_old() {
    let k1 = Key::named("k1");
    let issuer = Issuer::of(&[&k1]);
    let keys = issuer.jwks().with_max_stale(Duration::from_secs(3600));
    let api = Api::over(keys, &issuer.clock);
    assert_eq!(api.status(&k1).await, 200);
    issuer.fail(503);
    issuer.pass(3599);
    assert_eq!(api.status(&k1).await, 200);
    issuer.pass(2);
    let refused = api.call(&k1.token(&issuer.clock)).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key(RETRY_AFTER));
    assert!(!refused.headers().contains_key(WWW_AUTHENTICATE));
    issuer.publish(&[&k1]);
    issuer.pass(30);
    assert_eq!(api.status(&k1).await, 200);
}

// case: jwks-009
#[tokio::test]
async fn an_unknown_key_stays_unknown_for_the_cool_down_alone() {
    let (k1, k2) = (Key::named("k1"), Key::named("k2"));
    let issuer = Issuer::of(&[&k1]);
    let api = issuer.api();
    assert_eq!(api.status(&k2).await, 401);
    assert_eq!(issuer.fetches(), 1);
    issuer.publish(&[&k1, &k2]);
    issuer.pass(29);
    assert_eq!(api.status(&k2).await, 401);
    assert_eq!(issuer.fetches(), 1);
    issuer.pass(2);
    assert_eq!(api.status(&k2).await, 200);
    assert_eq!(issuer.fetches(), 2);
}

/// The keys of before are good after an answer that is refused, and of others nobody can tell.
async fn assert_kept(answer: impl FnOnce(&Key) -> Response<Bytes>) {
    let (k1, k2) = (Key::named("k1"), Key::named("k2"));
    let issuer = Issuer::of(&[&k1]);
    let api = issuer.api();
    assert_eq!(api.status(&k1).await, 200);
    issuer.say(answer(&k2));
    issuer.pass(31);
    assert_eq!(api.status(&k2).await, 503);
    assert_eq!(issuer.fetches(), 2);
    assert_eq!(api.status(&k1).await, 200);
    assert_eq!(issuer.fetches(), 2);
}

// case: jwks-011
#[tokio::test]
async fn a_key_set_without_end_is_refused_and_the_old_keys_are_kept() {
    assert_kept(|k2| {
        let space = " ".repeat(256 * 1024);
        Response::new(format!(r#"{{"keys":[{}],{space}"x":1}}"#, k2.jwk()).into())
    })
    .await;
}

// case: jwks-012
#[tokio::test]
async fn a_key_set_of_a_thousand_keys_is_refused_as_a_whole() {
    assert_kept(|k2| {
        let entries = vec![r#"{"kty":"EC"}"#; 999].join(",");
        Response::new(format!(r#"{{"keys":[{},{entries}]}}"#, k2.jwk()).into())
    })
    .await;
}

// case: jwks-017
#[tokio::test]
async fn a_redirect_is_not_followed_and_the_old_keys_are_kept() {
    assert_kept(|_| {
        let redirect = Response::builder().status(302).header(LOCATION, "http://as.example/jwks");
        redirect.body(Bytes::new()).unwrap()
    })
    .await;
}

// case: jwks-014
#[tokio::test]
async fn a_key_that_is_meant_for_something_else_is_not_used() {
    let (k1, r1) = (Key::named("k1"), Key::named("r1"));
    for other in [r#""use":"enc""#, r#""key_ops":["encrypt"]"#] {
        let issuer = Issuer::of(&[]);
        issuer.publish_entries(&[k1.jwk_with(other), r1.jwk()]);
        let api = issuer.api();
        assert_eq!(api.status(&k1).await, 401, "{other}");
        assert_eq!(api.status(&r1).await, 200, "{other}");
    }
}

// case: jwks-015
#[tokio::test]
async fn a_symmetric_key_in_a_key_set_is_never_used() {
    let k1 = Key::named("k1");
    let secret = "0123456789abcdef0123456789abcdef";
    let k3 = Key::of("k3", SigningKey::from_secret(Algorithm::Hs256, secret).unwrap());
    let issuer = Issuer::of(&[]);
    let oct = r#"{"kty":"oct","kid":"k3","alg":"HS256",
        "k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}"#;
    issuer.publish_entries(&[k1.jwk(), oct.into()]);
    let keys = issuer.jwks();
    let api = Api::over(keys.clone(), &issuer.clock);
    assert_eq!(api.status(&k1).await, 200);
    assert_eq!(api.status(&k3).await, 401);
    let status = keys.status();
    assert_eq!((status.keys(), status.skipped().len()), (1, 1));
    assert!(!format!("{status:?}").contains("MDEyMzQ1"), "{status:?}");
}

// case: jwks-016
#[test]
fn a_key_set_over_plain_http_is_refused_unless_it_is_allowed() {
    let transport = || Issuer::of(&[]).transport();
    assert!(Jwks::from_url("http://as.example/jwks", transport()).is_err());
    assert!(Jwks::from_issuer("http://as.example", transport()).is_err());
    assert!(Jwks::from_url("http://localhost:8080/jwks", transport()).is_ok());
    assert!(Jwks::from_url("http://as.example/jwks", transport().allow_plain_http()).is_ok());
}

// case: jwks-019
#[tokio::test]
async fn keys_are_refreshed_when_the_server_says_so_within_bounds() {
    let k1 = Key::named("k1");
    for (said, from, to) in
        [("max-age=3600", 3239, 3600), ("max-age=1", 269, 300), ("max-age=999999", 38_879, 43_200)]
    {
        let issuer = Issuer::of(&[&k1]);
        let max_age = said.parse().unwrap();
        issuer.answer.lock().unwrap().headers_mut().insert(CACHE_CONTROL, max_age);
        let api = issuer.api();
        assert_eq!(api.status(&k1).await, 200);
        issuer.pass(from);
        assert_eq!(api.status(&k1).await, 200);
        yield_now().await;
        assert_eq!(issuer.fetches(), 1, "{said}");
        issuer.pass(to - from);
        assert_eq!(api.status(&k1).await, 200);
        issuer.asked(2).await;
    }
}

// case: jwks-021
#[tokio::test]
async fn keys_of_one_name_are_told_apart_by_their_algorithm_or_tried() {
    let (one, other) = (Key::named("k1"), Key::named("k1"));
    let third = Key::of("k1", SigningKey::generate(Algorithm::EdDsa).unwrap());
    for order in [[&one, &other, &third], [&third, &other, &one]] {
        let issuer = Issuer::of(&order);
        let api = issuer.api();
        for key in order {
            assert_eq!(api.status(key).await, 200);
        }
        assert_eq!(api.status(&Key::named("k1")).await, 401);
        assert_eq!(issuer.fetches(), 1);
    }
}

/// RFC 9111 section 4.3.4.
#[tokio::test]
async fn keys_that_did_not_change_stay_fresh_for_as_long_as_when_they_came() {
    let k1 = Key::named("k1");
    let issuer = Issuer::of(&[&k1]);
    {
        let mut answer = issuer.answer.lock().unwrap();
        answer.headers_mut().insert(CACHE_CONTROL, "max-age=300".parse().unwrap());
        answer.headers_mut().insert(ETAG, "\"1\"".parse().unwrap());
    }
    let api = issuer.api();
    assert_eq!(api.status(&k1).await, 200);
    let unchanged = |said: Option<&str>| {
        issuer.fail(304);
        let mut answer = issuer.answer.lock().unwrap();
        answer.headers_mut().extend(said.map(|said| (CACHE_CONTROL, said.parse().unwrap())));
    };
    // What it says itself counts, for itself and from then on.
    for (said, seconds, fetches) in
        [(None, 301, 2), (None, 301, 3), (Some("max-age=900"), 301, 4), (None, 600, 4)]
            .into_iter()
            .chain([(None, 301, 5), (None, 600, 5), (None, 301, 6)])
    {
        unchanged(said);
        issuer.pass(seconds);
        assert_eq!(api.status(&k1).await, 200);
        for _ in 0..64 {
            yield_now().await;
        }
        assert_eq!(issuer.fetches(), fetches);
    }
}

#[tokio::test]
async fn a_token_that_waits_for_the_keys_of_an_issuer_is_judged_by_those_of_the_one_in_its_place() {
    let (key, other) = (Key::nameless(), Key::nameless());
    for is_held in [false, true] {
        let (old, new) = (Issuer::of(&[&other]), Issuer::of(&[&key]));
        let issuers = Issuers::new();
        issuers.insert(trusted(old.jwks())).unwrap();
        let api = Api::of(JwtValidator::from_issuers(issuers.clone()), &old.clock);
        if is_held {
            // Its keys are tried, and then looked for once more.
            assert_eq!(api.status(&other).await, 200);
        }
        old.gate.send_replace(false);
        let waiting = api.spawn(&key);
        old.asked(1 + usize::from(is_held)).await;
        let keys = new.jwks();
        if is_held {
            keys.warm_up().await.unwrap();
        }
        issuers.insert(trusted(keys)).unwrap();
        old.gate.send_replace(true);
        assert_eq!(waiting.await.unwrap(), 200, "keys were held: {is_held}");
    }
}
