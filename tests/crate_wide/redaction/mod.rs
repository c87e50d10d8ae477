//! No secret shows in the `Debug` of any public type, in any error's text, or in a URI that is
//! handed on.

mod bound;
mod jose;
mod keys;
mod revocation;
mod server_layers;
mod token_engine;

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE},
};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri, Version, header::AUTHORIZATION};
use http_body_util::{BodyExt, Full};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::{
    collections::BTreeSet,
    convert::Infallible,
    error::Error,
    fmt::{self, Debug},
    fs, future, io,
    path::Path,
    sync::{Arc, LazyLock, Mutex},
    task::{Context, Poll},
    time::Duration,
};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_oauth2::{
    AccessToken, Answer, Challenge, ClientAuthentication, ClientSecret, Clock, ConfigError,
    NotConnected, Origin, RequestHead, Scope, ScopeSet, TokenLocation, Transport,
    TransportErrorKind,
    client::{
        self, AddBearer,
        ErrorKind::{ForeignOrigin, Placement, Source},
        FromRequest, Origins, TokenSource,
    },
    server::{Authenticated, RequireScope, RequireToken},
    testing::{AuthorizationServer, ManualClock, Quirk, RegisteredClient},
    validate::{
        Cached, Introspection, Principal, Rejection, StaticTokens, ValidateToken, Validated,
    },
};

type BoxError = Box<dyn Error + Send + Sync>;
type Body = Full<Bytes>;

/// A token with every special character that one can have, so that each encoding changes it.
const SECRET: &str = "s3cr3t+T0ken/W1th.Ev3ry~Ch4r-And_More==";

/// Fewer characters of the secret than this may show.
const NOTICED: usize = 10;

/// What gives the secret away: every run of [`NOTICED`] characters of one of its forms, in lower
/// case as percent escapes may be.
static NEEDLES: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let runs = |form: String| {
        let form = form.to_ascii_lowercase();
        let runs = form.as_bytes().windows(NOTICED).map(|run| String::from_utf8_lossy(run).into());
        runs.collect::<Vec<String>>()
    };
    forms().into_iter().flat_map(runs).collect()
});

/// The secret raw, percent-encoded, in base64 and as a list of bytes.
fn forms() -> Vec<String> {
    let bytes: Vec<String> = SECRET.bytes().map(|byte| byte.to_string()).collect();
    let mut forms = vec![SECRET.to_owned(), percent_encoded(), bytes.join(",")];
    for base64 in [BASE64_STANDARD, BASE64_URL_SAFE] {
        // In `user:SECRET` the place of the secret decides how it is encoded; what its
        // neighbours have a share in is left out.
        for (before, shared) in [("", 0), ("x", 2), ("xx", 3)] {
            let mut form = base64.encode(format!("{before}{SECRET}"));
            form.truncate((before.len() + SECRET.len()) / 3 * 4);
            forms.push(form.split_off(shared));
        }
    }
    forms
}

fn percent_encoded() -> String {
    utf8_percent_encode(SECRET, NON_ALPHANUMERIC).to_string()
}

/// The first run of the secret that shows in `text`, however it is spaced.
fn leak(text: &str) -> Option<&'static str> {
    let closed: String = text.to_ascii_lowercase().split_whitespace().collect();
    NEEDLES.iter().find(|needle| closed.contains(needle.as_str())).map(String::as_str)
}

fn assert_clean_text(name: &str, text: &str) {
    if let Some(leaked) = leak(text) {
        panic!("{name} shows the secret, {leaked:?} of it: {text}");
    }
}

/// `value`, of the public type `name`, does not print the secret.
fn assert_clean(name: &str, value: &dyn Debug) {
    assert_clean_text(name, &format!("{value:?}"));
    assert_clean_text(name, &format!("{value:#?}"));
}

