//! One JWK, not decoded.

use super::base64url;
use crate::vocabulary::members::{Names, Text};
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_core::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::{borrow::Cow, fmt};
use zeroize::Zeroizing;

const NO_OBJECT: &str = "it is not an object";
const TWICE: &str = "a member is repeated";
const WRONG_TYPE: &str = "a member is of the wrong type";

/// The members of a JWK that are used ([RFC 7517 §4], [RFC 7518 §6], [RFC 8037 §2]), not decoded.
/// The others are skipped. `null` and an empty list of operations count as absent.
///
/// The reader does not fail on a bad entry, so that the rest of a set can be used. [`Jwk::check`]
/// returns what is wrong with it.
///
/// [RFC 7517 §4]: https://www.rfc-editor.org/rfc/rfc7517#section-4
/// [RFC 7518 §6]: https://www.rfc-editor.org/rfc/rfc7518#section-6
/// [RFC 8037 §2]: https://www.rfc-editor.org/rfc/rfc8037#section-2
#[derive(Default)]
pub(super) struct Jwk<'a> {
    pub(super) kty: Member<'a>,
    pub(super) kid: Member<'a>,
    pub(super) alg: Member<'a>,
    pub(super) usage: Member<'a>,
    pub(super) operations: Option<Vec<Cow<'a, str>>>,
    pub(super) crv: Member<'a>,
    pub(super) x: Member<'a>,
    pub(super) y: Member<'a>,
    pub(super) n: Member<'a>,
    pub(super) e: Member<'a>,
    pub(super) d: Member<'a>,
    pub(super) p: Member<'a>,
    pub(super) q: Member<'a>,
    pub(super) dp: Member<'a>,
    pub(super) dq: Member<'a>,
    pub(super) qi: Member<'a>,
    pub(super) k: Member<'a>,
    /// The first certificate.
    pub(super) x5c: Member<'a>,
    pub(super) x5t: Member<'a>,
    pub(super) x5t_s256: Member<'a>,
    /// The issuer whose tokens the key verifies, as Entra writes it.
    pub(super) issuer: Member<'a>,
    pub(super) fault: Option<&'static str>,
}

pub(super) type Member<'a> = Option<Cow<'a, str>>;

impl<'a> Jwk<'a> {
    /// Reads the one JWK that `json` is.
    pub(super) fn read(json: &'a [u8]) -> Result<Self, &'static str> {
        let mut reader = serde_json::Deserializer::from_slice(json);
        let jwk = JwkSeed.deserialize(&mut reader).and_then(|jwk| reader.end().map(|()| jwk));
        jwk.map_err(|_| "it is not JSON")
    }

    /// Checks that it is well formed and meant for `operate`: `sign` or `verify`.
    pub(super) fn check(&self, operate: &str) -> Result<(), &'static str> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.usage.as_ref().is_some_and(|usage| usage != "sig") {
            return Err("it is not for signatures (use)");
        }
        match &self.operations {
            Some(operations) if !operations.iter().any(|operation| operation == operate) => {
                Err("it is not for signatures (key_ops)")
            }
            _ => Ok(()),
        }
    }

    /// Returns its name. One that is empty, as Ory Hydra writes it, is none.
    pub(super) fn kid(&self) -> Option<&str> {
        self.kid.as_deref().filter(|kid| !kid.is_empty())
    }

    /// Returns the thumbprints of its certificate: those that it says, and the one with SHA-256.
    pub(super) fn thumbprints(&self) -> Vec<Box<str>> {
        let certificate = self.x5c.as_deref().and_then(|x5c| BASE64_STANDARD.decode(x5c).ok());
        let computed = certificate.map(|der| thumbprint(&der));
        let all = [self.x5t.as_deref(), self.x5t_s256.as_deref(), computed.as_deref()];
        all.into_iter().flatten().map(Into::into).collect()
    }

    /// Returns `true` if it has a private member.
    pub(super) fn is_private(&self) -> bool {
        let private = [&self.d, &self.p, &self.q, &self.dp, &self.dq, &self.qi, &self.k];
        private.iter().any(|member| member.is_some())
    }

    fn slot(&mut self, name: &str) -> Option<&mut Member<'a>> {
        Some(match name {
            "kty" => &mut self.kty,
            "kid" => &mut self.kid,
            "alg" => &mut self.alg,
            "use" => &mut self.usage,
            "crv" => &mut self.crv,
            "x" => &mut self.x,
            "y" => &mut self.y,
            "n" => &mut self.n,
            "e" => &mut self.e,
            "d" => &mut self.d,
            "p" => &mut self.p,
            "q" => &mut self.q,
            "dp" => &mut self.dp,
            "dq" => &mut self.dq,
            "qi" => &mut self.qi,
            "k" => &mut self.k,
            "x5t" => &mut self.x5t,
            "x5t#S256" => &mut self.x5t_s256,
            "issuer" => &mut self.issuer,
            _ => return None,
        })
    }
}

