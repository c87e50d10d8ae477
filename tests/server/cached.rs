//! What `Cached` asks its validator, and what it answers itself.

use crate::judge::{self, Judge, bearer, kind, validate};
use http::{Request, Response, StatusCode};
use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::pin,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Waker},
    time::{Duration, SystemTime},
};
use tower::{Layer, ServiceExt, service_fn};
use tower_oauth2::{
    Algorithm, Answer, RequestHead, ScopeSet, SigningKey,
    server::{Authenticated, RequireToken},
    testing::{AuthorizationServer, JwtFormat, ManualClock},
    validate::{
        BoxVerdictFuture, CacheSupport, Cached, Jwks, JwtValidator, MapClaims, Principal,
        Rejection, RejectionKind, Revocable, Revocation, Revocations, Route, StaticTokens,
        TrustedIssuer, ValidateToken, Validated, Verdict, first_of, is_jwt,
    },
};

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// A cache over `judge` whose time is told by the clock that comes with it.
fn cached(judge: &Judge) -> (Cached<Judge>, ManualClock) {
    let clock = ManualClock::new();
    (Cached::new(judge.clone()).with_clock(clock.clock()), clock)
}

/// What a layer over `validator` answers to a request with `token`.
async fn status<V: ValidateToken>(validator: V, token: &str) -> StatusCode {
    let inner = service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(()))));
    let layer = RequireToken::new("api", validator).unwrap();
    layer.layer(inner).oneshot(bearer(token)).await.unwrap().status()
}

#[tokio::test]
async fn a_good_token_is_asked_for_once_in_its_time() {
    let judge = Judge::default();
    let (cache, clock) = cached(&judge);
    for _ in 0..3 {
        assert_eq!(status(cache.clone(), "good").await, StatusCode::OK);
    }
    assert_eq!(judge.asked(), 1);
    clock.advance(MINUTE - Duration::from_nanos(1));
    assert_eq!(status(cache.clone(), "good").await, StatusCode::OK);
    assert_eq!(judge.asked(), 1);
    clock.advance(Duration::from_nanos(1));
    assert_eq!(status(cache.clone(), "good").await, StatusCode::OK);
    assert_eq!((judge.asked(), cache.len()), (2, 1));
}

#[tokio::test]
async fn a_hit_brings_the_same_claims_and_allocates_nothing() {
    let judge = Judge::default();
    let (cache, _) = cached(&judge);
    let signed = format!("good.{}.sig", "x".repeat(800));
    for token in ["good", &signed] {
        let first = validate(&cache, token).await.unwrap();
        let request = bearer(token);
        let measured = allocation_counter::measure(|| {
            let head = RequestHead::from_request(&request);
            let Answer::Ready(Ok(hit)) = cache.validate(token, head) else { panic!("no hit") };
            assert!(std::sync::Arc::ptr_eq(&first, &hit));
        });
        assert_eq!(measured.count_total, 0, "{token}");
    }
}

