//! Where a token rides, and which origins it goes to: the same with a fixed token, one of the
//! user's source, and one that is fetched.

use crate::resource::{AnswerBody, BoxError, HOME, Issuer, Resource, Seen, body_of};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode, Uri,
    header::{AUTHORIZATION, CACHE_CONTROL, LOCATION},
};
use http_body_util::Full;
use tower::{Layer, Service, ServiceExt, util::BoxCloneService};
use tower_http::follow_redirect::FollowRedirectLayer;
use tower_oauth2::{
    AccessToken, Origin, TokenLocation,
    client::{AddBearer, ClientCredentialsRefresh, Error, ErrorKind, Origins},
    testing::ManualClock,
};

/// A token that changes when it is escaped for a query.
const TOKEN: &str = "a+/b==";
const ESCAPED: &str = "a%2B%2Fb%3D%3D";

type Text = Full<Bytes>;
type Client = BoxCloneService<Request<Text>, Response<AnswerBody>, BoxError>;

/// What the layers are told.
#[derive(Clone)]
struct Setup {
    origins: Origins,
    at: TokenLocation,
    overwrite: bool,
    pass: bool,
}

impl Setup {
    fn at(at: TokenLocation) -> Self {
        let origins = Origins::try_from(HOME).unwrap();
        Self { origins, at, overwrite: false, pass: false }
    }

    fn for_origins(origins: Origins, pass: bool) -> Self {
        Self { origins, at: TokenLocation::Bearer, overwrite: false, pass }
    }

    /// A client of each kind.
    fn clients(&self, resource: &Resource) -> [Client; 3] {
        let Self { origins, at, .. } = self.clone();
        let source = AccessToken::new(TOKEN).unwrap();
        let mut fixed =
            AddBearer::bearer(TOKEN, origins.clone()).unwrap().with_location(at.clone()).unwrap();
        let mut source =
            AddBearer::from_source(source, origins.clone()).unwrap().with_location(at.clone());
        let endpoint = Issuer::of([TOKEN]).endpoint();
        let mut fetched =
            ClientCredentialsRefresh::new(endpoint, origins).unwrap().with_location(at);
        fetched = fetched.with_clock(ManualClock::new().clock());
        if self.overwrite {
            fixed = fixed.allow_credential_overwrite();
            source = source.allow_credential_overwrite();
            fetched = fetched.allow_credential_overwrite();
        }
        if self.pass {
            fixed = fixed.allow_other_origins();
            source = source.allow_other_origins();
            fetched = fetched.allow_other_origins();
        }
        [
            Client::new(fixed.layer(resource.clone())),
            Client::new(source.layer(resource.clone())),
            Client::new(fetched.layer(resource.clone())),
        ]
    }

    /// What the resource gets of each client's calls to `uri` with `headers`: of the first, and of
    /// those that find the token prepared.
    async fn sends(&self, uri: &str, headers: &HeaderMap) -> Vec<Result<Seen, Error>> {
        // It answers everybody alike.
        let resource = Resource::accepting([""]);
        let mut all = Vec::new();
        for mut client in self.clients(&resource) {
            for _ in 0..3 {
                let mut request = Request::get(uri).body(Text::default()).unwrap();
                *request.headers_mut() = headers.clone();
                let answer = client.ready().await.unwrap().call(request).await;
                let seen = resource.seen();
                assert_eq!(seen.len(), usize::from(answer.is_ok()), "what fails is not sent");
                let error = answer.err().map(|error| *error.downcast::<Error>().unwrap());
                all.push(error.map_or_else(|| Ok(seen.into_iter().next().unwrap()), Err));
            }
        }
        assert_eq!(all.len(), 9);
        all
    }

    /// As [`sends`](Self::sends), where every call arrives.
    async fn heads(&self, uri: &str, headers: &HeaderMap) -> Vec<(Uri, HeaderMap)> {
        let all = self.sends(uri, headers).await.into_iter();
        all.map(|seen| seen.map(|seen| (seen.head.uri, seen.head.headers)).unwrap()).collect()
    }
}