/// Returns the `x5t#S256` ([RFC 7517 §4.9](https://www.rfc-editor.org/rfc/rfc7517#section-4.9)) of a
/// certificate.
pub(super) fn thumbprint(der: &[u8]) -> String {
    base64url::encode(digest(&SHA256, der).as_ref())
}

/// Decodes `member`.
pub(super) fn bytes(member: &Member<'_>) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let text = member.as_deref().ok_or("a member is missing")?;
    base64url::decode(text).map(Zeroizing::new).ok_or("a member is not base64url")
}

/// Reads a JWK from any value.
pub(super) struct JwkSeed;

impl<'de> DeserializeSeed<'de> for JwkSeed {
    type Value = Jwk<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Jwk<'de>, D::Error> {
        Ok(match deserializer.deserialize_any(AnyValue { is_jwk: true })? {
            Value::Jwk(jwk) => *jwk,
            _ => Jwk { fault: Some(NO_OBJECT), ..Jwk::default() },
        })
    }
}

enum Value<'de> {
    Jwk(Box<Jwk<'de>>),
    Text(Cow<'de, str>),
    Texts(Vec<Cow<'de, str>>),
    Null,
    Other,
}

/// Any value, kept if a JWK can use it. It fails only on invalid JSON.
struct AnyValue {
    /// Whether an object is read as a JWK, rather than skipped.
    is_jwk: bool,
}

/// The value of a member.
const MEMBER: AnyValue = AnyValue { is_jwk: false };

impl<'de> DeserializeSeed<'de> for AnyValue {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value<'de>, A::Error> {
        let mut texts = Vec::new();
        while let Some(value) = list.next_element_seed(MEMBER)? {
            let Value::Text(text) = value else {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(Value::Other);
            };
            texts.push(text);
        }
        Ok(Value::Texts(texts))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value<'de>, A::Error> {
        if !self.is_jwk {
            while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Value::Other);
        }
        let mut jwk = Box::new(Jwk::default());
        let mut names = Names::default();
        while let Some(name) = object.next_key_seed(Text)? {
            jwk.member(&name, &mut object)?;
            if !names.add(name) {
                jwk.fault = Some(TWICE);
            }
        }
        Ok(Value::Jwk(jwk))
    }
}

impl<'de> Jwk<'de> {
    fn member<A: MapAccess<'de>>(&mut self, name: &str, object: &mut A) -> Result<(), A::Error> {
        if !matches!(name, "key_ops" | "x5c") && self.slot(name).is_none() {
            object.next_value::<IgnoredAny>()?;
            return Ok(());
        }
        match (name, object.next_value_seed(MEMBER)?) {
            (_, Value::Null) => {}
            ("key_ops", Value::Texts(operations)) => {
                self.operations = Some(operations).filter(|operations| !operations.is_empty());
            }
            ("x5c", Value::Texts(certificates)) => self.x5c = certificates.into_iter().next(),
            (_, value) => match (self.slot(name), value) {
                (Some(slot), Value::Text(text)) => *slot = Some(text),
                // What only helps to find the key does not spoil it.
                _ if name.starts_with("x5") => {}
                _ if name == "issuer" => self.issuer = Some("".into()),
                _ => self.fault = Some(WRONG_TYPE),
            },
        }
        Ok(())
    }
}