/// Neither `error` nor anything below it prints the secret.
fn assert_clean_error(name: &str, error: &(dyn Error + 'static)) {
    let mut next = Some(error);
    while let Some(error) = next {
        assert_clean(name, &error);
        assert_clean_text(name, &format!("{error} {error:#}"));
        next = error.source();
    }
}

/// A URL as a call to an OAuth server has it, with the secret in the query.
fn url_with_secret() -> String {
    format!("https://as.example/token?client_id=c&client_secret={}&x=y", percent_encoded())
}

/// The error of an HTTP client that says which URL it called, two levels deep.
#[derive(Debug)]
struct Failed {
    text: String,
    cause: io::Error,
}

impl Failed {
    fn at(url: &str) -> Self {
        let cause = io::Error::other(format!("connect to {url} failed"));
        Self { text: format!("error sending request for url ({url})"), cause }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Failed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

/// An error that shows nothing of its cause but in `source`.
struct Wrapper(Failed);

impl Debug for Wrapper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wrapper")
    }
}

impl fmt::Display for Wrapper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("wrapped")
    }
}

impl Error for Wrapper {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

fn token() -> AccessToken {
    AccessToken::new(SECRET).unwrap()
}

/// Every place that a token can ride in.
fn places() -> [TokenLocation; 5] {
    [
        TokenLocation::Bearer,
        TokenLocation::header("x-api-key").unwrap(),
        TokenLocation::header_with_scheme("authorization", "Token").unwrap(),
        TokenLocation::Query,
        TokenLocation::BasicUserName,
    ]
}

/// A service that keeps the head of the request it was called with.
#[derive(Clone, Debug, Default)]
struct Keep(Arc<Mutex<Option<Request<()>>>>);

impl Keep {
    fn last(&self) -> Request<()> {
        self.0.lock().unwrap().take().expect("the inner service was called")
    }
}

impl<B> Service<Request<B>> for Keep {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        *self.0.lock().unwrap() = Some(request.map(drop));
        future::ready(Ok(Response::default()))
    }
}

fn get(uri: &str) -> Request<Body> {
    Request::get(uri).body(Body::default()).unwrap()
}

/// The call of `service`, once it is ready.
async fn call<S: Service<Request<Body>, Error: Debug>>(
    service: &mut S,
    request: Request<Body>,
) -> S::Future {
    service.ready().await.unwrap().call(request)
}

/// A request that presents the secret at `location`, as it comes over the wire: no header of it
/// is marked sensitive.
async fn presenting(location: TokenLocation) -> Request<Body> {
    let keep = Keep::default();
    let layer =
        AddBearer::bearer(SECRET, "https://api.example").unwrap().with_location(location).unwrap();
    layer.layer(keep.clone()).oneshot(get("https://api.example/r?x=1")).await.unwrap();
    let mut request = keep.last();
    request.headers_mut().values_mut().for_each(|value| value.set_sensitive(false));
    request.map(|()| Body::default())
}

/// The names of the public types in `folder` of the sources, with the module they are seen in.
fn public_types(folder: &Path, module: &str, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let folder = path.file_name().unwrap().to_str().unwrap();
            let module = match module {
                "" if PUBLIC_MODULES.contains(&folder) => format!("{folder}::"),
                _ => module.to_owned(),
            };
            public_types(&path, &module, names);
            continue;
        }
        for line in fs::read_to_string(path).unwrap().lines() {
            let line = line.trim_start();
            let declared = ["pub struct ", "pub enum ", "pub union "].iter();
            let Some(rest) = declared.filter_map(|word| line.strip_prefix(word)).next() else {
                continue;
            };
            // A macro declares what its calls name.
            let name = rest.split(|char: char| !char.is_alphanumeric()).next().unwrap();
            if !name.is_empty() {
                names.insert(format!("{module}{name}"));
            }
        }
    }
}

/// The modules that users name; what other rooms define is seen at the root of the crate.
const PUBLIC_MODULES: [&str; 4] = ["client", "server", "testing", "validate"];

/// Types that nobody outside of the crate can get a value of.
const OUT_OF_REACH: [&str; 1] = ["client::StaticToken"];

