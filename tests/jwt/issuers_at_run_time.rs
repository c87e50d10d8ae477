//! Issuers that come and go while a cache is warm.

use crate::api::{
    AUDIENCE, Api, ISSUER, OTHER, Web, claiming, claims, clock, entries, good, header, key_of,
    signed, with,
};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use std::{
    pin::pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Waker},
};
use tower::{Layer, ServiceExt, service_fn};
use tower_oauth2::{
    Algorithm, Answer, RequestHead,
    server::{Authenticated, RequireToken, TokenEnd},
    validate::{
        CacheSupport, Cached, Issuers, Jwks, JwtFuture, JwtValidator, RejectionKind, Revocable,
        Revocations, TrustedIssuer, ValidateToken, first_of,
    },
};

const OK: StatusCode = StatusCode::OK;
const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;

/// Counts the tokens that are judged anew.
#[derive(Clone)]
struct Counted {
    validator: JwtValidator,
    judged: Arc<AtomicUsize>,
}

impl Counted {
    fn new(issuers: &Issuers) -> Self {
        let validator = JwtValidator::from_issuers(issuers.clone()).with_clock(clock());
        Self { validator, judged: Arc::default() }
    }

    fn judged(&self) -> usize {
        self.judged.swap(0, Ordering::Relaxed)
    }
}

impl ValidateToken for Counted {
    type Claims = ();
    type Future = JwtFuture<()>;

    fn validate(&self, token: &str, request: RequestHead<'_>) -> Answer<JwtFuture<()>> {
        self.judged.fetch_add(1, Ordering::Relaxed);
        self.validator.validate(token, request)
    }

    fn cache_support(&self) -> &dyn CacheSupport<()> {
        self.validator.cache_support()
    }
}

/// Two issuers, with keys that are fetched.
fn both() -> (Web, Issuers) {
    let (web, issuers) = (Web::default(), Issuers::new());
    for issuer in [ISSUER, OTHER] {
        web.publish(issuer, entries(issuer));
        issuers.insert(web.issuer(issuer)).unwrap();
    }
    (web, issuers)
}

/// A good token of the other issuer, the same each time.
fn others() -> String {
    let claims = with(claims(), json!({"iss": OTHER})).to_string();
    signed(&key_of(OTHER, "e1"), header("EdDSA", "e1").to_string(), claims)
}

fn cached(issuers: &Issuers) -> (Counted, Cached<Counted>) {
    let counted = Counted::new(issuers);
    (counted.clone(), Cached::new(counted).with_clock(clock()))
}

async fn status(api: &Api, token: &str) -> StatusCode {
    api.sees(token).await.status
}

#[tokio::test]
async fn the_cached_token_of_an_issuer_that_is_removed_is_refused_at_the_next_request() {
    let (web, issuers) = both();
    let (counted, validator) = cached(&issuers);
    let api = Api::over(validator, web);
    for _ in 0..2 {
        assert_eq!(status(&api, &good("e1")).await, OK);
        assert_eq!(status(&api, &others()).await, OK);
    }
    assert_eq!(counted.judged(), 2, "the second of each is cached");
    assert!(issuers.remove(ISSUER).is_some());
    assert!(issuers.remove(ISSUER).is_none());
    assert_eq!(status(&api, &good("e1")).await, UNAUTHORIZED);
    assert_eq!(counted.judged(), 1);
    assert_eq!(status(&api, &others()).await, OK);
    assert_eq!(counted.judged(), 0, "the verdicts of others stay");
    issuers.insert(api.web.issuer(ISSUER)).unwrap();
    assert_eq!(status(&api, &good("e1")).await, OK);
}

#[tokio::test]
async fn a_removal_reaches_the_cache_through_whatever_is_around_the_validator() {
    let (web, issuers) = both();
    let jwts = || JwtValidator::from_issuers(issuers.clone()).with_clock(clock());
    let elsewhere =
        || JwtValidator::new(web.issuer("https://x.example")).unwrap().with_clock(clock());
    let lists = || Revocations::new().with_clock(clock());
    let apis = [
        Api::over(Cached::new(jwts()), web.clone()),
        Api::over(Cached::new(jwts().with_claims::<Value>().map_claims(|_| ())), web.clone()),
        Api::over(Cached::new(jwts()).map_claims(|()| ()), web.clone()),
        Api::over(Cached::new(first_of(elsewhere(), jwts())), web.clone()),
        Api::over(first_of(Cached::new(jwts()), elsewhere()), web.clone()),
        Api::over(Revocable::new(Cached::new(jwts()), lists()), web.clone()),
        Api::over(Cached::new(Revocable::new(jwts(), lists())), web.clone()),
        // A validator of the user's, which says nothing about caches.
        Api::over(Cached::new(Plain(jwts())).with_clock(clock()), web.clone()),
    ];
    for api in &apis {
        assert_eq!(status(api, &good("e1")).await, OK);
        assert_eq!(status(api, &good("e1")).await, OK);
    }
    assert!(issuers.remove(ISSUER).is_some());
    for (place, api) in apis.iter().enumerate() {
        assert_eq!(status(api, &good("e1")).await, UNAUTHORIZED, "{place}");
    }
}

