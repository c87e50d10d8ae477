use super::{endpoint::with_query, token_response};
use crate::{
    ClientAuthentication, ConfigError, Origin, Transport,
    back_channel::{client_authentication::Asked, retry_after::retry_after, secrets::Secrets},
    client::{Error, ErrorKind},
    vocabulary::origin::fetchable,
};
use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Uri,
    header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body_util::Full;
use std::fmt;

/// The revocation endpoint of an authorization server, as a client asks it
/// ([RFC 7009](https://www.rfc-editor.org/rfc/rfc7009)).
///
/// Each call is one request; nothing is repeated and no redirect is followed. A clone shares the
/// transport.
#[derive(Clone)]
#[must_use]
pub struct TokenRevocation {
    url: Uri,
    client: ClientAuthentication,
    transport: Transport,
}

impl TokenRevocation {
    /// The endpoint at `url`, asked as `client` through `transport`.
    ///
    /// # Errors
    ///
    /// When `url` is no absolute `https` URL (or `http` to the machine itself, or whatever the
    /// transport was told to allow), and when it has a user name.
    pub fn new(
        url: &str,
        client: ClientAuthentication,
        transport: Transport,
    ) -> Result<Self, ConfigError> {
        let wrong = |why: &str| ConfigError::new(format!("the revocation URL {why}"));
        let url = fetchable(url, transport.allows_plain_http()).map_err(wrong)?;
        Ok(Self { url, client, transport })
    }

    /// Has `token` revoked, which is of the kind `hint`: `access_token` or `refresh_token`. One
    /// that the server does not know is as good as revoked.
    ///
    /// # Errors
    ///
    /// Whatever is no success.
    ///
    /// # Panics
    ///
    /// As [`Transport::send`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the request. Whether the server saw it is then unknown.
    pub async fn revoke(&self, token: &str, hint: &str) -> Result<(), Error> {
        let mut secrets = Secrets::default();
        let request = self.request(token, hint, &mut secrets)?;
        let sent = self.transport.send_without(request, |text| secrets.redact(text)).await;
        let response = sent.map_err(|error| Error::transport(&error))?;
        if response.status().is_success() {
            return Ok(());
        }
        let wait = retry_after(response.headers(), self.transport.wall());
        Err(token_response::refusal(&response, &secrets).with_retry_after(wait))
    }

    fn request(
        &self,
        token: &str,
        hint: &str,
        secrets: &mut Secrets,
    ) -> Result<Request<Full<Bytes>>, Error> {
        secrets.add(token);
        let mut client = Vec::new();
        let asked = Asked { endpoint: &self.url, now: self.transport.wall() };
        let header = self
            .client
            .apply(asked, &mut client, secrets)
            .map_err(|text| Error::new(ErrorKind::Source, text))?;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("token", token).append_pair("token_type_hint", hint);
        for (name, value) in &client {
            form.append_pair(name, value);
        }
        let form = form.finish();
        let mut request = Request::new(Full::default());
        *request.method_mut() = Method::POST;
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.extend(header);
        if self.client.is_query() {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
            *request.uri_mut() = with_query(&self.url, &form)?;
            return Ok(request);
        }
        let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, form_type);
        *request.uri_mut() = self.url.clone();
        *request.body_mut() = Full::new(Bytes::from(form));
        Ok(request)
    }
}

impl fmt::Debug for TokenRevocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRevocation")
            .field("origin", &Origin::of(&self.url).map(|origin| origin.to_string()))
            .field("client", &self.client)
            .field("transport", &self.transport)
            .finish()
    }
}
