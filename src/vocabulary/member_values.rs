//! Values of members as signed documents have them, each of the type that it has to be.

use super::members::{Text, Texts};
use serde_core::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use std::{borrow::Cow, fmt};

impl<'de> Texts<'de> {
    /// Reads the next value: a text, or a list of texts.
    pub(crate) fn seed() -> impl DeserializeSeed<'de, Value = Self> {
        TextsSeed
    }
}

struct TextsSeed;

impl<'de> DeserializeSeed<'de> for TextsSeed {
    type Value = Texts<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TextsSeed {
    type Value = Texts<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of texts")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Texts::One(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Texts::One(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = list.next_element_seed(Text)? {
            texts.push(text);
        }
        Ok(Texts::Many(texts))
    }
}