struct Plain(JwtValidator);

impl ValidateToken for Plain {
    type Claims = ();
    type Future = JwtFuture<()>;

    fn validate(&self, token: &str, request: RequestHead<'_>) -> Answer<JwtFuture<()>> {
        self.0.validate(token, request)
    }
}

#[tokio::test]
async fn a_token_is_judged_again_by_the_issuer_that_replaces_its_own() {
    let (web, issuers) = both();
    let (counted, validator) = cached(&issuers);
    let api = Api::over(validator, web);
    assert_eq!(status(&api, &good("e1")).await, OK);
    assert_eq!(status(&api, &others()).await, OK);
    issuers.insert(api.web.issuer(ISSUER).with_audience(["https://elsewhere.example"])).unwrap();
    assert_eq!(status(&api, &good("e1")).await, UNAUTHORIZED);
    counted.judged();
    assert_eq!(status(&api, &others()).await, OK);
    assert_eq!(counted.judged(), 0);
    // What is refused keeps the issuer of before.
    let none = TrustedIssuer::new(ISSUER, api.web.jwks(ISSUER));
    assert!(issuers.insert(none).is_err());
    assert_eq!(status(&api, &good("e1")).await, UNAUTHORIZED);
    issuers.insert(api.web.issuer(ISSUER)).unwrap();
    assert_eq!(status(&api, &good("e1")).await, OK);
}

#[tokio::test]
async fn a_cached_refusal_ends_when_the_keys_of_its_issuer_change() {
    let (web, issuers) = both();
    let mut keys = entries(ISSUER);
    let own = std::mem::replace(&mut keys[3], key_of(OTHER, "e1").jwk("e1"));
    web.publish(ISSUER, keys.clone());
    let jwks = web.jwks(ISSUER);
    issuers.insert(TrustedIssuer::new(ISSUER, jwks.clone()).with_audience([AUDIENCE])).unwrap();
    let (_, validator) = cached(&issuers);
    let api = Api::over(validator, web.clone());
    assert_eq!(status(&api, &good("e1")).await, UNAUTHORIZED);
    keys[3] = own;
    web.publish(ISSUER, keys);
    jwks.refresh().await.unwrap();
    assert_eq!(status(&api, &good("e1")).await, OK);
}

#[tokio::test]
async fn the_first_keys_of_one_issuer_leave_the_verdicts_of_others_cached() {
    let (web, issuers) = both();
    let (counted, validator) = cached(&issuers);
    let api = Api::over(validator, web);
    assert_eq!(status(&api, &good("e1")).await, OK);
    assert_eq!(status(&api, &others()).await, OK);
    assert_eq!(counted.judged(), 2);
    assert_eq!(status(&api, &good("e1")).await, OK);
    assert_eq!(counted.judged(), 0);
}

#[tokio::test]
async fn a_tenant_that_rotates_its_keys_does_not_flush_the_verdicts_of_others() {
    let (web, issuers) = both();
    let jwks = web.jwks(OTHER);
    issuers.insert(TrustedIssuer::new(OTHER, jwks.clone()).with_audience([AUDIENCE])).unwrap();
    let (counted, validator) = cached(&issuers);
    let api = Api::over(validator, web.clone());
    assert_eq!(status(&api, &good("e1")).await, OK);
    assert_eq!(status(&api, &others()).await, OK);
    assert_eq!(counted.judged(), 2);
    for round in 0..20 {
        let mut keys = entries(OTHER);
        if round % 2 == 0 {
            keys.remove(3);
        }
        web.publish(OTHER, keys);
        jwks.refresh().await.unwrap();
        assert_eq!(status(&api, &good("e1")).await, OK);
        assert_eq!(counted.judged(), 0, "round {round}");
        let expected = if round % 2 == 0 { UNAUTHORIZED } else { OK };
        assert_eq!(status(&api, &others()).await, expected, "a withdrawn key ends its verdicts");
        counted.judged();
    }
}

