//! Requests that a server answers.

use crate::{
    support::{
        Case,
        jwt::{AUDIENCE, ISSUER, Subject},
        server::{Body, Inner, bearer, request},
    },
    table::{self, Answers, Stack},
    targets::Targets,
};
use aliri::{jwa, jwt};
use aliri_oauth2::Authority;
use aliri_tower::Oauth2Authorizer;
use http::{HeaderValue, Request, Response, StatusCode};
use jwt_authorizer::{IntoLayer, JwtAuthorizer};
use oauth_resource_server::{
    KeyNaming, OAuthConfig, OAuthValidator,
    http_layer::{HttpAuthLayer, HttpAuthLayerBuilder},
};
use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};
use tokio::runtime::Runtime;
use tower::{Layer, Service};
use tower_http::validate_request::ValidateRequestHeaderLayer;
use tower_oauth2::{
    Algorithm,
    server::RequireToken,
    validate::{Principal, StaticTokens},
};
use tower_oauth2_resource_server::{
    claims::DefaultClaims, layer::OAuth2ResourceServerLayer, server::OAuth2ResourceServer,
    tenant::TenantConfiguration, validation::ClaimsValidationSpec,
};
// The tower-http that aliri_tower is made of.
use tower_http_0_5::validate_request::{ValidateRequest, ValidateRequestHeaderLayer as AliriLayer};

const FIRST: &str = "RequireToken, first sight";
const SEEN: &str = "RequireToken, seen before";
const OURS: &str = "RequireToken";

/// Answers 200 at once, with the body that jwt-authorizer refuses with.
#[derive(Clone)]
struct OtherInner;

type OtherBody = axum_0_7::body::Body;

impl Service<Request<()>> for OtherInner {
    type Response = Response<OtherBody>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(OtherBody::empty())))
    }
}

/// The peers that judge a JWT of one algorithm, each told of the issuer, the audience and the keys.
pub struct Peers<'a> {
    pub runtime: &'a Runtime,
    pub algorithm: Algorithm,
    pub keys: &'a str,
}

impl<'a> Peers<'a> {
    /// A case for each peer, with requests that carry `authorization` and answers of which
    /// `is_expected` is told the status.
    fn cases(
        &self,
        authorization: Option<&'a HeaderValue>,
        is_expected: fn(StatusCode) -> bool,
    ) -> Vec<(Stack, Case<'a>)> {
        let request = move || request(authorization);
        let check = move |response: &Response<Body>| is_expected(response.status());
        let mut cases = Vec::new();
        let service = self.resource_server().layer(Inner);
        cases.push(Case::new("tower-oauth2-resource-server", service, request, check));
        if let Some(algorithm) = self.aliri_algorithm() {
            cases.push(Case::new(
                "aliri_tower",
                self.aliri(algorithm).layer(Inner),
                request,
                check,
            ));
        }
        let service = self.authorizer();
        let other_check = move |response: &Response<OtherBody>| is_expected(response.status());
        cases.push(Case::new("jwt-authorizer", service, request, other_check));
        if !self.algorithm.is_symmetric() {
            let service = self.http_auth().layer(Inner);
            cases.push(Case::new("oauth-resource-server", service, request, check));
        }
        cases.into_iter().map(|case| (Stack::Peer, case)).collect()
    }

    pub fn resource_server<B: Default>(&self) -> OAuth2ResourceServerLayer<B, DefaultClaims> {
        use jsonwebtoken::Algorithm::{ES256, EdDSA, HS256, RS256};
        let claims = ClaimsValidationSpec::new().iss(ISSUER).exp(true).aud(&vec![AUDIENCE.into()]);
        let tenant = TenantConfiguration::static_builder(self.keys)
            .claims_validation(claims)
            .allowed_algorithms(&[EdDSA, ES256, HS256, RS256])
            .build()
            .unwrap();
        let server = OAuth2ResourceServer::<DefaultClaims>::builder().add_tenant(tenant).build();
        self.runtime.block_on(server).unwrap().into_layer()
    }

    /// None for EdDSA, which it does not have.
    pub fn aliri_algorithm(&self) -> Option<jwa::Algorithm> {
        Some(match self.algorithm {
            Algorithm::Rs256 => jwa::Algorithm::RS256,
            Algorithm::Es256 => jwa::Algorithm::ES256,
            Algorithm::Hs256 => jwa::Algorithm::HS256,
            _ => return None,
        })
    }

