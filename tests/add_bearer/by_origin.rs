//! Several APIs below one layer, each with tokens of its own.

use crate::resource::Issuer;
use bytes::Bytes;
use http::{Request, Response, StatusCode, header::AUTHORIZATION};
use http_body_util::Full;
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};
use tower::{Layer, Service, ServiceExt, limit::ConcurrencyLimitLayer, service_fn};
use tower_oauth2::{
    AccessToken, Answer, RequestHead, TokenLocation,
    client::{
        AddBearer, ByOrigin, ClientCredentialsRefresh, Error, ErrorKind, Grant, Origins,
        RefreshPolicy, SharedTokenSource, TokenCache, TokenSource,
    },
};

const ORDERS: &str = "https://orders.example";
const BILLING: &str = "https://billing.example";

type Body = Full<Bytes>;

fn cache(issuer: &Issuer) -> TokenCache {
    TokenCache::new(issuer.endpoint(), Grant::client_credentials(), RefreshPolicy::default())
}

fn two(orders: &Issuer, billing: &Issuer) -> ByOrigin<TokenCache> {
    AddBearer::by_origin([
        AddBearer::from_source(cache(orders), ORDERS).unwrap(),
        AddBearer::from_source(cache(billing), [BILLING, "https://invoices.example"]).unwrap(),
    ])
    .unwrap()
}

/// Two APIs below one client, which refuse the tokens of `refused`, and what they got.
#[derive(Clone, Default)]
struct Apis {
    refused: &'static [&'static str],
    seen: Arc<Mutex<Vec<String>>>,
}

impl Apis {
    fn service(
        &self,
    ) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static {
        let own = self.clone();
        service_fn(move |request: Request<Body>| {
            let token = request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap());
            let token = token.unwrap_or("nothing").trim_start_matches("Bearer ").to_owned();
            let mut response = Response::new(Body::default());
            if own.refused.contains(&&*token) {
                *response.status_mut() = StatusCode::UNAUTHORIZED;
            }
            let host = request.uri().host().unwrap_or_default();
            own.seen.lock().unwrap().push(format!("{host} {token}"));
            async { Ok(response) }
        })
    }

    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

fn get(uri: &str) -> Request<Body> {
    Request::get(uri).body(Body::default()).unwrap()
}

#[tokio::test]
async fn each_origin_gets_tokens_of_its_own_source_alone() {
    let apis = Apis::default();
    let mut client = two(&Issuer::of(["O1"]), &Issuer::of(["B1"])).layer(apis.service());
    let order = [ORDERS, BILLING, ORDERS, "https://INVOICES.example:443/x", BILLING];
    for uri in order {
        client.ready().await.unwrap().call(get(uri)).await.unwrap();
    }
    let expected = [
        "orders.example O1",
        "billing.example B1",
        "orders.example O1",
        "INVOICES.example B1",
        "billing.example B1",
    ];
    assert_eq!(apis.seen(), expected);
}