#[test]
fn every_public_type_is_walked_here() {
    let mut names = BTreeSet::new();
    public_types(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut names);
    assert!(names.contains("AccessToken") && names.contains("client::ResponseFuture"), "{names:?}");
    let here = concat!(
        include_str!("mod.rs"),
        include_str!("bound.rs"),
        include_str!("keys.rs"),
        include_str!("jose.rs"),
        include_str!("revocation.rs"),
        include_str!("server_layers.rs"),
        include_str!("token_engine.rs")
    );
    let walked = |name: &&String| {
        OUT_OF_REACH.contains(&name.as_str()) || here.contains(&format!("clean(\"{name}\""))
    };
    let missed: Vec<_> = names.iter().filter(|name| !walked(name)).collect();
    assert!(missed.is_empty(), "not walked: {missed:?}");
}

#[test]
fn the_helper_notices_every_form_of_the_secret_and_any_piece_of_it() {
    #[derive(Debug)]
    struct Holder<T>(#[allow(dead_code, reason = "printed")] T);

    let basic = BASE64_STANDARD.encode(format!("{SECRET}:"));
    let of_client = BASE64_URL_SAFE.encode(format!("client:{SECRET}"));
    let pieces = [SECRET, &percent_encoded(), &basic, &of_client, &SECRET[20..32]];
    for piece in pieces {
        assert!(leak(&format!("{:#?}", Holder(piece))).is_some(), "{piece}");
    }
    assert!(leak(&format!("{:#?}", Holder(SECRET.as_bytes()))).is_some());
    assert_eq!(leak("the secret, s3cr3t to all, is not here"), None);
}

#[test]
#[should_panic(expected = "Holder shows the secret")]
fn the_helper_fails_for_a_type_that_leaks_in_the_pretty_form_only() {
    struct Holder;

    impl Debug for Holder {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(if f.alternate() { SECRET } else { "[redacted]" })
        }
    }

    assert_clean("Holder", &Holder);
}

#[test]
#[should_panic(expected = "an error shows the secret")]
fn the_helper_fails_for_an_error_whose_cause_leaks() {
    let error = Failed { text: "failed".into(), cause: io::Error::other(url_with_secret()) };
    assert_clean_error("an error", &Wrapper(error));
}

#[test]
fn secrets_and_the_words_around_them_do_not_print() {
    assert_clean("AccessToken", &token());
    assert_clean("AccessToken::authorization", token().authorization());
    assert_clean("ClientSecret", &ClientSecret::new(SECRET));
    for place in places() {
        assert_clean("TokenLocation", &place);
        if let TokenLocation::Header(header) = place {
            assert_clean("HeaderLocation", &header);
        }
    }
    let scopes: ScopeSet = "read write".parse().unwrap();
    assert_clean("ScopeSet", &scopes);
    assert_clean("Scope", &Scope::new("read").unwrap());
    assert_clean("Challenge", &Challenge::bearer().with_param("realm", "api").unwrap());
    assert_clean("Answer", &Answer::<future::Ready<_>>::Ready(token()));
    assert_clean("Answer", &Answer::Pending(future::ready(token())));
}

#[tokio::test]
async fn clocks_have_nothing_to_hide() {
    let clock = Clock::system();
    assert_clean("Clock", &clock);
    assert_clean("Sleep", &clock.sleep(Duration::from_secs(1)));
    assert_clean("testing::ManualClock", &ManualClock::new());
}

#[test]
fn an_origin_is_that_of_a_url_without_its_secrets() {
    let secret = percent_encoded();
    let uri: Uri = format!("https://user:{secret}@as.example/{secret}?t={secret}").parse().unwrap();
    let origin = Origin::from_uri(&uri).unwrap();
    assert_clean("Origin", &origin);
    assert_eq!(origin.to_string(), "https://as.example");
    assert_clean("client::Origins", &Origins::try_from(origin).unwrap());
    assert_clean("client::Origins", &Origins::dangerous_any_https_origin());
}