    pub fn aliri<Q, B: http_body::Body + Default>(
        &self,
        algorithm: jwa::Algorithm,
    ) -> AliriLayer<impl ValidateRequest<Q, ResponseBody = B> + Clone + use<Q, B>> {
        let validator = jwt::CoreValidator::default()
            .check_expiration()
            .add_approved_algorithm(algorithm)
            .add_allowed_audience(jwt::Audience::from_static(AUDIENCE))
            .require_issuer(jwt::Issuer::from_static(ISSUER));
        let authority = Authority::new(serde_json::from_str(self.keys).unwrap(), validator);
        let authorizer = Oauth2Authorizer::new().with_terse_error_handler::<B>();
        authorizer.jwt_layer(authority)
    }

    fn authorizer(
        &self,
    ) -> impl Service<Request<()>, Response = Response<OtherBody>, Error = Infallible> + use<> {
        let validation = jwt_authorizer::Validation::new().iss(&[ISSUER]).aud(&[AUDIENCE]);
        let authorizer: JwtAuthorizer = JwtAuthorizer::from_jwks_text(self.keys);
        let authorizer = self.runtime.block_on(authorizer.validation(validation).build()).unwrap();
        authorizer.into_layer().layer(OtherInner)
    }

    pub fn http_auth(&self) -> HttpAuthLayer {
        let config = OAuthConfig {
            enabled: true,
            issuer: ISSUER.into(),
            jwks_uri: Some("https://as.example/keys".into()),
            audience: AUDIENCE.into(),
            resource: AUDIENCE.into(),
            algorithms: vec![self.algorithm.as_str().into()],
            required_scope: Some("read".into()),
            ..OAuthConfig::default()
        };
        let config = config.resolve(KeyNaming::Dotted("oauth")).unwrap().unwrap();
        let validator = OAuthValidator::builder(&config).initial_jwks(self.keys).build().unwrap();
        HttpAuthLayer::builder().oauth(Arc::new(validator)).build().unwrap()
    }
}

fn is_ok(status: StatusCode) -> bool {
    status == StatusCode::OK
}

fn is_refused(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED)
}

fn ours<'a>(
    name: &'static str,
    layer: impl Layer<
        Inner,
        Service: Service<Request<()>, Response = Response<Body>, Error = Infallible> + 'a,
    >,
    authorization: Option<&'a HeaderValue>,
    is_expected: fn(StatusCode) -> bool,
) -> (Stack, Case<'a>) {
    let check = move |response: &Response<Body>| is_expected(response.status());
    (Stack::Ours, Case::new(name, layer.layer(Inner), move || request(authorization), check))
}

fn bare(authorization: Option<&HeaderValue>) -> (Stack, Case<'_>) {
    let check = |response: &Response<Body>| is_ok(response.status());
    (Stack::Bare, Case::new("no layer", Inner, move || request(authorization), check))
}

pub fn measure(runtime: &Runtime, targets: &mut Targets) {
    table::head();
    static_tokens(targets);
    for (algorithm, limits) in [
        (Algorithm::Rs256, Limits { first: 0.70, seen: 85.0, expired: 25.0, forged: 0.80 }),
        (Algorithm::Es256, Limits { first: 0.93, seen: 300.0, expired: 60.0, forged: 0.96 }),
        (Algorithm::EdDsa, Limits { first: 0.92, seen: 200.0, expired: 40.0, forged: f64::NAN }),
        (Algorithm::Hs256, Limits { first: 0.55, seen: 15.0, expired: f64::NAN, forged: f64::NAN }),
    ] {
        let subject = Subject::new(algorithm);
        let peers = Peers { runtime, algorithm, keys: &subject.keys };
        accepted(&peers, &subject, &limits, targets);
        refused(&peers, &subject, &limits, targets);
        if algorithm == Algorithm::Rs256 {
            unread(&peers, &subject, targets);
        }
    }
}

/// Of the best peer's time at most (`first`, `forged`), or times faster at least. No number where
/// there is no target.
struct Limits {
    first: f64,
    seen: f64,
    expired: f64,
    forged: f64,
}

