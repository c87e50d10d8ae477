//! The request of a client.

use super::RevocationError;
use crate::{
    ClientSecret,
    vocabulary::{query, secret::REDACTED},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, header::AUTHORIZATION};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The credentials that a client presents. They are not checked yet.
#[derive(Debug)]
pub struct ClientCredentials {
    client_id: Box<str>,
    secret: Option<ClientSecret>,
}

impl ClientCredentials {
    /// Returns the presented client identifier.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Returns the presented secret, if there is one that is not empty.
    #[must_use]
    pub fn secret(&self) -> Option<&ClientSecret> {
        self.secret.as_ref()
    }

    /// Returns `true` if `secret` was presented. The time that it takes tells nothing of `secret` but
    /// its length.
    #[must_use]
    pub fn has_secret(&self, secret: &ClientSecret) -> bool {
        let presented = self.secret.as_ref().map_or("", ClientSecret::expose);
        // An empty secret is none.
        !presented.is_empty() && presented.as_bytes().ct_eq(secret.expose().as_bytes()).into()
    }

    /// Reads the credentials of the header or the form.
    pub(super) fn read(headers: &HeaderMap, form: &mut Form) -> Result<Self, RevocationError> {
        let named = form.take("client_id")?;
        let posted = form.take("client_secret")?;
        let mut authorization = headers.get_all(AUTHORIZATION).iter();
        let (client_id, secret) = match authorization.next() {
            None => (named, posted),
            Some(_) if posted.is_some() || authorization.next().is_some() => {
                return Err(RevocationError::invalid_request(TWO_WAYS));
            }
            Some(value) => {
                let (user, password) =
                    basic(value.as_bytes()).ok_or_else(RevocationError::invalid_client)?;
                if named.is_some_and(|named| *named != *user) {
                    return Err(RevocationError::invalid_request(TWO_WAYS));
                }
                (Some(user), Some(password))
            }
        };
        let is_present = |text: &Zeroizing<String>| !text.is_empty();
        let client_id = client_id.filter(is_present).ok_or_else(RevocationError::invalid_client)?;
        let secret = secret.filter(is_present).map(|secret| ClientSecret::from(secret.as_str()));
        Ok(Self { client_id: client_id.as_str().into(), secret })
    }
}

const TWO_WAYS: &str = "the client authenticates in two ways";

type Pair = (Zeroizing<String>, Zeroizing<String>);

/// Decodes user name and password, each of which is form-encoded inside of the base64.
fn basic(value: &[u8]) -> Option<Pair> {
    let (scheme, credentials) = value.split_at_checked("Basic ".len())?;
    if !scheme.eq_ignore_ascii_case(b"Basic ") {
        return None;
    }
    let decoded = Zeroizing::new(BASE64_STANDARD.decode(credentials.trim_ascii()).ok()?);
    let (user, password) = str::from_utf8(&decoded).ok()?.split_once(':')?;
    let decoded = |text: &str| {
        let text = Zeroizing::new(text.replace('+', " "));
        Some(Zeroizing::new(query::decode(&text)?.into_owned()))
    };
    Some((decoded(user)?, decoded(password)?))
}

/// A token to revoke.
pub struct RevokeRequest {
    token: Zeroizing<String>,
    hint: Option<Box<str>>,
    client_id: Box<str>,
}

impl RevokeRequest {
    /// Returns the token, which may contain any characters. The caller must keep it secret.
    #[must_use]
    pub fn expose_token(&self) -> &str {
        &self.token
    }

    /// Returns the `token_type_hint` of the client: `access_token`, `refresh_token` or another. It says
    /// where to look first, and may be wrong.
    #[must_use]
    pub fn token_type_hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Returns the identifier of the authenticated client.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }
}

impl fmt::Debug for RevokeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevokeRequest")
            .field("token", &format_args!("{REDACTED}"))
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// The decoded names and values of a form.
pub(super) struct Form(Vec<(String, Zeroizing<String>)>);

impl Form {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(bytes);
        Self(pairs.map(|(name, value)| (name.into(), value.into_owned().into())).collect())
    }

    /// Removes the value of `name`, which must not be repeated.
    fn take(&mut self, name: &str) -> Result<Option<Zeroizing<String>>, RevocationError> {
        let mut values = self.0.extract_if(.., |(own, _)| own == name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value.map(|(_, value)| value)),
            _ => Err(RevocationError::invalid_request("a parameter is repeated")),
        }
    }

    pub(super) fn into_request(
        mut self,
        client_id: Box<str>,
    ) -> Result<RevokeRequest, RevocationError> {
        let token = self.take("token")?.filter(|token| !token.is_empty());
        let token = token.ok_or(RevocationError::invalid_request("token is missing"))?;
        let hint = self.take("token_type_hint")?.map(|hint| hint.as_str().into());
        Ok(RevokeRequest { token, hint, client_id })
    }
}
