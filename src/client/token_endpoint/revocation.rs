use super::{endpoint::JSON, token_response};
use crate::{
    ClientAuthentication, ConfigError, Origin, Transport,
    back_channel::{
        client_authentication::Asked,
        form_post::{Answered, post},
        retry_after::retry_after,
        secrets::Secrets,
    },
    client::Error,
    vocabulary::origin::fetchable,
};
use http::Uri;
use std::fmt;
use zeroize::Zeroizing;

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
        secrets.add(token);
        let params = [("token", token), ("token_type_hint", hint)];
        let params = params.map(|(name, value)| (name, Zeroizing::new(value.to_owned()))).to_vec();
        let asked = Asked { endpoint: &self.url, now: self.transport.wall() };
        let posted = post(asked, &self.client, &params, JSON, secrets, &self.transport).await;
        let Answered { response, secrets } = posted.map_err(Error::post)?;
        if response.status().is_success() {
            return Ok(());
        }
        let wait = retry_after(response.headers(), self.transport.wall());
        Err(token_response::refusal(&response, &secrets).with_retry_after(wait))
    }
}

impl fmt::Debug for TokenRevocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRevocation")
            .field("origin", &Origin::from_uri(&self.url).map(|origin| origin.to_string()))
            .field("client", &self.client)
            .field("transport", &self.transport)
            .finish()
    }
}