#[tokio::test]
async fn a_request_head_shows_no_token_wherever_it_rides() {
    for place in places() {
        let request = presenting(place).await;
        let head = RequestHead::from_request(&request);
        assert!(leak(&format!("{request:?}")).is_some(), "there is something to show");
        assert_clean("RequestHead", &head);
    }
}

/// The credential headers of `headers`, sensitive or not.
fn credentials(headers: &HeaderMap) -> String {
    let values = headers.get(AUTHORIZATION).into_iter().chain(headers.get("x-api-key"));
    values.map(|value| value.to_str().unwrap()).collect()
}

#[test]
fn a_refused_configuration_does_not_repeat_what_was_refused() {
    let user_info = format!("https://user:{}@as.example", percent_encoded());
    let colon = format!("{SECRET}:");
    let padded = format!(" {SECRET}");
    let line = format!("{SECRET}\n");
    let refused: [(&str, Result<(), ConfigError>); 16] = [
        ("token with a space", AccessToken::new(padded.as_str()).map(drop)),
        ("token with a line end", AccessToken::try_from(line.clone()).map(drop)),
        ("token too long", AccessToken::new(SECRET.repeat(1000)).map(drop)),
        ("AddBearer", AddBearer::bearer(padded.as_str(), "https://api.example").map(drop)),
        (
            "AddBearer, Basic",
            AddBearer::bearer(colon.as_str(), "https://api.example")
                .and_then(|layer| layer.with_location(TokenLocation::BasicUserName))
                .map(drop),
        ),
        ("AddBearer, origin", AddBearer::bearer("t", user_info.as_str()).map(drop)),
        ("Origin", user_info.parse::<Origin>().map(drop)),
        ("Origin, query", url_with_secret().parse::<Origin>().map(drop)),
        ("Origins", Origins::new([url_with_secret()]).map(drop)),
        ("TokenLocation", TokenLocation::header(SECRET).map(drop)),
        ("TokenLocation, scheme", TokenLocation::header_with_scheme("x", SECRET).map(drop)),
        ("Scope", Scope::new(padded.as_str()).map(drop)),
        ("Challenge", Challenge::new(SECRET).map(drop)),
        ("Challenge, value", Challenge::bearer().with_param("realm", &line).map(drop)),
        ("StaticTokens", StaticTokens::new().insert(&colon, Principal::new("alice"))),
        ("RequireToken", RequireToken::new(line.as_str(), StaticTokens::new()).map(drop)),
    ];
    for (what, refused) in refused {
        let error = refused.expect_err(what);
        assert_clean("ConfigError", &error);
        assert_clean_error(what, &error);
    }
    let error = Challenge::parse(format!("Bearer {SECRET} {SECRET}").as_bytes()).unwrap_err();
    assert_clean("ChallengeError", &error);
    assert_clean_error("ChallengeError", &error);
}

#[tokio::test]
async fn a_transport_and_its_errors_show_no_secret_of_the_fetch() {
    let request = || Request::post(url_with_secret()).body(Body::new(Bytes::from(SECRET))).unwrap();
    let fails = service_fn(|request: Request<Body>| {
        let error = Failed::at(&request.uri().to_string());
        async { Err::<Response<Body>, _>(error) }
    });
    let repeats = service_fn(async |_| {
        Ok::<_, Infallible>(Response::new(Body::new(Bytes::from(url_with_secret()))))
    });
    let silent = service_fn(|_| future::pending::<Result<Response<Body>, Infallible>>());

    let unconnected = || NotConnected::new(Failed::at(&url_with_secret()));
    assert_clean("NotConnected", &unconnected());
    let unreachable = service_fn(move |_| future::ready(Err::<Response<Body>, _>(unconnected())));

    let manual = ManualClock::new();
    let silent = Transport::new(silent).with_clock(manual.clock()).with_deadline(Duration::ZERO);
    let fetches = [
        (Transport::new(unreachable), TransportErrorKind::Service),
        (Transport::new(fails), TransportErrorKind::Service),
        (Transport::new(repeats).with_max_body(8), TransportErrorKind::TooLarge),
        (silent, TransportErrorKind::TimedOut),
    ];
    for (transport, kind) in fetches {
        assert_clean("Transport", &transport);
        let error = transport.send(request()).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert_clean("TransportErrorKind", &error.kind());
        assert_clean("TransportError", &error);
        assert_clean_error("TransportError", &error);
    }

    let key = format!("-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----");
    let error = Transport::https().with_root_certificates(key).unwrap_err();
    assert_clean_error("ConfigError", &error);

    let transport = Transport::https();
    assert_clean("Transport", &transport);
    for uri in [
        format!("http://user:{}@as.example/?client_secret={SECRET}", percent_encoded()),
        format!("/?client_secret={SECRET}"),
    ] {
        let request = Request::get(uri).body(Body::default()).unwrap();
        assert_clean_error("TransportError", &transport.send(request).await.unwrap_err());
    }
}

