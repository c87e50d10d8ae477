//! The calls API of Relatel and Firmafon: what its three editions share.
#![allow(dead_code, reason = "every edition uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a panic is the verdict of a test")]

use crate::raw::{Connection, Reply, Server};
use axum::{
    Router,
    extract::{OriginalUri, Request},
    routing::get,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tower_layer::Layer;
use tower_oauth2::{
    Clock, TokenLocation,
    server::{Authenticated, RequireToken},
    validate::{Principal, StaticTokens},
};

/// The token that the provider's documentation writes, here alice's.
pub(crate) const ALICE: &str = "ACCESS_TOKEN";
/// A token with every special character that one can have; it is bob's.
pub(crate) const BOB: &str = "b-._~+/b==";

pub(crate) const UNKNOWN: &str =
    r#", error="invalid_token", error_description="the access token is not known""#;
pub(crate) const EXPIRED: &str =
    r#", error="invalid_token", error_description="the access token expired""#;
const MALFORMED: &str =
    r#", error="invalid_request", error_description="the access token is malformed""#;
const SEVERAL: &str = concat!(
    r#", error="invalid_request", "#,
    r#"error_description="more than one access token was presented""#,
);
const TWICE: &str = concat!(
    r#", error="invalid_request", "#,
    r#"error_description="a credential header is repeated""#,
);

/// `GET` or `POST /api/v2/calls`, guarded.
pub(crate) struct CallsApi {
    pub(crate) server: Server,
    pub(crate) tokens: StaticTokens,
    realm: &'static str,
    reads_basic: bool,
    /// How many requests got to the handler.
    reached: Arc<AtomicUsize>,
}

/// A way to present a token.
pub(crate) struct Presented {
    kind: &'static str,
    head: String,
    line: Option<String>,
}

impl Presented {
    pub(crate) fn in_header(token: &str) -> Self {
        let line = format!("Authorization: Bearer {token}");
        Self { kind: "header", head: "GET /api/v2/calls?page=2".into(), line: Some(line) }
    }

    pub(crate) fn in_query(token: &str) -> Self {
        let token = token.replace('+', "%2B").replace('=', "%3d");
        let head = format!("GET /api/v2/calls?access_token={token}&page=2");
        Self { kind: "query", head, line: None }
    }

    pub(crate) fn as_basic_user_name(token: &str) -> Self {
        let line = format!("Authorization: Basic {}", BASE64_STANDARD.encode(format!("{token}:")));
        Self { kind: "basic", head: "GET /api/v2/calls?page=2".into(), line: Some(line) }
    }
}

/// A request that is refused: its head, its header lines, the status, and what the `Bearer`
/// challenge says after the realm.
type Refusal<'a> = (&'a str, &'a [&'a str], u16, &'a str);

/// What every edition refuses.
const REFUSALS: &[Refusal<'_>] = &[
    ("GET /api/v2/calls", &[], 401, ""),
    ("GET /api/v2/calls", &["Authorization:"], 401, ""),
    ("GET /api/v2/calls", &["Authorization: Digest username=\"alice\""], 401, ""),
    ("GET /api/v2/calls", &["Authorization: ACCESS_TOKEN"], 401, ""),
    ("GET /api/v2/calls?access_tokens=ACCESS_TOKEN", &[], 401, ""),
    ("GET /api/v2/calls", &["Authorization: Bearer access_token"], 401, UNKNOWN),
    ("GET /api/v2/calls?access_token=ACCESS_TOKE", &[], 401, UNKNOWN),
    ("GET /api/v2/calls", &["Authorization: Bearer"], 400, MALFORMED),
    ("GET /api/v2/calls", &["Authorization: Bearer ACCESS TOKEN"], 400, MALFORMED),
    ("GET /api/v2/calls", &["Authorization: Bearer \"ACCESS_TOKEN\""], 400, MALFORMED),
    ("GET /api/v2/calls?access_token", &[], 400, MALFORMED),
    ("GET /api/v2/calls?access_token=", &[], 400, MALFORMED),
    ("GET /api/v2/calls?access_token=ACCESS+TOKEN", &[], 400, MALFORMED),
    ("GET /api/v2/calls?access_token=%00", &[], 400, MALFORMED),
    (
        "GET /api/v2/calls?access_token=ACCESS_TOKEN",
        &["Authorization: Bearer ACCESS_TOKEN"],
        400,
        SEVERAL,
    ),
    ("GET /api/v2/calls?access_token=ACCESS_TOKEN&access_token=x", &[], 400, SEVERAL),
    ("GET /api/v2/calls?access_token=x&access%5Ftoken=ACCESS_TOKEN", &[], 400, SEVERAL),
    (
        "GET /api/v2/calls",
        &["Authorization: Bearer ACCESS_TOKEN", "Authorization: Bearer ACCESS_TOKEN"],
        400,
        TWICE,
    ),
    (
        "GET /api/v2/calls",
        &["Authorization: Bearer ACCESS_TOKEN", "authorization: Basic QUNDRVNTX1RPS0VOOg=="],
        400,
        TWICE,
    ),
    ("POST /api/v2/calls?access_token=ACCESS_TOKEN", &[], 401, ""),
];

