//! The snippets of `docs/guide/providers` over tokens of each provider's shape, by keys of our own: its
//! access tokens pass, and its ID tokens and those of other tenants and clients do not.

mod ci_and_clusters;
mod clouds;
mod servers;
mod snippets;

use crate::{
    api::{NOW, clock, encoded, with},
    keys::Key,
};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    fs,
    path::Path,
    sync::{Arc, Mutex},
};
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneSyncService};
use tower_oauth2::{
    ConfigError, RequestHead,
    server::{Authenticated, Policy, RequirePolicy, RequireToken},
    validate::{JwtValidator, Principal},
};

/// What a snippet makes.
type Built = Result<Api, ConfigError>;

/// Issuers that have metadata where their name says, and the URLs of their keys.
const ISSUERS: [(&str, &str); 17] = [
    (
        "https://id.example.com/realms/acme",
        "https://id.example.com/realms/acme/protocol/openid-connect/certs",
    ),
    (
        "https://login.microsoftonline.com/0d2fd715-49b1-41f7-b6a0-60ca5ef069c7/v2.0",
        "https://login.microsoftonline.com/0d2fd715-49b1-41f7-b6a0-60ca5ef069c7/discovery/v2.0/keys",
    ),
    (
        "https://login.microsoftonline.com/3a1f9c52-7d04-4b6e-9c1d-2f8e5b7a6c10/v2.0",
        "https://login.microsoftonline.com/3a1f9c52-7d04-4b6e-9c1d-2f8e5b7a6c10/discovery/v2.0/keys",
    ),
    (
        "https://8f1c2d3e-4b5a-4697-8877-665544332211.ciamlogin.com/8f1c2d3e-4b5a-4697-8877-665544332211/v2.0",
        "https://acme.ciamlogin.com/8f1c2d3e-4b5a-4697-8877-665544332211/discovery/v2.0/keys",
    ),
    ("https://acme.eu.auth0.com/", "https://acme.eu.auth0.com/.well-known/jwks.json"),
    ("https://acme.okta.com/oauth2/default", "https://acme.okta.com/oauth2/default/v1/keys"),
    (
        "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI",
        "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI/.well-known/jwks.json",
    ),
    ("https://accounts.google.com", "https://www.googleapis.com/oauth2/v3/certs"),
    (
        "https://kubernetes.default.svc.cluster.local",
        "https://kubernetes.default.svc.cluster.local/openid/v1/jwks",
    ),
    (
        "https://token.actions.githubusercontent.com",
        "https://token.actions.githubusercontent.com/.well-known/jwks",
    ),
    ("https://gitlab.com", "https://gitlab.com/oauth/discovery/keys"),
    ("https://hydra.example.com/", "https://hydra.example.com/.well-known/jwks.json"),
    ("https://dex.example.com", "https://dex.example.com/keys"),
    ("https://acme.zitadel.cloud", "https://acme.zitadel.cloud/oauth/v2/keys"),
    (
        "https://auth.example.com/application/o/shop/",
        "https://auth.example.com/application/o/shop/jwks/",
    ),
    (
        "https://identity.example.com",
        "https://identity.example.com/.well-known/openid-configuration/jwks",
    ),
    // Without metadata there.
    (
        "",
        "https://contoso.b2clogin.com/contoso.onmicrosoft.com/B2C_1_signin/discovery/v2.0/keys \
         https://auth.example.com/.well-known/jwks.json https://fs.example.com/adfs/discovery/keys",
    ),
];

/// Stands in for `tower_oauth2::Transport` in the snippets.
struct Transport;

impl Transport {
    fn https() -> tower_oauth2::Transport {
        tower_oauth2::Transport::new(service_fn(async |request: Request<Full<Bytes>>| {
            let document = document(&request.uri().to_string());
            let response = Response::builder().status(if document.is_some() { 200 } else { 404 });
            let body = document.map(|document| document.to_string()).unwrap_or_default();
            Ok::<_, Infallible>(response.body(body).unwrap())
        }))
    }
}

fn document(url: &str) -> Option<Value> {
    ISSUERS.iter().find_map(|(issuer, keys)| {
        let metadata = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        if url == metadata {
            return Some(json!({"issuer": issuer, "jwks_uri": keys}));
        }
        if url.ends_with("/common/discovery/v2.0/keys") {
            return Some(keys_of_all_tenants());
        }
        // All providers have one key here, so that the key alone refuses nobody's tokens.
        let entry = || with(key().jwk("k1"), json!({"x5t": "k1"}));
        keys.split(' ').any(|own| own == url).then(|| json!({"keys": [entry()]}))
    })
}

/// Entra's keys: one is of every tenant, `m1` of personal accounts.
fn keys_of_all_tenants() -> Value {
    let issuer = |tenant| format!("https://login.microsoftonline.com/{tenant}/v2.0");
    let personal = json!({"issuer": issuer("9188040d-6c67-4c5b-b112-36a304b66dad")});
    let personal = with(personal_key().jwk("m1"), personal);
    json!({"keys": [with(key().jwk("k1"), json!({"issuer": issuer("{tenantid}")})), personal]})
}

fn personal_key() -> Arc<Key> {
    Key::of("personal accounts", "RS256").unwrap()
}

fn key() -> Arc<Key> {
    Key::of("all providers", "RS256").unwrap()
}

