//! What is wrong with a server that is being put together, or whose layers stand in a wrong order.

use super::{assert_said, basic, keys, text};
use axum::{Router, body::Body, routing::get};
use http::{Request, Response, header::CONTENT_TYPE};
use std::time::Duration;
use tower::ServiceExt;
use tower_oauth2::{
    Algorithm, ClientAuthentication, TokenLocation, Transport,
    server::{Authenticated, Claims, EndWithToken, RequireRole, RequireScope, RequireToken},
    validate::{
        Introspection, Issuers, Jwks, JwtValidator, Principal, Rejection, StaticTokens,
        TrustedIssuer,
    },
};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const TOKEN: &str = "a token is letters, digits and -._~+/ with = at the end, at most 16 KiB \
                     (RFC 6750 section 2.1)";

fn require() -> RequireToken<StaticTokens> {
    let tokens = StaticTokens::new();
    tokens.insert("good", Principal::new("alice")).unwrap();
    RequireToken::new("api", tokens).unwrap()
}

#[test]
fn what_is_wrong_with_a_layer_is_said() {
    let metadata = || require().with_resource("https://api.example").unwrap().resource_metadata();
    assert_said([
        (
            "a realm with an accent",
            text(RequireToken::new("caf\u{e9}", StaticTokens::new())),
            "the value of the challenge parameter realm has a character that is not printable ASCII",
        ),
        (
            "no place",
            text(require().with_locations([])),
            "RequireToken needs a location: with_locations names none",
        ),
        (
            "a resource by http",
            text(require().with_resource("http://api.example")),
            "the resource is not an absolute https URL without a fragment, such as https://api.example/v1",
        ),
        (
            "metadata of nothing",
            text(require().resource_metadata()),
            "metadata need a resource: call with_resource first",
        ),
        (
            "a server by its name",
            text(metadata().unwrap().with_authorization_servers(["as.example"])),
            "the issuer \"as.example\" is not an absolute https URL; write one such as \
             https://as.example",
        ),
        (
            "a page by its path",
            text(require().with_error_uri("/errors")),
            "the error URI \"/errors\" is not absolute; write one such as https://api.example/errors",
        ),
        (
            "no scope",
            text(RequireScope::all_of([] as [&str; 0])),
            "RequireScope needs a scope: all_of names none",
        ),
        (
            "no role",
            text(RequireRole::any_of([] as [&str; 0])),
            "RequireRole needs a role: none is named",
        ),
    ]);
}

#[test]
fn what_is_wrong_with_a_fixed_set_of_tokens_is_said() {
    let tokens = StaticTokens::new();
    assert_said([
        ("no token", text(tokens.insert("", Principal::new("x"))), TOKEN),
        ("a space", text(tokens.insert("hunter 2", Principal::new("x"))), TOKEN),
        (
            "another digest",
            text(tokens.insert_hashed("md5:hunter2", Principal::new("x"))),
            "a hashed token is `sha256:` and 64 hexadecimal digits",
        ),
    ]);
}

#[test]
fn what_is_wrong_with_a_trusted_issuer_is_said() {
    let issuer = || TrustedIssuer::new("https://as.example", keys());
    let validator = || JwtValidator::new(issuer().with_audience(["x"])).unwrap();
    let shared = Jwks::from_secret(Algorithm::Hs256, SECRET).unwrap();
    let shared = TrustedIssuer::new("https://other.example", shared).with_audience(["x"]);
    let fixed = |name: &str| {
        let keys = Jwks::from_secret(Algorithm::Hs256, SECRET).unwrap();
        TrustedIssuer::new(name, keys).with_audience(["x"]).allow_missing_issuer()
    };
    let two = JwtValidator::new(fixed("one")).unwrap().with_issuer(fixed("two"));
    assert_said([
        (
            "keys of a URL for whoever names no issuer",
            text(JwtValidator::new(issuer().with_audience(["x"]).allow_missing_issuer())),
            "the issuer \"https://as.example\" allows a missing issuer, and is a template or has keys \
             with a URL: use TrustedIssuer::new with Jwks::from_secret, from_pem or from_json",
        ),
        (
            "two for whoever names no issuer",
            text(two),
            "the issuers \"one\" and \"two\" both allow a missing issuer: only one can",
        ),
        (
            "ID tokens for anybody",
            text(JwtValidator::new(
                issuer().dangerous_allow_id_tokens(["c"]).dangerous_allow_missing_audience(),
            )),
            "the issuer \"https://as.example\" allows ID tokens and a missing audience, by which \
             ID tokens of other clients would pass: allow one of them",
        ),
        (
            "a claim of one's own",
            text(issuer().with_required_claims(["sub", "tid"])),
            "the claim \"tid\" cannot be required: name 'sub', 'client_id', 'iat', 'jti'",
        ),
        (
            "no pointer",
            text(issuer().with_role_claims(["/a~2b"])),
            "the role claim \"/a~2b\" is neither a name nor a JSON pointer (RFC 6901) of at most 8 \
             names",
        ),
        (
            "nobody is meant",
            text(JwtValidator::new(issuer())),
            "the issuer \"https://as.example\" has no audience: name one with with_audience",
        ),
        (
            "the same twice",
            text(validator().with_issuer(issuer().with_audience(["x"]))),
            "the issuer \"https://as.example\" was added before",
        ),
        (
            "a template without a place for a tenant",
            text(TrustedIssuer::from_template("https://as.example", keys())),
            "the template \"https://as.example\" has {tenantid} not exactly once",
        ),
        (
            "a tenant by its domain",
            text(
                TrustedIssuer::from_template("https://as.example/{tenantid}", keys())
                    .unwrap()
                    .with_tenants(["contoso.example"]),
            ),
            "the tenant \"contoso.example\" is not a GUID with lower-case digits",
        ),
        (
            "an issuer beside Issuers",
            text(
                JwtValidator::from_issuers(Issuers::new())
                    .with_issuer(issuer().with_audience(["x"])),
            ),
            "the issuer \"https://as.example\" is for a validator of Issuers: insert it there",
        ),
        (
            "a secret beside public keys",
            text(validator().with_issuer(shared)),
            "an issuer with a shared secret cannot stand beside one with public keys: \
             give each a validator, and both to first_of",
        ),
        (
            "a long leeway",
            text(validator().with_leeway(Duration::from_secs(301))),
            "the leeway 301s is more than 5 minutes",
        ),
        (
            "HMAC by public keys",
            text(issuer().with_algorithms([Algorithm::Hs256])),
            "the algorithm HS256 does not suit the keys of the issuer",
        ),
        (
            "no algorithm",
            text(issuer().with_algorithms([])),
            "an issuer needs an algorithm: with_algorithms names none",
        ),
    ]);
}

