//! A request head, which layers of several settings read: the default one, one with all places of
//! tokens, one with the rarer places, one that takes the first token, one that lets in those who
//! have none. Input: a line for the method and the URI, then one line for each header.
#![no_main]

use bytes::Bytes;
use http::{
    HeaderMap, Method, Request, Response, StatusCode, Uri, Version, header::WWW_AUTHENTICATE,
};
use libfuzzer_sys::fuzz_target;
use std::{
    convert::Infallible,
    future::ready,
    sync::{Arc, LazyLock, Mutex},
};
use tower::{Layer, Service, service_fn};
use tower_oauth2::{
    Challenge, TokenLocation,
    server::{Authenticated, RequireToken},
};
use tower_oauth2_fuzz::{
    field, now,
    tokens::{Judge, cookies_without, is_upgrade, lists, presented, query_without},
};

struct Case {
    layer: RequireToken<Judge>,
    judge: Judge,
    locations: Vec<TokenLocation>,
    rules: Rules,
}

/// How it differs from the default.
#[derive(Clone, Copy, Default)]
struct Rules {
    query_on_any_method: bool,
    cross_site: bool,
    first_wins: bool,
    full_removal: bool,
    anonymous: bool,
}

static CASES: LazyLock<[Case; 5]> = LazyLock::new(|| {
    let header = |name| TokenLocation::header(name).unwrap();
    let cookie = || TokenLocation::cookie("at").unwrap();
    let all = [
        TokenLocation::Bearer,
        TokenLocation::Query,
        TokenLocation::BasicUserName,
        header("x-api-key"),
        cookie(),
        TokenLocation::websocket_protocol("b64.").unwrap(),
        TokenLocation::websocket_protocol_pair("bearer").unwrap(),
    ];
    let rare = [
        TokenLocation::header_with_scheme("authorization", "Token").unwrap(),
        TokenLocation::header_with_scheme("x-auth", "Key").unwrap(),
        TokenLocation::basic_password("x-access-token").unwrap(),
        TokenLocation::query_parameter("token").unwrap(),
        cookie(),
    ];
    let rules = Rules::default();
    [
        case(None, rules, |layer| layer),
        case(Some(&all), rules, |layer| layer),
        case(
            Some(&rare),
            Rules { query_on_any_method: true, cross_site: true, full_removal: true, ..rules },
            |layer| {
                let layer = layer.allow_query_on_any_method().with_full_token_removal();
                layer.dangerous_allow_cross_site_requests()
            },
        ),
        case(Some(&all), Rules { first_wins: true, full_removal: true, ..rules }, |layer| {
            layer.dangerous_first_token_wins().with_full_token_removal()
        }),
        case(Some(&all), Rules { anonymous: true, ..rules }, RequireToken::allow_anonymous),
    ]
});

fn case(
    locations: Option<&[TokenLocation]>,
    rules: Rules,
    settings: impl Fn(RequireToken<Judge>) -> RequireToken<Judge>,
) -> Case {
    let judge = Judge::default();
    let mut layer = RequireToken::new("api", judge.clone()).unwrap();
    if let Some(locations) = locations {
        layer = layer.with_locations(locations.to_vec()).unwrap();
    }
    let locations = locations.unwrap_or(&[TokenLocation::Bearer]).to_vec();
    Case { layer: settings(layer), judge, locations, rules }
}

fuzz_target!(|input: &[u8]| {
    let Some(request) = head(input) else { return };
    for case in &*CASES {
        case.check(&request);
    }
});

impl Case {
    fn check(&self, request: &Request<()>) {
        let seen = Arc::new(Mutex::new(None));
        let inner = {
            let seen = seen.clone();
            service_fn(move |request: Request<()>| {
                *seen.lock().unwrap() = Some(request);
                ready(Ok::<_, Infallible>(Response::new(String::new())))
            })
        };
        let response = now(self.layer.layer(inner).call(request.clone())).unwrap();
        let judged = self.judge.take();
        let passed = seen.lock().unwrap().take();
        let Some(passed) = passed else { return refused(request, &response) };
        assert_eq!(response.status(), StatusCode::OK);
        match passed.extensions().get::<Authenticated>() {
            Some(authenticated) => {
                let token = judged.expect("it was judged");
                self.check_admitted(request, &token, authenticated.location());
                self.check_removed(request, &passed, authenticated.location());
            }
            None => {
                assert!(self.rules.anonymous && self.presented(request).is_empty());
                assert_eq!(request.headers(), passed.headers());
            }
        }
    }

    fn is_query_read(&self, request: &Request<()>) -> bool {
        let readers = [Method::GET, Method::HEAD, Method::CONNECT];
        self.rules.query_on_any_method || readers.contains(request.method())
    }

    fn presented(&self, request: &Request<()>) -> Vec<String> {
        let is_query_read = self.is_query_read(request);
        let all = self.locations.iter();
        all.flat_map(|location| presented(request, location, is_query_read)).collect()
    }

