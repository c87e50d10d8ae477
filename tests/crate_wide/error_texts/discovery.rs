//! Why the metadata of a server, or of a resource, are not to be had.

use super::{assert_said, text};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri, header::WWW_AUTHENTICATE};
use http_body_util::Full;
use std::{convert::Infallible, io};
use tower::service_fn;
use tower_oauth2::{AuthorizationServerMetadata, Transport, client::ProtectedResource};

/// Answers everything with this.
pub(crate) fn answering(status: u16, body: &'static str) -> Transport {
    Transport::new(service_fn(move |_: Request<Full<Bytes>>| async move {
        let response = Response::builder().status(status).body(Full::new(Bytes::from(body)));
        Ok::<_, Infallible>(response.unwrap())
    }))
}

pub(crate) fn unreachable() -> Transport {
    Transport::new(service_fn(async |_: Request<Full<Bytes>>| {
        Err::<Response<Full<Bytes>>, _>(io::Error::other("there is no route"))
    }))
}

#[tokio::test]
async fn why_the_metadata_of_a_server_are_not_to_be_had_is_said() {
    let of = async |issuer: &str, transport: Transport| {
        text(AuthorizationServerMetadata::discover(issuer, &transport).await)
    };
    let issuer = "https://as.example/";
    assert_said([
        (
            "no issuer",
            of("as.example", answering(200, "")).await,
            "the issuer is no absolute http(s) URL, such as https://as.example/path",
        ),
        (
            "plain http",
            of("http://as.example", answering(200, "")).await,
            "the issuer is plain http to another machine; Transport::allow_plain_http takes it",
        ),
        (
            "nobody there",
            of(issuer, unreachable()).await,
            "the metadata of https://as.example/ could not be fetched: there is no route",
        ),
        (
            "nothing there",
            of(issuer, answering(404, "")).await,
            "the metadata of https://as.example/ is not there (404 Not Found)",
        ),
        (
            "elsewhere",
            of(issuer, answering(302, "")).await,
            "the metadata of https://as.example/ is elsewhere (302 Found), which is not followed",
        ),
        ("a page", of(issuer, answering(200, "<html>")).await, "the metadata is no JSON object"),
        ("nobody's", of(issuer, answering(200, "{}")).await, "the metadata names no issuer"),
        (
            "a slash",
            of(issuer, answering(200, r#"{"issuer":"https://as.example"}"#)).await,
            "the metadata of https://as.example/ is that of another issuer, https://as.example",
        ),
    ]);
}

#[tokio::test]
async fn why_the_metadata_of_a_resource_are_not_to_be_had_is_said() {
    let of = async |resource: &str, transport: Transport| {
        text(ProtectedResource::discover(resource, ["https://as.example"], &transport).await)
    };
    let challenged = async |challenge: &'static str| {
        let called: Uri = "https://api.example/v1/calls?access_token=hunter2".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(WWW_AUTHENTICATE, challenge.parse().unwrap());
        let transport = answering(404, "");
        let issuers = ["https://as.example"];
        text(ProtectedResource::from_challenge(&called, &headers, issuers, &transport).await)
    };
    let resource = "https://api.example";
    assert_said([
        (
            "no resource",
            of("api.example", answering(200, "")).await,
            "the resource is not an absolute https URL without a fragment, such as https://api.example/v1",
        ),
        (
            "nothing there",
            of(resource, answering(404, "")).await,
            "the metadata of https://api.example is not there (404 Not Found)",
        ),
        ("nobody's", of(resource, answering(200, "{}")).await, "the metadata have no resource"),
        (
            "another's",
            of(resource, answering(200, r#"{"resource":"https://else.example"}"#)).await,
            "the metadata belong to another resource than the requested one",
        ),
        (
            "of no server",
            of(resource, answering(200, r#"{"resource":"https://api.example"}"#)).await,
            "the resource names no authorization server",
        ),
        (
            "of another server",
            of(
                resource,
                answering(
                    200,
                    r#"{"resource":"https://api.example","authorization_servers":["https://x.example"]}"#,
                ),
            )
            .await,
            "the resource takes tokens of https://x.example, which was not listed beforehand",
        ),
        (
            "a challenge without a document",
            challenged("Bearer realm=\"api\"").await,
            "no challenge names the metadata of the resource",
        ),
        (
            "a challenge with a path",
            challenged("Bearer resource_metadata=\"/metadata\"").await,
            "the URL of the resource's metadata is no absolute http(s) URL, such as \
             https://as.example/path",
        ),
        (
            "a challenge with another's",
            challenged("Bearer resource_metadata=\"https://else.example/\"").await,
            "the URL of the resource's metadata is of another origin",
        ),
        (
            "a challenge with what is not there",
            challenged("Bearer resource_metadata=\"https://api.example/metadata\"").await,
            "the metadata of https://api.example/v1/calls is not there (404 Not Found)",
        ),
    ]);
}
