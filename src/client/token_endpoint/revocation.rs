use super::{endpoint::JSON, refusal::refusal};
use crate::{
    ClientAuthentication, ConfigError, Origin, Transport,
    back_channel::{
        client_authentication::Asked,
        form_post::{Answered, post, repeatable},
        retry_after::retry_after,
        secrets::Secrets,
    },
    client::Error,
    vocabulary::origin::fetchable,
};
use http::Uri;
use std::fmt;
use zeroize::Zeroizing;

/// The revocation endpoint of an authorization server, for clients
/// ([RFC 7009](https://www.rfc-editor.org/rfc/rfc7009)).
///
/// Each call sends one request, and sends it once more if the connection is cut before the answer: to
/// revoke a token twice is no error. Redirects are not followed. A clone shares the transport.
#[derive(Clone)]
#[must_use]
pub struct TokenRevocation {
    url: Uri,
    client: ClientAuthentication,
    transport: Transport,
}

impl TokenRevocation {
    /// Sends requests to `url` as `client` through `transport`.
    ///
    /// # Errors
    ///
    /// If `url` is not an absolute `https` URL or has a user name. `http` is accepted to the machine
    /// itself, or as the transport allows it.
    pub fn new(
        url: &str,
        client: ClientAuthentication,
        transport: Transport,
    ) -> Result<Self, ConfigError> {
        let wrong = |why: &str| ConfigError::new(format!("the revocation URL {why}"));
        let url = fetchable(url, transport.allows_plain_http()).map_err(wrong)?;
        Ok(Self { url, client, transport })
    }

    /// Revokes `token`. `hint` is its kind: `access_token` or `refresh_token`. The server's success
    /// includes a token that it does not know.
    ///
    /// # Errors
    ///
    /// If the request fails, or its status is not a success.
    ///
    /// # Panics
    ///
    /// As [`Transport::send`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the request, which the server may have seen.
    pub async fn revoke(&self, token: &str, hint: &str) -> Result<(), Error> {
        let params = [("token", token), ("token_type_hint", hint)];
        let params = params.map(|(name, value)| (name, Zeroizing::new(value.to_owned()))).to_vec();
        let posted = repeatable(|| {
            let mut secrets = Secrets::default();
            secrets.add(token);
            let clock = self.transport.clock();
            let asked = Asked { endpoint: &self.url, issuer: None, clock, proof: None };
            post(asked, &self.client, &params, JSON, secrets, &self.transport)
        });
        let Answered { response, secrets } = posted.await.map_err(Error::post)?;
        if response.status().is_success() {
            return Ok(());
        }
        let wait = retry_after(response.headers(), self.transport.clock().wall());
        Err(refusal(&response, &secrets).answered_with(wait))
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