fn headers<const N: usize>(pairs: [(&'static str, &'static str); N]) -> HeaderMap {
    let pairs = pairs.map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name: http::HeaderName = name;
        headers.append(name, value);
    }
    headers
}

fn values<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

fn placements() -> [TokenLocation; 5] {
    [
        TokenLocation::Bearer,
        TokenLocation::header("x-api-key").unwrap(),
        TokenLocation::header_with_scheme("authorization", "Token").unwrap(),
        TokenLocation::Query,
        TokenLocation::BasicUserName,
    ]
}

// case: place-01
#[tokio::test]
async fn a_request_gets_exactly_one_sensitive_authorization() {
    let own = headers([("accept", "text/plain"), ("x-own", "1"), ("x-own", "2")]);
    for (uri, sent) in Setup::at(TokenLocation::Bearer).heads(HOME, &own).await {
        assert_eq!(uri, HOME);
        assert_eq!(values(&sent, "authorization"), [format!("Bearer {TOKEN}")]);
        assert!(sent[AUTHORIZATION].is_sensitive());
        assert_eq!(format!("{:?}", sent[AUTHORIZATION]), "Sensitive");
        assert_eq!(
            (values(&sent, "accept"), values(&sent, "x-own")),
            (vec!["text/plain"], vec!["1", "2"])
        );
        assert_eq!(sent.len(), 4);
    }
}

// case: place-02
#[tokio::test]
async fn a_credential_is_kept_by_default_and_replaced_when_asked() {
    let basic = "Basic YSsvYj09Og==";
    let cases = [
        (TokenLocation::Bearer, "authorization", format!("Bearer {TOKEN}")),
        (TokenLocation::BasicUserName, "authorization", basic.to_owned()),
        (TokenLocation::header("x-api-key").unwrap(), "x-api-key", TOKEN.to_owned()),
    ];
    for (at, name, token) in cases {
        let mut setup = Setup::at(at);
        for own in [&["Bearer own"][..], &["Basic b3duOg==", "Bearer own"], &[""]] {
            let mut there = headers([("accept", "text/plain")]);
            for own in own {
                there.append(name, HeaderValue::from_static(own));
            }
            setup.overwrite = false;
            for (uri, sent) in setup.heads(HOME, &there).await {
                assert_eq!((uri, &sent), (Uri::from_static(HOME), &there));
            }
            setup.overwrite = true;
            for (_, sent) in setup.heads(HOME, &there).await {
                assert_eq!((values(&sent, name), sent.len()), (vec![token.as_str()], 2));
            }
        }
    }
}

// case: place-02
#[tokio::test]
async fn a_credential_that_goes_elsewhere_counts_for_the_query_too() {
    let mut setup = Setup::at(TokenLocation::Query);
    let own = headers([("authorization", "Bearer own")]);
    for uri in [HOME.to_owned() + "/?x=1", HOME.to_owned() + "/?access_token=own&x=1"] {
        setup.overwrite = false;
        for (sent, headers) in setup.heads(&uri, &own).await {
            assert_eq!((sent.to_string(), &headers), (uri.clone(), &own));
        }
        setup.overwrite = true;
        for (sent, headers) in setup.heads(&uri, &own).await {
            assert_eq!(sent.to_string(), format!("{HOME}/?x=1&access_token={ESCAPED}"));
            assert_eq!(values(&headers, "authorization").len(), 0);
        }
    }
}

