//! Sends requests of unit tests to the server, without a future.

use super::{AuthorizationServer, state::Outcome};
use bytes::Bytes;
use http::{
    Method, Request, Response,
    header::{CONTENT_TYPE, LOCATION},
};
use serde_json::Value;

pub(super) fn get(server: &AuthorizationServer, uri: &str) -> Response<Bytes> {
    answer(server, Method::GET, uri, "")
}

/// Posts a form.
pub(super) fn post(server: &AuthorizationServer, uri: &str, form: &str) -> Response<Bytes> {
    answer(server, Method::POST, uri, form)
}

fn answer(server: &AuthorizationServer, method: Method, uri: &str, form: &str) -> Response<Bytes> {
    let request = Request::builder()
        .method(method)
        .uri(uri)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Bytes::copy_from_slice(form.as_bytes()))
        .unwrap();
    match server.react(&request).outcome {
        Outcome::Answer(response) => response,
        silent => panic!("{silent:?}"),
    }
}

pub(super) fn json(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

pub(super) fn location(response: &Response<Bytes>) -> String {
    assert_eq!(response.status(), 302);
    response.headers()[LOCATION].to_str().unwrap().to_owned()
}