    /// It was the only token, a good one, and not sent by a page of somebody else.
    fn check_admitted(&self, request: &Request<()>, token: &str, location: &TokenLocation) {
        assert!(token.starts_with('t'));
        let presented = self.presented(request);
        match self.rules.first_wins {
            true => assert!(presented.iter().any(|own| own == token)),
            false => assert_eq!(presented, [token], "there is one token"),
        }
        if !self.rules.first_wins {
            let headers = request.headers();
            assert!(headers.get_all("authorization").iter().count() <= 1 || !self.reads_it());
            let value = headers.get("authorization").map_or(&b""[..], |value| value.as_bytes());
            let scheme = value.trim_ascii_start().get(..5).unwrap_or_default();
            assert!(!scheme.eq_ignore_ascii_case(b"DPoP "), "a token with a proof comes first");
        }
        let is_ambient = matches!(
            location,
            TokenLocation::Cookie(_)
                | TokenLocation::BasicUserName
                | TokenLocation::BasicPassword(_)
        );
        assert!(!is_ambient || self.rules.cross_site || !is_clearly_cross_site(request));
    }

    fn reads_it(&self) -> bool {
        let own = |location: &TokenLocation| match location {
            TokenLocation::Header(header) => header.name() == "authorization",
            location => matches!(
                location,
                TokenLocation::Bearer
                    | TokenLocation::BasicUserName
                    | TokenLocation::BasicPassword(_)
            ),
        };
        self.locations.iter().any(own)
    }

    /// The token is no longer where logs and other services see it, and nothing else is lost.
    fn check_removed(&self, before: &Request<()>, after: &Request<()>, location: &TokenLocation) {
        let query = |request: &Request<()>| request.uri().query().unwrap_or_default().to_owned();
        let mut kept = query(before);
        for location in &self.locations {
            match location {
                TokenLocation::Query => kept = query_without(&kept, "access_token"),
                TokenLocation::QueryParameter(name) => kept = query_without(&kept, name.as_str()),
                _ => {}
            }
        }
        assert_eq!(query(after).trim_matches('&'), kept.trim_matches('&'));
        let full = self.rules.full_removal;
        let is_cookie = full && matches!(location, TokenLocation::Cookie(_));
        if is_cookie {
            let name = "at";
            assert_eq!(all_cookies(after.headers()), cookies_without(before.headers(), name));
        }
        if self.rules.first_wins {
            for location in &self.locations {
                let own = presented(after, location, true);
                assert!(own.iter().all(|token| !token.starts_with("tok")), "{location:?}");
            }
        }
        let mut names: Vec<&str> = vec!["sec-websocket-protocol"];
        if full {
            names.extend(["cookie", "authorization", "x-api-key", "x-auth"]);
        }
        assert_eq!(without(before.headers(), &names), without(after.headers(), &names));
    }
}

fn all_cookies(headers: &HeaderMap) -> Vec<Vec<u8>> {
    cookies_without(headers, "=")
}

fn without(headers: &HeaderMap, names: &[&str]) -> HeaderMap {
    let mut headers = headers.clone();
    for name in names {
        headers.remove(*name);
    }
    headers
}

fn is_clearly_cross_site(request: &Request<()>) -> bool {
    let headers = request.headers();
    let own = request.uri().authority().map(|own| own.as_str().as_bytes().to_vec());
    let host = headers.get("host").map(|host| host.as_bytes().to_vec());
    let is_evil = |bytes: &[u8]| bytes.windows(4).any(|window| window == b"evil");
    let upgrades = request.method() == Method::CONNECT
        || lists(headers, "upgrade", "websocket")
        || is_upgrade(request);
    let is_safe = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    if is_safe && !upgrades {
        return false;
    }
    let mut sites = headers.get_all("sec-fetch-site").iter();
    let site = sites.any(|site| site.as_bytes().eq_ignore_ascii_case(b"cross-site"));
    let mut origins = headers.get_all("origin").iter();
    let origin = origins.any(|origin| is_evil(origin.as_bytes()));
    let trusts_origin = !upgrades && headers.contains_key("sec-fetch-site");
    site || (origin && !trusts_origin && !own.or(host).is_some_and(|own| is_evil(&own)))
}

fn refused(request: &Request<()>, response: &Response<String>) {
    let grpc = response.headers().contains_key("grpc-status");
    let is_post = request.method() == Method::POST;
    assert!((grpc && is_post) || response.status().is_client_error());
    for value in response.headers().get_all(WWW_AUTHENTICATE) {
        let read = Challenge::parse(value.as_bytes()).expect("what we write can be read");
        assert_eq!(read.len(), 1);
    }
}

fn head(input: &[u8]) -> Option<Request<()>> {
    let mut lines = input.split(|byte| *byte == b'\n');
    let first = lines.next()?;
    let (method, uri) = first.split_at(first.iter().position(|byte| *byte == b' ')?);
    let uri = Uri::from_maybe_shared(Bytes::copy_from_slice(uri.get(1..)?)).ok()?;
    let request = Request::builder().method(method).uri(uri).version(Version::HTTP_2);
    let mut request = request.body(()).ok()?;
    for (name, value) in lines.take(64).filter_map(field) {
        request.headers_mut().append(name, value);
    }
    Some(request)
}
