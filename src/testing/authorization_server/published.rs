//! What the server publishes: its keys, and its metadata ([RFC 8414]).
//!
//! [RFC 8414]: https://www.rfc-editor.org/rfc/rfc8414

use super::{
    AuthorizationServer,
    answer::{self, Members},
    exchange::{Outcome, Reaction},
    faults::Fault,
    state::State,
};
use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use std::time::Duration;

/// The keys, unless something befalls the request.
pub(super) fn keys(state: &State) -> Reaction {
    let outcome = match &state.settings.keys_fault {
        Some(Fault::Answer(response)) => Outcome::Answer(response.clone()),
        Some(Fault::Hang) => Outcome::Hang,
        Some(Fault::Drop) => Outcome::Drop,
        None => {
            let mut response = answer::bare(StatusCode::OK);
            *response.body_mut() = state.jwts.key_set().into();
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
            let max_age = format!("max-age={}", state.settings.keys_max_age.as_secs());
            if let Ok(max_age) = HeaderValue::try_from(max_age) {
                headers.insert(CACHE_CONTROL, max_age);
            }
            Outcome::Answer(response)
        }
    };
    Reaction { latency: state.settings.keys_latency, outcome }
}

/// The metadata, where the server has an issuer identifier.
pub(super) fn metadata(state: &State) -> Response<Bytes> {
    let issuer = state.settings.issuer.as_deref().or(state.jwts.issuer());
    let Some(issuer) = issuer else { return answer::not_found() };
    let prefix = state.jwts.prefix();
    let base = format!("{}{prefix}", issuer.strip_suffix('/').unwrap_or(issuer));
    let mut members = Members::default();
    members.set_text("issuer", issuer);
    let keys = if prefix.is_empty() { "jwks" } else { "certs" };
    for (name, endpoint) in [
        ("authorization_endpoint", "authorize"),
        ("token_endpoint", "token"),
        ("jwks_uri", keys),
        ("introspection_endpoint", "introspect"),
        ("revocation_endpoint", "revoke"),
    ] {
        members.set_text(name, &format!("{base}/{endpoint}"));
    }
    members.set("response_types_supported", "[\"code\"]".into());
    members.set("code_challenge_methods_supported", "[\"S256\"]".into());
    members.into_response()
}

/// What becomes of requests for its keys.
impl AuthorizationServer {
    /// How long the keys may be kept (`Cache-Control: max-age`). Defaults to 5 min.
    pub fn set_keys_max_age(&self, max_age: Duration) {
        self.lock().settings.keys_max_age = max_age;
    }

    /// How long the answer to a request for the keys is held back. Defaults to zero.
    pub fn set_keys_latency(&self, latency: Duration) {
        self.lock().settings.keys_latency = latency;
    }

    /// Answers every request for the keys with `response`, until
    /// [`restore_keys`](Self::restore_keys).
    pub fn fail_keys(&self, response: Response<Bytes>) {
        self.lock().settings.keys_fault = Some(Fault::Answer(response));
    }

    /// Never answers a request for the keys, until [`restore_keys`](Self::restore_keys).
    pub fn hang_keys(&self) {
        self.lock().settings.keys_fault = Some(Fault::Hang);
    }

    /// Serves the keys again.
    pub fn restore_keys(&self) {
        self.lock().settings.keys_fault = None;
    }
}
