//! Where the certificate of a client is found.

use super::*;
use crate::judge::Judge;
use tower_oauth2::{server::ClientCertificates, validate::Cached};

#[test]
fn a_certificate_is_its_digest() {
    // printf 'the certificate' | openssl dgst -sha256 -binary | basenc --base64url
    let certificate = ClientCertificate::from_der(CERTIFICATE);
    assert_eq!(certificate.thumbprint(), digest(CERTIFICATE));
    assert_eq!(certificate.thumbprint().len(), 43);
    assert_eq!(certificate, ClientCertificate::from_der(CERTIFICATE));
    assert_ne!(certificate, ClientCertificate::from_der(b""));
}

#[tokio::test]
async fn by_default_the_certificate_is_in_the_extensions_and_never_in_a_header() {
    let fixture = Fixture::new();
    for layer in [fixture.plain(), fixture.layer()] {
        let call = || by("Bearer", CERTIFIED);
        assert_eq!(send(&layer, with_certificate(call(), CERTIFICATE)).await.who, "alice");
        for refused in [
            call(),
            with_certificate(call(), b"another"),
            with_header(call(), &header_of(CERTIFICATE)),
            with_certificate(with_header(call(), &header_of(CERTIFICATE)), b"another"),
        ] {
            let reply = send(&layer, refused).await;
            assert_eq!((reply.kind, reply.who.as_str()), (Some(RejectionKind::Invalid), ""));
        }
    }
}

#[tokio::test]
async fn a_server_of_a_framework_tells_where_it_keeps_the_certificate() {
    #[derive(Clone)]
    struct Peer(Vec<Vec<u8>>);
    let fixture = Fixture::new();
    let layer =
        fixture.plain().with_client_certificates(ClientCertificates::from_request(|head| {
            let chain = head.extensions().get::<Peer>()?;
            Some(ClientCertificate::from_der(chain.0.first()?))
        }));
    let chain = |certificates: &[&[u8]]| {
        let mut call = by("Bearer", CERTIFIED);
        call.extensions_mut().insert(Peer(certificates.iter().map(|one| one.to_vec()).collect()));
        call
    };
    assert_eq!(send(&layer, chain(&[CERTIFICATE, b"its issuer"])).await.who, "alice");
    for refused in [
        chain(&[]),
        chain(&[b"its issuer", CERTIFICATE]),
        by("Bearer", CERTIFIED),
        with_certificate(by("Bearer", CERTIFIED), CERTIFICATE),
    ] {
        assert_eq!(send(&layer, refused).await.status, 401);
    }
}

fn with_header(mut request: Request<()>, value: &str) -> Request<()> {
    request.headers_mut().append("client-cert", value.parse().unwrap());
    request
}

fn header_of(der: &[u8]) -> String {
    format!(":{}:", base64::prelude::BASE64_STANDARD.encode(der))
}

#[tokio::test]
async fn the_header_of_a_proxy_counts_once_alone_and_well_formed() {
    let fixture = Fixture::new();
    let layer = fixture.plain().with_client_certificates(ClientCertificates::from_proxy_header());
    let good = header_of(CERTIFICATE);
    let call = |value: &str| with_header(by("Bearer", CERTIFIED), value);
    for value in [good.clone(), format!("  {good}\t")] {
        assert_eq!(send(&layer, call(&value)).await.who, "alice");
    }
    assert_eq!(
        send(&layer, with_certificate(by("Bearer", CERTIFIED), CERTIFICATE)).await.who,
        "alice"
    );
    let bare = good.trim_matches(':');
    for refused in [
        with_header(call(&good), &good),
        with_header(call(&good), &header_of(b"another")),
        with_header(call(&header_of(b"another")), &good),
        with_certificate(call(&good), CERTIFICATE),
        with_certificate(call(&good), b"that of the proxy"),
        with_certificate(call(""), CERTIFICATE),
        call(&header_of(b"another")),
        call(&format!("{good}, {good}")),
        call(&format!("{good};a=1")),
        call(bare),
        call(&format!(":{bare}")),
        call(&format!("{bare}:")),
        call(&format!(":{}:", &bare[1..])),
        call(&format!(":{}:", digest(CERTIFICATE))),
        call(&format!(": {bare}:")),
        call(&format!("\"{bare}\"")),
        call("::"),
        call(":"),
        call(""),
        call(&format!(":{}:", "A".repeat(1024 * 1024))),
    ] {
        let reply = send(&layer, refused).await;
        assert_eq!((reply.kind, reply.who.as_str()), (Some(RejectionKind::Invalid), ""));
    }
    let mut bytes = by("Bearer", CERTIFIED);
    bytes.headers_mut().insert("client-cert", http::HeaderValue::from_bytes(b":\xff:").unwrap());
    assert_eq!(send(&layer, bytes).await.status, 401);
}

#[tokio::test]
async fn the_header_of_a_proxy_never_reaches_the_inner_service() {
    let fixture = Fixture::new();
    let judge = Judge::default();
    let cached = Cached::new(judge).with_clock(fixture.clock.clock());
    let layer = RequireToken::new("api", cached).unwrap().with_clock(fixture.clock.clock());
    let layer = layer.with_client_certificates(ClientCertificates::from_proxy_header());
    let layer = layer.allow_anonymous().allow_cors_preflights();
    let has_header = |request: Request<()>| async move {
        let certificate = request.extensions().get::<ClientCertificate>().cloned();
        assert_eq!(certificate, Some(ClientCertificate::from_der(CERTIFICATE)));
        let is_there = request.headers().contains_key("client-cert");
        Ok::<_, Infallible>(Response::new(is_there.to_string()))
    };
    let preflight = || {
        let request = Request::options("/r").header("origin", "https://app.example");
        request.header("access-control-request-method", "GET").body(()).unwrap()
    };
    let nothing = || Request::get("/r").body(()).unwrap();
    // A token that is remembered, and one that is not.
    for request in [by("Bearer", "good.1"), by("Bearer", "good.1"), nothing(), preflight()] {
        let request = with_header(request, &header_of(CERTIFICATE));
        let response = layer.layer(service_fn(has_header)).oneshot(request).await.unwrap();
        assert_eq!(response.into_body(), "false");
    }
}

#[tokio::test]
async fn a_token_that_is_bound_to_both_needs_both() {
    let fixture = Fixture::new();
    for layer in [fixture.layer(), fixture.plain().with_dpop(dpop().without_bearer())] {
        let proved = || request(BOTH, &fixture.key.proof(BOTH));
        assert_eq!(send(&layer, with_certificate(proved(), CERTIFICATE)).await.who, "alice");
        for refused in [proved(), with_certificate(proved(), b"another")] {
            assert_eq!(send(&layer, refused).await.errors(), ["invalid_token"]);
        }
        let other = request(BOTH, &Key::new().proof(BOTH));
        assert_eq!(
            send(&layer, with_certificate(other, CERTIFICATE)).await.errors(),
            ["invalid_token"]
        );
        let downgraded = with_certificate(by("Bearer", BOTH), CERTIFICATE);
        assert_eq!(send(&layer, downgraded).await.status, 401);
    }
}