// case: place-02
#[tokio::test]
async fn a_credential_in_the_query_counts_for_the_header_too() {
    let scheme = TokenLocation::header_with_scheme("authorization", "Token").unwrap();
    let basic = "Basic YSsvYj09Og==".to_owned();
    for (at, token) in [
        (TokenLocation::Bearer, format!("Bearer {TOKEN}")),
        (TokenLocation::BasicUserName, basic),
        (scheme, format!("Token {TOKEN}")),
    ] {
        let mut setup = Setup::at(at);
        for own in [headers([]), headers([("authorization", "Bearer own")])] {
            for (query, rest) in [
                ("?access_token=own", ""),
                ("?x=1&access%5Ftoken=own&y=%2f", "?x=1&y=%2f"),
                ("?access_token", ""),
            ] {
                let uri = format!("{HOME}/{query}");
                setup.overwrite = false;
                for (sent, headers) in setup.heads(&uri, &own).await {
                    assert_eq!((sent.to_string(), &headers), (uri.clone(), &own));
                }
                setup.overwrite = true;
                for (sent, headers) in setup.heads(&uri, &own).await {
                    assert_eq!(sent.to_string(), format!("{HOME}/{rest}"));
                    assert_eq!(values(&headers, "authorization"), [token.as_str()]);
                }
            }
            setup.overwrite = true;
            for (sent, _) in setup.heads(&format!("{HOME}/?q=access_token&"), &own).await {
                assert_eq!(sent.to_string(), format!("{HOME}/?q=access_token&"));
            }
        }
    }
    // Another header says nothing of how a token rides.
    let key = Setup::at(TokenLocation::header("x-api-key").unwrap());
    for (_, headers) in key.heads(&format!("{HOME}/?access_token=own"), &HeaderMap::new()).await {
        assert_eq!(values(&headers, "x-api-key"), [TOKEN]);
    }
}

// case: place-03
#[tokio::test]
async fn the_query_keeps_every_byte_and_gets_the_token_escaped() {
    let setup = Setup::at(TokenLocation::Query);
    for (path, separator) in [
        ("/p?sig=a%2Fb&x=1+2", "&"),
        ("/p", "?"),
        ("/p?", ""),
        ("/p?a=%2f%2F&&b&=c&", "&"),
        ("/p/%C3%A6?q=%zz", "&"),
    ] {
        let uri = format!("{HOME}{path}");
        for (sent, headers) in setup.heads(&uri, &HeaderMap::new()).await {
            assert_eq!(sent.to_string(), format!("{uri}{separator}access_token={ESCAPED}"));
            assert_eq!(values(&headers, "authorization").len(), 0);
        }
    }
}

// case: place-06
#[tokio::test]
async fn a_token_in_the_query_forbids_storing_unless_the_caller_said_something() {
    let setup = Setup::at(TokenLocation::Query);
    for (_, sent) in setup.heads(HOME, &HeaderMap::new()).await {
        assert_eq!(values(&sent, "cache-control"), ["no-store"]);
    }
    let own = headers([("cache-control", "max-age=0"), ("cache-control", "no-transform")]);
    for (_, sent) in setup.heads(HOME, &own).await {
        assert_eq!(sent, own);
    }
    for at in placements().into_iter().filter(|at| *at != TokenLocation::Query) {
        for (_, sent) in Setup::at(at).heads(HOME, &HeaderMap::new()).await {
            assert!(!sent.contains_key(CACHE_CONTROL), "only the query needs it");
        }
    }
}

// case: place-09
#[test]
fn a_fixed_token_with_an_illegal_byte_is_an_error_of_the_constructor() {
    let long = "x".repeat(16 * 1024 + 1);
    for bad in
        ["", " ", "two words", "line\n", "line\r\nx: y", "nul\0", "caf\u{e9}", "\u{7f}", &long]
    {
        let error = AddBearer::bearer(bad, HOME).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(bad.trim().is_empty() || !text.contains(bad), "{text}");
        assert!(AccessToken::new(bad).is_err());
    }
    let colon = AddBearer::bearer("a:b", HOME).unwrap();
    let error = colon.with_location(TokenLocation::BasicUserName).unwrap_err();
    assert!(error.to_string().contains("colon"), "{error}");
}

// case: orig-03
#[test]
fn an_origin_that_was_read_before_is_not_plain_http_to_another_machine_either() {
    let origin = |text: &str| text.parse::<Origin>().unwrap();
    let plain = "http://api.example";
    let error = AddBearer::bearer(TOKEN, origin(plain)).unwrap_err();
    assert_eq!(error.to_string(), AddBearer::bearer(TOKEN, plain).unwrap_err().to_string());
    let endpoint = || Issuer::of([TOKEN]).endpoint();
    assert!(ClientCredentialsRefresh::new(endpoint(), origin(plain)).is_err());
    for safe in [HOME, "http://127.0.0.1:8080"] {
        assert!(AddBearer::bearer(TOKEN, origin(safe)).is_ok(), "{safe}");
        assert!(ClientCredentialsRefresh::new(endpoint(), origin(safe)).is_ok(), "{safe}");
    }
    let allowed = Origins::allow_plain_http([plain]).unwrap();
    assert!(AddBearer::bearer(TOKEN, allowed).is_ok());
}

