//! A redirect that a layer above follows takes the token to no other origin.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode,
    header::{ACCEPT, LOCATION},
    request::Parts,
};
use http_body_util::Full;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::{
    collections::HashMap,
    convert::Infallible,
    error::Error as StdError,
    future::ready,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};
use tower::{Layer, Service, ServiceExt, service_fn, util::BoxCloneService};
use tower_http::follow_redirect::FollowRedirectLayer;
use tower_oauth2::{
    AccessToken, TokenLocation,
    client::{AddBearer, Error, ErrorKind, Origins},
};

const HOME: &str = "https://api.example";
const START: &str = "https://api.example/start?page=2";
const TOKEN: &str = "mF_9.B5f-4.1JqM";

/// Every other origin that looks like home.
const ELSEWHERE: [&str; 7] = [
    "https://b.example/x?page=2",
    "http://api.example/x",
    "https://api.example:8443/x",
    "https://api.example.b.example/x",
    "https://www.api.example/x",
    "https://api.example@b.example/x",
    "https://api.example./x",
];

type BoxError = Box<dyn StdError + Send + Sync>;
type Body = Full<Bytes>;
type Client = BoxCloneService<Request<Body>, Response<Body>, BoxError>;

/// A network of redirects, which remembers the requests that it got.
#[derive(Clone, Default)]
struct Network {
    /// From a path, whatever the host; `QUERY` stands for the query that came, and `ESCAPED` for
    /// its escaped form.
    redirects: HashMap<&'static str, (StatusCode, &'static str)>,
    seen: Arc<Mutex<Vec<Parts>>>,
}

impl Network {
    fn redirecting(mut self, from: &'static str, status: u16, to: &'static str) -> Self {
        self.redirects.insert(from, (StatusCode::from_u16(status).unwrap(), to));
        self
    }

    /// The one redirect of most tests.
    fn leading_to(location: &'static str) -> Self {
        Self::default().redirecting("/start", 302, location)
    }

    fn answer(&self, request: Request<Body>) -> Response<Body> {
        let mut response = Response::new(Body::default());
        if let Some((status, location)) = self.redirects.get(request.uri().path()) {
            let query = request.uri().query().unwrap_or_default();
            let escaped = utf8_percent_encode(query, NON_ALPHANUMERIC).to_string();
            let location = location.replace("QUERY", query).replace("ESCAPED", &escaped);
            *response.status_mut() = *status;
            response.headers_mut().insert(LOCATION, HeaderValue::try_from(location).unwrap());
        }
        self.seen.lock().unwrap().push(request.into_parts().0);
        response
    }

    /// What was asked for since the last look, in its order.
    fn seen(&self) -> Vec<Parts> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

/// Calls [`START`] through `client`, following redirects.
async fn start(client: Client) -> Result<Response<Body>, BoxError> {
    let mut request = Request::get(START).body(Body::default()).unwrap();
    *request.headers_mut() = own_headers();
    FollowRedirectLayer::new().layer(client).oneshot(request).await
}

/// What the caller puts on its request.
fn own_headers() -> HeaderMap {
    HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))])
}

fn placements() -> [TokenLocation; 5] {
    [
        TokenLocation::Bearer,
        TokenLocation::header("x-api-key").unwrap(),
        TokenLocation::header_with_scheme("x-token", "Token").unwrap(),
        TokenLocation::Query,
        TokenLocation::BasicUserName,
    ]
}

/// Whether the token is anywhere on the request, and how often.
fn tokens_on(parts: &Parts) -> usize {
    let basic = BASE64_STANDARD.encode(format!("{TOKEN}:"));
    let uri = parts.uri.to_string();
    let values = parts.headers.values().map(|value| value.to_str().unwrap());
    let count = |text: &str| text.matches(TOKEN).count() + text.matches(&basic).count();
    values.map(count).sum::<usize>() + count(&uri)
}