#[test]
fn what_is_wrong_with_introspection_is_said() {
    let at = |url: &str| text(Introspection::new(url, basic(), Transport::https()));
    let url = "https://as.example/introspect";
    let asking = |client| Introspection::new(url, client, Transport::https());
    let nobody = asking(ClientAuthentication::none()).unwrap();
    assert_said([
        (
            "a path alone",
            at("/introspect"),
            "the introspection URL is no absolute http(s) URL, such as https://as.example/path",
        ),
        (
            "plain http",
            at("http://as.example/introspect"),
            "the introspection URL is plain http to another machine; \
             Transport::allow_plain_http takes it",
        ),
        (
            "parameters in the query",
            text(asking(ClientAuthentication::query("id", "secret"))),
            "introspection sends its parameters in the body: ClientAuthentication::query cannot be used",
        ),
        (
            "a long leeway",
            text(asking(basic()).unwrap().with_leeway(Duration::from_secs(301))),
            "the leeway 301s is more than 5 minutes",
        ),
        (
            "a signed answer to nobody",
            text(nobody.with_signed_responses("https://as.example", keys())),
            "a signed answer names the client that asks, and ClientAuthentication::none has no \
             identifier",
        ),
    ]);
}

async fn refusal(router: Router, request: Request<Body>) -> String {
    let Ok(response): Result<Response<Body>, _> = router.oneshot(request).await;
    assert_eq!(response.status(), 500);
    response.extensions().get::<Rejection>().unwrap().to_string()
}

#[tokio::test]
async fn what_stands_in_a_wrong_place_says_what_is_missing() {
    let request = || Request::get("/").header("authorization", "Bearer good");
    let get_one = || request().body(Body::empty()).unwrap();
    let route = || Router::new().route("/", get(async || ()));
    let whose = Router::new().route("/", get(async |_: Authenticated| ()));
    let claims = Router::new().route("/", get(async |_: Claims<String>| ()));
    let scope = RequireScope::all_of(["read"]).unwrap();
    let form = "application/x-www-form-urlencoded";
    let post = Request::post("/").header(CONTENT_TYPE, form).body(Body::from("a=b")).unwrap();
    let reads_forms = require().with_locations([TokenLocation::Form]).unwrap();
    assert_said([
        (
            "a scope is asked for and no token",
            refusal(route().layer(scope), get_one()).await,
            "no RequireToken is above this policy: put that layer around it",
        ),
        (
            "a handler asks whose token it was",
            refusal(whose, get_one()).await,
            "no RequireToken is above this extractor: put that layer around the route",
        ),
        (
            "a stream is to end and no token is there",
            refusal(route().layer(EndWithToken::new()), get_one()).await,
            "no RequireToken is above EndWithToken: put that layer around it",
        ),
        (
            "a handler asks for other claims",
            refusal(claims.layer(require()), get_one()).await,
            "the claims of the validator are not of the type of this handler; see with_claims",
        ),
        (
            "a form that nobody read",
            refusal(route().layer(reads_forms), post).await,
            "RequireToken reads forms, and no BufferForm is above it: put that layer around it",
        ),
    ]);
}