#[allow(deprecated, reason = "tower-http deprecates its own bearer check; it is the counterpart")]
fn static_tokens(targets: &mut Targets) {
    let token = "t".repeat(43);
    let tokens = StaticTokens::new();
    tokens.insert(&token, Principal::new("alice")).unwrap();
    let require = RequireToken::new("api", tokens).unwrap();
    let theirs = ValidateRequestHeaderLayer::bearer(&token);
    let http_auth: HttpAuthLayerBuilder = HttpAuthLayer::builder();
    let http_auth = http_auth.static_token(token.as_str()).build().unwrap();
    let (good, unknown) = (bearer(&token), bearer(&"u".repeat(43)));
    for (name, header, expected) in [
        ("server, static token", &good, is_ok as fn(StatusCode) -> bool),
        ("server, unknown static token", &unknown, is_refused),
    ] {
        let send = move || request(Some(header));
        let check = move |response: &Response<Body>| expected(response.status());
        let tower_http = theirs.layer(Inner);
        let answers = table::measure(
            name,
            vec![
                bare(Some(header)),
                (
                    Stack::Peer,
                    Case::new("tower-http ValidateRequestHeader", tower_http, send, check),
                ),
                (
                    Stack::Peer,
                    Case::new("oauth-resource-server", http_auth.layer(Inner), send, check),
                ),
                ours(OURS, require.clone(), Some(header), expected),
            ],
        );
        if std::ptr::eq(header, &good) {
            targets.at_most(format!("{name}, allocations"), answers.allocations(OURS), 3.0);
        }
    }
}

fn accepted(peers: &Peers<'_>, subject: &Subject, limits: &Limits, targets: &mut Targets) {
    let good = Some(&subject.good);
    let raw = Case::new(
        "the library alone",
        subject.raw.clone(),
        || request(good),
        |response| is_ok(response.status()),
    );
    let first = RequireToken::new("api", subject.validator()).unwrap();
    let seen = RequireToken::new("api", subject.cached()).unwrap();
    let mut cases = vec![bare(good), (Stack::Floor, raw)];
    cases.extend(peers.cases(good, is_ok));
    cases.push(ours(FIRST, first, good, is_ok));
    cases.push(ours(SEEN, seen, good, is_ok));
    let algorithm = peers.algorithm;
    let answers = table::measure(&format!("server, {algorithm}"), cases);
    let what = |case: &str| format!("{algorithm}, {case}");
    let ratio = answers.of_best_peer(FIRST);
    targets.at_most(what("first sight, Δ time of the best peer"), ratio, limits.first);
    targets.at_most(what("first sight, allocations"), answers.allocations(FIRST), 10.0);
    faster(targets, what("seen before"), &answers, SEEN, limits.seen);
    targets.at_most(what("seen before, allocations"), answers.allocations(SEEN), 3.0);
}

fn refused(peers: &Peers<'_>, subject: &Subject, limits: &Limits, targets: &mut Targets) {
    let algorithm = peers.algorithm;
    for (what, header, limit) in [
        ("expired", &subject.expired, limits.expired),
        ("bad signature", &subject.forged, limits.forged),
    ] {
        let require = RequireToken::new("api", subject.validator()).unwrap();
        let mut cases = vec![bare(Some(header))];
        cases.extend(peers.cases(Some(header), is_refused));
        cases.push(ours(OURS, require, Some(header), is_refused));
        let name = format!("server, {algorithm}, {what}");
        let answers = table::measure(&name, cases);
        match what {
            _ if limit.is_nan() => {}
            "expired" => faster(targets, format!("{algorithm}, {what}"), &answers, OURS, limit),
            _ => {
                let ratio = answers.of_best_peer(OURS);
                targets.at_most(
                    format!("{algorithm}, {what}, Δ time of the best peer"),
                    ratio,
                    limit,
                );
            }
        }
    }
}

/// Requests without a token that could be one.
fn unread(peers: &Peers<'_>, subject: &Subject, targets: &mut Targets) {
    let malformed = bearer("two words");
    for (name, header, limit) in [("no token", None, 1.0), ("malformed", Some(&malformed), 0.4)] {
        let require = RequireToken::new("api", subject.validator()).unwrap();
        let mut cases = vec![bare(header)];
        cases.extend(peers.cases(header, is_refused));
        cases.push(ours(OURS, require, header, is_refused));
        let answers = table::measure(&format!("server, {name}"), cases);
        let ratio = answers.of_best_peer(OURS);
        targets.at_most(format!("{name}, Δ time of the best peer"), ratio, limit);
    }
}

fn faster(targets: &mut Targets, what: String, answers: &Answers, name: &str, limit: f64) {
    let ratio = 1.0 / answers.of_best_peer(name);
    targets.at_least(format!("{what}, times faster in Δ than the best peer"), ratio, limit);
}
