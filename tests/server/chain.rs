//! Several validators that judge as one: whom a token is shown to, and what they say together.

use http::Request;
use std::{
    future::{Future, Ready, ready},
    pin::Pin,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};
use tower_oauth2::{
    Answer, RequestHead,
    validate::{
        CacheSupport, Principal, Rejection, RejectionKind, Revocations, Route, SharedValidator,
        StaticTokens, ValidateToken, Validated, Verdict, first_of, is_jwt, prefix,
    },
};

/// What a validator says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Good,
    NotMine,
    Unknown,
    Invalid,
    Expired,
    Revoked,
    TooFewScopes,
    Unavailable(Option<u64>),
    Internal,
}

const ALL: [Says; 11] = [
    Says::Good,
    Says::NotMine,
    Says::Unknown,
    Says::Invalid,
    Says::Expired,
    Says::Revoked,
    Says::TooFewScopes,
    Says::Unavailable(None),
    Says::Unavailable(Some(1)),
    Says::Unavailable(Some(60)),
    Says::Internal,
];

impl Says {
    fn verdict(self, name: &'static str) -> Verdict<()> {
        Err(match self {
            Self::Good => return Ok(Arc::new(Validated::from(Principal::new(name)))),
            Self::NotMine => Rejection::not_mine(),
            Self::Unknown => Rejection::unknown(),
            Self::Invalid => Rejection::invalid(name),
            Self::Expired => Rejection::expired(),
            Self::Revoked => Rejection::revoked(),
            Self::TooFewScopes => Rejection::insufficient_scope("read".parse().unwrap()),
            Self::Unavailable(after) => Rejection::unavailable(after.map(Duration::from_secs)),
            Self::Internal => Rejection::internal(name),
        })
    }
}

type Asked = Arc<Mutex<Vec<&'static str>>>;

/// Says one thing, at once or later, and writes down that it was asked.
struct Scripted {
    name: &'static str,
    says: Says,
    later: bool,
    asked: Asked,
}

impl ValidateToken for Scripted {
    type Claims = ();
    type Future = Pin<Box<dyn Future<Output = Verdict<()>> + Send>>;

    fn validate(&self, token: &str, request: RequestHead<'_>) -> Answer<Self::Future> {
        assert_eq!((token, request.uri().path()), ("token", "/r"));
        assert_eq!(request.headers()["x"], "y");
        assert_eq!(request.extensions().get(), Some(&7_u8));
        self.asked.lock().unwrap().push(self.name);
        let verdict = self.says.verdict(self.name);
        if !self.later {
            return Answer::Ready(verdict);
        }
        Answer::Pending(Box::pin(async move {
            tokio::task::yield_now().await;
            verdict
        }))
    }
}

async fn ask<V: ValidateToken>(validator: &V, token: &str) -> Verdict<V::Claims> {
    let request = Request::get("/r").header("x", "y").extension(7_u8).body(()).unwrap();
    let answer = validator.validate(token, RequestHead::from_request(&request));
    // A verdict that is waited for keeps what it needs.
    drop(request);
    answer.wait().await
}