#[tokio::test]
async fn a_request_in_flight_ends_when_its_issuer_is_removed_and_goes_on_when_it_is_replaced() {
    let (web, issuers) = both();
    let validator = JwtValidator::from_issuers(issuers.clone()).with_clock(clock());
    let handler = service_fn(async |request: Request<()>| {
        let seen = request.extensions().get::<Authenticated>().cloned();
        Ok::<_, std::convert::Infallible>(http::Response::new(Body(seen)))
    });
    let layer = RequireToken::new("api", Cached::new(validator)).unwrap().with_clock(clock());
    let service = layer.layer(handler);
    let ask = async |token: &str| {
        let request = Request::get("/r").header("authorization", format!("Bearer {token}"));
        service.clone().oneshot(request.body(()).unwrap()).await.unwrap().into_body().0.unwrap()
    };
    let (one, other) = (ask(&good("e1")).await, ask(&others()).await);
    let (mut one, mut other) = (pin!(one.ended()), pin!(other.ended()));
    let mut context = Context::from_waker(Waker::noop());
    issuers.insert(web.issuer(ISSUER)).unwrap();
    assert!(one.as_mut().poll(&mut context).is_pending());
    assert!(issuers.remove(OTHER).is_some());
    assert_eq!(other.as_mut().await, TokenEnd::Revoked);
    assert!(one.as_mut().poll(&mut context).is_pending());
    // The one that was replaced goes with the one that replaced it.
    assert!(issuers.remove(ISSUER).is_some());
    assert!(one.as_mut().poll(&mut context).is_ready());
    issuers.insert(web.issuer(ISSUER)).unwrap();
    let anew = ask(&good("e1")).await;
    assert!(pin!(anew.ended()).poll(&mut context).is_pending(), "inserted again");
}

#[derive(Default)]
struct Body(Option<Authenticated>);

