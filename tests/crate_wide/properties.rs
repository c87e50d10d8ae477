//! What holds for every request and every challenge, whatever is in them. The fuzz targets check
//! the same for longer.

use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use proptest::prelude::*;
use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};
use tower::{Layer, Service, service_fn};
use tower_oauth2::{
    Answer, Challenge, RequestHead, TokenLocation,
    server::{Authenticated, RequireToken},
    validate::{Principal, Rejection, ValidateToken, Validated, Verdict},
};

/// Finds tokens that begin with `t` good, and remembers what it was given.
#[derive(Clone, Default)]
struct Judge {
    given: Arc<Mutex<Vec<String>>>,
}

impl ValidateToken for Judge {
    type Claims = ();
    type Future = Ready<Verdict<()>>;

    fn validate(&self, token: &str, _: RequestHead<'_>) -> Answer<Self::Future> {
        self.given.lock().unwrap().push(token.to_owned());
        Answer::Ready(match token.starts_with('t') {
            true => Ok(Arc::new(Validated::from(Principal::new("alice")))),
            false => Err(Rejection::invalid(format!("hostile\r\n\"{token}\"\u{e9}"))),
        })
    }
}

fn every_source() -> Vec<TokenLocation> {
    vec![
        TokenLocation::Bearer,
        TokenLocation::Query,
        TokenLocation::BasicUserName,
        TokenLocation::header("x-api-key").unwrap(),
        TokenLocation::cookie("at").unwrap(),
        TokenLocation::websocket_protocol("b64.").unwrap(),
    ]
}

/// The answer, and the request that the inner service got.
fn answer(judge: &Judge, request: Request<()>) -> (Response<String>, Option<Request<()>>) {
    let seen = Arc::new(Mutex::new(None));
    let inner = {
        let seen = seen.clone();
        service_fn(move |request: Request<()>| {
            *seen.lock().unwrap() = Some(request);
            ready(Ok::<_, Infallible>(Response::new(String::new())))
        })
    };
    let layer = RequireToken::new("api", judge.clone()).unwrap();
    let mut service = layer.with_locations(every_source()).unwrap().layer(inner);
    let mut call = pin!(service.call(request));
    let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(Ok(response)) = polled else { panic!("nothing has to be waited for") };
    let seen = seen.lock().unwrap().take();
    (response, seen)
}

/// Header values near what is read, and anything else.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let near = "(Bearer|bearer|Basic|DPoP|Token)?[ \t,:=]{0,3}[tab=.+/-]{0,12}[ \t,\"]{0,2}";
    prop_oneof![near.prop_map(String::into_bytes), any::<Vec<u8>>()]
}

fn headers() -> impl Strategy<Value = Vec<(&'static str, Vec<u8>)>> {
    let cookie = "(at|a|b)=[ta\"; =]{0,6}; ?(at=t)?".prop_map(String::into_bytes);
    let one = prop_oneof![
        value().prop_map(|value| ("authorization", value)),
        value().prop_map(|value| ("x-api-key", value)),
        cookie.prop_map(|value| ("cookie", value)),
        "(b64\\.dA|b64\\.|chat)(, ?chat)?".prop_map(|v| ("sec-websocket-protocol", v.into_bytes())),
        Just(("connection", b"Upgrade".to_vec())),
        Just(("upgrade", b"websocket".to_vec())),
        Just(("content-type", b"application/grpc".to_vec())),
    ];
    prop::collection::vec(one, 0..5)
}

fn query() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[?]((access_token|access%5Ftoken|a)?=?[ta%2B+&]{0,4}&?){0,4}",]
}

fn request(
    (get, http_2): (bool, bool),
    query: &str,
    headers: Vec<(&'static str, Vec<u8>)>,
) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = if get { Method::GET } else { Method::POST };
    *request.version_mut() = if http_2 { Version::HTTP_2 } else { Version::HTTP_11 };
    *request.uri_mut() = format!("/r{query}").parse().unwrap();
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            request.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    request
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_request_is_let_through_with_claims_or_refused_with_a_readable_challenge(
        start: (bool, bool),
        query in query(),
        headers in headers(),
    ) {
        let judge = Judge::default();
        let before = request(start, &query, headers.clone());
        let (response, seen) = answer(&judge, request(start, &query, headers));
        let given = judge.given.lock().unwrap().clone();
        prop_assert!(given.len() <= 1, "asked twice: {given:?}");
        for token in &given {
            let body = token.trim_end_matches('=');
            prop_assert!(!body.is_empty());
            prop_assert!(body.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b)));
        }
        match seen {
            Some(after) => {
                let authenticated = after.extensions().get::<Authenticated>().unwrap();
                let from_query = *authenticated.location() == TokenLocation::Query;
                prop_assert!(!from_query || after.uri() != before.uri());
                let left = after.uri().query().unwrap_or_default();
                let mut names = form_urlencoded::parse(left.as_bytes()).map(|(name, _)| name);
                prop_assert!(names.all(|name| name != "access_token"), "{left}");
                prop_assert!(left.len() <= before.uri().query().unwrap_or_default().len());
            }
            None => {
                let grpc = response.headers().contains_key("grpc-status");
                let may_be_grpc = before.method() == Method::POST
                    && before.version() == Version::HTTP_2
                    && before.headers().get_all(header::CONTENT_TYPE).iter().count() == 1;
                prop_assert_eq!(grpc, may_be_grpc);
                prop_assert_eq!(response.status() == StatusCode::OK, grpc);
                prop_assert!(response.extensions().get::<Rejection>().is_some());
                for value in response.headers().get_all(header::WWW_AUTHENTICATE) {
                    let read = Challenge::parse(value.as_bytes()).unwrap();
                    prop_assert_eq!(read.len(), 1);
                    let text = value.to_str().unwrap();
                    prop_assert!(text.bytes().all(|b| matches!(b, b' '..=b'~')), "{text}");
                }
            }
        }
    }
}