/// Who is asked, and what they say together, as one would write it down.
fn model(says: &[(&'static str, Says)]) -> (Vec<&'static str>, Verdict<()>) {
    let mut asked = Vec::new();
    let mut heard = Vec::new();
    for (name, says) in says {
        asked.push(*name);
        match says {
            Says::Good => return (asked, says.verdict(name)),
            Says::NotMine | Says::Unknown | Says::Unavailable(_) | Says::Internal => {
                heard.push((*name, *says));
            }
            Says::Invalid | Says::Expired | Says::Revoked | Says::TooFewScopes => {
                heard.push((*name, *says));
                break;
            }
        }
    }
    let outage = |(_, says): &&(_, Says)| match says {
        Says::Unavailable(after) => Some(after.unwrap_or(5)),
        _ => None,
    };
    let soonest = heard.iter().filter(|one| outage(one).is_some()).min_by_key(outage);
    let first = |says: &[Says]| heard.iter().find(|(_, one)| says.contains(one));
    let told = [Says::Invalid, Says::Expired, Says::Revoked, Says::TooFewScopes];
    let (name, says) = soonest
        .or_else(|| first(&[Says::Internal]))
        .or_else(|| first(&told))
        .or_else(|| first(&[Says::Unknown]))
        .or_else(|| first(&[Says::NotMine]))
        .unwrap();
    (asked, says.verdict(name))
}

type Heard = (Option<String>, Option<(RejectionKind, String, Option<Duration>)>);

/// A verdict as it shows.
fn shown(verdict: &Verdict<()>) -> Heard {
    let who = verdict.as_ref().ok().and_then(|good| good.principal().subject());
    let why = verdict.as_ref().err().map(|rejection| {
        (rejection.kind(), rejection.description().to_owned(), rejection.retry_after())
    });
    (who.map(str::to_owned), why)
}

#[tokio::test]
async fn every_combination_of_three_verdicts_is_as_the_table_says() {
    let ways = || ALL.into_iter().flat_map(|says| [(says, false), (says, true)]);
    for (a, b, c) in ways()
        .flat_map(|a| ways().map(move |b| (a, b)))
        .flat_map(|(a, b)| ways().map(move |c| (a, b, c)))
    {
        let expected = model(&[("a", a.0), ("b", b.0), ("c", c.0)]);
        let asked = Asked::default();
        let scripted = |name, (says, later)| {
            let asked = asked.clone();
            Scripted { name, says, later, asked }
        };
        let one = |name| {
            scripted(
                name,
                if name == "a" {
                    a
                } else if name == "b" {
                    b
                } else {
                    c
                },
            )
        };
        let right = first_of(one("a"), first_of(one("b"), one("c")));
        let left = first_of(first_of(one("a"), one("b")), one("c"));
        for chain in [right.into_shared(), left.into_shared()] {
            let verdict = ask(&chain, "token").await;
            assert_eq!(shown(&verdict), shown(&expected.1), "{a:?} {b:?} {c:?}");
            assert_eq!(
                std::mem::take(&mut *asked.lock().unwrap()),
                expected.0,
                "{a:?} {b:?} {c:?}"
            );
        }
    }
}

#[tokio::test]
async fn an_outage_never_becomes_a_refusal_and_a_refusal_never_an_outage() {
    let asked = Asked::default();
    let scripted = |says| Scripted { name: "", says, later: false, asked: asked.clone() };
    for other in ALL.into_iter().filter(|says| *says != Says::Good) {
        for (first, kind) in [
            (Says::Unavailable(None), RejectionKind::Unavailable),
            (Says::Expired, RejectionKind::Expired),
        ] {
            let verdict = ask(&first_of(scripted(first), scripted(other)), "token").await;
            assert_eq!(verdict.unwrap_err().kind(), kind, "{other:?}");
        }
    }
}

#[tokio::test]
async fn what_one_of_them_keeps_out_of_caches_stays_out() {
    let unsure = async |_| Err::<Validated, _>(Rejection::not_mine().without_caching());
    let unknown = async |_| Err(Rejection::unknown());
    let rejection = ask(&first_of(unsure, unknown), "t").await.unwrap_err();
    assert_eq!(rejection.kind(), RejectionKind::Invalid);
    assert!(!rejection.is_cacheable());
    assert!(ask(&first_of(unknown, unknown), "t").await.unwrap_err().is_cacheable());
}

#[tokio::test]
async fn validators_of_a_list_are_folded_into_one() {
    let tokens = ["a", "b", "c"].map(|name| {
        let tokens = StaticTokens::new();
        tokens.insert(name, Principal::new(name)).unwrap();
        tokens
    });
    let chain: SharedValidator = tokens
        .into_iter()
        .map(ValidateToken::into_shared)
        .reduce(|chain, next| first_of(chain, next).into_shared())
        .unwrap();
    for name in ["a", "b", "c"] {
        assert_eq!(ask(&chain, name).await.unwrap().principal().subject(), Some(name));
    }
    assert_eq!(ask(&chain, "d").await.unwrap_err().kind(), RejectionKind::Invalid);
}

#[test]
fn a_warm_verdict_of_a_chain_or_a_route_allocates_nothing() {
    let (one, other) = (StaticTokens::new(), StaticTokens::new());
    other.insert("sk_1", Principal::new("alice")).unwrap();
    let chain = first_of(one.clone(), other.clone());
    let route = Route::new().when(is_jwt, one).when(prefix("sk_"), other);
    let request = Request::get("/").body(()).unwrap();
    let head = RequestHead::from_request(&request);
    let measured = allocation_counter::measure(|| {
        assert!(matches!(chain.validate("sk_1", head), Answer::Ready(Ok(_))));
        assert!(matches!(route.validate("sk_1", head), Answer::Ready(Ok(_))));
    });
    assert_eq!(measured.count_total, 0);
}

#[tokio::test]
async fn a_route_asks_one_validator_alone() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let named = |name: &'static str| {
        let asked = asked.clone();
        move |_| {
            asked.lock().unwrap().push(name);
            ready(Err::<Validated, _>(Rejection::unknown()))
        }
    };
    let route = Route::new().when(prefix("sk_"), named("keys")).when(is_jwt, named("jwts"));
    let jwt = "eyJhbGciOiJub25lIn0.e30.";
    for (token, kind, who) in [
        ("sk_1", RejectionKind::Invalid, vec!["keys"]),
        (jwt, RejectionKind::Invalid, vec!["jwts"]),
        ("opaque", RejectionKind::NotMine, vec![]),
    ] {
        assert_eq!(ask(&route, token).await.unwrap_err().kind(), kind, "{token}");
        assert_eq!(std::mem::take(&mut *asked.lock().unwrap()), who, "{token}");
    }
    let route = route.otherwise(named("all other"));
    assert_eq!(ask(&route, "opaque").await.unwrap_err().kind(), RejectionKind::Invalid);
    assert_eq!(*asked.lock().unwrap(), ["all other"]);
}