#[tokio::test]
async fn add_bearer_shows_no_token_in_any_placement() {
    for place in places() {
        let layer = AddBearer::bearer(SECRET, "https://api.example").unwrap();
        let layer = layer.with_location(place.clone()).unwrap();
        assert_clean("client::AddBearer", &layer);
        let keep = Keep::default();
        let mut service = layer.layer(keep.clone());
        assert_clean("client::AddBearerService", &service);
        for _ in 0..2 {
            let answer = call(&mut service, get("https://api.example/r")).await;
            assert_clean("client::ResponseFuture", &answer);
            answer.await.unwrap();
            let request = keep.last();
            // In the query the token is where it was asked to be.
            if place == TokenLocation::Query {
                assert!(leak(&request.uri().to_string()).is_some());
                assert_clean("what is sent", request.headers());
            } else {
                assert!(leak(&credentials(request.headers())).is_some(), "the token is there");
                assert_clean("what is sent", &request);
            }
            assert_clean("client::AddBearerService", &service);
        }
    }
}

/// Drives `layer`, of the public type `name`, over [`Keep`] to a call at the origin of the token.
async fn walk_layer<L>(name: &str, layer: L)
where
    L: Layer<Keep, Service: Service<Request<Body>, Error: Debug, Future: Debug> + Debug> + Debug,
{
    assert_clean(name, &layer);
    let keep = Keep::default();
    let mut service = layer.layer(keep.clone());
    for _ in 0..2 {
        let answer = call(&mut service, get("https://api.example/r")).await;
        assert_clean("client::ResponseFuture", &answer);
        answer.await.unwrap();
        assert!(leak(&credentials(keep.last().headers())).is_some(), "the token is there");
        assert_clean("client::AddBearerService", &service);
    }
    assert_clean(name, &layer);
}