/// The request is as the caller made it, and goes to `uri`.
fn assert_untouched(parts: &Parts, uri: &str) {
    assert_eq!((parts.uri.to_string().as_str(), tokens_on(parts)), (uri, 0));
    assert_eq!(parts.headers, own_headers(), "{uri}");
}

/// Where [`clients`] put their tokens.
fn clients_are_at() -> impl Iterator<Item = TokenLocation> {
    placements().into_iter().flat_map(|at| [at.clone(), at])
}

/// Both kinds of client over `network`, for every placement.
fn clients(network: &Network, pass: bool) -> Vec<Client> {
    let (fixed, source) = (AddBearer::bearer(TOKEN, HOME).unwrap(), AccessToken::new(TOKEN));
    let source = AddBearer::from_source(source.unwrap(), HOME).unwrap();
    let (fixed, source) = match pass {
        true => (fixed.allow_other_origins(), source.allow_other_origins()),
        false => (fixed, source),
    };
    let network = network.clone();
    let network = service_fn(move |request| ready(Ok::<_, Infallible>(network.answer(request))));
    let both = |at: TokenLocation| {
        let fixed = fixed.clone().with_location(at.clone()).unwrap().layer(network.clone());
        let source = source.clone().with_location(at).layer(network.clone());
        [Client::new(fixed), Client::new(source)]
    };
    placements().into_iter().flat_map(both).collect()
}

// case: orig-01
#[tokio::test]
async fn a_redirect_to_another_origin_fails_before_it_is_contacted() {
    for elsewhere in ELSEWHERE {
        let network = Network::leading_to(elsewhere);
        for client in clients(&network, false) {
            let error = start(client).await.unwrap_err();
            let error = error.downcast::<Error>().unwrap();
            assert_eq!(error.kind(), ErrorKind::ForeignOrigin, "{elsewhere}");
            assert!(!format!("{error} {error:?}").contains("page"), "{error:?}");
            let seen = network.seen();
            assert_eq!(seen.len(), 1, "{elsewhere} was contacted");
            assert_eq!(tokens_on(&seen[0]), 1);
        }
    }
}

// case: orig-01
#[tokio::test]
async fn another_origin_that_may_be_called_gets_no_credential() {
    for elsewhere in ELSEWHERE {
        let network = Network::leading_to(elsewhere);
        for client in clients(&network, true) {
            assert_eq!(start(client).await.unwrap().status(), StatusCode::OK);
            let seen = network.seen();
            assert_eq!(seen.len(), 2);
            assert_eq!(tokens_on(&seen[0]), 1);
            assert_untouched(&seen[1], elsewhere);
        }
    }
}

// case: orig-01
#[tokio::test]
async fn every_kind_of_redirect_is_checked() {
    for status in [301, 302, 303, 307, 308] {
        // An address relative to the scheme, as a proxy may write it.
        let network = Network::default().redirecting("/start", status, "//b.example/x");
        for client in clients(&network, false) {
            let error = start(client).await.unwrap_err();
            assert_eq!(
                error.to_string(),
                "the token is not for https://b.example, which is not an origin of its layer"
            );
            assert_eq!(network.seen().len(), 1);
        }
    }
}

/// From home to another host and back.
fn there_and_back() -> Network {
    let back = "https://API.example:443/end";
    Network::leading_to("https://b.example/x").redirecting("/x", 302, back)
}

// case: orig-02
#[tokio::test]
async fn on_the_way_there_and_back_only_home_gets_the_token() {
    let network = there_and_back();
    for client in clients(&network, true) {
        assert_eq!(start(client).await.unwrap().status(), StatusCode::OK);
        let seen = network.seen();
        assert_eq!(seen.iter().map(tokens_on).collect::<Vec<_>>(), [1, 0, 1]);
        assert_untouched(&seen[1], "https://b.example/x");
    }
}

