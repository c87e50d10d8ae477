//! The client credentials grant, with each way for a client to say who it is.

use crate::peers::{django, endpoint, oidc_provider, realm, secret_of};
use http::StatusCode;
use tower_oauth2::{
    ClientAuthentication,
    client::{Error, ErrorKind, Grant, TokenResponse},
};

const ODD_ID: &str = "svc:odd %+/";
const ODD_SECRET: &str = "s p+%/:&=?~secret";

fn reading() -> Grant {
    Grant::client_credentials().with_scopes("read".parse().unwrap())
}

async fn fetch(url: &str, client: ClientAuthentication) -> Result<TokenResponse, Error> {
    endpoint(url, client).fetch(&reading()).await
}

/// A token with what was asked for, ten minutes good.
#[track_caller]
fn assert_good(response: &TokenResponse) {
    assert_eq!(response.scope(), Some(reading().scopes()));
    assert_eq!(response.lifetime().unwrap().as_secs(), 600);
    assert!(response.refresh_token().is_none());
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_client_is_known_by_its_secret_in_a_header_or_in_the_body() {
    let provider = format!("{}/token", oidc_provider());
    let django = format!("{}/token/", django());
    for (url, client) in [
        (&provider, ClientAuthentication::basic("svc-basic", secret_of("svc-basic"))),
        (&provider, ClientAuthentication::post("svc-post", secret_of("svc-post"))),
        (&django, ClientAuthentication::basic("svc", "svc-secret")),
        (&django, ClientAuthentication::post("svc", "svc-secret")),
    ] {
        assert_good(&fetch(url, client).await.unwrap());
    }
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn an_id_and_a_secret_with_reserved_characters_are_form_encoded() {
    let url = format!("{}/token", oidc_provider());
    let client = ClientAuthentication::basic(ODD_ID, ODD_SECRET);
    assert_good(&fetch(&url, client).await.unwrap());

    let raw = ClientAuthentication::basic_raw(ODD_ID, ODD_SECRET);
    let error = fetch(&url, raw).await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Refused, false));
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_wrong_secret_is_refused_for_good_and_is_not_in_the_error() {
    let provider = format!("{}/token", oidc_provider());
    let django = format!("{}/token/", django());
    let wrong = "hunter2-hunter2-hunter2-hunter2-hunter2";
    for (url, client) in [
        (&provider, ClientAuthentication::basic("svc-basic", wrong)),
        (&provider, ClientAuthentication::post("svc-post", wrong)),
        (&provider, ClientAuthentication::basic("nobody", wrong)),
        (&provider, ClientAuthentication::public("svc-basic")),
        (&django, ClientAuthentication::basic("svc", wrong)),
        (&django, ClientAuthentication::post("svc", wrong)),
        (&django, ClientAuthentication::basic("nobody", wrong)),
    ] {
        let error = fetch(url, client).await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Refused, false), "{error}");
        assert_eq!(error.code(), Some("invalid_client"), "{error}");
        assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_scope_and_a_resource_that_the_server_does_not_know_are_refused_with_its_code() {
    let client = ClientAuthentication::basic("svc-basic", secret_of("svc-basic"));
    let endpoint = endpoint(&format!("{}/token", oidc_provider()), client);
    let other_scope = Grant::client_credentials().with_scopes("openid".parse().unwrap());
    let other_resource = reading().with_resource("urn:rs:nowhere").unwrap();
    for (grant, code) in [(other_scope, "invalid_scope"), (other_resource, "invalid_target")] {
        let error = endpoint.fetch(&grant).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some(code)), "{error}");
        assert_eq!(error.status(), Some(StatusCode::BAD_REQUEST));
    }
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn r5_the_paths_of_a_realm_give_a_token_for_nothing_but_the_grant() {
    let url = format!("{}/protocol/openid-connect/token", realm());
    assert!(url.contains("/auth/realms/demo/"), "{url}");
    let client = ClientAuthentication::basic("svc-basic", secret_of("svc-basic"));
    let response = endpoint(&url, client).fetch(&Grant::client_credentials()).await.unwrap();
    assert_eq!(response.lifetime().unwrap().as_secs(), 600);
    // None was asked for, and the server says nothing of any.
    assert_eq!(response.scope(), None);
}
