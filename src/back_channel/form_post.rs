//! The one way in which a form is posted to an authorization server.

use super::{
    client_authentication::{Asked, ClientAuthentication, Proof},
    secrets::Secrets,
    transport::{Transport, TransportError},
};
use crate::vocabulary::{bond::Proved, location::DPOP, query::with_more, secret::wiped};
use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response,
    header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body_util::Full;
use zeroize::Zeroizing;

/// Parameters of a form in their order.
pub(crate) type Params<'p> = Vec<(&'p str, Zeroizing<String>)>;

/// An answer, and the secrets that must not show in what is said of it.
pub(crate) struct Answered {
    pub(crate) response: Response<Bytes>,
    pub(crate) secrets: Secrets,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum PostError {
    /// The client cannot authenticate.
    Client(Box<str>),
    /// The URL cannot hold the parameters in its query.
    Url,
    /// The request failed. No secret is in the error.
    Transport(TransportError),
}

/// Posts `params` after those by which `client` authenticates, and returns the answer, whatever its
/// status. The request is made by this call, the future sends it. `secrets` are the secrets among
/// `params`.
#[cfg_attr(
    not(feature = "client"),
    allow(dead_code, reason = "introspection does it in two steps")
)]
pub(crate) fn post(
    asked: Asked<'_>,
    client: &ClientAuthentication,
    params: &Params<'_>,
    accept: &'static str,
    mut secrets: Secrets,
    transport: &Transport,
) -> impl Future<Output = Result<Answered, PostError>> + Send + use<> {
    let request = request(asked, client, params, accept, &mut secrets);
    let transport = transport.clone();
    async move { send(request?, secrets, &transport).await }
}

/// Posts what is safe to repeat: by `post`, and once more if the connection is cut before the answer.
/// Each attempt makes its request, so that an assertion is used once.
pub(crate) async fn repeatable<F>(mut post: impl FnMut() -> F) -> Result<Answered, PostError>
where
    F: Future<Output = Result<Answered, PostError>>,
{
    match post().await {
        Err(PostError::Transport(error)) if error.is_cut() => post().await,
        posted => posted,
    }
}

/// Sends a [`request`] that was made with `secrets`.
pub(crate) async fn send(
    request: Request<Full<Bytes>>,
    secrets: Secrets,
    transport: &Transport,
) -> Result<Answered, PostError> {
    let sent = transport.send_without(request, |text| secrets.redact(text)).await;
    let response = sent.map_err(PostError::Transport)?;
    Ok(Answered { response, secrets })
}

/// Makes the request of [`post`], and adds the secrets of the client to `secrets`.
pub(crate) fn request(
    asked: Asked<'_>,
    client: &ClientAuthentication,
    params: &Params<'_>,
    accept: &'static str,
    secrets: &mut Secrets,
) -> Result<Request<Full<Bytes>>, PostError> {
    let mut own = Vec::new();
    let credential = client.apply(asked, &mut own, secrets).map_err(PostError::Client)?;
    // Of its final size at most, since a buffer that grows leaves copies behind.
    let size = |(name, value): (&&str, &Zeroizing<String>)| 3 * (name.len() + value.len()) + 2;
    let all = || own.iter().chain(params).map(|(name, value)| (name, value));
    let mut form = form_urlencoded::Serializer::new(String::with_capacity(all().map(size).sum()));
    for (name, value) in all() {
        form.append_pair(name, value);
    }
    let form = Zeroizing::new(form.finish());
    let (url, form) = match client.is_query() {
        true => (with_more(asked.endpoint, &form).ok_or(PostError::Url)?, Bytes::new()),
        false => (asked.endpoint.clone(), wiped(Zeroizing::new(form.as_bytes().to_vec()))),
    };
    let has_form = !form.is_empty();
    let mut request = Request::new(Full::new(form));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = url;
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    if has_form {
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, form);
    } else {
        // RFC 9110 §8.6. hyper leaves it out, and servers answer that with 411.
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    headers.extend(credential);
    if let Some(Proof { key, server }) = asked.proof {
        let (path, now) = (asked.endpoint.path(), asked.clock.wall());
        let proof = key.prove(Proved { method: &Method::POST, server, path, ath: None, now });
        headers.insert(DPOP, proof.map_err(|why| PostError::Client(why.into()))?);
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Clock;
    use http::Uri;
    use http_body_util::BodyExt;

    const URL: &str = "https://as.example/introspect?realm=x";

    fn built(client: &ClientAuthentication, secrets: &mut Secrets) -> (Request<()>, String) {
        let params = vec![("token", Zeroizing::new("a+b/==".to_owned()))];
        secrets.add("a+b/==");
        let endpoint = Uri::from_static(URL);
        let asked =
            Asked { endpoint: &endpoint, issuer: None, clock: &Clock::system(), proof: None };
        let request = request(asked, client, &params, "application/json", secrets).unwrap();
        let (parts, body) = request.into_parts();
        let body = tokio_test::block_on(body.collect()).unwrap().to_bytes();
        (Request::from_parts(parts, ()), String::from_utf8(body.into()).unwrap())
    }

    #[test]
    fn the_parameters_are_in_the_body_however_the_client_authenticates_there() {
        let own = "token=a%2Bb%2F%3D%3D";
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
                format!("client_id=i%3Ad&client_secret=s%2B&{own}"),
                None,
            ),
            (ClientAuthentication::public("id"), format!("client_id=id&{own}"), None),
            (ClientAuthentication::none(), own.to_owned(), None),
        ] {
            let (request, body) = built(&client, &mut Secrets::default());
            assert_eq!(request.method(), Method::POST);
            assert_eq!(request.uri(), URL);
            assert_eq!(request.headers()[ACCEPT], "application/json");
            assert_eq!(request.headers()[CONTENT_TYPE], "application/x-www-form-urlencoded");
            assert_eq!(body, form);
            let sent = request.headers().get("authorization");
            assert_eq!(sent.map(|value| value.to_str().unwrap()), header);
            assert!(sent.is_none_or(HeaderValue::is_sensitive));
        }
    }

    #[test]
    fn a_client_that_authenticates_in_the_query_has_everything_there_and_an_empty_body() {
        let client = ClientAuthentication::query("id", "s+");
        let (request, body) = built(&client, &mut Secrets::default());
        let own = "client_id=id&client_secret=s%2B&token=a%2Bb%2F%3D%3D";
        assert_eq!(request.uri(), &*format!("{URL}&{own}"));
        assert_eq!((request.headers()[CONTENT_LENGTH].as_bytes(), &*body), (&b"0"[..], ""));
        assert!(!request.headers().contains_key(CONTENT_TYPE));
    }

    #[test]
    fn neither_parameter_nor_secret_is_left_in_a_text_about_the_request() {
        let mut secrets = Secrets::default();
        built(&ClientAuthentication::post("id", "hunter2"), &mut secrets);
        let text = secrets.redact("token=a%2Bb/==&client_secret=hunter2 a+b/==");
        assert_eq!(text, "token=a%2Bb/==&client_secret=[redacted] [redacted]");
    }
}