// case: orig-02
#[tokio::test]
async fn a_way_that_comes_back_is_not_followed_to_the_other_host() {
    let network = there_and_back();
    for client in clients(&network, false) {
        let error = start(client).await.unwrap_err().downcast::<Error>().unwrap();
        assert_eq!(error.kind(), ErrorKind::ForeignOrigin);
        let seen = network.seen();
        assert_eq!(
            seen.iter().map(|hop| hop.uri.host().unwrap()).collect::<Vec<_>>(),
            ["api.example"]
        );
    }
}

#[tokio::test]
async fn a_client_that_has_just_sent_the_token_home_sends_none_elsewhere() {
    let network = Network::default();
    for mut client in clients(&network, true) {
        // The same clone, which still holds the token ready to be attached.
        for uri in [START, START, ELSEWHERE[0], START] {
            let request = Request::get(uri).body(Body::default()).unwrap();
            client.ready().await.unwrap().call(request).await.unwrap();
        }
        let seen = network.seen();
        assert_eq!(seen.iter().map(tokens_on).collect::<Vec<_>>(), [1, 1, 0, 1]);
    }
}

#[tokio::test]
async fn a_redirect_at_home_carries_the_token_once_on_every_hop() {
    let network = Network::leading_to("/next").redirecting("/next", 303, "end?x=1");
    for client in clients(&network, false) {
        assert_eq!(start(client).await.unwrap().status(), StatusCode::OK);
        let seen = network.seen();
        assert_eq!(seen.iter().map(tokens_on).collect::<Vec<_>>(), [1, 1, 1]);
        assert_eq!(seen[2].uri.path(), "/end");
    }
}

/// Where a server leads that takes its query along, and what is asked for there.
const COPIES: [(&str, &str); 6] = [
    ("https://b.example/x?QUERY", "https://b.example/x?page=2"),
    ("https://b.example/x?a=%2f&&QUERY&b=1+2#f", "https://b.example/x?a=%2f&&page=2&b=1+2"),
    ("http://api.example/x?QUERY", "http://api.example/x?page=2"),
    ("https://api.example:8443/x?QUERY", "https://api.example:8443/x?page=2"),
    ("https://u@b.example/x?QUERY&QUERY", "https://u@b.example/x?page=2&page=2"),
    ("//b.example/log-in?to=/start?QUERY", "https://b.example/log-in?to=/start?page=2"),
];

// case: orig-01
#[tokio::test]
async fn a_redirect_that_copies_the_query_takes_no_token_to_another_origin() {
    for (copy, asked_for) in COPIES {
        for status in [301, 302, 303, 307, 308] {
            let network = Network::default().redirecting("/start", status, copy);
            for client in clients(&network, true) {
                assert_eq!(start(client).await.unwrap().status(), StatusCode::OK);
                let seen = network.seen();
                assert_eq!((seen.len(), tokens_on(&seen[0])), (2, 1));
                assert_untouched(&seen[1], asked_for);
            }
            for client in clients(&network, false) {
                let error = start(client).await.unwrap_err().downcast::<Error>().unwrap();
                assert_eq!(error.kind(), ErrorKind::ForeignOrigin);
                assert_eq!(network.seen().len(), 1, "{copy} was contacted");
            }
        }
    }
}

// case: orig-01
#[tokio::test]
async fn a_redirect_with_the_query_inside_of_a_parameter_is_not_followed() {
    let network = Network::leading_to("https://b.example/log-in?to=%2Fstart%3FESCAPED");
    for (client, at) in clients(&network, true).into_iter().zip(clients_are_at()) {
        let answer = start(client).await;
        let seen = network.seen();
        if at != TokenLocation::Query {
            assert_eq!((answer.unwrap().status(), seen.len()), (StatusCode::OK, 2));
            continue;
        }
        let error = answer.unwrap_err().downcast::<Error>().unwrap();
        assert_eq!((error.kind(), seen.len()), (ErrorKind::ForeignOrigin, 1));
        assert_eq!(
            error.to_string(),
            "the URI to https://b.example has an access_token inside another value, which may \
             be the one that this layer attached"
        );
        assert!(!format!("{error:?}").contains(TOKEN), "{error:?}");
    }
}

