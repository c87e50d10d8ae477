//! Keys that change in every way, while a forger sends random names of keys and wrong signatures: what a
//! good token gets, and for how long at most. One step is a second of the clock.

use crate::jwks::{API, Api, ISSUER, Key};
use bytes::Bytes;
use http::{
    Request, Response, StatusCode,
    header::{AUTHORIZATION, RETRY_AFTER},
};
use http_body_util::Full;
use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::task::yield_now;
use tower::{Layer, ServiceExt, service_fn};
use tower_oauth2::{
    Transport,
    server::RequireToken,
    testing::ManualClock,
    validate::{Cached, Jwks, JwtValidator, TrustedIssuer, ValidateToken},
};

const METADATA: &str = "/.well-known/openid-configuration";

/// An issuer with a page at each path, which counts the fetches of key sets.
#[derive(Clone, Default)]
struct Web {
    pages: Arc<Mutex<HashMap<String, (u16, String)>>>,
    asked: Arc<Mutex<Vec<String>>>,
    clock: ManualClock,
}

impl Web {
    /// An issuer whose keys are at `/jwks`.
    fn of(keys: &[&Key]) -> Self {
        let web = Self::default();
        web.put("/jwks", 200, &key_set(keys));
        web.move_keys_to("/jwks");
        web
    }

    fn put(&self, path: &str, status: u16, body: &str) {
        self.pages.lock().unwrap().insert(path.to_owned(), (status, body.to_owned()));
    }