#[tokio::test]
async fn a_refused_token_is_refused_for_ten_seconds_without_asking() {
    let judge = Judge::default();
    let (cache, clock) = cached(&judge);
    for _ in 0..3 {
        assert_eq!(status(cache.clone(), "bad").await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(judge.asked(), 1);
    judge.say("bad", Ok(Principal::new("late")));
    clock.advance(SECOND * 10);
    assert_eq!(status(cache.clone(), "bad").await, StatusCode::OK);
    assert_eq!((judge.asked(), cache.len()), (2, 1));
}

#[tokio::test]
async fn zero_keeps_nothing() {
    for which in 0..3 {
        let judge = Judge::default();
        let (cache, _) = cached(&judge);
        let cache = match which {
            0 => cache.with_ttl(Duration::ZERO).with_negative_ttl(Duration::ZERO),
            1 => cache.with_capacity(0).with_negative_capacity(0),
            _ => cache.with_ttl(Duration::ZERO).with_negative_capacity(0).with_max_validations(0),
        };
        for token in ["good", "bad", "good", "bad"] {
            let _ = validate(&cache, token).await;
        }
        assert_eq!((judge.asked(), cache.is_empty()), (4, true), "{which}");
    }
}

#[tokio::test]
async fn a_time_that_no_clock_shows_has_no_end() {
    let judge = Judge::default();
    let (cache, clock) = cached(&judge);
    let cache = cache.with_ttl(Duration::MAX).with_negative_ttl(Duration::MAX);
    for _ in 0..2 {
        assert!(validate(&cache, "good").await.is_ok());
        assert!(validate(&cache, "bad").await.is_err());
        clock.advance(MINUTE * 1_000_000);
    }
    assert_eq!(judge.asked(), 2);
}

#[tokio::test]
async fn neither_an_outage_nor_a_fault_nor_what_must_not_be_is_kept() {
    for rejection in [
        Rejection::unavailable(None),
        Rejection::internal("broken"),
        Rejection::invalid("cheap to find out").without_caching(),
    ] {
        let judge = Judge::default();
        judge.say("token", Err(rejection.clone()));
        let (cache, _) = cached(&judge);
        for _ in 0..2 {
            assert_eq!(validate(&cache, "token").await.unwrap_err(), rejection);
        }
        judge.say("token", Ok(Principal::new("alice")));
        assert!(validate(&cache, "token").await.is_ok());
        assert_eq!(judge.asked(), 3);
    }
}

#[tokio::test]
async fn an_outage_disturbs_no_token_that_is_kept() {
    let judge = Judge::default();
    let (cache, _) = cached(&judge);
    assert!(validate(&cache, "good").await.is_ok());
    judge.say("good", Err(Rejection::unavailable(None)));
    assert!(validate(&cache, "good").await.is_ok());
}

// case: intro-013
#[tokio::test]
async fn a_token_expires_while_it_is_kept() {
    let judge = Judge::default();
    let (cache, clock) = cached(&judge);
    let expiry = clock.clock().wall() + SECOND * 5;
    judge.say("short", Ok(Principal::new("alice").with_expiry(expiry)));
    assert_eq!(status(cache.clone(), "short").await, StatusCode::OK);
    clock.advance(SECOND * 6);
    assert_eq!(validate(&cache, "short").await.unwrap_err().kind(), RejectionKind::Expired);
    assert!(cache.is_empty());
}

#[tokio::test]
async fn the_leeway_is_the_validator_s_own() {
    let judge = Judge::default().with_leeway(SECOND * 30);
    let (cache, clock) = cached(&judge);
    let expiry = clock.clock().wall() + SECOND * 5;
    judge.say("short", Ok(Principal::new("alice").with_expiry(expiry)));
    assert!(validate(&cache, "short").await.is_ok());
    clock.advance(SECOND * 30);
    assert!(validate(&cache, "short").await.is_ok());
    clock.advance(SECOND * 10);
    assert!(validate(&cache, "short").await.is_err());
    assert_eq!(judge.asked(), 1);
}

/// Refuses at a recheck whatever it found good, and lets another request in meanwhile, once.
#[derive(Clone, Default)]
struct Doubtful {
    judge: Judge,
    cache: Arc<OnceLock<Cached<Doubtful>>>,
    has_let: Arc<AtomicBool>,
}

impl ValidateToken for Doubtful {
    type Claims = ();
    type Future = BoxVerdictFuture<()>;

    fn validate(&self, token: &str, head: RequestHead<'_>) -> Answer<Self::Future> {
        self.judge.validate(token, head)
    }

    fn cache_support(&self) -> &dyn CacheSupport<()> {
        self
    }
}

impl CacheSupport<()> for Doubtful {
    fn recheck(&self, _: &Validated, _: SystemTime) -> Result<(), Rejection> {
        if let Some(cache) = self.cache.get().filter(|_| !self.has_let.swap(true, SeqCst)) {
            let request = bearer("good");
            let Answer::Ready(verdict) =
                cache.validate("good", RequestHead::from_request(&request))
            else {
                panic!("it is there at once")
            };
            assert!(verdict.is_ok());
        }
        Err(Rejection::expired())
    }
}

#[tokio::test]
async fn a_recheck_that_fails_before_the_expiry_makes_it_ask_again() {
    let doubtful = Doubtful::default();
    let cache = Cached::new(doubtful.clone());
    for asked in 1..=3 {
        assert!(validate(&cache, "good").await.is_ok());
        assert!(cache.recall(b"good").is_none());
        assert_eq!((doubtful.judge.asked(), cache.len()), (asked, 1));
    }
    // Another request may have kept a verdict since, of which the recheck says the same.
    assert!(doubtful.cache.set(cache.clone()).is_ok());
    assert!(validate(&cache, "good").await.is_ok());
    assert_eq!(doubtful.judge.asked(), 5);
    doubtful.judge.say("good", Err(Rejection::unknown()));
    let again = Cached::new(Doubtful { judge: doubtful.judge.clone(), ..Doubtful::default() });
    assert!(validate(&again, "good").await.is_err());
}

/// Its validators are rechecked both, though one of them has never seen the token.
#[tokio::test]
async fn a_token_without_expiry_is_good_each_time_beside_jwts() {
    let jwts = || {
        let secret = "of at least as many bytes as 256";
        let keys = Jwks::from_secret(Algorithm::Hs256, secret).unwrap();
        let issuer = TrustedIssuer::new("https://as.example", keys);
        JwtValidator::new(issuer.with_audience(["https://api.example"])).unwrap()
    };
    let tokens = StaticTokens::new();
    tokens.insert("t", Principal::new("alice")).unwrap();
    let chain = Cached::new(first_of(jwts(), tokens.clone()));
    let turned = Cached::new(first_of(tokens.clone(), jwts()));
    let route = Cached::new(Route::new().when(is_jwt, jwts()).otherwise(tokens.clone()));
    for _ in 0..5 {
        assert_eq!(status(chain.clone(), "t").await, StatusCode::OK);
        assert_eq!(status(turned.clone(), "t").await, StatusCode::OK);
        assert_eq!(status(route.clone(), "t").await, StatusCode::OK);
    }
    assert!(tokens.remove("t"));
    assert_eq!(status(chain, "t").await, StatusCode::UNAUTHORIZED);
}

/// A validator beside it, which gives none, does not take the leeway away.
#[tokio::test]
async fn a_token_within_its_leeway_is_good_each_time_beside_others() {
    const ISSUER: &str = "https://as.example";
    const SECRET: &str = "of at least as many bytes as 256";
    let (clock, server) = (ManualClock::new(), AuthorizationServer::new());
    let key = SigningKey::from_secret(Algorithm::Hs256, SECRET).unwrap();
    server.issue_jwts(JwtFormat::rfc9068(ISSUER, ["https://api.example"]), key);
    let now = clock.clock().wall().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let claims = serde_json::json!({
        "iss": ISSUER, "aud": "https://api.example", "sub": "carol", "client_id": "app",
        "jti": "x", "iat": now, "exp": now + 60,
    });
    let token = server.mint("at+jwt", &claims.to_string()).unwrap();
    let keys = Jwks::from_secret(Algorithm::Hs256, SECRET).unwrap();
    let issuer = TrustedIssuer::new(ISSUER, keys).with_audience(["https://api.example"]);
    let jwts = JwtValidator::new(issuer).unwrap().with_clock(clock.clock());
    let chain = Cached::new(first_of(jwts, StaticTokens::new())).with_clock(clock.clock());
    assert_eq!(status(chain.clone(), &token).await, StatusCode::OK);
    clock.advance(Duration::from_secs(75));
    for _ in 0..3 {
        assert_eq!(status(chain.clone(), &token).await, StatusCode::OK);
    }
    clock.advance(Duration::from_secs(15));
    for _ in 0..3 {
        assert_eq!(status(chain.clone(), &token).await, StatusCode::UNAUTHORIZED);
    }
}

type Mapped = MapClaims<Judge, fn(&()) -> u8>;

/// Takes scopes away, which makes the verdict another, and leaves the rest to its validator.
struct Narrowed(Mapped);

impl ValidateToken for Narrowed {
    type Claims = u8;
    type Future = Ready<Verdict<u8>>;

    fn validate(&self, token: &str, head: RequestHead<'_>) -> Answer<Self::Future> {
        let Answer::Ready(verdict) = self.0.validate(token, head) else { panic!("at once") };
        Answer::Ready(verdict.map(|validated| {
            let principal = validated.principal().clone().with_scopes(ScopeSet::default());
            Arc::new(Validated::new(principal, *validated.claims()))
        }))
    }

    fn cache_support(&self) -> &dyn CacheSupport<u8> {
        self
    }
}

impl CacheSupport<u8> for Narrowed {
    fn recheck(&self, validated: &Validated<u8>, now: SystemTime) -> Result<(), Rejection> {
        self.0.recheck(validated, now)
    }
}

#[tokio::test]
async fn a_verdict_that_was_made_anew_of_a_mapped_one_expires_while_it_is_kept() {
    let judge = Judge::default().with_leeway(SECOND * 30);
    let clock = ManualClock::new();
    let expiry = clock.clock().wall() + SECOND * 5;
    judge.say("short", Ok(Principal::new("alice").with_expiry(expiry)));
    let mapped = || judge.clone().map_claims((|()| 7) as fn(&()) -> u8);
    let narrowed = Cached::new(Narrowed(mapped())).with_clock(clock.clock());
    // Beside what was mapped of other claims it has no say, which are another's to judge.
    let other = Judge::default().map_claims(|()| "text").map_claims(|_| 8_u8);
    let chain = Cached::new(first_of(mapped(), other)).with_clock(clock.clock());
    assert!(validate(&narrowed, "short").await.is_ok());
    assert!(validate(&chain, "short").await.is_ok());
    clock.advance(SECOND * 5);
    assert_eq!(kind(&validate(&narrowed, "short").await), Some(RejectionKind::Expired));
    assert!(validate(&chain, "short").await.is_ok());
    clock.advance(SECOND * 30);
    assert_eq!(kind(&validate(&chain, "short").await), Some(RejectionKind::Expired));
    assert_eq!(judge.asked(), 2);
}

#[tokio::test]
async fn a_fixed_token_that_is_added_replaced_or_removed_is_so_at_once() {
    let tokens = StaticTokens::new();
    let cache = Cached::new(tokens.clone());
    let scopes = async || {
        let validated = validate(&cache, "t").await?;
        Ok::<_, Rejection>(validated.principal().scopes().to_string())
    };
    let insert = |scopes: &str| {
        tokens.insert("t", Principal::new("alice").with_scopes(scopes.parse().unwrap())).unwrap();
    };
    assert_eq!(kind(&scopes().await), Some(RejectionKind::Invalid));
    for granted in ["read", "read write", "read"] {
        insert(granted);
        for _ in 0..3 {
            assert_eq!(scopes().await.unwrap(), granted);
        }
    }
    assert!(tokens.remove("t"));
    assert_eq!(kind(&scopes().await), Some(RejectionKind::Revoked));
    insert("write");
    assert_eq!(scopes().await.unwrap(), "write");
}

#[tokio::test]
async fn a_wall_clock_that_is_set_back_makes_it_ask_again() {
    let judge = Judge::default();
    let (cache, clock) = cached(&judge);
    let start = clock.clock().wall();
    assert!(validate(&cache, "good").await.is_ok());
    assert!(validate(&cache, "bad").await.is_err());
    clock.set_wall(start - SECOND);
    judge.say("good", Err(Rejection::revoked()));
    judge.say("bad", Ok(Principal::new("alice")));
    assert!(validate(&cache, "good").await.is_err());
    assert!(validate(&cache, "bad").await.is_ok());
    // What was found since counts, although what was kept before would hold once more.
    clock.set_wall(start);
    assert!(validate(&cache, "good").await.is_err());
    assert!(validate(&cache, "bad").await.is_ok());
    assert_eq!(judge.asked(), 4);
}

#[tokio::test]
async fn a_revoked_token_is_refused_while_it_is_kept() {
    let judge = Judge::default();
    let (cache, _) = cached(&judge);
    let revocation = Revocation::new();
    judge.revoke_by("good", revocation.clone());
    assert!(validate(&cache, "good").await.is_ok());
    revocation.revoke();
    assert_eq!(validate(&cache, "good").await.unwrap_err().kind(), RejectionKind::Revoked);
    assert_eq!(judge.asked(), 1);
}

#[tokio::test]
async fn another_generation_forgets_what_was_found_in_the_one_before() {
    let judge = Judge::default();
    let (cache, _) = cached(&judge);
    assert!(validate(&cache, "good").await.is_ok());
    assert!(validate(&cache, "bad").await.is_err());
    judge.new_generation();
    judge.say("good", Err(Rejection::unknown()));
    judge.say("bad", Ok(Principal::new("alice")));
    assert!(validate(&cache, "good").await.is_err());
    assert!(validate(&cache, "bad").await.is_ok());
    assert_eq!(cache.generation(), judge.generation());
}

#[tokio::test]
async fn a_verdict_of_before_a_change_is_not_kept_after_it() {
    let judge = Judge::default().changing_while_it_judges();
    let (cache, _) = cached(&judge);
    for _ in 0..3 {
        assert!(validate(&cache, "good").await.is_ok());
    }
    assert_eq!(judge.asked(), 3);
}

#[tokio::test]
async fn other_claims_under_the_same_signature_never_hit() {
    let judge = Judge::default();
    let (cache, _) = cached(&judge);
    assert!(validate(&cache, "good.alice.signature").await.is_ok());
    for forged in ["good.alicf.signature", "evil.alice.signature", "good.alice.x.signature"] {
        judge.say(forged, Err(Rejection::invalid("forged")));
        assert!(validate(&cache, forged).await.is_err(), "{forged}");
    }
    judge.say("good.alice.signaturf", Err(Rejection::invalid("forged")));
    assert!(validate(&cache, "good.alice.signaturf").await.is_err());
    assert!(validate(&cache, "good.alice.signature").await.is_ok());
    assert_eq!(judge.asked(), 5);
}

#[tokio::test]
async fn a_refusal_is_of_the_whole_token() {
    let judge = Judge::default();
    let (cache, _) = cached(&judge);
    judge.say("evil.alice.signature", Err(Rejection::invalid("forged")));
    assert!(validate(&cache, "evil.alice.signature").await.is_err());
    assert!(validate(&cache, "good.alice.signature").await.is_ok());
}

#[tokio::test]
async fn wherever_a_validator_splits_its_tokens_all_of_them_is_compared() {
    let token = "good.alice.signature";
    for place in [0, 5, token.len() - 1, token.len(), token.len() + 1, usize::MAX] {
        let judge = Judge::default().splitting_at(place);
        let (cache, _) = cached(&judge);
        assert!(validate(&cache, token).await.is_ok());
        assert!(cache.recall(token.as_bytes()).is_some(), "{place}");
        for other in ["evil.alice.signature", "good.malice.signature", "good.alice.signaturf"] {
            judge.say(other, Err(Rejection::invalid("forged")));
            assert!(cache.recall(other.as_bytes()).is_none());
            assert!(validate(&cache, other).await.is_err(), "{place}");
        }
    }
}

#[tokio::test]
async fn what_is_recalled_is_the_token_to_the_byte_and_good_still() {
    let judge = Judge::default();
    let (cache, clock) = cached(&judge);
    let token = "good.alice.signature";
    let expiry = clock.clock().wall() + SECOND;
    judge.say(token, Ok(Principal::new("alice").with_expiry(expiry)));
    assert!(cache.recall(token.as_bytes()).is_none());
    assert_eq!(status(cache.clone(), token).await, StatusCode::OK);
    for place in 0..token.len() {
        for byte in [b' ', b',', b'=', 0x80, b'x'] {
            let mut other = token.as_bytes().to_vec();
            other[place] = byte;
            assert!(cache.recall(&other).is_none());
        }
        assert!(cache.recall(&token.as_bytes()[..place]).is_none());
    }
    // What is no token is refused as ever, however near it comes to one that is known.
    for (near, status_of) in [
        ("good.alice.signature ,", StatusCode::BAD_REQUEST),
        ("good alice.signature", StatusCode::BAD_REQUEST),
        ("good.alice\u{e9}.signature", StatusCode::BAD_REQUEST),
        ("bood.alice.signature", StatusCode::UNAUTHORIZED),
    ] {
        assert_eq!(status(cache.clone(), near).await, status_of, "{near}");
    }
    assert_eq!(judge.asked(), 2);
    clock.advance(SECOND);
    assert!(cache.recall(token.as_bytes()).is_none());
    assert_eq!(status(cache.clone(), token).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_known_token_leaves_the_traces_of_one_that_is_seen_for_the_first_time() {
    let judge = Judge::default();
    let (cache, _) = cached(&judge);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let events = Arc::new(Mutex::new(Vec::new()));
    let (saw, told) = (seen.clone(), events.clone());
    let inner = service_fn(move |request: Request<()>| {
        let header = request.headers().get("authorization").cloned();
        let whose = request.extensions().get::<Authenticated>().unwrap();
        saw.lock().unwrap().push((
            header.map(|header| (header.is_sensitive(), header)),
            whose.principal().clone(),
            whose.location().clone(),
        ));
        ready(Ok::<_, Infallible>(Response::new(())))
    });
    let layer = RequireToken::new("api", cache)
        .unwrap()
        .with_audit(move |event| told.lock().unwrap().push(format!("{event:?}")));
    for layer in [layer.clone(), layer.clone().with_full_token_removal()] {
        for _ in 0..3 {
            let service = layer.layer(inner.clone());
            service.oneshot(bearer("good.alice.signature")).await.unwrap();
        }
    }
    let seen = seen.lock().unwrap();
    let (kept, stripped) = seen.split_at(3);
    assert!(kept.iter().all(|one| *one == kept[0]), "{kept:?}");
    assert!(kept[0].0.as_ref().is_some_and(|(is_sensitive, _)| *is_sensitive));
    assert!(stripped.iter().all(|(header, who, _)| header.is_none() && *who == kept[0].1));
    let events = events.lock().unwrap();
    assert!(events.len() == 6 && events.iter().all(|event| *event == events[0]), "{events:?}");
    assert_eq!(judge.asked(), 1);
}

#[tokio::test]
async fn a_known_token_twice_is_refused_as_any_is() {
    let judge = Judge::default();
    let (cache, _) = cached(&judge);
    assert_eq!(status(cache.clone(), "good").await, StatusCode::OK);
    let inner = service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(()))));
    let service = RequireToken::new("api", cache).unwrap().layer(inner);
    let mut request = bearer("good");
    let header = request.headers()["authorization"].clone();
    request.headers_mut().append("authorization", header);
    assert_eq!(service.oneshot(request).await.unwrap().status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_known_token_is_recalled_through_every_wrapper_that_judges_no_less() {
    let judge = Judge::default();
    let (cache, _) = cached(&judge);
    let revocations = Revocations::new();
    let erased = Arc::new(Revocable::new(cache, revocations.clone())).into_shared();
    for _ in 0..3 {
        assert_eq!(status(erased.clone(), "good.alice.signature").await, StatusCode::OK);
    }
    assert_eq!(judge.asked(), 1);
    assert!(erased.cache_support().recall(b"good.alice.signature").is_some());
    assert!(erased.cache_support().recall(b"good.alice.\xff").is_none());
    revocations.revoke_token("good.alice.signature", None).unwrap();
    assert!(erased.cache_support().recall(b"good.alice.signature").is_none());
    assert_eq!(status(erased, "good.alice.signature").await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_flood_of_random_tokens_drives_out_no_good_one() {
    let judge = Judge::default();
    let (cache, _) = cached(&judge);
    let cache = cache.with_capacity(64);
    assert!(validate(&cache, "good").await.is_ok());
    for number in 0..10_000 {
        assert!(validate(&cache, &format!("bad-{number}")).await.is_err());
    }
    let asked = judge.asked();
    assert_eq!(status(cache.clone(), "good").await, StatusCode::OK);
    assert_eq!((judge.asked(), cache.len()), (asked, 1));
    // Of the refusals there are no more than asked for.
    let refusals = format!("{cache:?}");
    let refusals = refusals.split("refusals: ").nth(1).unwrap().split(',').next().unwrap();
    assert!(refusals.parse::<usize>().unwrap() <= 1_010, "{refusals}");
}

#[tokio::test]
async fn a_long_token_counts_as_several() {
    let judge = Judge::default();
    let (cache, _) = cached(&judge);
    let cache = cache.with_capacity(100);
    for number in 0..100 {
        let token = format!("good.{}.signature-{number}", "x".repeat(10 * 1024));
        assert!(validate(&cache, &token).await.is_ok());
    }
    assert!((4..=9).contains(&cache.len()), "{}", cache.len());
}

// case: intro-019
#[tokio::test]
async fn two_caches_share_nothing() {
    let (one, other) = (Judge::slow(), Judge::slow());
    other.say("good", Err(Rejection::unknown()));
    let (first, second) = (cached(&one).0, cached(&other).0);
    let asked = async { tokio::join!(validate(&first, "good"), validate(&second, "good")) };
    let answered = async {
        judge::settle().await;
        one.let_answer();
        other.let_answer();
    };
    let ((first, second), ()) = tokio::join!(asked, answered);
    assert!(first.is_ok() && second.is_err());
    assert_eq!((one.asked(), other.asked()), (1, 1));
}

#[tokio::test]
async fn a_clone_is_the_same_cache_and_a_setter_makes_another() {
    let judge = Judge::default();
    let (cache, _) = cached(&judge);
    assert!(validate(&cache, "good").await.is_ok());
    assert!(validate(&cache.clone(), "good").await.is_ok());
    assert_eq!(judge.asked(), 1);
    assert!(cache.clone().with_ttl(MINUTE).is_empty());
    assert_eq!((cache.len(), cache.get_ref().asked()), (1, 1));
}

#[tokio::test]
async fn a_cleared_cache_asks_again() {
    let judge = Judge::default();
    let (cache, _) = cached(&judge);
    for _ in 0..2 {
        assert!(validate(&cache, "good").await.is_ok());
        assert!(validate(&cache, "bad").await.is_err());
        cache.clear();
        assert!(cache.is_empty());
    }
    assert_eq!(judge.asked(), 4);
}

#[test]
fn outside_of_a_runtime_a_caller_waits_by_itself_and_what_it_got_is_kept() {
    let judge = Judge::slow();
    let (cache, _) = cached(&judge);
    judge.let_answer();
    assert!(tokio_test::block_on(validate(&cache, "good")).is_ok());
    let judge = Judge::slow();
    let (cache, _) = cached(&judge);
    let request = bearer("good");
    let mut context = Context::from_waker(Waker::noop());
    let Answer::Pending(waits) = cache.validate("good", RequestHead::from_request(&request)) else {
        panic!("it does not wait");
    };
    let mut waits = pin!(waits);
    assert!(waits.as_mut().poll(&mut context).is_pending());
    judge.let_answer();
    assert!(waits.as_mut().poll(&mut context).is_ready());
    let Answer::Ready(Ok(_)) = cache.validate("good", RequestHead::from_request(&request)) else {
        panic!("it was not kept");
    };
    assert_eq!(judge.asked(), 1);
}

#[tokio::test]
async fn it_says_what_it_holds_and_forwards_what_it_is_asked() {
    let judge = Judge::default();
    let (cache, clock) = cached(&judge);
    let token = "good.alice.signature";
    validate(&cache, token).await.unwrap();
    assert!(validate(&cache, "bad.secret").await.is_err());
    let shown = format!("{cache:?} {cache:#?}");
    assert!(shown.contains("tokens: 1") && shown.contains("refusals: 1"), "{shown}");
    for part in ["good", "alice", "signature", "secret"] {
        assert!(!shown.contains(part), "{shown}");
    }
    assert_eq!(cache.split_at(token.as_bytes()), "good.alice.".len());
    let expired = Principal::new("alice").with_expiry(clock.clock().wall());
    let verdict = cache.recheck(&Validated::from(expired), clock.clock().wall());
    assert_eq!(kind(&verdict), Some(RejectionKind::Expired));
}
