use super::attach::Prepared;
use crate::{AccessToken, ConfigError, TokenLocation, client::Error};
use std::fmt;

/// The one token of [`AddBearer::bearer`](crate::client::AddBearer::bearer), ready to be attached.
#[derive(Clone)]
pub struct StaticToken {
    token: AccessToken,
    prepared: Prepared,
}

impl StaticToken {
    pub(super) fn new(token: AccessToken, location: &TokenLocation) -> Result<Self, ConfigError> {
        let prepared = Prepared::new(&token, location)
            .map_err(|error: Error| ConfigError::new(error.to_string()))?;
        Ok(Self { token, prepared })
    }

    pub(super) fn token(&self) -> &AccessToken {
        &self.token
    }

    pub(super) fn prepared(&self) -> &Prepared {
        &self.prepared
    }
}

impl fmt::Debug for StaticToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StaticToken").field(&self.token).finish()
    }
}