// case: orig-03
#[tokio::test]
async fn any_https_origin_is_never_plain_http_to_another_machine() {
    let any = Origins::dangerous_any_https_origin();
    for at in placements() {
        let refusing = Setup { at, ..Setup::for_origins(any.clone(), false) };
        let passing = Setup { pass: true, ..refusing.clone() };
        let plain = "http://api.example.com/x";
        for sent in refusing.sends(plain, &HeaderMap::new()).await {
            let error = sent.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ForeignOrigin);
            assert_eq!(
                error.to_string(),
                "the token is not for http://api.example.com, which is not an origin of its layer"
            );
        }
        for (uri, sent) in passing.heads(plain, &HeaderMap::new()).await {
            assert_eq!((uri, sent.len()), (Uri::from_static(plain), 0));
        }
        for safe in ["https://api.example.com/x", "https://b.example/x", "http://127.0.0.1:8080/x"]
        {
            for (uri, sent) in refusing.heads(safe, &HeaderMap::new()).await {
                assert!(uri.query().is_some() || sent.len() == 1, "{safe}");
            }
        }
    }
}

// case: orig-04
#[tokio::test]
async fn an_origin_is_scheme_host_and_port() {
    let listed = Origins::try_from("https://api.example.com").unwrap();
    let (refusing, passing) =
        (Setup::for_origins(listed.clone(), false), Setup::for_origins(listed, true));
    for (other, name) in [
        ("https://api.example.com:8443/x", "https://api.example.com:8443"),
        ("http://api.example.com/x", "http://api.example.com"),
        ("http://api.example.com:443/x", "http://api.example.com:443"),
        ("https://api.example.com.b.example/x", "https://api.example.com.b.example"),
    ] {
        for sent in refusing.sends(other, &HeaderMap::new()).await {
            let error = sent.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ForeignOrigin);
            let said = format!("the token is not for {name}, which is not an origin of its layer");
            assert_eq!(error.to_string(), said);
        }
        for (uri, sent) in passing.heads(other, &HeaderMap::new()).await {
            assert_eq!((uri.to_string(), sent.len()), (other.to_owned(), 0));
        }
    }
    for same in ["https://api.example.com:443/x", "https://API.example.com/x", "/x"] {
        for (uri, sent) in refusing.heads(same, &HeaderMap::new()).await {
            assert_eq!(uri.to_string(), Uri::from_static(same).to_string());
            assert_eq!(values(&sent, "authorization"), [format!("Bearer {TOKEN}")]);
        }
    }
}

/// A resource that sends everybody on: from home to another host, and back where it is to.
fn redirecting(back: bool) -> Resource {
    let hops = std::sync::Mutex::new(0);
    Resource::accepting(["nobody"]).refusing_with(move || {
        let mut hops = hops.lock().unwrap();
        let mut response = Response::new(body_of("moved"));
        let to = match *hops {
            0 => "https://b.example/x",
            1 if back => "https://API.example:443/end",
            _ => return response,
        };
        *hops += 1;
        *response.status_mut() = StatusCode::FOUND;
        response.headers_mut().insert(LOCATION, HeaderValue::from_static(to));
        response
    })
}

/// The hosts that a fetched token's client calls when it follows `resource`, and which of them
/// got the token in any form.
async fn hosts(setup: &Setup, back: bool) -> (Result<StatusCode, ErrorKind>, Vec<(String, bool)>) {
    let resource = redirecting(back);
    let [_, _, fetched] = setup.clients(&resource);
    let request = Request::get(format!("{HOME}/start")).body(Text::default()).unwrap();
    let answer = FollowRedirectLayer::new().layer(fetched).oneshot(request).await;
    let answer = answer.map(|answer| answer.status());
    let answer = answer.map_err(|error| error.downcast::<Error>().unwrap().kind());
    let hop = |seen: Seen| {
        let credential = !seen.head.headers.is_empty() || seen.head.uri.query().is_some();
        (seen.head.uri.host().unwrap().to_ascii_lowercase(), credential)
    };
    (answer, resource.seen().into_iter().map(hop).collect())
}

