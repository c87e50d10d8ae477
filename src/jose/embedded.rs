//! The header of a JWS that holds the public half of its own key, as proofs of possession have it.

use super::{
    Algorithm, VerifyingKey, base64url,
    jwk::{Jwk, JwkSeed, Member},
};
use crate::vocabulary::members::{self, Members, Skipped, Text};
use aws_lc_rs::digest::{SHA256, digest};
use serde_core::de::MapAccess;
use std::borrow::Cow;

/// The members of the header ([RFC 9449 §4.2](https://www.rfc-editor.org/rfc/rfc9449#section-4.2)).
pub(crate) struct EmbeddedKey<'a> {
    pub(crate) typ: Option<Cow<'a, str>>,
    pub(crate) algorithm: Option<Algorithm>,
    jwk: Option<Jwk<'a>>,
    /// `crit`, or a key that is to be fetched.
    has_other: bool,
}

impl<'a> EmbeddedKey<'a> {
    /// Parses the header. Returns `None` when it is not an object, repeats a member, has one of the
    /// wrong type, `crit`, or a key beside `jwk`.
    pub(crate) fn parse(json: &'a [u8]) -> Option<Self> {
        let mut reading = Self { typ: None, algorithm: None, jwk: None, has_other: false };
        members::read(json, &mut reading).ok()?;
        (!reading.has_other).then_some(reading)
    }

    /// Returns its key.
    ///
    /// # Errors
    ///
    /// When it is not a public key that verifies signatures.
    pub(crate) fn key(&self) -> Result<VerifyingKey, &'static str> {
        VerifyingKey::new(self.jwk.as_ref().ok_or("it has no jwk")?)
    }

    /// Returns the thumbprint of its key ([RFC 7638 §3]), if it has the members for one.
    ///
    /// [RFC 7638 §3]: https://www.rfc-editor.org/rfc/rfc7638#section-3
    pub(crate) fn thumbprint(&self) -> Option<String> {
        thumbprint(self.jwk.as_ref()?)
    }
}

/// Returns the `jkt` of a public key: the digest of its required members in the order of their names.
pub(super) fn thumbprint(jwk: &Jwk<'_>) -> Option<String> {
    let members: &[(&str, &Member<'_>)] = match jwk.kty.as_deref()? {
        "EC" => &[("crv", &jwk.crv), ("kty", &jwk.kty), ("x", &jwk.x), ("y", &jwk.y)],
        "OKP" => &[("crv", &jwk.crv), ("kty", &jwk.kty), ("x", &jwk.x)],
        "RSA" => &[("e", &jwk.e), ("kty", &jwk.kty), ("n", &jwk.n)],
        _ => return None,
    };
    let mut json = String::with_capacity(192);
    for (name, value) in members {
        let value = value.as_deref()?;
        // None of them needs an escape in a key that can be used.
        if value.bytes().any(|byte| !byte.is_ascii_alphanumeric() && !b"-_".contains(&byte)) {
            return None;
        }
        json.push_str(if json.is_empty() { "{\"" } else { "\",\"" });
        json.extend([name, "\":\"", value]);
    }
    json.push_str("\"}");
    Some(base64url::encode(digest(&SHA256, json.as_bytes()).as_ref()))
}

impl<'de> Members<'de> for EmbeddedKey<'de> {
    fn member<A: MapAccess<'de>>(&mut self, name: &str, object: &mut A) -> Result<bool, A::Error> {
        match name {
            "typ" => self.typ = Some(object.next_value_seed(Text)?),
            "alg" => self.algorithm = Algorithm::in_header(&object.next_value_seed(Text)?).ok(),
            "jwk" => self.jwk = Some(object.next_value_seed(JwkSeed)?),
            "crit" | "jku" | "x5u" | "x5c" => {
                object.next_value_seed(Skipped)?;
                self.has_other = true;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7638 §3.1.
    const RSA: &str = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#;
    /// RFC 9449 §4.1.
    const EC: &str = r#"{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}"#;
    /// RFC 8037 Appendix A.2.
    const OKP: &str =
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    #[test]
    fn the_thumbprints_of_the_rfcs_are_found() {
        for (jwk, expected) in [
            (RSA, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
            (EC, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"),
            (OKP, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
        ] {
            assert_eq!(thumbprint(&Jwk::read(jwk.as_bytes()).unwrap()).as_deref(), Some(expected));
        }
    }
}