#[tokio::test]
async fn sources_of_tokens_show_none() {
    let api = "https://api.example";
    let asked = || future::ready(Ok::<_, ConfigError>(token()));
    let by_request = FromRequest::new(move |_: RequestHead<'_>| asked());
    assert_clean("client::FromRequest", &by_request);
    let request = get(api);
    let pending = asked.token(RequestHead::from_request(&request));
    assert_clean("Answer", &pending);
    if let Answer::Pending(future) = pending {
        assert_clean("client::FnFuture", &future);
    }
    let answer = TokenSource::token(&token(), RequestHead::from_request(&request));
    assert_clean("Answer", &answer);

    walk_layer("client::AddBearer", AddBearer::from_source(token(), api).unwrap()).await;
    walk_layer("client::AddBearer", AddBearer::from_source(asked, api).unwrap()).await;
    walk_layer("client::AddBearer", AddBearer::from_source(by_request, api).unwrap()).await;
    walk_layer("client::AddBearer", AddBearer::from_source(asked.into_shared(), api).unwrap())
        .await;
}

/// What the call of `uri` through `layer` fails with.
async fn failure<L>(layer: L, uri: &str) -> client::Error
where
    L: Layer<
            Keep,
            Service: Service<Request<Body>, Response: Debug, Error = BoxError, Future: Debug>,
        >,
{
    let mut service = layer.layer(Keep::default());
    let answer = call(&mut service, get(uri)).await;
    assert_clean("client::ResponseFuture", &answer);
    *answer.await.unwrap_err().downcast().unwrap()
}

#[tokio::test]
async fn the_errors_of_a_client_show_neither_the_token_nor_the_url() {
    let api = "https://api.example";
    let elsewhere =
        format!("https://user:{}@other.example/{SECRET}?client_secret={SECRET}", percent_encoded());
    let colon = AccessToken::new(format!("{SECRET}:")).unwrap();
    let failing = || future::ready(Err(Failed::at(&url_with_secret())));
    let errors = [
        failure(AddBearer::bearer(SECRET, api).unwrap(), &elsewhere).await,
        failure(AddBearer::from_source(token(), api).unwrap(), &elsewhere).await,
        failure(
            AddBearer::from_source(colon, api).unwrap().with_location(TokenLocation::BasicUserName),
            "https://api.example/r",
        )
        .await,
        failure(AddBearer::from_source(failing, api).unwrap(), api).await,
        failure(AddBearer::from_source(failing.into_shared(), api).unwrap(), api).await,
        client::Error::from_source(Failed::at(&url_with_secret())),
        client::Error::from_source(format!("at {}", url_with_secret())),
    ];
    for error in &errors {
        assert_clean("client::Error", error);
        assert_clean("client::ErrorKind", &error.kind());
        assert_clean_error("client::Error", error);
    }
    let kinds: Vec<_> = errors.iter().take(4).map(client::Error::kind).collect();
    assert_eq!(kinds, [ForeignOrigin, ForeignOrigin, Placement, Source]);
}

/// RFC 3986 allows apostrophes and parentheses in a query, and HTTP clients print them as they are.
#[test]
fn a_query_in_the_error_of_a_source_is_cut_to_its_end() {
    for before in ["state='a'", "redirect_uri=https://app.example/(cb)", "filter=(x)"] {
        let url = format!("https://as.example/token?{before}&client_secret={SECRET}");
        let error = client::Error::from_source(Failed::at(&url));
        assert_clean_error(before, &error);
    }
}

/// A client secret may ride in the user info, as Basic credentials do in a URL.
#[test]
fn the_user_info_in_the_error_of_a_source_is_cut() {
    let url = format!("https://client:{}@as.example/token", percent_encoded());
    assert_clean_error("client::Error", &client::Error::from_source(Failed::at(&url)));
}

/// A layer that reads every place, and a set that knows the secret or does not.
fn guard(known: bool) -> RequireToken<StaticTokens> {
    let tokens = StaticTokens::new();
    if known {
        let principal = Principal::new("alice").with_scopes("read".parse().unwrap());
        tokens.insert(SECRET, principal).unwrap();
    }
    assert_clean("validate::StaticTokens", &tokens);
    RequireToken::new("api", tokens).unwrap().with_locations(places()).unwrap()
}

#[tokio::test]
async fn what_a_good_token_leaves_in_the_request_shows_none() {
    for place in places() {
        let layer = guard(true);
        assert_clean("server::RequireToken", &layer);
        let keep = Keep::default();
        let mut service = layer.layer(keep.clone());
        assert_clean("server::RequireTokenService", &service);
        let answer = call(&mut service, presenting(place).await).await;
        assert_clean("server::ResponseFuture", &answer);
        assert_clean("the answer", &answer.await.unwrap());

        let request = keep.last();
        assert_clean("what is handed on", &request);
        assert_eq!(request.uri(), "https://api.example/r?x=1");
        let authenticated = request.extensions().get::<Authenticated>().unwrap();
        assert_clean("server::Authenticated", authenticated);
        assert_clean("validate::Principal", authenticated.principal());
        let validated = Validated::from(authenticated.principal().clone());
        assert_clean("validate::Validated", &validated);
    }
}

#[tokio::test]
async fn a_uri_that_is_handed_on_holds_no_token_however_it_was_spelled() {
    let encoded = percent_encoded();
    for (uri, handed_on) in [
        (format!("/r?access_token={encoded}"), "/r"),
        (format!("/r?access%5Ftoken={}&x=1", encoded.replace("%2B", "%2b")), "/r?x=1"),
        (format!("/r?x=1&%61ccess_token={encoded}&y=%20"), "/r?x=1&y=%20"),
    ] {
        let keep = Keep::default();
        guard(true).layer(keep.clone()).oneshot(get(&uri)).await.unwrap();
        let request = keep.last();
        assert_eq!(request.uri(), handed_on);
        assert_clean(&uri, request.uri());
    }
}

#[tokio::test]
async fn a_refusal_and_its_reason_do_not_repeat_the_token() {
    let mut refused = Vec::new();
    for place in places() {
        refused.push(presenting(place.clone()).await);
        let mut grpc = presenting(place).await;
        grpc.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
        (*grpc.method_mut(), *grpc.version_mut()) = (Method::POST, Version::HTTP_2);
        refused.push(grpc);
    }
    for value in [
        format!("Bearer {SECRET} {SECRET}"),
        format!("Bearer \"{SECRET}\""),
        format!("Basic {SECRET}"),
        format!("Basic {}", BASE64_STANDARD.encode(format!("user:{SECRET}"))),
        format!("Digest {SECRET}"),
        SECRET.to_owned(),
    ] {
        let mut request = get("/r");
        request.headers_mut().insert(AUTHORIZATION, value.parse().unwrap());
        refused.push(request);
    }
    refused.push(get(&format!("/r?access_token={SECRET}&access_token={SECRET}")));
    refused.push(get(&format!("/r?access_token={SECRET}+")));

    let mut service = guard(false).layer(Keep::default());
    for request in refused {
        let answer = call(&mut service, request).await;
        assert_clean("server::ResponseFuture", &answer);
        let response = answer.await.unwrap();
        assert_clean("the refusal", &response);
        let rejection = response.extensions().get::<Rejection>().unwrap();
        assert_clean("validate::Rejection", rejection);
        assert_clean("validate::RejectionKind", &rejection.kind());
        assert_clean_error("validate::Rejection", rejection);
    }
}

/// Drives a layer with `validator` to a verdict on the secret.
async fn walk_validator<V: ValidateToken>(validator: V) {
    let layer = RequireToken::new("api", validator).unwrap();
    assert_clean("server::RequireToken", &layer);
    let mut service = layer.layer(Keep::default());
    let answer = call(&mut service, presenting(TokenLocation::Bearer).await).await;
    assert_clean("server::ResponseFuture", &answer);
    assert_clean("server::RequireTokenService", &service);
    assert_eq!(answer.await.unwrap().status(), 200);
}

#[tokio::test]
async fn closures_that_judge_a_token_do_not_show_it() {
    // The future holds the token across a wait.
    let judge = async |token: AccessToken| {
        tokio::task::yield_now().await;
        assert_eq!(token.expose(), SECRET);
        Ok(Validated::from(Principal::new("alice")))
    };
    let request = get("/r");
    let pending = ValidateToken::validate(&judge, SECRET, RequestHead::from_request(&request));
    assert_clean("Answer", &pending);
    if let Answer::Pending(future) = pending {
        assert_clean("validate::FnFuture", &future);
    }
    walk_validator(judge).await;
    walk_validator(judge.into_shared()).await;

    let cache = Cached::new(judge);
    if let Answer::Pending(future) = cache.validate(SECRET, RequestHead::from_request(&request)) {
        assert_clean("validate::CachedFuture", &future);
        assert!(future.await.is_ok());
    }
    assert_eq!(cache.len(), 1);
    assert_clean("validate::Cached", &cache);
    walk_validator(cache).await;
}

/// An introspection endpoint that answers so, asked by a client whose secret it is too.
fn introspection(answer: Result<Response<String>, Failed>) -> Introspection {
    let answer = Arc::new(answer);
    let service = service_fn(move |_: Request<Body>| {
        let answered = match &*answer {
            Ok(response) => Ok(response.clone().map(|body| Body::new(Bytes::from(body)))),
            Err(failed) => Err(Failed::at(&failed.text)),
        };
        future::ready(answered)
    });
    let client = ClientAuthentication::post("id", SECRET);
    Introspection::new("https://as.example/i", client, Transport::new(service)).unwrap()
}

#[tokio::test]
async fn introspection_shows_neither_the_token_nor_the_secret_of_the_client() {
    let said = |status: u16, text: &str| {
        let body =
            format!(r#"{{"error":{text:?},"error_description":{text:?},"active":{text:?}}}"#);
        Ok(Response::builder().status(status).body(body).unwrap())
    };
    let request = get("/r");
    for answer in [
        Err(Failed::at(&url_with_secret())),
        said(200, SECRET),
        said(400, SECRET),
        said(401, &percent_encoded()),
        said(500, &format!("Basic {}", BASE64_STANDARD.encode(SECRET))),
    ] {
        let introspection = introspection(answer);
        assert_clean("validate::Introspection", &introspection);
        let answer = introspection.validate(SECRET, RequestHead::from_request(&request));
        assert_clean("Answer", &answer);
        let Answer::Pending(asked) = answer else { panic!("it asks") };
        assert_clean("validate::IntrospectionFuture", &asked);
        assert_clean_error("validate::Rejection", &asked.await.unwrap_err());
    }
    let good = Response::new(r#"{"active":true,"sub":"alice"}"#.to_owned());
    walk_validator(introspection(Ok(good))).await;
}

#[tokio::test]
async fn asking_for_a_scope_does_not_show_the_token() {
    for (scope, status) in [("read", 200), ("write", 403)] {
        let layer = RequireScope::all_of([scope]).unwrap();
        assert_clean("server::RequireScope", &layer);
        let scoped = layer.layer(Keep::default());
        assert_clean("server::RequirePolicyService", &scoped);
        let watched = service_fn(move |request: Request<Body>| {
            let answer = scoped.clone().call(request);
            assert_clean("server::AnsweredFuture", &answer);
            answer
        });
        let request = presenting(TokenLocation::Query).await;
        let response = guard(true).layer(watched).oneshot(request).await.unwrap();
        assert_eq!(response.status(), status);
        assert_clean("the answer", &response);
    }
}

#[tokio::test]
async fn a_server_for_tests_shows_no_secret_of_its_clients_and_users() {
    let server = AuthorizationServer::new();
    let client = RegisteredClient::confidential("app", SECRET);
    assert_clean("testing::RegisteredClient", &client);
    let error = client.clone().with_redirect_uri(SECRET).unwrap_err();
    assert_clean_error("ConfigError", &error);
    assert_clean_error("ConfigError", &server.set_extra_member(SECRET, SECRET).unwrap_err());
    server.register_client(client);
    server.register_user("alice", SECRET, ScopeSet::empty());
    assert_clean("testing::BoundServer", &server.bind().await.unwrap());

    let secret = percent_encoded();
    let client = format!("client_id=app&client_secret={secret}");
    let grant = format!("/token?{client}&grant_type=password&username=alice&password={secret}");
    let request = Request::post(grant).body(Body::default()).unwrap();
    let answer = server.clone().call(request);
    assert_clean("testing::ResponseFuture", &answer);
    let body = answer.await.unwrap().into_body().collect().await.unwrap().to_bytes();
    let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let token = answer["access_token"].as_str().unwrap();
    assert_clean("testing::IssuedToken", &server.introspect(token).unwrap());
    assert_clean("testing::AuthorizationServer", &server);
    assert_clean("testing::Quirk", &Quirk::BareAnswers);
    assert!(!format!("{server:?}").contains(token));
    assert_clean("testing::IssuedTokens", &server.validator());

    server.set_extra_member("x", &format!("\"{SECRET}\"")).unwrap();
    server.fail_all(Response::new(SECRET.into()));
    assert_clean("testing::AuthorizationServer", &server);
    let seen = server.last_token_request();
    assert!(leak(&format!("{seen:?}")).is_some(), "there is something to show");
}
