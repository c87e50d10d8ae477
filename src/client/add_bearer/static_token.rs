use super::attach::Credential;
use crate::{AccessToken, ConfigError, TokenLocation, client::Error};

/// The one token of [`AddBearer::bearer`](crate::client::AddBearer::bearer).
#[derive(Clone)]
pub struct StaticToken {
    token: AccessToken,
    credential: Credential,
}

impl StaticToken {
    pub(super) fn new(token: AccessToken, location: &TokenLocation) -> Result<Self, ConfigError> {
        if token.bond().is_some() {
            return Err(ConfigError::new(
                "a token that is bound to a key may need a second request, for a nonce; use \
                 AddBearer::from_source",
            ));
        }
        let credential = Credential::new(&token, location)
            .map_err(|error: Error| ConfigError::new(error.to_string()))?;
        Ok(Self { token, credential })
    }

    pub(super) fn token(&self) -> &AccessToken {
        &self.token
    }

    pub(super) fn credential(&self) -> &Credential {
        &self.credential
    }
}

opaque_debug!(StaticToken { token, .. });