    fn move_keys_to(&self, path: &str) {
        let body = format!(r#"{{"issuer":"{ISSUER}","jwks_uri":"{ISSUER}{path}"}}"#);
        self.put(METADATA, 200, &body);
    }

    fn jwks(&self) -> Jwks {
        let this = self.clone();
        let service = service_fn(move |request: Request<Full<Bytes>>| {
            let path = request.uri().path().to_owned();
            let pages = this.pages.lock().unwrap();
            let (status, body) = pages.get(&path).cloned().unwrap_or((404, String::new()));
            this.asked.lock().unwrap().push(path);
            let response = Response::builder().status(status).body(Full::new(Bytes::from(body)));
            async move { Ok::<_, Infallible>(response.unwrap()) }
        });
        let transport = Transport::new(service).with_clock(self.clock.clock());
        Jwks::from_issuer(ISSUER, transport).unwrap().with_clock(self.clock.clock())
    }

    fn requests(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn key_set(keys: &[&Key]) -> String {
    let keys: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

/// The status for a token.
async fn status<V: ValidateToken>(layer: &RequireToken<V>, token: &str) -> u16 {
    let inner = service_fn(|_: Request<Full<Bytes>>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let request = Request::get("/r").header(AUTHORIZATION, format!("Bearer {token}"));
    let request = request.body(Full::default()).unwrap();
    layer.layer(inner).oneshot(request).await.unwrap().status().as_u16()
}

/// Lets fetches in the background end.
async fn settle() {
    for _ in 0..20 {
        yield_now().await;
    }
}

/// An API under a flood: in each second as many random names of keys, and signatures that are wrong.
struct Flooded {
    api: Api,
    web: Web,
    forger: Key,
    sent: usize,
}

impl Flooded {
    fn new(web: &Web) -> Self {
        let api = Api::over(web.jwks(), &web.clock);
        Self { api, web: web.clone(), forger: Key::named("k1"), sent: 0 }
    }

    /// Floods for a second, and returns the statuses of a good token by `key` meanwhile.
    async fn second(&mut self, key: &Key) -> u16 {
        for _ in 0..5 {
            self.sent += 1;
            let random = Key::named(&format!("random-{}", self.sent));
            let refused = self.api.status(&random).await;
            assert!([401, 503].contains(&refused), "{refused}");
            let refused = self.api.status(&self.forger).await;
            assert!([401, 503].contains(&refused), "{refused}");
        }
        settle().await;
        let status = self.api.status(key).await;
        settle().await;
        self.web.clock.advance(Duration::from_secs(1));
        status
    }

    async fn seconds(&mut self, seconds: usize, key: &Key) -> Vec<u16> {
        let mut statuses = Vec::new();
        for _ in 0..seconds {
            statuses.push(self.second(key).await);
        }
        statuses
    }
}

/// After how many seconds each answer is 200, and what they are before.
fn good_after(statuses: &[u16]) -> (usize, &[u16]) {
    let first = statuses.iter().position(|status| *status == 200).expect("it is never good");
    assert!(statuses[first..].iter().all(|status| *status == 200), "{statuses:?}");
    (first, &statuses[..first])
}

#[tokio::test]
async fn a_new_key_is_never_a_401_under_a_flood_and_good_within_ten_seconds() {
    let (k1, k2) = (Key::named("k1"), Key::named("k2"));
    let web = Web::of(&[&k1]);
    let mut flooded = Flooded::new(&web);
    assert_eq!(good_after(&flooded.seconds(20, &k1).await).0, 0);
    web.put("/jwks", 200, &key_set(&[&k1, &k2]));
    let statuses = flooded.seconds(20, &k2).await;
    let (after, before) = good_after(&statuses);
    assert!(after <= 10 && before.iter().all(|status| *status == 503), "{statuses:?}");
    assert_eq!(flooded.api.status(&k1).await, 200);
    // Forty seconds: three and one in ten, twice, each perhaps with a look at the metadata.
    assert!(web.requests() <= 2 * 2 * (3 + 4) + 2, "{}", web.requests());
}

#[tokio::test]
async fn where_the_searches_are_spent_the_answer_says_to_try_again_within_ten_seconds() {
    let k1 = Key::named("k1");
    let web = Web::of(&[&k1]);
    let mut flooded = Flooded::new(&web);
    flooded.seconds(5, &k1).await;
    let refused = flooded.api.call(&Key::named("k2").token(&web.clock)).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    let wait: u64 = refused.headers()[RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!((1..=10).contains(&wait), "{wait}");
}

#[tokio::test]
async fn a_new_key_under_an_old_name_costs_ten_seconds_of_401_at_most() {
    let (old, new) = (Key::named("k1"), Key::named("k1"));
    let web = Web::of(&[&old]);
    let mut flooded = Flooded::new(&web);
    flooded.seconds(20, &old).await;
    web.put("/jwks", 200, &key_set(&[&new]));
    let statuses = flooded.seconds(20, &new).await;
    let (after, before) = good_after(&statuses);
    assert!(after <= 10 && before.iter().all(|status| *status == 401), "{statuses:?}");
    assert_eq!(flooded.api.status(&old).await, 401, "it was withdrawn");
}

#[tokio::test]
async fn keys_that_moved_are_found_under_a_flood_whatever_is_left_at_the_old_place() {
    for left in [Some((403, "AccessDenied")), Some((502, "")), Some((200, "<html>")), None] {
        let (k1, k2) = (Key::named("k1"), Key::named("k2"));
        let web = Web::of(&[&k1]);
        let mut flooded = Flooded::new(&web);
        flooded.seconds(5, &k1).await;
        web.put("/keys", 200, &key_set(&[&k2]));
        web.move_keys_to("/keys");
        if let Some((status, body)) = left {
            web.put("/jwks", status, body);
        }
        let statuses = flooded.seconds(30, &k2).await;
        let (after, before) = good_after(&statuses);
        assert!(after <= 12 && !before.contains(&401), "{left:?}: {statuses:?}");
    }
}

#[tokio::test]
async fn an_emptied_set_is_503_for_every_token_that_names_its_issuer_until_there_are_keys() {
    let k1 = Key::named("k1");
    let web = Web::of(&[&k1]);
    let keys = web.jwks();
    let told = Arc::<Mutex<Vec<String>>>::default();
    let seen = told.clone();
    let issuer = TrustedIssuer::new(ISSUER, keys.clone()).with_audience([API]);
    let validator = JwtValidator::new(issuer).unwrap().with_clock(web.clock.clock());
    let layer = RequireToken::new("api", validator).unwrap();
    let layer = layer.with_audit(move |event| {
        seen.lock().unwrap().push(event.description.to_owned());
    });
    let good = k1.token(&web.clock);
    assert_eq!(status(&layer, &good).await, 200);
    web.put("/jwks", 200, r#"{"keys":[]}"#);
    assert!(keys.refresh().await.is_err());
    assert_eq!(status(&layer, &good).await, 503);
    let cause = told.lock().unwrap().pop().unwrap();
    assert!(cause.contains(ISSUER) && cause.contains("it is empty"), "{cause}");
    // Nothing that a token says of itself is true while there is no key.
    let forged = |header: &str, claims: &str| {
        use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
        format!("{}.{}.AAAA", BASE64.encode(header), BASE64.encode(claims))
    };
    let header = r#"{"alg":"ES256","typ":"at+jwt","kid":"k1"}"#;
    let claims = |more: &str| format!(r#"{{"iss":"{ISSUER}"{more}}}"#);
    for (header, claims) in [
        (header, claims(r#","aud":"https://other.example","exp":99999999999"#)),
        (header, claims(&format!(r#","aud":"{API}","exp":1"#))),
        (header, claims("")),
        (r#"{"alg":"none"}"#, claims("")),
        (r#"{"alg":"ES256","typ":"JWT"}"#, claims("")),
    ] {
        assert_eq!(status(&layer, &forged(header, &claims)).await, 503, "{header} {claims}");
    }
    assert_eq!(status(&layer, &forged(header, r#"{"iss":"https://other.example"}"#)).await, 401);
    // A token that is refused all the same brings the keys back.
    web.put("/jwks", 200, &key_set(&[&k1]));
    web.clock.advance(Duration::from_secs(1));
    assert_eq!(status(&layer, &forged(header, &claims(r#","exp":1"#))).await, 401);
    let why = told.lock().unwrap().pop().unwrap();
    assert!(why.starts_with("exp: expected a date after ") && why.contains("found 1 "), "{why}");
    assert_eq!(status(&layer, &good).await, 200);
    let text = r#","aud":"https://other.example","exp":99999999999"#;
    assert_eq!(status(&layer, &forged(header, &claims(text))).await, 401);
    let why = told.lock().unwrap().pop().unwrap();
    let expected = format!("aud: expected '{API}', found 'https://other.example'");
    assert!(why.starts_with(&expected), "{why}");
}

#[tokio::test]
async fn a_hit_in_a_cache_on_stale_keys_has_them_fetched_and_a_withdrawn_key_ends() {
    let (k1, k2) = (Key::named("k1"), Key::named("k2"));
    let (web, minute) = (Web::of(&[&k1]), Duration::from_secs(60));
    let keys = web.jwks().with_refresh_between(minute, minute).unwrap();
    let issuer = TrustedIssuer::new(ISSUER, keys).with_audience([API]);
    let validator = JwtValidator::new(issuer).unwrap().with_clock(web.clock.clock());
    let cached = Cached::new(validator).with_ttl(60 * minute).with_clock(web.clock.clock());
    let layer = RequireToken::new("api", cached).unwrap();
    let token = k1.token(&web.clock);
    assert_eq!(status(&layer, &token).await, 200);
    web.put("/jwks", 200, &key_set(&[&k2]));
    let before = web.requests();
    web.clock.advance(Duration::from_secs(50));
    assert_eq!(status(&layer, &token).await, 200);
    settle().await;
    assert_eq!(web.requests(), before, "they are fresh");
    web.clock.advance(Duration::from_secs(10));
    assert_eq!(status(&layer, &token).await, 200, "nobody waits");
    settle().await;
    assert_eq!(web.requests(), before + 1);
    assert_eq!(status(&layer, &token).await, 401);
}