/// What the editions with Basic refuse beyond that.
const BASIC_REFUSALS: &[Refusal<'_>] = &[
    // access_token:
    ("GET /api/v2/calls", &["Authorization: Basic YWNjZXNzX3Rva2VuOg=="], 401, UNKNOWN),
    // ACCESS_TOKEN:password
    ("GET /api/v2/calls", &["Authorization: Basic QUNDRVNTX1RPS0VOOnBhc3N3b3Jk"], 401, ""),
    // :ACCESS_TOKEN
    ("GET /api/v2/calls", &["Authorization: Basic OkFDQ0VTU19UT0tFTg=="], 401, ""),
    // ACCESS_TOKEN
    ("GET /api/v2/calls", &["Authorization: Basic QUNDRVNTX1RPS0VO"], 400, MALFORMED),
    // :
    ("GET /api/v2/calls", &["Authorization: Basic Og=="], 400, MALFORMED),
    ("GET /api/v2/calls", &["Authorization: Basic"], 400, MALFORMED),
    ("GET /api/v2/calls", &["Authorization: Basic ACCESS_TOKEN"], 400, MALFORMED),
    (
        "GET /api/v2/calls?access_token=ACCESS_TOKEN",
        &["Authorization: Basic QUNDRVNTX1RPS0VOOg=="],
        400,
        SEVERAL,
    ),
];

impl CallsApi {
    /// An edition that reads tokens from `locations`. Alice and bob have a token each.
    pub(crate) async fn start<const N: usize>(
        realm: &'static str,
        locations: [TokenLocation; N],
        clock: Clock,
    ) -> Self {
        let reads_basic = locations.contains(&TokenLocation::BasicUserName);
        let tokens = StaticTokens::new().with_clock(clock);
        tokens.insert(ALICE, Principal::new("alice")).unwrap();
        tokens.insert(BOB, Principal::new("bob")).unwrap();
        let guard =
            RequireToken::new(realm, tokens.clone()).unwrap().with_locations(locations).unwrap();

        let reached = Arc::new(AtomicUsize::new(0));
        let count = reached.clone();
        let calls = async move |request: Request| {
            count.fetch_add(1, Ordering::Relaxed);
            describe(&request)
        };
        let router: Router = Router::new().route("/api/v2/calls", get(calls.clone()).post(calls));
        // Around the whole router, so that `OriginalUri` is without the token too.
        let server = Server::start(guard.layer(router)).await;
        Self { server, tokens, realm, reads_basic, reached }
    }

    /// `presented` reaches the handler as a request of `subject`, which sees no token.
    pub(crate) async fn assert_admits(&self, presented: &Presented, subject: &str) {
        let mut connection = self.server.connect().await;
        assert_admitted(&mut connection, presented, subject).await;
    }

    /// Every refusal of this edition has its status and its challenges, and stops there.
    pub(crate) async fn assert_refusals(&self) {
        let basic = if self.reads_basic { BASIC_REFUSALS } else { &[] };
        for refusal in REFUSALS.iter().chain(basic) {
            let reply = self.server.send(refusal.0, refusal.1).await;
            self.assert_refused(&reply, refusal.2, refusal.3);
        }
        assert_eq!(self.reached.load(Ordering::Relaxed), 0);
    }

    /// `reply` has exactly the challenges of this edition, and nothing to store or to read.
    pub(crate) fn assert_refused(&self, reply: &Reply, status: u16, bearer: &str) {
        let mut challenges = vec![format!(r#"Bearer realm="{}"{bearer}"#, self.realm)];
        if self.reads_basic && status == 401 {
            challenges.push(format!(r#"Basic realm="{}", charset="UTF-8""#, self.realm));
        }
        assert_eq!((reply.status, reply.challenges()), (status, as_strs(&challenges)));
        assert_eq!(reply.values("cache-control"), ["no-store"]);
        assert_eq!(reply.body, "");
    }

    /// A request of alice, then `end`, then the same request on the same connection: it is
    /// refused, by a challenge that goes on with `bearer`.
    pub(crate) async fn assert_ends_in_mid_use(
        &self,
        presented: &Presented,
        end: impl FnOnce(&StaticTokens),
        bearer: &str,
    ) {
        let mut connection = self.server.connect().await;
        assert_admitted(&mut connection, presented, "alice").await;
        end(&self.tokens);
        let reply = get_calls(&mut connection, presented).await;
        self.assert_refused(&reply, 401, bearer);
        assert_admitted(&mut connection, &Presented::in_header(BOB), "bob").await;
    }
}

/// Whose request the handler got, how the token was presented, and the URIs it can see.
fn describe(request: &Request) -> String {
    let authenticated = request.extensions().get::<Authenticated>().unwrap();
    let OriginalUri(original) = request.extensions().get().unwrap();
    assert!(request.headers().get("authorization").is_none_or(|value| value.is_sensitive()));
    format!(
        "{} by {} at {} and {original}",
        authenticated.principal().subject().unwrap(),
        authenticated.location().kind(),
        request.uri(),
    )
}

async fn assert_admitted(connection: &mut Connection, presented: &Presented, subject: &str) {
    let reply = get_calls(connection, presented).await;
    let uri = "/api/v2/calls?page=2";
    let seen = format!("{subject} by {} at {uri} and {uri}", presented.kind);
    assert_eq!((reply.status, reply.body.as_str()), (200, seen.as_str()));
    let private: &[&str] = if presented.kind == "query" { &["private"] } else { &[] };
    assert_eq!(reply.values("cache-control"), private);
}

async fn get_calls(connection: &mut Connection, presented: &Presented) -> Reply {
    let lines: Vec<&str> = presented.line.as_deref().into_iter().collect();
    connection.send(&presented.head, &lines).await
}

fn as_strs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}