#[tokio::test]
async fn a_401_of_one_api_leaves_the_token_of_the_other() {
    let apis = Apis { refused: &["O1"], ..Apis::default() };
    let (orders, billing) = (Issuer::of(["O1", "O2"]), Issuer::of(["B1"]));
    let mut client = two(&orders, &billing).layer(apis.service());
    for uri in [BILLING, ORDERS, BILLING, ORDERS] {
        let response = client.ready().await.unwrap().call(get(uri)).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
    let expected = [
        "billing.example B1",
        "orders.example O1",
        "orders.example O2",
        "billing.example B1",
        "orders.example O2",
    ];
    assert_eq!(apis.seen(), expected);
    assert_eq!([orders.requests(), billing.requests()], [2, 1]);
}

/// A source that believes every token to be its own.
#[derive(Clone, Default)]
struct Credulous {
    name: &'static str,
    rejected: Arc<Mutex<Vec<String>>>,
}

impl TokenSource for Credulous {
    type Future = std::future::Ready<Result<AccessToken, Error>>;

    fn token(&self, _: RequestHead<'_>) -> Answer<Self::Future> {
        Answer::Ready(Ok(AccessToken::new(self.name).unwrap()))
    }

    fn is_current(&self, _: &AccessToken, _: RequestHead<'_>) -> bool {
        true
    }

    fn can_recover(&self) -> bool {
        true
    }

    fn reject(&self, rejected: &AccessToken) -> bool {
        self.rejected.lock().unwrap().push(rejected.expose().to_owned());
        false
    }
}

#[tokio::test]
async fn a_source_that_takes_any_token_for_its_own_never_sees_one_of_another_row() {
    let apis = Apis { refused: &["O", "B"], ..Apis::default() };
    let [orders, billing] = ["O", "B"].map(|name| Credulous { name, ..Credulous::default() });
    let row = |source: &Credulous, origin| AddBearer::from_source(source.clone(), origin).unwrap();
    let layer = AddBearer::by_origin([row(&orders, ORDERS), row(&billing, BILLING)]).unwrap();
    let mut client = layer.layer(apis.service());
    for uri in [ORDERS, BILLING, ORDERS, BILLING] {
        client.ready().await.unwrap().call(get(uri)).await.unwrap();
    }
    let expected =
        ["orders.example O", "billing.example B", "orders.example O", "billing.example B"];
    assert_eq!(apis.seen(), expected);
    assert_eq!(*orders.rejected.lock().unwrap(), ["O", "O"]);
    assert_eq!(*billing.rejected.lock().unwrap(), ["B", "B"]);
}

#[tokio::test]
async fn an_origin_of_no_row_is_refused_unless_every_row_lets_it_pass() {
    let apis = Apis::default();
    let row =
        |origin: &str| AddBearer::from_source(AccessToken::new("T").unwrap(), origin).unwrap();
    let strict = AddBearer::by_origin([row(ORDERS).allow_other_origins(), row(BILLING)]).unwrap();
    for elsewhere in ["https://elsewhere.example", "http://orders.example", "/relative"] {
        let client = strict.layer(apis.service());
        let error = client.oneshot(get(elsewhere)).await.unwrap_err();
        let error = error.downcast_ref::<Error>().unwrap();
        assert_eq!(error.kind(), ErrorKind::ForeignOrigin, "{elsewhere}");
    }
    assert_eq!(apis.seen(), [""; 0]);
    let all = [ORDERS, BILLING].map(|origin| row(origin).allow_other_origins());
    let client = AddBearer::by_origin(all).unwrap().layer(apis.service());
    client.oneshot(get("https://elsewhere.example")).await.unwrap();
    assert_eq!(apis.seen(), ["elsewhere.example nothing"]);
}

#[test]
fn what_leaves_it_open_whose_token_a_request_gets_is_refused_when_built() {
    let token = || AccessToken::new("T").unwrap();
    let row = |origin: &str| AddBearer::from_source(token(), origin).unwrap();
    let any = AddBearer::from_source(token(), Origins::dangerous_any_https_origin()).unwrap();
    let query = row(BILLING).with_location(TokenLocation::Query);
    for (rows, why) in [
        (vec![], "there is no row; each has origins and a source"),
        (
            vec![row(ORDERS), row("https://ORDERS.example:443")],
            "the origin https://orders.example is in two rows",
        ),
        (vec![row(ORDERS), any], "a row for any origin leaves none to the others"),
        (
            vec![row(ORDERS), query],
            "a token in the query may be copied to another row by a redirect; use a header",
        ),
    ] {
        let error = AddBearer::by_origin(rows).map(drop).unwrap_err();
        assert_eq!(error.to_string(), why);
    }
    let error = AddBearer::from_source(token(), "https://*.example").map(drop).unwrap_err();
    assert_eq!(error.to_string(), "the origin `https://*.example` has a wildcard; list each host");
}

#[tokio::test]
async fn rows_of_different_sources_and_settings_share_one_permit() {
    let apis = Apis::default();
    let issuer = Issuer::of(["O1"]);
    let refreshing = ClientCredentialsRefresh::new(issuer.endpoint(), ORDERS).unwrap();
    let shared: [SharedTokenSource; 2] =
        [refreshing.cache().clone().into_shared(), AccessToken::new("B1").unwrap().into_shared()];
    let [orders, billing] = shared;
    let key = TokenLocation::header("x-api-key").unwrap();
    let layer = AddBearer::by_origin([
        AddBearer::from_source(orders, ORDERS).unwrap(),
        AddBearer::from_source(billing, BILLING).unwrap().with_location(key),
    ])
    .unwrap();
    let mut client = layer.layer(ConcurrencyLimitLayer::new(1).layer(apis.service()));
    for uri in [ORDERS, BILLING, "https://elsewhere.example", BILLING, ORDERS] {
        let _ = client.ready().await.unwrap().call(get(uri)).await;
        // A clone needs the permit that the call has given back.
        let mut clone = client.clone();
        let _ = clone.ready().await.unwrap().call(get(uri)).await;
    }
    let expected = ["orders.example O1", "billing.example nothing"];
    let seen = apis.seen();
    assert_eq!(seen.len(), 8);
    assert!(seen.iter().all(|one| expected.contains(&one.as_str())), "{seen:?}");
}
