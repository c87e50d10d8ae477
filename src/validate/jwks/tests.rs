use super::*;
use crate::testing::ManualClock;
use bytes::Bytes;
use http::{
    HeaderMap, Request, Response,
    header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH, LOCATION, RETRY_AFTER},
};
use http_body_util::Full;
use std::{collections::HashMap, convert::Infallible, sync::Mutex, time::SystemTime};
use tokio::{sync::watch, task::yield_now};

const URL: &str = "https://as.example/jwks";
const ES256: Algorithm = Algorithm::Es256;
const HOUR: Duration = Duration::from_secs(3600);

/// The public keys of RFC 7517 appendix A.1 and RFC 8037 appendix A.2.
fn entry(kid: &str) -> String {
    match kid.starts_with("ed") {
        true => format!(
            r#"{{"kty":"OKP","crv":"Ed25519","kid":"{kid}",
                "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwuaaPJHURo"}}"#
        ),
        false => format!(
            r#"{{"kty":"EC","crv":"P-256","kid":"{kid}",
                "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
                "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}}"#
        ),
    }
}

fn key_set<'a>(kids: impl IntoIterator<Item = &'a str>) -> String {
    let keys: Vec<_> = kids.into_iter().map(entry).collect();
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

fn answer(status: u16, body: impl Into<Bytes>) -> Response<Bytes> {
    Response::builder().status(status).body(body.into()).unwrap()
}

/// A server that gives the same answer at each path, when its gate is open.
#[derive(Clone)]
struct Server {
    answers: Arc<Mutex<HashMap<String, Response<Bytes>>>>,
    asked: Arc<Mutex<Vec<(String, HeaderMap)>>>,
    gate: watch::Sender<bool>,
    clock: ManualClock,
}

impl Server {
    fn of(kids: &[&str]) -> Self {
        let server = Self {
            answers: Arc::default(),
            asked: Arc::default(),
            gate: watch::Sender::new(true),
            clock: ManualClock::new(),
        };
        server.publish(kids);
        server
    }

    fn publish(&self, kids: &[&str]) {
        self.say("/jwks", answer(200, key_set(kids.iter().copied())));
    }

    fn say(&self, path: &str, answer: Response<Bytes>) {
        self.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    fn transport(&self) -> Transport {
        let this = self.clone();
        let service = tower::service_fn(move |request: Request<Full<Bytes>>| {
            let this = this.clone();
            async move {
                let path = request.uri().path().to_owned();
                this.asked.lock().unwrap().push((path.clone(), request.headers().clone()));
                this.gate.subscribe().wait_for(|open| *open).await.unwrap();
                let answers = this.answers.lock().unwrap();
                let said = answers.get(&path).cloned().unwrap_or_else(|| answer(404, ""));
                Ok::<_, Infallible>(said.map(Full::new))
            }
        });
        Transport::new(service).with_clock(self.clock.clock())
    }

    fn jwks(&self) -> Jwks {
        Jwks::from_url(URL, self.transport()).unwrap().with_clock(self.clock.clock())
    }

    fn fetches(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    fn open(&self, open: bool) {
        self.gate.send_replace(open);
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

#[derive(Debug, PartialEq)]
enum Told {
    Good,
    Unknown,
    Unavailable,
}

fn id(kid: &str) -> KeyId<'_> {
    KeyId::Kid(kid.into())
}

async fn look(jwks: &Jwks, kid: &str) -> Told {
    let (mut waited, mut times) = (None, 0);
    loop {
        match jwks.look_up(Some(&id(kid)), ES256, waited) {
            Found::Keys(keys) => {
                assert!(keys.keys.candidates(Some(&id(kid)), ES256).next().is_some());
                return Told::Good;
            }
            Found::Unknown => return Told::Unknown,
            Found::Unavailable(_) => return Told::Unavailable,
            Found::Wait(wait) => {
                times += 1;
                assert!(times <= 2, "a look-up waits twice at most");
                waited = Some(wait.over().await);
            }
        }
    }
}

/// Lets the background fetch come to its end.
async fn settle(jwks: &Jwks) {
    while jwks.status().is_fetching() {
        yield_now().await;
    }
}

#[tokio::test]
async fn look_ups_without_keys_share_one_fetch_that_none_of_them_owns() {
    let server = Server::of(&["k1"]);
    let jwks = server.jwks();
    server.open(false);
    let looks: Vec<_> = (0..50)
        .map(|_| {
            let jwks = jwks.clone();
            tokio::spawn(async move { look(&jwks, "k1").await })
        })
        .collect();
    while server.fetches() == 0 {
        yield_now().await;
    }
    looks[0].abort();
    server.open(true);
    for look in looks.into_iter().skip(1) {
        assert_eq!(look.await.unwrap(), Told::Good);
    }
    assert_eq!(server.fetches(), 1);
}

/// The monotonic clock may stand still while the machine sleeps.
#[tokio::test]
async fn keys_grow_old_while_the_machine_sleeps() {
    let server = Server::of(&["k1"]);
    let jwks = server.jwks();
    assert_eq!(look(&jwks, "k1").await, Told::Good);
    let wall = |hours| server.clock.set_wall(server.clock.clock().wall() + HOUR * hours);
    wall(2);
    assert_eq!(look(&jwks, "k1").await, Told::Good);
    settle(&jwks).await;
    assert_eq!(server.fetches(), 2, "not fresh any more");
    server.say("/jwks", answer(503, ""));
    wall(48);
    assert!(!jwks.status().is_ready());
    assert_eq!(look(&jwks, "k1").await, Told::Unavailable);
    server.publish(&["k2"]);
    server.pass(30);
    assert_eq!(look(&jwks, "k1").await, Told::Unknown, "it was withdrawn meanwhile");
    server.clock.set_wall(SystemTime::UNIX_EPOCH);
    assert_eq!(look(&jwks, "k2").await, Told::Good, "a clock that is set back makes nothing old");
}

#[tokio::test]
async fn an_unknown_key_costs_one_fetch_in_a_cool_down_and_is_found_after_it() {
    let server = Server::of(&["k1"]);
    let jwks = server.jwks();
    assert_eq!(look(&jwks, "k2").await, Told::Unknown);
    server.publish(&["k1", "k2"]);
    server.pass(29);
    assert_eq!(look(&jwks, "k2").await, Told::Unknown);
    assert_eq!(server.fetches(), 1);
    server.pass(1);
    let generation = jwks.generation();
    assert_eq!(look(&jwks, "k2").await, Told::Good);
    assert_eq!(server.fetches(), 2);
    assert_ne!(jwks.generation(), generation);
}

#[tokio::test]
async fn known_keys_are_found_while_a_search_hangs() {
    let server = Server::of(&["k1"]);
    let jwks = server.jwks();
    assert_eq!(look(&jwks, "k1").await, Told::Good);
    server.open(false);
    assert!(matches!(jwks.look_up(Some(&id("k2")), ES256, None), Found::Wait(_)));
    assert!(matches!(jwks.look_up(Some(&id("k3")), ES256, None), Found::Wait(_)));
    assert!(matches!(jwks.look_up(Some(&id("k1")), ES256, None), Found::Keys(_)));
    assert!(matches!(jwks.look_up(None, ES256, None), Found::Keys(_)));
    // The deadline of the transport ends the fetch, and nobody can tell.
    while server.fetches() < 2 {
        yield_now().await;
    }
    server.pass(30);
    settle(&jwks).await;
    assert_eq!(look(&jwks, "k2").await, Told::Unavailable);
    assert_eq!(look(&jwks, "k1").await, Told::Good);
}

#[tokio::test]
async fn a_forced_refresh_is_one_fetch_for_all_and_begins_after_the_call() {
    let server = Server::of(&["k1"]);
    let jwks = server.jwks();
    jwks.warm_up().await.unwrap();
    server.open(false);
    let spawn = || {
        let jwks = jwks.clone();
        tokio::spawn(async move { jwks.refresh().await })
    };
    let first = spawn();
    while server.fetches() < 2 {
        yield_now().await;
    }
    let others = [spawn(), spawn()];
    yield_now().await;
    server.publish(&["k2"]);
    server.open(true);
    first.await.unwrap().unwrap();
    for other in others {
        other.await.unwrap().unwrap();
    }
    assert_eq!(server.fetches(), 3);
    assert_eq!(look(&jwks, "k1").await, Told::Unknown, "it was withdrawn");
    Jwks::from_json(&key_set(["k1"])).unwrap().refresh().await.unwrap();
}

#[tokio::test]
async fn a_fetch_that_fails_evicts_nothing() {
    let many: Vec<_> = (0..101).map(|number| number.to_string()).collect();
    let redirect = Response::builder().status(302).header(LOCATION, "http://as.example/");
    for bad in [
        answer(503, "hunter2"),
        answer(204, ""),
        answer(304, ""),
        redirect.body(Bytes::new()).unwrap(),
        answer(200, format!("{}{}", " ".repeat(256 * 1024), key_set(["k2"]))),
        answer(200, key_set(many.iter().map(String::as_str))),
        answer(200, "hunter2"),
        answer(200, "{}"),
    ] {
        let server = Server::of(&["k1"]);
        let jwks = server.jwks();
        assert_eq!(look(&jwks, "k1").await, Told::Good);
        let generation = jwks.generation();
        server.say("/jwks", bad);
        assert_eq!(look(&jwks, "k2").await, Told::Unavailable);
        assert_eq!(look(&jwks, "k2").await, Told::Unavailable);
        assert_eq!(look(&jwks, "k1").await, Told::Good);
        assert_eq!(server.fetches(), 2);
        assert_eq!(jwks.generation(), generation);
        let status = jwks.status();
        let failure = status.last_failure().unwrap().to_string();
        assert!(!failure.contains("hunter2") && !failure.contains("c2VjcmV0"), "{failure}");
        // It comes back by itself.
        server.publish(&["k1", "k2"]);
        server.pass(1);
        assert_eq!(look(&jwks, "k2").await, Told::Good);
        assert!(jwks.status().last_failure().is_none());
    }
}

#[tokio::test]
async fn a_set_without_a_usable_key_withdraws_those_that_are_held() {
    for empty in [r#"{"keys":[]}"#, r#"{"keys":[{"kty":"oct","kid":"k2","k":"c2VjcmV0"}]}"#] {
        let server = Server::of(&[]);
        let mut keys = answer(200, key_set(["k1"]));
        keys.headers_mut().insert(ETAG, "\"v1\"".parse().unwrap());
        server.say("/jwks", keys);
        let jwks = server.jwks();
        assert_eq!(look(&jwks, "k1").await, Told::Good);
        let generation = jwks.generation();
        server.say("/jwks", answer(200, empty));
        assert_eq!(jwks.refresh().await.unwrap_err().kind(), JwksErrorKind::InvalidResponse);
        assert_eq!(look(&jwks, "k1").await, Told::Unavailable);
        assert!(!jwks.status().is_ready() && jwks.status().keys() == 0);
        assert_ne!(jwks.generation(), generation, "cached verdicts are forgotten");
        // "Not modified" would be about keys that are dropped.
        server.publish(&["k1"]);
        server.pass(1);
        assert_eq!(look(&jwks, "k1").await, Told::Good);
        let asked = server.asked.lock().unwrap().pop().unwrap();
        assert!(!asked.1.contains_key(IF_NONE_MATCH));
    }
}

#[tokio::test]
async fn keys_that_are_not_modified_are_good_for_another_while() {
    let server = Server::of(&["k1"]);
    let mut first = answer(200, key_set(["k1"]));
    first.headers_mut().insert(ETAG, "\"v1\"".parse().unwrap());
    server.say("/jwks", first);
    let jwks = server.jwks();
    assert_eq!(look(&jwks, "k1").await, Told::Good);
    let generation = jwks.generation();
    server.say("/jwks", answer(304, ""));
    server.pass(3600);
    assert!(jwks.status().is_stale());
    assert_eq!(look(&jwks, "k1").await, Told::Good);
    settle(&jwks).await;
    assert_eq!(server.asked.lock().unwrap()[1].1[IF_NONE_MATCH], "\"v1\"");
    assert_eq!(jwks.status().age(), Some(Duration::ZERO));
    assert_eq!(jwks.generation(), generation);
    assert_eq!(look(&jwks, "k1").await, Told::Good);
    assert_eq!(server.fetches(), 2);
}

#[tokio::test]
async fn keys_that_are_too_old_are_not_used_and_the_server_is_left_alone_as_it_asks() {
    let server = Server::of(&["k1"]);
    let jwks = server.jwks().with_max_stale(Duration::from_secs(3600));
    assert_eq!(look(&jwks, "k1").await, Told::Good);
    let mut busy = answer(503, "");
    busy.headers_mut().insert(RETRY_AFTER, "120".parse().unwrap());
    server.say("/jwks", busy);
    server.pass(3599);
    assert_eq!(look(&jwks, "k1").await, Told::Good);
    settle(&jwks).await;
    server.pass(1);
    let told = jwks.look_up(Some(&id("k1")), ES256, None);
    assert!(
        matches!(told, Found::Unavailable(away) if away.next_try == Some(Duration::from_secs(119)))
    );
    assert!(!jwks.status().is_ready());
    server.publish(&["k1"]);
    server.pass(119);
    assert_eq!(look(&jwks, "k1").await, Told::Good);
    assert_eq!(server.fetches(), 3);
}

#[tokio::test]
async fn metadata_is_read_when_a_key_is_needed_and_again_when_the_keys_are_gone() {
    let issuer = "https://as.example";
    let server = Server::of(&["k1"]);
    let metadata = |path: &str| format!(r#"{{"issuer":"{issuer}","jwks_uri":"{issuer}{path}"}}"#);
    let place = "/.well-known/oauth-authorization-server";
    server.say(place, answer(200, metadata("/jwks")));
    let jwks = Jwks::from_issuer(issuer, server.transport()).unwrap();
    let jwks = jwks.with_clock(server.clock.clock());
    assert_eq!(server.fetches(), 0);
    assert_eq!(look(&jwks, "k1").await, Told::Good);
    assert_eq!(server.fetches(), 3, "two places of metadata, and the keys");
    assert_eq!(look(&jwks, "k2").await, Told::Unknown);
    assert_eq!(server.fetches(), 4, "the keys alone");
    server.say("/jwks", answer(404, ""));
    server.say("/keys", answer(200, key_set(["k2"])));
    server.say(place, answer(200, metadata("/keys")));
    server.pass(30);
    assert_eq!(look(&jwks, "k2").await, Told::Good);
    server.say(place, answer(200, metadata("/elsewhere")));
    server.say("/elsewhere", answer(200, key_set(["k3"])));
    server.pass(30);
    assert_eq!(look(&jwks, "k3").await, Told::Good, "the old place still answers");
}

#[tokio::test]
async fn keys_that_moved_are_found_whatever_is_left_at_the_old_place() {
    let issuer = "https://as.example";
    let place = "/.well-known/openid-configuration";
    let metadata = |path: &str| format!(r#"{{"issuer":"{issuer}","jwks_uri":"{issuer}{path}"}}"#);
    for (left, tries) in [
        (answer(403, "AccessDenied"), 1),
        (answer(301, ""), 1),
        (answer(404, ""), 1),
        (answer(502, ""), 2),
        (answer(200, "<html>"), 2),
        (answer(200, r#"{"keys":[]}"#), 2),
    ] {
        let server = Server::of(&["k1"]);
        server.say(place, answer(200, metadata("/jwks")));
        let jwks = Jwks::from_issuer(issuer, server.transport()).unwrap();
        let jwks = jwks.with_clock(server.clock.clock());
        assert_eq!(look(&jwks, "k1").await, Told::Good);
        server.say(place, answer(200, metadata("/keys")));
        server.say("/keys", answer(200, key_set(["k2"])));
        let status = left.status();
        server.say("/jwks", left);
        for _ in 1..tries {
            assert!(jwks.refresh().await.is_err(), "{status}");
            server.pass(1);
        }
        jwks.refresh().await.unwrap();
        assert_eq!(look(&jwks, "k2").await, Told::Good, "{status}");
    }
}

#[tokio::test]
async fn metadata_that_is_away_does_not_keep_keys_away() {
    let issuer = "https://as.example";
    let server = Server::of(&["k1"]);
    let place = "/.well-known/openid-configuration";
    let metadata = format!(r#"{{"issuer":"{issuer}","jwks_uri":"{URL}"}}"#);
    server.say(place, answer(200, metadata));
    let jwks = Jwks::from_issuer(issuer, server.transport()).unwrap();
    let jwks = jwks.with_clock(server.clock.clock());
    assert_eq!(look(&jwks, "k1").await, Told::Good);
    server.say(place, answer(503, ""));
    server.pass(25 * 3600);
    assert_eq!(look(&jwks, "k1").await, Told::Good);
}

#[tokio::test]
async fn metadata_of_another_issuer_fail_the_fetch_and_the_keys_stay() {
    let issuer = "https://as.example";
    let server = Server::of(&["k1"]);
    let place = "/.well-known/openid-configuration";
    let metadata = |issuer: &str| format!(r#"{{"issuer":"{issuer}","jwks_uri":"{URL}"}}"#);
    server.say(place, answer(200, metadata(issuer)));
    let jwks = Jwks::from_issuer(issuer, server.transport()).unwrap();
    let jwks = jwks.with_clock(server.clock.clock()).with_max_stale(Duration::from_secs(72 * 3600));
    assert_eq!(look(&jwks, "k1").await, Told::Good);
    server.say(place, answer(200, metadata("https://other.example")));
    server.pass(25 * 3600);
    assert_eq!(look(&jwks, "k1").await, Told::Good);
    settle(&jwks).await;
    let failure = jwks.status().last_failure().map(JwksError::kind);
    assert_eq!(failure, Some(JwksErrorKind::Discovery));
}

#[test]
fn without_a_runtime_nobody_can_tell_and_keys_that_are_there_are_good() {
    let server = Server::of(&["k1"]);
    let jwks = server.jwks();
    assert!(matches!(
        jwks.look_up(Some(&id("k1")), ES256, None),
        Found::Unavailable(Away { next_try: None, .. })
    ));
    assert_eq!(server.fetches(), 0);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(look(&jwks, "k1")), Told::Good);
    assert!(matches!(jwks.look_up(Some(&id("k1")), ES256, None), Found::Keys(_)));
    server.pass(3600);
    assert!(matches!(jwks.look_up(Some(&id("k1")), ES256, None), Found::Keys(_)));
    assert!(matches!(
        jwks.look_up(Some(&id("k2")), ES256, None),
        Found::Unavailable(Away { next_try: None, .. })
    ));
    assert!(!jwks.status().is_fetching());
}

#[test]
fn a_fetch_that_dies_with_its_runtime_leaves_nobody_waiting() {
    let server = Server::of(&["k1"]);
    let jwks = server.jwks();
    server.open(false);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let joined = runtime.block_on(async {
        match jwks.look_up(Some(&id("k1")), ES256, None) {
            Found::Wait(wait) => wait.joined,
            _ => panic!("there are no keys"),
        }
    });
    drop(runtime);
    assert!(tokio_test::block_on(joined.wait()).is_some());
    let failure = jwks.status().last_failure().map(JwksError::kind);
    assert_eq!(failure, Some(JwksErrorKind::Aborted));
    server.open(true);
    server.pass(1);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(look(&jwks, "k1")), Told::Good);
}

#[tokio::test]
async fn warming_up_fetches_once_or_says_why_not_and_who_watches_is_told() {
    let server = Server::of(&["k1"]);
    let jwks = server.jwks();
    let before = jwks.status();
    server.say("/jwks", answer(500, ""));
    assert_eq!(jwks.warm_up().await.unwrap_err().kind(), JwksErrorKind::Refused);
    assert_eq!(jwks.warm_up().await.unwrap_err().kind(), JwksErrorKind::Refused);
    assert_eq!(server.fetches(), 1);
    let failed = jwks.changed(&before).await;
    assert!(!failed.is_ready() && failed.last_failure().is_some());
    let watcher = {
        let (jwks, failed) = (jwks.clone(), failed.clone());
        tokio::spawn(async move { jwks.changed(&failed).await })
    };
    server.publish(&["k1", "ed"]);
    server.pass(1);
    jwks.warm_up().await.unwrap();
    jwks.warm_up().await.unwrap();
    let ready = watcher.await.unwrap();
    assert!(ready.is_ready() && ready.last_failure().is_none());
    assert_eq!((ready.keys(), server.fetches()), (2, 2));
}

#[tokio::test]
async fn a_key_of_another_algorithm_is_known_and_without_a_name_any_fitting_key_may_do() {
    let server = Server::of(&["ed"]);
    let jwks = server.jwks();
    jwks.warm_up().await.unwrap();
    match jwks.look_up(Some(&id("ed")), ES256, None) {
        Found::Keys(keys) => assert!(keys.keys.candidates(Some(&id("ed")), ES256).next().is_none()),
        _ => panic!("it is known"),
    }
    assert!(matches!(jwks.look_up(None, Algorithm::EdDsa, None), Found::Keys(_)));
    assert_eq!(server.fetches(), 1);
    assert!(matches!(jwks.look_up(None, ES256, None), Found::Wait(_)));
}

#[tokio::test]
async fn what_the_server_says_of_freshness_counts_within_bounds() {
    for (said, stale_after) in [("max-age=3600", 3600), ("no-store", 300), ("max-age=9", 300)] {
        let server = Server::of(&[]);
        let mut keys = answer(200, key_set(["k1"]));
        keys.headers_mut().insert(CACHE_CONTROL, said.parse().unwrap());
        server.say("/jwks", keys);
        let jwks = server.jwks();
        jwks.warm_up().await.unwrap();
        server.pass(stale_after * 9 / 10 - 1);
        assert!(!jwks.status().is_stale(), "{said}");
        server.pass(stale_after / 10 + 1);
        assert!(jwks.status().is_stale(), "{said}");
    }
}

#[tokio::test]
async fn a_look_up_of_a_known_key_allocates_nothing() {
    let server = Server::of(&["k1"]);
    let jwks = server.jwks().with_clock(Clock::system());
    jwks.warm_up().await.unwrap();
    drop(jwks.look_up(Some(&id("k1")), ES256, None));
    let counted = allocation_counter::measure(|| {
        let found = jwks.look_up(Some(&id("k1")), ES256, None);
        assert!(
            matches!(found, Found::Keys(keys) if keys.keys.candidates(None, ES256).count() == 1)
        );
    });
    assert_eq!(counted.count_total, 0);
}

#[test]
fn a_fixed_set_is_right_as_a_whole_and_unknown_keys_are_not_looked_for() {
    let jwks = Jwks::from_json(&key_set(["k1", "ed"])).unwrap();
    assert!(matches!(jwks.look_up(Some(&id("k1")), ES256, None), Found::Keys(_)));
    assert!(matches!(jwks.look_up(Some(&id("k2")), ES256, None), Found::Unknown));
    assert!(jwks.status().is_ready() && !jwks.is_symmetric());
    let private = r#"{"keys":[{"kty":"oct","kid":"the-secret","k":"c2VjcmV0"}]}"#;
    for bad in ["", "{}", r#"{"keys":[]}"#, private] {
        let error = Jwks::from_json(bad).unwrap_err().to_string();
        assert!(!error.contains("c2VjcmV0"), "{error}");
    }
}

#[test]
fn a_shared_secret_is_the_key_of_every_token_of_its_algorithm() {
    let secret = "0123456789abcdef0123456789abcdef";
    let jwks = Jwks::from_secret(Algorithm::Hs256, secret).unwrap();
    assert!(jwks.is_symmetric());
    assert_eq!(jwks.algorithms(), [Algorithm::Hs256]);
    let any = id("any");
    for kid in [None, Some(&any)] {
        match jwks.look_up(kid, Algorithm::Hs256, None) {
            Found::Keys(keys) => assert_eq!(keys.keys.candidates(kid, Algorithm::Hs256).count(), 1),
            _ => panic!("there is a key"),
        }
    }
    assert!(matches!(jwks.look_up(None, ES256, None), Found::Unknown));
    assert!(Jwks::from_secret(ES256, secret).is_err());
    assert!(Jwks::from_secret(Algorithm::Hs256, "short").is_err());
}

// case: jwks-016
#[test]
fn a_place_that_is_not_safe_is_refused_when_it_is_configured() {
    let transport = || Server::of(&[]).transport();
    for bad in ["", "/jwks", "http://as.example/jwks", "ftp://as.example", "https://u:p@x/jwks"] {
        assert!(Jwks::from_url(bad, transport()).is_err(), "{bad}");
    }
    assert!(Jwks::from_url("http://127.0.0.1/jwks", transport()).is_ok());
    assert!(Jwks::from_url("http://as.example/jwks", transport().allow_plain_http()).is_ok());
    assert!(Jwks::from_issuer("http://as.example", transport()).is_err());
    assert!(Jwks::from_issuer("https://as.example?x", transport()).is_err());
    let bounds = |min, max| {
        let (min, max) = (Duration::from_secs(min), Duration::from_secs(max));
        Jwks::from_url(URL, transport()).unwrap().with_refresh_between(min, max).is_ok()
    };
    assert!(bounds(1, 1) && !bounds(0, 1) && !bounds(2, 1));
}