#[test]
fn a_jwt_is_known_by_its_look() {
    let spaced =
        ["eyAiYWxnIjoieCJ9.e30.c2ln", "ewoiYWxnIjoieCJ9.e30.c2ln", "Cgl7ImFsZyI6IngifQ.a.b"];
    for yes in ["eyJhbGciOiJub25lIn0.e30.", "eyJ9.e30.c2ln", "eyJ.a-_.b"].into_iter().chain(spaced)
    {
        assert!(is_jwt(yes), "{yes}");
    }
    for no in [
        "",
        "..",
        "eyJ9",
        "eyJ9.e30",
        "eyJ9..c2ln",
        "eyJ9.e30.c2ln.x",
        "eyJ9.a.b.c.d",
        "xyJ9.e30.c2ln",
        "WyJ9.e30.c2ln",
        "IAoK.e30.c2ln",
        "e.e30.c2ln",
        "eyJ9.e+0.c2ln",
        "eyJ9.e30.c2l=",
        "eyJ9.e30.\u{e9}",
    ] {
        assert!(!is_jwt(no), "{no}");
    }
}

/// Splits at a sign of its own, refuses at a recheck what is not its own, and counts.
#[derive(Clone)]
struct Marked {
    sign: char,
    owner: &'static str,
    generation: u64,
}

impl ValidateToken for Marked {
    type Claims = u8;
    type Future = Ready<Verdict<u8>>;

    fn validate(&self, _: &str, _: RequestHead<'_>) -> Answer<Self::Future> {
        Answer::Ready(Ok(Arc::new(Validated::new(Principal::new(self.owner), 7))))
    }

    fn cache_support(&self) -> &dyn CacheSupport<u8> {
        self
    }
}

impl CacheSupport<u8> for Marked {
    fn split_at(&self, token: &[u8]) -> usize {
        let at = token.iter().position(|byte| char::from(*byte) == self.sign);
        at.map_or(0, |at| at + 1)
    }

    fn recheck(&self, validated: &Validated<u8>, _: SystemTime) -> Result<(), Rejection> {
        match validated.principal().subject() {
            Some(owner) if owner == self.owner => Ok(()),
            _ => Err(Rejection::expired()),
        }
    }

    fn generation(&self) -> u64 {
        self.generation
    }
}

fn marked(sign: char, owner: &'static str, generation: u64) -> Marked {
    Marked { sign, owner, generation }
}

#[test]
fn what_a_chain_does_not_know_of_a_token_is_secret() {
    let (dot, dash) = (marked('.', "a", 0), marked('-', "a", 0));
    assert_eq!(first_of(dot.clone(), dot.clone()).split_at(b"a.b-c"), 2);
    assert_eq!(first_of(dash.clone(), dot.clone()).split_at(b"a.b-c"), 2);
    assert_eq!(first_of(dot.clone(), dash.clone()).split_at(b"a.b"), 0);
    let route = Route::new().when(prefix("."), dot).when(prefix("a"), dash);
    assert_eq!(route.split_at(b"a.b-c"), 4);
    assert_eq!(route.split_at(b".b-c"), 1);
    assert_eq!(route.split_at(b"xyz"), 0);
    let careless = |token: &str| token.len() > 4 && &token[..4] == "ghp_";
    let route =
        Route::new().when(careless, marked('.', "a", 0)).when(prefix("a"), marked('-', "a", 0));
    for no_token in [&b"a\xff-c"[..], "aaa\u{e9}-x".as_bytes(), b"a -c", b""] {
        assert_eq!(route.split_at(no_token), 0, "{no_token:?}");
    }
}

