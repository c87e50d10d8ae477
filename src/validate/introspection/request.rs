//! What the endpoint is asked ([RFC 7662 §2.1]).
//!
//! [RFC 7662 §2.1]: https://www.rfc-editor.org/rfc/rfc7662#section-2.1

use crate::{
    ClientAuthentication,
    back_channel::{client_authentication::Asked, secrets::Secrets},
};
use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Uri,
    header::{ACCEPT, CONTENT_TYPE},
};
use http_body_util::Full;
use std::time::SystemTime;

/// The question of `client` about `token`. What must not show in an error goes to `secrets`.
///
/// # Errors
///
/// When the client cannot show who it is.
pub(super) fn build(
    url: &Uri,
    client: &ClientAuthentication,
    token: &str,
    accept: &'static str,
    now: SystemTime,
    secrets: &mut Secrets,
) -> Result<Request<Full<Bytes>>, Box<str>> {
    secrets.add(token);
    let mut shown = Vec::new();
    let header = client.apply(Asked { endpoint: url, now }, &mut shown, secrets)?;
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("token", token).append_pair("token_type_hint", "access_token");
    for (name, value) in &shown {
        form.append_pair(name, value);
    }
    let mut request = Request::new(Full::new(Bytes::from(form.finish())));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = url.clone();
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    headers.insert(CONTENT_TYPE, form);
    if let Some((name, value)) = header {
        headers.insert(name, value);
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    fn built(client: &ClientAuthentication, token: &str) -> (Request<()>, String) {
        let url = Uri::from_static("https://as.example/introspect?realm=x");
        let now = SystemTime::UNIX_EPOCH;
        let request =
            build(&url, client, token, "application/json", now, &mut Secrets::default()).unwrap();
        let (parts, body) = request.into_parts();
        let body = tokio_test::block_on(body.collect()).unwrap().to_bytes();
        (Request::from_parts(parts, ()), String::from_utf8(body.into()).unwrap())
    }

    #[test]
    fn the_token_is_in_the_body_however_the_client_authenticates() {
        let own = "token=a%2Bb%2F%3D%3D&token_type_hint=access_token";
        for (client, form, header) in [
            // RFC 6749 §2.3.1: `i%3Ad:s%2B`.
            (
                ClientAuthentication::basic("i:d", "s+"),
                own.to_owned(),
                Some("Basic aSUzQWQ6cyUyQg=="),
            ),
            (ClientAuthentication::basic_raw("id", "s+"), own.to_owned(), Some("Basic aWQ6cys=")),
            (
                ClientAuthentication::post("i:d", "s+"),
                format!("{own}&client_id=i%3Ad&client_secret=s%2B"),
                None,
            ),
            (ClientAuthentication::public("id"), format!("{own}&client_id=id"), None),
            (ClientAuthentication::none(), own.to_owned(), None),
        ] {
            let (request, body) = built(&client, "a+b/==");
            assert_eq!(request.method(), Method::POST);
            assert_eq!(request.uri(), "https://as.example/introspect?realm=x");
            assert_eq!(request.headers()[ACCEPT], "application/json");
            assert_eq!(request.headers()[CONTENT_TYPE], "application/x-www-form-urlencoded");
            assert_eq!(body, form);
            let sent = request.headers().get("authorization");
            assert_eq!(sent.map(|value| value.to_str().unwrap()), header);
            assert!(sent.is_none_or(HeaderValue::is_sensitive));
        }
    }

    #[test]
    fn neither_token_nor_secret_is_left_in_a_text_about_the_request() {
        let url = Uri::from_static("https://as.example/introspect");
        let client = ClientAuthentication::post("id", "hunter2");
        let mut secrets = Secrets::default();
        build(&url, &client, "mF_9+B5f", "x/y", SystemTime::UNIX_EPOCH, &mut secrets).unwrap();
        let text = secrets.redact("token=mF_9%2BB5f&client_secret=hunter2 mF_9+B5f");
        assert_eq!(text, "token=[redacted]&client_secret=[redacted] [redacted]");
    }
}
