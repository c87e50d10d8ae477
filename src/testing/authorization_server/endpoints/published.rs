//! Publishes the keys of the server and its metadata ([RFC 8414]).
//!
//! [RFC 8414]: https://www.rfc-editor.org/rfc/rfc8414

use crate::testing::authorization_server::{
    answer::{self, Members},
    state::State,
};
use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};

pub(super) fn keys(state: &State) -> Response<Bytes> {
    let mut response = answer::bare(StatusCode::OK);
    *response.body_mut() = state.jwts.key_set().into();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
    let max_age = format!("max-age={}", state.settings.keys_max_age.as_secs());
    if let Ok(max_age) = HeaderValue::try_from(max_age) {
        headers.insert(CACHE_CONTROL, max_age);
    }
    response
}

/// Answers with the metadata, or with 404 if the server has no issuer identifier.
pub(super) fn metadata(state: &State) -> Response<Bytes> {
    let issuer = state.settings.issuer.as_deref().or(state.jwts.issuer());
    let Some(issuer) = issuer else { return answer::not_found() };
    let prefix = state.jwts.path_prefix();
    let base = format!("{}{prefix}", issuer.strip_suffix('/').unwrap_or(issuer));
    let mut members = Members::default();
    members.set_text("issuer", issuer);
    let keys = if prefix.is_empty() { "jwks" } else { "certs" };
    for (name, endpoint) in [
        ("authorization_endpoint", "authorize"),
        ("device_authorization_endpoint", "device_authorization"),
        ("token_endpoint", "token"),
        ("jwks_uri", keys),
        ("introspection_endpoint", "introspect"),
        ("revocation_endpoint", "revoke"),
    ] {
        members.set_text(name, &format!("{base}/{endpoint}"));
    }
    if let Some(algorithms) = state.proofs.algorithms() {
        members.set("dpop_signing_alg_values_supported", algorithms);
    }
    members.set("response_types_supported", "[\"code\"]".into());
    members.set("code_challenge_methods_supported", "[\"S256\"]".into());
    members.into_response()
}
