//! What a JWT that others issued says of its own end. Nothing here is verified.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::Value;
use std::time::{Duration, SystemTime};

/// How the header of every JWT begins: `{"`.
const BEGINS: &str = "eyJ";

/// Returns when `token` expires, or `None` if it does not say so: an opaque token for example.
///
/// # Errors
///
/// If it begins like a JWT and is not one: a file that is written just now.
pub(crate) fn expiry(token: &str) -> Result<Option<SystemTime>, &'static str> {
    let parts: Vec<_> = token.split('.').collect();
    let claims = match parts[..] {
        _ if !token.starts_with(BEGINS) => return Ok(None),
        // RFC 7516 §3.1: encrypted.
        [_, _, _, _, _] => return Ok(None),
        [_, claims, signature] if !signature.is_empty() => BASE64_URL_SAFE_NO_PAD.decode(claims),
        _ => return Err("it is cut off"),
    };
    let claims = claims.ok().and_then(|json| serde_json::from_slice::<Value>(&json).ok());
    let claims = claims.filter(Value::is_object).ok_or("it begins like a JWT and is none")?;
    let seconds = claims.get("exp").and_then(Value::as_f64);
    let since = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    Ok(since.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(claims: &str) -> String {
        format!("eyJhbGciOiJub25lIn0.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_jwt_says_when_it_expires_and_an_opaque_token_does_not() {
        let at = |seconds| Ok(Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)));
        assert_eq!(expiry(&jwt(r#"{"exp":90}"#)), at(90));
        assert_eq!(expiry(&jwt(r#"{"exp":90.0}"#)), at(90));
        for claims in ["{}", r#"{"exp":"90"}"#, r#"{"exp":-1}"#, r#"{"exp":1e300}"#] {
            assert_eq!(expiry(&jwt(claims)), Ok(None), "{claims}");
        }
        for opaque in ["", "mF_9.B5f-4.1JqM", "PHNhbWw+", "eyJ.a.b.c.d"] {
            assert_eq!(expiry(opaque), Ok(None), "{opaque}");
        }
    }

    #[test]
    fn a_jwt_that_is_cut_anywhere_before_its_signature_is_an_error() {
        let whole = jwt(r#"{"exp":90,"sub":"x"}"#);
        let signature = whole.rfind('.').unwrap() + 1;
        for end in BEGINS.len()..=signature {
            assert!(expiry(&whole[..end]).is_err(), "{end}");
        }
        assert!(expiry(&jwt("[1]")).is_err());
    }
}
