//! Mints the tokens of `vars`.

use crate::{
    issuers::Issuer,
    keys::{Key, authenticated},
    raw::{self, Change},
    text,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Who signs, and when.
pub(crate) struct Mint<'a> {
    pub(crate) issuers: &'a [Issuer],
    /// Seconds since the epoch.
    pub(crate) now: u64,
}

impl Mint<'_> {
    /// The token that `recipe` describes.
    ///
    /// # Errors
    ///
    /// What is wrong with the recipe, as `expected …, got …`.
    pub(crate) fn token(&self, recipe: &Value) -> Result<String, String> {
        let members = recipe.as_object().ok_or(format!("expected a token, got {recipe}"))?;
        let known = ["header", "claims", "signed_by", "raw", "literal"];
        if let Some(other) = members.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(format!("expected a token, got one with {other:?}"));
        }
        if let Some(literal) = members.get("literal") {
            return match (literal.as_str(), members.len()) {
                (Some(literal), 1) => text::repeated(literal),
                _ => Err(format!("expected a literal alone, got {recipe}")),
            };
        }
        let (Some(header), Some(claims)) = (members.get("header"), members.get("claims")) else {
            return Err(format!("expected a header and claims, got {recipe}"));
        };
        let change = members.get("raw").map(Change::parse).transpose()?;
        let (header, claims) = (written_out(header)?, self.value(claims)?);
        let signer = members.get("signed_by").and_then(Value::as_str);
        let signer = signer.ok_or_else(|| format!("expected a signer, got {recipe}"))?;
        let (header, signer) = self.signer(signer, header, &claims)?;

        let payload = raw::payload(change.as_ref(), &claims)?;
        let encoded = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let input = format!("{}.{}", encoded(header.to_string().as_bytes()), encoded(&payload));
        let signature = signer.sign(header["alg"].as_str().unwrap_or_default(), input.as_bytes());
        let signature = raw::signature(change.as_ref(), &signature)?;
        Ok(format!("{input}.{signature}"))
    }

    /// Who `name` is, and the header to sign.
    fn signer(
        &self,
        name: &str,
        mut header: Value,
        claims: &Value,
    ) -> Result<(Value, Signer), String> {
        let algorithm = header["alg"].as_str().unwrap_or_default().to_owned();
        // A key that nobody knows is of the kind that the header tells.
        let fresh = || Key::of(name, &algorithm).or_else(|_| Key::of(name, "ES256"));
        let signer = match name.strip_prefix("hmac_with_public_key_of:") {
            Some(named) => Signer::Hmac(self.key(named, &algorithm, claims)?.spki_pem()?),
            None => match name {
                "none" => Signer::Nobody,
                "evil" => Signer::Key(fresh()?),
                "embedded" => {
                    let key = fresh()?;
                    let header = header.as_object_mut().ok_or("expected a header with members")?;
                    let jwk = header.entry("jwk").or_insert_with(|| json!({}));
                    let jwk = jwk.as_object_mut().ok_or("expected header.jwk with members")?;
                    for (name, value) in key.members() {
                        jwk.entry(name).or_insert(value);
                    }
                    Signer::Key(key)
                }
                _ => Signer::Key(self.key(name, &algorithm, claims)?),
            },
        };
        Ok((header, signer))
    }

    /// The key `KID`, or `KID of ISSUER`. Where several have the name, the one of the issuer in the
    /// claims, and the one for this algorithm.
    fn key(&self, name: &str, algorithm: &str, claims: &Value) -> Result<Arc<Key>, String> {
        let (kid, issuer) = match name.split_once(" of ") {
            Some((kid, issuer)) => (kid, Some(issuer)),
            None => (name, None),
        };
        let issuers = self.issuers.iter();
        let issuers = issuers.filter(|one| issuer.is_none_or(|issuer| issuer == one.identifier));
        let named = issuers.flat_map(|one| one.keys_named(kid).map(move |key| (one, key)));
        // Of equals, the first.
        let best = named.min_by_key(|(one, key)| {
            (claims["iss"] != *one.identifier, key.algorithm != algorithm)
        });
        match best {
            Some((one, key)) => one.key(key),
            None => Err(format!("expected the name of a key, got {name:?}")),
        }
    }

    /// `value` with its texts `now`, `now+n` and `now-n` as numbers, and `{"$string": …}` as texts.
    fn value(&self, value: &Value) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) => match self.instant(text) {
                Some(instant) => instant,
                None => text::repeated(text)?.into(),
            },
            Value::Array(items) => {
                items.iter().map(|item| self.value(item)).collect::<Result<_, _>>()?
            }
            Value::Object(members) => match members.get("$string") {
                Some(Value::String(text)) if members.len() == 1 => text::repeated(text)?.into(),
                Some(_) => return Err(format!("expected a text in $string, got {value}")),
                None => {
                    let members = members.iter();
                    let members = members.map(|(name, one)| Ok((name.clone(), self.value(one)?)));
                    Value::Object(members.collect::<Result<Map<_, _>, String>>()?)
                }
            },
            other => other.clone(),
        })
    }

    /// The number that `now`, `now+n` or `now-n` stands for.
    fn instant(&self, text: &str) -> Option<Value> {
        let offset = text.strip_prefix("now")?;
        if offset.is_empty() {
            return Some(self.now.into());
        }
        let digits = offset.strip_prefix(['+', '-'])?;
        if !digits.starts_with(|first: char| first.is_ascii_digit()) {
            return None;
        }
        let now = i64::try_from(self.now).ok()?;
        match offset.parse::<i64>() {
            Ok(offset) => Some((now.checked_add(offset)?).into()),
            #[expect(clippy::cast_precision_loss, reason = "a date of a case")]
            Err(_) => Some((now as f64 + offset.parse::<f64>().ok()?).into()),
        }
    }
}

enum Signer {
    Key(Arc<Key>),
    /// Keyed with the text of a public key.
    Hmac(String),
    Nobody,
}

impl Signer {
    fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Key(key) => key.sign(algorithm, message),
            Self::Hmac(pem) => authenticated(algorithm, pem.as_bytes(), message),
            Self::Nobody => Vec::new(),
        }
    }
}

/// A header, its texts written out.
fn written_out(value: &Value) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => text::repeated(text)?.into(),
        Value::Array(items) => items.iter().map(written_out).collect::<Result<_, _>>()?,
        Value::Object(members) => {
            let members = members.iter().map(|(name, one)| Ok((name.clone(), written_out(one)?)));
            Value::Object(members.collect::<Result<Map<_, _>, String>>()?)
        }
        other => other.clone(),
    })
}
