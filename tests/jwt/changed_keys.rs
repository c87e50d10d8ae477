//! Keys that change in every way, while a forger sends random names of keys and wrong signatures: what a
//! good token gets, and for how long at most. One step is a second of the clock.

use crate::jwks::{API, Api, ISSUER, Key};
use bytes::Bytes;
use http::{
    Request, Response, StatusCode,
    header::{AUTHORIZATION, RETRY_AFTER},
};
use http_body_util::{BodyExt, Full};
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
    server::{RenderRefusals, RequireToken},
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

/// The service below a layer that lets nothing through.
async fn unused(_: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
    panic!("it was called")
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
    has_random_names: bool,
    sent: usize,
}

impl Flooded {
    fn new(web: &Web) -> Self {
        let api = Api::over(web.jwks(), &web.clock);
        let forger = Key::named("k1");
        Self { api, web: web.clone(), forger, has_random_names: true, sent: 0 }
    }

    /// Of wrong signatures alone, which cause no search for a name.
    fn by_signatures(web: &Web) -> Self {
        Self { has_random_names: false, ..Self::new(web) }
    }

    /// Floods for a second, and returns the status of a good token by `key` in the midst of it.
    async fn second(&mut self, key: &Key) -> u16 {
        let mut forged = Vec::new();
        let mut flood = |this: &mut Self| {
            this.sent += 1;
            if this.has_random_names {
                forged.push(this.api.spawn(&Key::named(&format!("random-{}", this.sent))));
            }
            forged.push(this.api.spawn(&this.forger));
        };
        (0..3).for_each(|_| flood(self));
        let good = self.api.spawn(key);
        (0..3).for_each(|_| flood(self));
        let status = good.await.unwrap();
        for refused in forged {
            let refused = refused.await.unwrap();
            assert!([401, 503].contains(&refused), "{refused}");
        }
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
    // The next search may begin five seconds later.
    assert_eq!(good_after(&flooded.seconds(25, &k1).await).0, 0);
    web.put("/jwks", 200, &key_set(&[&k1, &k2]));
    let statuses = flooded.seconds(20, &k2).await;
    let (after, before) = good_after(&statuses);
    assert!(
        (1..=10).contains(&after) && before.iter().all(|status| *status == 503),
        "{statuses:?}"
    );
    assert_eq!(flooded.api.status(&k1).await, 200);
    // In 45 seconds: three and one in ten, twice, each perhaps with a look at the metadata.
    assert!(web.requests() <= 2 * 2 * (3 + 5) + 2, "{}", web.requests());
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
    for flood in [Flooded::new, Flooded::by_signatures] {
        let (old, new) = (Key::named("k1"), Key::named("k1"));
        let web = Web::of(&[&old]);
        let mut flooded = flood(&web);
        flooded.seconds(20, &old).await;
        web.put("/jwks", 200, &key_set(&[&new]));
        let statuses = flooded.seconds(20, &new).await;
        let (after, before) = good_after(&statuses);
        assert!(after <= 10 && before.iter().all(|status| *status == 401), "{statuses:?}");
        assert_eq!(flooded.api.status(&old).await, 401, "it was withdrawn");
    }
}

#[tokio::test]
async fn keys_that_moved_are_found_by_a_refresh_whatever_is_left_at_the_old_place() {
    for (status, body) in [(404, ""), (403, "AccessDenied"), (502, ""), (200, "<html>")] {
        let key = Key::named("k1");
        let web = Web::of(&[&key]);
        let api = Api::over(web.jwks(), &web.clock);
        assert_eq!(api.status(&key).await, 200);
        web.put("/keys", 200, &key_set(&[&key]));
        web.move_keys_to("/keys");
        web.put("/jwks", status, body);
        // No token has a name that is unknown, so nothing searches.
        for _ in 0..3 {
            web.clock.advance(Duration::from_secs(3600));
            assert_eq!(api.status(&key).await, 200);
            settle().await;
        }
        assert!(web.asked.lock().unwrap().iter().any(|path| path == "/keys"), "{status}");
    }
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
        // Where the old place answers still, a fetch there may have looked for the new name in vain.
        let refused = before.contains(&401) && left.is_some();
        assert!(after <= 12 && !refused, "{left:?}: {statuses:?}");
    }
}

#[tokio::test]
async fn an_emptied_set_is_found_under_a_flood_and_costs_no_good_token_a_401() {
    let k1 = Key::named("k1");
    let web = Web::of(&[&k1]);
    let mut flooded = Flooded::new(&web);
    flooded.seconds(20, &k1).await;
    web.put("/jwks", 200, r#"{"keys":[]}"#);
    let statuses = flooded.seconds(20, &k1).await;
    let found = statuses.iter().position(|status| *status == 503).expect("it is never found");
    assert!(found <= 10 && statuses[..found].iter().all(|status| *status == 200), "{statuses:?}");
    assert!(statuses[found..].iter().all(|status| *status == 503), "{statuses:?}");
    web.put("/jwks", 200, &key_set(&[&k1]));
    let statuses = flooded.seconds(40, &k1).await;
    let (after, before) = good_after(&statuses);
    assert!(after <= 30 && before.iter().all(|status| *status == 503), "{statuses:?}");
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
async fn the_cause_of_keys_that_cannot_be_fetched_is_in_the_audit_and_never_in_the_answer() {
    let key = Key::named("k1");
    for (path, status, body, cause) in [
        ("/jwks", 500, "", "500"),
        ("/jwks", 200, "<html>", "JSON"),
        (METADATA, 503, "", "503"),
        (METADATA, 200, r#"{"issuer":"https://other.example"}"#, "issuer"),
    ] {
        let web = Web::of(&[&key]);
        web.put(path, status, body);
        let told = Arc::<Mutex<Vec<String>>>::default();
        let seen = told.clone();
        let issuer = TrustedIssuer::new(ISSUER, web.jwks()).with_audience([API]);
        let validator = JwtValidator::new(issuer).unwrap().with_clock(web.clock.clock());
        let layer = RequireToken::new("api", validator).unwrap().with_audit(move |event| {
            seen.lock().unwrap().push(event.description.to_owned());
        });
        let service = RenderRefusals::problem_json().layer(layer.layer(service_fn(unused)));
        let token = format!("Bearer {}", key.token(&web.clock));
        for _ in 0..2 {
            let request = Request::get("/r").header(AUTHORIZATION, &token);
            let request = request.body(Full::default()).unwrap();
            let answer = service.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            let why = told.lock().unwrap().pop().unwrap();
            assert!(why.contains("cannot be verified: ") && why.contains(cause), "{why}");
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            let body = std::str::from_utf8(&body).unwrap();
            assert!(body.contains("cannot be checked at the moment"), "{body}");
            assert!(!body.contains("verified") && !body.contains(ISSUER), "{body}");
        }
    }
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
