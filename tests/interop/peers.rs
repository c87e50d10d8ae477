//! Where the servers are, and this crate's client half aimed at them.

use crate::system::{self, ApiClient, within_limit};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::Full;
use serde_json::Value;
use std::{env, path::PathBuf};
use tower::Layer;
use tower_oauth2::{
    ClientAuthentication, Transport,
    client::{AddBearer, TokenCache, TokenEndpoint},
};

/// The address of the certified provider, and its issuer.
pub(crate) fn oidc_provider() -> String {
    set("INTEROP_OIDC_PROVIDER")
}

/// The same, of one that demands nonces in DPoP proofs.
pub(crate) fn oidc_provider_with_nonces() -> String {
    set("INTEROP_NONCES")
}

/// The issuer that has a Keycloak realm's paths.
pub(crate) fn realm() -> String {
    set("INTEROP_REALM")
}

/// The address of the Django application.
pub(crate) fn django() -> String {
    set("INTEROP_DJANGO")
}

/// The issuer that exchanges tokens.
pub(crate) fn idpyoidc() -> String {
    set("INTEROP_IDPYOIDC")
}

/// The origin of the API that reads proofs.
pub(crate) fn verifier() -> String {
    set("INTEROP_VERIFIER")
}

/// The origins of Apache, with http for proofs and with https for certificates.
pub(crate) fn apache() -> [String; 2] {
    let origins = set("INTEROP_APACHE");
    let (plain, tls) = origins.split_once(' ').unwrap();
    [plain, tls].map(str::to_owned)
}

/// The address of the proxy.
pub(crate) fn proxy() -> String {
    set("INTEROP_PROXY")
}

/// The directory of the certificates.
pub(crate) fn certificates() -> PathBuf {
    set("INTEROP_TLS").into()
}

fn set(variable: &str) -> String {
    env::var(variable).unwrap_or_else(|_| panic!("{variable} is set by tests/interop/run"))
}

/// The secret of a client of the certified provider.
pub(crate) fn secret_of(client_id: &str) -> String {
    format!("{client_id}-secret-that-is-long-enough-for-hs256")
}

pub(crate) fn endpoint(url: &str, client: ClientAuthentication) -> TokenEndpoint {
    TokenEndpoint::new(url, client, Transport::https()).unwrap()
}

/// Calls `origin` with tokens out of `cache`.
pub(crate) fn client_of(cache: &TokenCache, origin: &str) -> ApiClient {
    let layer = AddBearer::from_source(cache.clone(), origin).unwrap();
    ApiClient::new(layer.layer(system::http()))
}

/// Calls `url` and expects JSON.
pub(crate) async fn call_json(client: &mut ApiClient, url: &str) -> Value {
    let response = system::call(client, url).await.unwrap();
    assert_eq!(response.status(), 200, "{response:?}");
    serde_json::from_str(response.body()).unwrap()
}

/// What a resource server asks about a token, or for its end: `token` posted to `url` with the
/// credentials of a client whose id and secret need no encoding.
pub(crate) async fn post_token(
    url: &str,
    client_id: &str,
    secret: &str,
    token: &str,
) -> Response<Bytes> {
    let credentials = BASE64_STANDARD.encode(format!("{client_id}:{secret}"));
    let form = form_urlencoded::Serializer::new(String::new()).append_pair("token", token).finish();
    let request = Request::post(url)
        .header(header::AUTHORIZATION, format!("Basic {credentials}"))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Full::from(form))
        .unwrap();
    within_limit(Transport::https().send(request)).await.unwrap()
}