fn home() -> (String, bool) {
    ("api.example".to_owned(), true)
}

fn elsewhere() -> (String, bool) {
    ("b.example".to_owned(), false)
}

// case: orig-01
#[tokio::test]
async fn a_fetched_token_is_not_redirected_to_another_host() {
    for at in placements() {
        let mut setup = Setup::at(at);
        let refused = (Err(ErrorKind::ForeignOrigin), vec![home()]);
        assert_eq!(hosts(&setup, false).await, refused);
        setup.pass = true;
        assert_eq!(hosts(&setup, false).await, (Ok(StatusCode::OK), vec![home(), elsewhere()]));
    }
}

// case: orig-02
#[tokio::test]
async fn a_fetched_token_is_home_again_when_the_way_leads_back() {
    for at in placements() {
        let mut setup = Setup::at(at);
        let refused = (Err(ErrorKind::ForeignOrigin), vec![home()]);
        assert_eq!(hosts(&setup, true).await, refused);
        setup.pass = true;
        let all = vec![home(), elsewhere(), home()];
        assert_eq!(hosts(&setup, true).await, (Ok(StatusCode::OK), all));
    }
}

#[tokio::test]
async fn an_access_token_to_another_origin_is_cut_out_of_the_query_and_no_other_byte() {
    let setup = Setup { pass: true, ..Setup::at(TokenLocation::Query) };
    for (asked, sent) in [
        ("?access_token=a%2B%2Fb%3D%3D", ""),
        ("?access_token", ""),
        ("?access_token=own", ""),
        ("?a=%2f%2F&access_token=T&&b=1+2&=c&", "?a=%2f%2F&&b=1+2&=c&"),
        ("?access%5ftoken=T&%61ccess_%74oken=T&access_token=T&x", "?x"),
        (
            "?q=access_token&xaccess_token&access_token2=",
            "?q=access_token&xaccess_token&access_token2=",
        ),
        ("?sig=%zz&access_token=%zz", "?sig=%zz"),
        ("?", "?"),
    ] {
        let other = "https://u:p@b.example/p/%C3%A6;v=1";
        let own = headers([("accept", "text/plain"), ("authorization", "Bearer own")]);
        for (uri, heads) in setup.heads(&format!("{other}{asked}"), &own).await {
            assert_eq!((uri.to_string(), &heads), (format!("{other}{sent}"), &own));
        }
    }
}

#[tokio::test]
async fn an_access_token_inside_of_another_value_is_not_sent_to_another_origin() {
    let setup = Setup { pass: true, ..Setup::at(TokenLocation::Query) };
    for inside in [
        "?to=/x?access_token=T",
        "?to=%2Fx%3Faccess_token%3DT",
        "?to=%2Fx%3Faccess_token%3dT&access_token=T",
        "?to=%252Fx%253Faccess%25255Ftoken%25253DT",
        "?x;access_token=T",
        "go/https://api.example/x%3Faccess_token=T",
    ] {
        for sent in setup.sends(&format!("https://b.example/{inside}"), &HeaderMap::new()).await {
            let error = sent.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ForeignOrigin, "{inside}");
            assert!(!error.to_string().contains("=T"), "{error}");
        }
        // At home it is the caller's affair.
        assert_eq!(setup.heads(&format!("{HOME}/{inside}"), &HeaderMap::new()).await.len(), 9);
    }
}

#[tokio::test]
async fn where_the_token_is_in_a_header_the_callers_query_goes_elsewhere_as_it_is() {
    for at in placements().into_iter().filter(|at| *at != TokenLocation::Query) {
        let setup = Setup { pass: true, ..Setup::at(at) };
        let other = "https://b.example/x?access_token=own&to=%3Faccess_token%3Down";
        for (uri, sent) in setup.heads(other, &HeaderMap::new()).await {
            assert_eq!((uri.to_string().as_str(), sent.len()), (other, 0));
        }
    }
}