#[tokio::test]
async fn a_resolver_is_asked_for_unknown_issuers_alone_and_never_twice_for_one_that_it_knows() {
    let web = Web::default();
    web.publish(ISSUER, entries(ISSUER));
    let asked = Arc::new(AtomicUsize::new(0));
    let issuers = {
        let (web, asked) = (web.clone(), asked.clone());
        Issuers::from_resolver(move |iss| {
            asked.fetch_add(1, Ordering::Relaxed);
            (iss == ISSUER).then(|| web.issuer(iss))
        })
    };
    let (_, validator) = cached(&issuers);
    let api = Api::over(validator, web.clone());
    for kid in ["e1", "k1", "e1"] {
        assert_eq!(status(&api, &good(kid)).await, OK);
    }
    assert_eq!(asked.swap(0, Ordering::Relaxed), 1);
    for number in 0..100 {
        let made_up = claiming(json!({"iss": format!("https://{number}.example")}));
        assert_eq!(status(&api, &made_up).await, UNAUTHORIZED);
    }
    assert_eq!(asked.swap(0, Ordering::Relaxed), 100);
    assert!(web.asked().iter().all(|url| *url == format!("{ISSUER}/jwks")), "{:?}", web.asked());
    assert_eq!(format!("{issuers:?}"), "Issuers { known: 1, .. }");
    assert!(issuers.remove(ISSUER).is_some());
    assert_eq!(status(&api, &good("e1")).await, OK, "the resolver still knows it");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

async fn rejected(issuers: Issuers, token: &str) -> RejectionKind {
    let validator = JwtValidator::from_issuers(issuers).with_clock(clock());
    let head = Request::new(());
    let verdict = validator.validate(token, RequestHead::from_request(&head)).wait().await;
    verdict.unwrap_err().kind()
}

#[tokio::test]
async fn a_resolver_that_returns_another_issuer_or_wrong_settings_fails_and_is_not_believed() {
    let web = Web::default();
    web.publish(ISSUER, entries(ISSUER));
    let own = web.clone();
    let other = Issuers::from_resolver(move |_| Some(own.issuer(ISSUER)));
    assert_eq!(rejected(other.clone(), &others()).await, RejectionKind::Internal);
    assert_eq!(format!("{other:?}"), "Issuers { known: 0, .. }");
    let none = Issuers::from_resolver(move |iss| Some(TrustedIssuer::new(iss, web.jwks(iss))));
    assert_eq!(rejected(none, &others()).await, RejectionKind::Internal);
    let empty = Issuers::new();
    assert_eq!(rejected(empty, &others()).await, RejectionKind::Invalid);
    let template = "https://as.example/{tenantid}";
    let keys = Jwks::from_json(&json!({"keys": entries(ISSUER)}).to_string()).unwrap();
    let templates = Issuers::from_resolver(move |iss| {
        Some(TrustedIssuer::from_template(iss, keys.clone()).ok()?.with_audience([AUDIENCE]))
    });
    let token = claiming(json!({"iss": template}));
    assert_eq!(rejected(templates.clone(), &token).await, RejectionKind::Internal);
    assert_eq!(format!("{templates:?}"), "Issuers { known: 0, .. }");
}

#[tokio::test]
async fn an_issuer_that_is_removed_while_its_resolver_is_asked_is_not_brought_back() {
    let keys = Jwks::from_json(&json!({"keys": entries(ISSUER)}).to_string()).unwrap();
    let (own, asked) = (Arc::new(OnceLock::<Issuers>::new()), Arc::new(AtomicUsize::new(0)));
    let issuers = {
        let own = own.clone();
        Issuers::from_resolver(move |iss| {
            let is_first = asked.fetch_add(1, Ordering::Relaxed) == 0;
            // The tenant goes after the resolver has found it.
            assert!(own.get().unwrap().remove(iss).is_none());
            is_first.then(|| TrustedIssuer::new(iss, keys.clone()).with_audience([AUDIENCE]))
        })
    };
    own.set(issuers.clone()).unwrap();
    assert_eq!(rejected(issuers.clone(), &good("e1")).await, RejectionKind::Invalid);
    assert_eq!(format!("{issuers:?}"), "Issuers { known: 0, .. }");
}

#[tokio::test]
async fn what_a_resolver_makes_of_a_hostile_name_is_told_on_one_line_of_bounded_length() {
    let web = Web::default();
    let hostile = format!("https://{}\r\nfake: line\u{1b}[31m", "x".repeat(9000));
    let payload = with(claims(), json!({"iss": hostile}));
    let token = format!("e30.{}.AA", crate::api::encoded(payload.to_string()));
    for resolver in [
        Issuers::from_resolver({
            let web = web.clone();
            move |_| Some(web.issuer(ISSUER))
        }),
        Issuers::from_resolver({
            let web = web.clone();
            move |iss| Some(TrustedIssuer::new(iss, web.jwks(ISSUER)))
        }),
        Issuers::from_resolver({
            let web = web.clone();
            move |iss| Some(TrustedIssuer::new(iss, web.jwks(ISSUER)).with_audience([AUDIENCE]))
        }),
    ] {
        let validator = JwtValidator::from_issuers(resolver).with_clock(clock());
        let head = Request::new(());
        let verdict = validator.validate(&token, RequestHead::from_request(&head)).wait().await;
        let rejection = verdict.unwrap_err();
        let told = rejection.description();
        assert!(told.len() <= 512 && !told.contains(char::is_control), "{told:?}");
    }
}

#[tokio::test]
async fn a_resolver_of_every_name_takes_bounded_memory() {
    let keys = Jwks::from_json(&json!({"keys": entries(ISSUER)}).to_string()).unwrap();
    let issuers = Issuers::from_resolver(move |iss| {
        Some(TrustedIssuer::new(iss, keys.clone()).with_audience([AUDIENCE]))
    });
    let validator = JwtValidator::from_issuers(issuers.clone()).with_clock(clock());
    let head = Request::new(());
    let judge = async |number: usize| {
        let payload = with(claims(), json!({"iss": format!("https://{number}.example")}));
        let token = format!("e30.{}.AA", crate::api::encoded(payload.to_string()));
        validator.validate(&token, RequestHead::from_request(&head)).wait().await.unwrap_err()
    };
    for number in 0..10_000 {
        assert_eq!(judge(number).await.kind(), RejectionKind::Invalid);
    }
    assert_eq!(judge(10_000).await.kind(), RejectionKind::Unavailable);
    assert_eq!(judge(0).await.kind(), RejectionKind::Invalid);
    assert_eq!(format!("{issuers:?}"), "Issuers { known: 10000, .. }");
    assert!(issuers.remove("https://7.example").is_some());
    assert_eq!(judge(10_000).await.kind(), RejectionKind::Invalid);
}

#[test]
fn a_validator_of_issuers_gets_no_issuer_beside_them() {
    let web = Web::default();
    let issuers = Issuers::new();
    let validator = JwtValidator::from_issuers(issuers.clone());
    let error = validator.with_issuer(web.issuer(ISSUER)).unwrap_err().to_string();
    assert!(error.contains("insert it there"), "{error}");
    issuers.insert(web.issuer(ISSUER)).unwrap();
    let secret = Jwks::from_secret(Algorithm::Hs256, "0123456789abcdef0123456789abcdef").unwrap();
    let secret = TrustedIssuer::new(OTHER, secret).with_audience([AUDIENCE]);
    assert!(issuers.insert(secret.clone()).is_err(), "a secret beside public keys");
    assert!(issuers.remove(ISSUER).is_some());
    issuers.insert(secret).unwrap();
}

#[test]
fn a_clone_of_a_validator_does_not_get_the_issuers_of_the_other() {
    let web = Web::default();
    let one = JwtValidator::new(web.issuer(ISSUER)).unwrap();
    let two = one.clone().with_issuer(web.issuer(OTHER)).unwrap();
    assert!(one.with_issuer(web.issuer(OTHER)).is_ok());
    assert!(two.with_issuer(web.issuer(OTHER)).is_err());
}