// case: orig-02
#[tokio::test]
async fn a_copied_query_comes_back_home_with_one_token() {
    let network = Network::leading_to("https://b.example/x?QUERY").redirecting(
        "/x",
        302,
        "https://API.example:443/end?QUERY",
    );
    for client in clients(&network, true) {
        assert_eq!(start(client).await.unwrap().status(), StatusCode::OK);
        let seen = network.seen();
        assert_eq!(seen.iter().map(tokens_on).collect::<Vec<_>>(), [1, 0, 1]);
        assert_untouched(&seen[1], "https://b.example/x?page=2");
    }
}

/// A layer whose source has another token at each call.
fn renewing(origins: Origins) -> AddBearer<impl tower_oauth2::client::TokenSource> {
    let count = AtomicUsize::new(0);
    let next = move || ready(AccessToken::new(format!("token-{}", count.fetch_add(1, SeqCst))));
    AddBearer::from_source(next, origins).unwrap().with_location(TokenLocation::Query)
}

#[tokio::test]
async fn a_token_that_was_renewed_on_the_way_is_cut_too() {
    let network = Network::leading_to("/next?again&QUERY")
        .redirecting("/next", 302, "https://www.api.example/back")
        .redirecting("/back", 302, "https://api.example/third")
        .redirecting("/third", 302, "https://b.example/x?access%5Ftoken=token-0&QUERY");
    let origins = Origins::try_from([HOME, "https://www.api.example"]).unwrap();
    let inner = network.clone();
    let inner = service_fn(move |request| ready(Ok::<_, Infallible>(inner.answer(request))));
    let client = Client::new(renewing(origins).allow_other_origins().layer(inner));
    assert_eq!(start(client).await.unwrap().status(), StatusCode::OK);
    let uris: Vec<_> = network.seen().iter().map(|hop| hop.uri.to_string()).collect();
    assert_eq!(
        uris,
        [
            "https://api.example/start?page=2&access_token=token-0",
            "https://api.example/next?again&page=2&access_token=token-0",
            "https://www.api.example/back?access_token=token-1",
            "https://api.example/third?access_token=token-2",
            "https://b.example/x",
        ]
    );
}

#[tokio::test]
async fn two_layers_in_one_stack_do_not_cut_each_others_token() {
    let layer = |token, origin| {
        let layer =
            AddBearer::bearer(token, origin).unwrap().with_location(TokenLocation::Query).unwrap();
        layer.allow_other_origins()
    };
    let (outer, nearer) = (layer("outer", HOME), layer("inner", "https://d.example"));
    for (copy, asked_for) in COPIES {
        let network = Network::leading_to(copy);
        let inner = network.clone();
        let inner = service_fn(move |request| ready(Ok::<_, Infallible>(inner.answer(request))));
        let nearer = nearer.clone().layer(inner);
        // The redirects are followed between the two, and outside of both.
        let between = outer.clone().layer(FollowRedirectLayer::new().layer(nearer.clone()));
        let outside = outer.clone().layer(nearer);
        for client in [Client::new(between), Client::new(outside)] {
            start(client.clone()).await.unwrap();
            let request = Request::get("https://d.example/own").body(Body::default()).unwrap();
            client.oneshot(request).await.unwrap();
            let seen = network.seen();
            let uris: Vec<_> = seen.iter().map(|hop| hop.uri.to_string()).collect();
            assert_eq!(uris.len(), 3);
            assert_eq!(uris[0], "https://api.example/start?page=2&access_token=outer");
            assert_eq!(uris[1], asked_for);
            assert_eq!(uris[2], "https://d.example/own?access_token=inner");
        }
    }
}
