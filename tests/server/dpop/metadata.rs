//! The metadata of the resource say what the layer asks for (RFC 9728 §2).

use super::*;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use tower_oauth2::{Algorithm, TokenLocation, server::ClientCertificates};

/// The document of `layer`, as it is served.
async fn document(layer: RequireToken<StaticTokens>) -> Value {
    let metadata = layer.with_resource(URL).unwrap().resource_metadata().unwrap();
    let inner = service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let request = Request::get("/.well-known/oauth-protected-resource").body(()).unwrap();
    let body = metadata.layer(inner).oneshot(request).await.unwrap().into_body();
    serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap()
}

#[tokio::test]
async fn the_metadata_say_what_tokens_are_bound_to() {
    let plain = || Fixture::new().plain();
    let usual = json!(["ES256", "ES384", "EdDSA", "PS256"]);
    let bearer = json!({ "resource": URL, "bearer_methods_supported": ["header"] });
    let with = |members: Value| {
        let mut document = bearer.clone();
        for (name, value) in members.as_object().unwrap() {
            set(&mut document, name, value.clone());
        }
        document
    };
    let query = [TokenLocation::Bearer, TokenLocation::Query];
    let one = dpop().with_algorithms([Algorithm::EdDsa]).unwrap();
    for (layer, expected) in [
        (plain(), bearer.clone()),
        (plain().with_dpop(dpop()), with(json!({ "dpop_signing_alg_values_supported": usual }))),
        (plain().with_dpop(one), with(json!({ "dpop_signing_alg_values_supported": ["EdDSA"] }))),
        (
            plain().with_locations(query.clone()).unwrap().with_dpop(dpop().without_bearer()),
            with(json!({
                "bearer_methods_supported": [],
                "dpop_signing_alg_values_supported": usual,
                "dpop_bound_access_tokens_required": true,
            })),
        ),
        (
            plain().with_client_certificates(ClientCertificates::default()),
            with(json!({ "tls_client_certificate_bound_access_tokens": true })),
        ),
    ] {
        assert_eq!(document(layer).await, expected);
    }
}