/// An API that the layers of a snippet protect.
struct Api {
    service: BoxCloneSyncService<Request<()>, Response<()>, Infallible>,
    seen: Arc<Mutex<Option<Principal>>>,
}

impl Api {
    fn of(validator: JwtValidator) -> Self {
        Self::guarded(
            validator,
            &RequirePolicy::new(|_: &Authenticated, _: RequestHead<'_>| Ok(())),
        )
    }

    fn guarded<C, P>(validator: JwtValidator<C>, policy: &RequirePolicy<P>) -> Self
    where
        C: Send + Sync + 'static,
        P: Policy + Send + Sync + 'static,
    {
        let seen = Arc::<Mutex<Option<Principal>>>::default();
        let inner = {
            let seen = seen.clone();
            service_fn(move |request: Request<()>| {
                let token = request.extensions().get::<Authenticated>().unwrap();
                *seen.lock().unwrap() = Some(token.principal().clone());
                std::future::ready(Ok::<_, Infallible>(Response::new(())))
            })
        };
        let layer = RequireToken::new("api", validator.with_clock(clock())).unwrap();
        Self { service: BoxCloneSyncService::new(layer.layer(policy.layer(inner))), seen }
    }

    async fn status(&self, token: &str) -> u16 {
        let request = Request::get("/").header("authorization", format!("Bearer {token}"));
        let request = request.body(()).unwrap();
        self.service.clone().oneshot(request).await.unwrap().status().as_u16()
    }
}

/// A provider's access token, and an API that takes it.
struct Provider {
    api: Api,
    header: Value,
    claims: Value,
}

/// The header with a type.
fn typed() -> Value {
    json!({"alg": "RS256", "typ": "JWT", "kid": "k1"})
}

/// The header of providers that name no type.
fn untyped() -> Value {
    json!({"alg": "RS256", "kid": "k1"})
}

impl Provider {
    /// Checks that nobody's forged, expired, bound and misdirected tokens pass.
    async fn new(api: Built, header: Value, mut claims: Value) -> Self {
        for (name, value) in [("iat", NOW - 10), ("exp", NOW + 3_600)] {
            claims[name] = value.into();
        }
        let this = Self { api: api.unwrap(), header, claims };
        let other = Key::of("another provider", "RS256").unwrap();
        assert_eq!(this.status_by(&other, &this.header, json!({})).await, 401, "a forged token");
        this.refuses("an expired token", json!({"exp": NOW - 60})).await;
        this.refuses("a token of another API", json!({"aud": "https://other.example.com"})).await;
        this.refuses("a bound token", json!({"cnf": {"jkt": "x"}})).await;
        this.refuses("a log-out token", json!({"events": {"logout": {}}})).await;
        this
    }

    async fn status(&self, header: &Value, changes: Value) -> u16 {
        self.status_by(&key(), header, changes).await
    }

    async fn status_by(&self, key: &Key, header: &Value, changes: Value) -> u16 {
        let mut claims = with(self.claims.clone(), changes);
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let input = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
        let signature = encoded(key.sign("RS256", input.as_bytes()));
        self.api.status(&format!("{input}.{signature}")).await
    }

    /// Who the token with these changes says that they are.
    async fn accepts(&self, changes: Value) -> Principal {
        let told = format!("{changes}");
        assert_eq!(self.status(&self.header, changes).await, 200, "{told}");
        self.api.seen.lock().unwrap().take().unwrap()
    }

    /// The token with these changes, `null` for a claim that is gone, is not good.
    async fn refuses(&self, what: &str, changes: Value) {
        assert_eq!(self.status(&self.header, changes).await, 401, "{what}");
    }

    /// The token with these changes is good, and not for this API.
    async fn forbids(&self, what: &str, changes: Value) {
        assert_eq!(self.status(&self.header, changes).await, 403, "{what}");
    }
}

fn roles(principal: &Principal) -> Vec<&str> {
    principal.roles().collect()
}

/// Without what formatting adds.
fn bare(code: &str) -> String {
    let code: String = code.chars().filter(|char| !char.is_whitespace()).collect();
    code.replace(",}", "}").replace(",)", ")").replace(",]", "]")
}

/// The visible lines of each snippet of `page`.
fn snippets_of(page: &str) -> Vec<Vec<&str>> {
    let blocks = page.split("\n```").skip(1).step_by(2);
    let blocks = blocks.filter_map(|block| block.strip_prefix("rust\n"));
    let is_seen = |line: &&str| !line.is_empty() && !line.starts_with("# ");
    blocks.map(|block| block.lines().filter(is_seen).collect()).collect()
}

#[test]
fn the_pages_show_what_is_tested_in_at_most_12_lines_each() {
    let tested = include_str!("snippets.rs");
    let functions = bare(tested);
    let mut shown = 0;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guide/providers");
    for page in fs::read_dir(folder).unwrap() {
        let page = page.unwrap().path();
        let text = fs::read_to_string(&page).unwrap();
        for lines in snippets_of(&text) {
            let name = page.display();
            assert!(lines.len() <= 12, "{name} has {} lines", lines.len());
            let code: Vec<_> =
                lines.into_iter().skip_while(|line| line.starts_with("use ")).collect();
            let code = bare(&code.concat());
            assert!(functions.contains(&format!("->Built{{{code}Ok(Api::")), "{name}: {code}");
            shown += 1;
        }
    }
    assert_eq!(shown, tested.matches("-> Built {").count(), "a page shows each tested snippet");
}
