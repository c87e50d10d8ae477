//! What refusals of bound tokens look like to callers of other kinds, and to policies.

use super::*;
use http::{Version, header::CONTENT_TYPE};
use tower_oauth2::server::{DpopNonces, RequirePolicy, RequireScope, StepUp};

/// A call of gRPC with a bound token, and with a proof for another method.
fn grpc_call(fixture: &Fixture, content_type: &str) -> Request<()> {
    let proof = fixture.proof().claim("htu", format!("{URL}/pkg.S/M")).text();
    let mut request = with_proof(by("DPoP", BOUND), &proof);
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = "/pkg.S/M".parse().unwrap();
    *request.version_mut() = Version::HTTP_2;
    request.headers_mut().insert(CONTENT_TYPE, content_type.parse().unwrap());
    request
}

#[tokio::test]
async fn grpc_callers_get_trailers_with_the_challenges_and_the_nonce() {
    let fixture = Fixture::new();
    let nonces = DpopNonces::random().unwrap();
    let with_nonces = fixture.plain().with_dpop(dpop().with_nonces(nonces));
    for content_type in ["application/grpc", "application/grpc-web+proto"] {
        for (layer, exposed) in [
            (fixture.layer(), "grpc-status, grpc-message, www-authenticate"),
            (with_nonces.clone(), "grpc-status, grpc-message, www-authenticate, dpop-nonce"),
            (
                with_nonces.clone().with_exposed_challenges(),
                "grpc-status, grpc-message, www-authenticate, dpop-nonce",
            ),
        ] {
            let reply = send(&layer, grpc_call(&fixture, content_type)).await;
            assert_eq!(
                (reply.status.as_u16(), &reply.headers["grpc-status"]),
                (200, &"16".parse().unwrap())
            );
            assert_eq!(reply.challenges.len(), 2);
            assert_eq!(reply.errors(), ["invalid_dpop_proof"]);
            assert_eq!(reply.headers["access-control-expose-headers"], exposed);
            assert_eq!(reply.nonce.is_some(), exposed.contains("nonce"));
        }
    }
}

#[tokio::test]
async fn a_grpc_call_with_its_proof_passes() {
    let fixture = Fixture::new();
    let proof = fixture.proof().claim("htu", format!("{URL}/pkg.S/M")).claim("htm", "POST").text();
    let mut call = grpc_call(&fixture, "application/grpc");
    call.headers_mut().insert("dpop", proof.parse().unwrap());
    assert_eq!(send(&fixture.layer(), call).await.who, "alice");
}

#[tokio::test]
async fn pages_of_other_origins_can_read_the_nonce_beside_the_challenges() {
    let fixture = Fixture::new();
    for (layer, exposed) in [
        (fixture.layer(), None),
        (fixture.layer().with_exposed_challenges(), Some("WWW-Authenticate, DPoP-Nonce")),
        (fixture.plain().with_exposed_challenges(), Some("WWW-Authenticate")),
    ] {
        let reply = send(&layer, by("DPoP", "unknown")).await;
        let header = reply.headers.get("access-control-expose-headers");
        assert_eq!(header.map(|value| value.to_str().unwrap()), exposed);
    }
}

#[tokio::test]
async fn a_policy_below_puts_its_error_into_the_challenge_of_the_scheme_that_was_used() {
    let fixture = Fixture::new();
    let scope = RequireScope::all_of(["write"]).unwrap();
    let policy = RequirePolicy::new(StepUp::default().with_acr("gold"));
    let layer = fixture.layer();
    for (request, scheme) in
        [(request(BOUND, &fixture.proof()), DPOP), (by("Bearer", UNBOUND), BEARER)]
    {
        let service = layer.layer(scope.layer(service_fn(who)));
        let reply = Reply::of(service.oneshot(request).await.unwrap());
        assert_eq!((reply.status.as_u16(), reply.errors()), (403, vec!["insufficient_scope"]));
        assert!(matches!(&reply.challenges[..], [only] if only.starts_with(scheme)));
        assert!(reply.challenges[0].contains(r#"scope="write""#));
    }
    for (request, scheme) in
        [(request(BOUND, &fixture.proof()), DPOP), (by("Bearer", UNBOUND), BEARER)]
    {
        let service = layer.layer(policy.layer(service_fn(who)));
        let reply = Reply::of(service.oneshot(request).await.unwrap());
        assert_eq!(reply.errors(), ["insufficient_user_authentication"]);
        assert!(matches!(&reply.challenges[..], [only] if only.starts_with(scheme)));
    }
}

#[tokio::test]
async fn what_all_challenges_have_is_in_that_of_dpop_too() {
    let fixture = Fixture::new();
    let layer = fixture.layer().with_resource("https://api.example").unwrap();
    let layer = layer.with_scope_hint("read".parse().unwrap()).with_terse_refusals();
    let layer = layer.with_error_uri("https://docs.example/errors").unwrap();
    let metadata = "https://api.example/.well-known/oauth-protected-resource";
    let reply = send(&layer, Request::get("/r").body(()).unwrap()).await;
    let rest = format!(r#"realm="api", resource_metadata="{metadata}", scope="read""#);
    assert_eq!(reply.challenges[1], format!(r#"DPoP algs="ES256 ES384 EdDSA PS256", {rest}"#));
    let reply = send(&layer, request(BOUND, &fixture.proof().claim("htm", "PUT"))).await;
    let rest = r#"error="invalid_dpop_proof", error_uri="https://docs.example/errors""#;
    assert_eq!(reply.challenges[1], format!(r#"{DPOP}, resource_metadata="{metadata}", {rest}"#));
}

#[tokio::test]
async fn the_audit_hook_hears_who_was_refused_and_never_the_proof() {
    let fixture = Fixture::new();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let log = heard.clone();
    let layer = fixture.layer().with_audit(move |event| {
        log.lock().unwrap().push((event.allowed, event.rejection, format!("{event:?}")));
    });
    let (good, bad) = (fixture.proof().text(), fixture.proof().claim("htm", "PUT").text());
    send(&layer, with_proof(by("DPoP", BOUND), &good)).await;
    send(&layer, with_proof(by("DPoP", BOUND), &bad)).await;
    let heard = heard.lock().unwrap();
    assert_eq!((heard[0].0, heard[0].1), (true, None));
    assert_eq!((heard[1].0, heard[1].1), (false, Some(RejectionKind::InvalidProof)));
    for (.., text) in heard.iter() {
        assert!(!text.contains(&good) && !text.contains(&bad) && !text.contains(BOUND), "{text}");
    }
}