#[test]
fn a_chain_takes_nothing_again_that_one_of_its_validators_would_not() {
    let now = SystemTime::now();
    let (a, b) = (marked('.', "a", 0), marked('.', "b", 0));
    let of_a = Validated::new(Principal::new("a"), 7);
    assert!(first_of(a.clone(), a.clone()).recheck(&of_a, now).is_ok());
    for refused in [
        first_of(a.clone(), b.clone()).recheck(&of_a, now),
        first_of(b.clone(), a.clone()).recheck(&of_a, now),
        Route::new().when(is_jwt, a.clone()).when(is_jwt, b.clone()).recheck(&of_a, now),
        Route::new().when(is_jwt, b).when(is_jwt, a).recheck(&of_a, now),
    ] {
        assert_eq!(refused.unwrap_err().kind(), RejectionKind::Expired);
    }
}

#[test]
fn a_generation_changes_with_each_validator() {
    let of = |a, b, c| {
        let [a, b, c] = [a, b, c].map(|generation| marked('.', "a", generation));
        let chain = first_of(a.clone(), first_of(b.clone(), c.clone()));
        let route = Route::new().when(is_jwt, a).when(is_jwt, b).otherwise(c);
        (chain.generation(), route.generation())
    };
    let known: Vec<_> = (0..27).map(|n| of(n / 9, n / 3 % 3, n % 3)).collect();
    for (place, one) in known.iter().enumerate() {
        for other in &known[..place] {
            assert!(one.0 != other.0 && one.1 != other.1);
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Claims {
    Number(u8),
    Nothing,
}

#[tokio::test]
async fn claims_of_two_types_become_the_variants_of_one() {
    let keys = StaticTokens::new();
    keys.insert("sk_1", Principal::new("robot")).unwrap();
    let numbers = marked('.', "a", 3).map_claims(|number| Claims::Number(*number));
    let chain = first_of(keys.clone().map_claims(|()| Claims::Nothing), numbers.clone());
    assert_eq!(ask(&chain, "sk_1").await.unwrap().claims(), &Claims::Nothing);
    let number = ask(&chain, "x").await.unwrap();
    assert_eq!(number.claims(), &Claims::Number(7));
    // The validator that found it good is asked with its own claims; the other has no say.
    assert!(chain.recheck(&number, SystemTime::now()).is_ok());
    let stranger = marked('.', "b", 0).map_claims(|number| Claims::Number(*number));
    assert!(stranger.recheck(&number, SystemTime::now()).is_err());
    assert_eq!((numbers.generation(), numbers.split_at(b"a.b")), (3, 2));

    let later = async |_| Ok(Validated::new(Principal::new("late"), 9_u8));
    let later = later.map_claims(|number| Claims::Number(*number));
    assert_eq!(ask(&later, "x").await.unwrap().claims(), &Claims::Number(9));
}

#[tokio::test]
async fn a_guard_outlives_the_mapping_of_claims() {
    use tower::{Layer, ServiceExt, service_fn};
    use tower_oauth2::server::{Authenticated, RequireToken, TokenEnd};
    for above in [true, false] {
        let tokens = StaticTokens::new();
        tokens.insert("t", Principal::new("alice")).unwrap();
        let list = Revocations::new();
        let ended = Arc::new(Mutex::new(None));
        let keep = ended.clone();
        let inner = service_fn(move |request: Request<()>| {
            let authenticated: &Authenticated = request.extensions().get().unwrap();
            *keep.lock().unwrap() = Some(authenticated.clone());
            ready(Ok::<_, std::convert::Infallible>(http::Response::new(())))
        });
        let request = Request::get("/").header("authorization", "Bearer t").body(()).unwrap();
        let validator = match above {
            true => list.guard(tokens.map_claims(|()| 1_u8)).into_shared(),
            false => list.guard(tokens).map_claims(|()| 1_u8).into_shared(),
        };
        let layer = RequireToken::new("api", validator).unwrap();
        layer.layer(inner).oneshot(request).await.unwrap();
        let authenticated = ended.lock().unwrap().take().unwrap();
        let mut ended = tokio_test::task::spawn(authenticated.ended());
        assert!(ended.poll().is_pending());
        list.revoke_token("t", None).unwrap();
        tokio_test::assert_ready_eq!(ended.poll(), TokenEnd::Revoked);
    }
}
