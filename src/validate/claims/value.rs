//! The value of a claim, of whatever type.

use super::shown::{listed, shown};
use crate::{
    validate::principal::Confirmation,
    vocabulary::members::{Members, Object, Text, Texts},
};
use serde_core::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::{borrow::Cow, fmt};

pub(super) enum Value<'a> {
    Null,
    Text(Cow<'a, str>),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Texts(Vec<Cow<'a, str>>),
    /// Boxed: few claims are objects.
    Object(Box<Bound<'a>>),
    /// Anything else, in words.
    Other(&'static str),
}

impl<'a> Value<'a> {
    /// Reads the next value of `object`, whose objects may not repeat a member.
    pub(super) fn next<A: MapAccess<'a>>(object: &mut A) -> Result<Self, A::Error> {
        object.next_value_seed(Any)
    }

    /// Returns `true` for null, an empty text and an empty list: the claim counts as absent.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Text(text) => text.is_empty(),
            Self::Texts(texts) => texts.is_empty(),
            _ => false,
        }
    }

    /// Returns the text or the list of texts, or the value back.
    pub(super) fn into_texts(self) -> Result<Texts<'a>, Self> {
        match self {
            Self::Text(text) => Ok(Texts::One(text)),
            Self::Texts(texts) => Ok(Texts::Many(texts)),
            other => Err(other),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "as a date, exact up to the year 285 million")]
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Unsigned(number) => Some(*number as f64),
            Self::Signed(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// Returns the digits of a whole number.
    pub(super) fn digits(&self) -> Option<String> {
        match self {
            Self::Unsigned(number) => Some(number.to_string()),
            Self::Signed(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// Returns the value for a refusal.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Null => shown(None),
            Self::Text(text) => shown(Some(text)),
            Self::Unsigned(_) | Self::Signed(_) => self.digits().unwrap_or_default(),
            Self::Float(number) => number.to_string(),
            Self::Texts(texts) => format!("the list [{}]", listed(texts.iter().map(AsRef::as_ref))),
            Self::Object(_) => "an object".to_owned(),
            Self::Other(other) => (*other).to_owned(),
        }
    }
}

#[derive(Clone, Copy)]
struct Any;

impl<'de> DeserializeSeed<'de> for Any {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Any {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Value::Unsigned(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Value::Signed(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Value::Float(number))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Value::Other(if value { "true" } else { "false" }))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let (mut texts, mut all) = (Vec::new(), true);
        while let Some(item) = list.next_element_seed(self)? {
            match item {
                Value::Text(text) => texts.push(text),
                _ => all = false,
            }
        }
        Ok(if all {
            Value::Texts(texts)
        } else {
            Value::Other("a list with another item than a text")
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        let mut read = Box::<Bound<'_>>::default();
        Object(&mut *read).visit_map(object)?;
        Ok(read.number.map_or(Value::Object(read), Value::Float))
    }
}

/// The members of an object that `cnf` can have ([RFC 7800](https://www.rfc-editor.org/rfc/rfc7800)).
#[derive(Default)]
pub(super) struct Bound<'a> {
    /// `jkt` (RFC 9449 §6.1).
    key: Option<Cow<'a, str>>,
    /// `x5t#S256` (RFC 8705 §3.1).
    certificate: Option<Cow<'a, str>>,
    /// A way to prove possession that is not supported, or a wrong member.
    has_other: bool,
    /// A number with a fraction or an exponent, as `serde_json` hands it on where any crate of the
    /// program switches its feature `arbitrary_precision` on: an object of this one member.
    number: Option<f64>,
}

impl Bound<'_> {
    /// Returns the confirmation, or `None` when it cannot be checked.
    pub(super) fn confirmation(&self) -> Option<Confirmation> {
        let [key, certificate] =
            [&self.key, &self.certificate].map(|text| text.as_deref().map(Into::into));
        let is_known = !self.has_other && (key.is_some() || certificate.is_some());
        is_known.then_some(Confirmation { key, certificate })
    }
}

impl<'a> Members<'a> for Bound<'a> {
    fn member<A: MapAccess<'a>>(&mut self, name: &str, object: &mut A) -> Result<bool, A::Error> {
        let text = match name {
            "jkt" => &mut self.key,
            "x5t#S256" => &mut self.certificate,
            "$serde_json::private::Number" => {
                self.number = object.next_value_seed(Text)?.parse().ok();
                return Ok(true);
            }
            // RFC 7800 §3.1: members that are not understood are ignored. These are.
            "jwk" | "jwe" | "jku" | "kid" => {
                self.has_other = true;
                return Ok(false);
            }
            _ => return Ok(false),
        };
        match Value::next(object)? {
            Value::Text(value) if !value.is_empty() => *text = Some(value),
            _ => self.has_other = true,
        }
        Ok(true)
    }
}
