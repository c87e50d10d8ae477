//! What is done to a token outside of its header and claims (`vars.JWT.raw`).

use crate::der;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::Value;

const BASE64URL: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

pub(crate) enum Change {
    /// `mallory`, then `alice`.
    SubTwice,
    Deflated,
    Padded,
    OtherSpelling,
    Der,
    Zeros,
}

impl Change {
    pub(crate) fn parse(name: &Value) -> Result<Self, String> {
        Ok(match name.as_str() {
            Some("payload has \"sub\" twice") => Self::SubTwice,
            Some("payload is a DEFLATE stream of the claims") => Self::Deflated,
            Some("append '==' to signature segment") => Self::Padded,
            Some("flip unused trailing bits of signature segment") => Self::OtherSpelling,
            Some("signature encoded as DER") => Self::Der,
            Some("r=s=0") => Self::Zeros,
            _ => return Err(format!("expected a known change of a token, got {name}")),
        })
    }
}

/// The payload, before it is signed.
pub(crate) fn payload(change: Option<&Change>, claims: &Value) -> Result<Vec<u8>, String> {
    let text = claims.to_string();
    Ok(match change {
        Some(Change::SubTwice) => {
            let mut claims = claims.clone();
            let members = claims.as_object_mut().ok_or("expected claims with members")?;
            members.insert("sub".into(), "alice".into());
            let rest = claims.to_string().split_off(1);
            format!("{{\"sub\":\"mallory\",{rest}").into_bytes()
        }
        Some(Change::Deflated) => stored(text.as_bytes())?,
        _ => text.into_bytes(),
    })
}

/// The last segment.
pub(crate) fn signature(change: Option<&Change>, signature: &[u8]) -> Result<String, String> {
    let encoded = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    Ok(match change {
        Some(Change::Padded) => encoded(signature) + "==",
        Some(Change::OtherSpelling) => {
            let mut text = encoded(signature).into_bytes();
            let last = match signature.len() % 3 {
                0 => None,
                _ => text.last_mut(),
            };
            let last = last.ok_or("expected a signature with unused bits, got none")?;
            // The lowest bit of the last digit is unused, and zero.
            let digit = BASE64URL.iter().position(|digit| digit == last).unwrap();
            *last = BASE64URL[digit ^ 1];
            String::from_utf8(text).unwrap()
        }
        Some(Change::Der) if matches!(signature.len(), 64 | 96 | 132) => {
            encoded(&der::sequence_of_halves(signature))
        }
        Some(Change::Der) => return Err("expected an ECDSA signature, got another".into()),
        Some(Change::Zeros) => encoded(&[0; 64]),
        _ => encoded(signature),
    })
}

/// A DEFLATE stream of one stored block (RFC 1951 §3.2.4).
fn stored(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let length = u16::try_from(bytes.len()).map_err(|_| "expected fewer claims, got too many")?;
    Ok([&[1], &length.to_le_bytes()[..], &(!length).to_le_bytes(), bytes].concat())
}
