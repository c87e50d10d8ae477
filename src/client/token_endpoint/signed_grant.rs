//! Grants that sign a new assertion at each attempt.

use super::grant::JWT_BEARER;
use crate::{JwtAssertion, client::Grant};
use std::sync::Arc;

impl Grant {
    /// Sends an assertion of the client about the subject of the token, signed at each attempt
    /// ([RFC 7523 §2.1](https://www.rfc-editor.org/rfc/rfc7523#section-2.1), feature `jwt`).
    ///
    /// ```
    /// use tower_oauth2::{Algorithm, JwtAssertion, SigningKey, client::Grant};
    ///
    /// # let pem = "-----BEGIN PRIVATE KEY-----
    /// # MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
    /// # -----END PRIVATE KEY-----";
    /// let key = SigningKey::from_pkcs8_pem(Algorithm::EdDsa, pem)?;
    /// let assertion = JwtAssertion::new("reports@project.example", key)
    ///     .with_subject("alice@example.com");
    /// let grant = Grant::signed_jwt_bearer(assertion).with_scopes("read".parse()?);
    /// # Ok::<(), tower_oauth2::ConfigError>(())
    /// ```
    pub fn signed_jwt_bearer(assertion: JwtAssertion) -> Self {
        let mut grant = Self::standard(&[("grant_type", JWT_BEARER)]);
        grant.assertion = Some(Arc::new(assertion));
        grant
    }
}
