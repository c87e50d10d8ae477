//! A strict reader of JSON objects: no member may be repeated. It copies nothing.
//!
//! RFC 7515 §4 and RFC 7519 §4 let a reader refuse an object with a repeated name. Otherwise
//! readers that keep the first and readers that keep the last would see two different tokens.

use serde_core::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::{borrow::Cow, collections::HashSet, fmt};

/// Reads the members that it knows.
pub(crate) trait Members<'de> {
    /// Reads the value of `name` from `object`, and returns `true`, if the name is known.
    fn member<A: MapAccess<'de>>(&mut self, name: &str, object: &mut A) -> Result<bool, A::Error>;
}

/// Reads the one object that `json` is into `members`.
///
/// # Errors
///
/// When it is anything else, when a name is repeated at any depth, and when `members` fails.
pub(crate) fn read<'de, M: Members<'de>>(
    json: &'de [u8],
    members: &mut M,
) -> Result<(), serde_json::Error> {
    // Once for all texts in it: a reader of bytes would check each by itself.
    let json = str::from_utf8(json).map_err(serde_json::Error::custom)?;
    let mut reader = serde_json::Deserializer::from_str(json);
    reader.deserialize_map(Object(members))?;
    reader.end()
}

/// Checks the form of the one object that `json` is.
///
/// # Errors
///
/// As [`read`].
pub(crate) fn check(json: &[u8]) -> Result<(), serde_json::Error> {
    read(json, &mut Nothing)
}

/// An object that is read into its [`Members`].
pub(crate) struct Object<'m, M>(pub(crate) &'m mut M);

impl<'de, M: Members<'de>> Visitor<'de> for Object<'_, M> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let mut names = Names::default();
        while let Some(name) = object.next_key_seed(Text)? {
            if !self.0.member(&name, &mut object)? {
                object.next_value_seed(Skipped)?;
            }
            if !names.add(name) {
                return Err(A::Error::custom("a member is there twice"));
            }
        }
        Ok(())
    }
}

impl<'de, M: Members<'de>> DeserializeSeed<'de> for Object<'_, M> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

/// The names of one object. The first 16 need no allocation, unless they have escapes.
#[derive(Default)]
pub(crate) struct Names<'de> {
    few: [&'de str; 16],
    len: usize,
    many: HashSet<Cow<'de, str>>,
    /// A bit for each length and last byte of the names: most names differ in these.
    seen: u64,
}

impl<'de> Names<'de> {
    /// Adds `name`. Returns `true` if it is new.
    pub(crate) fn add(&mut self, name: Cow<'de, str>) -> bool {
        let last = name.as_bytes().last().copied().unwrap_or_default();
        let bit = 1 << (usize::from(last).wrapping_add(name.len().wrapping_mul(5)) % 64);
        let may_be_there = self.seen & bit != 0;
        self.seen |= bit;
        if may_be_there && self.holds(&name) {
            return false;
        }
        match (name, self.few.get_mut(self.len)) {
            (Cow::Borrowed(name), Some(place)) => {
                self.len += 1;
                *place = name;
            }
            (name, _) => drop(self.many.insert(name)),
        }
        true
    }

    fn holds(&self, name: &str) -> bool {
        self.few.iter().take(self.len).any(|known| *known == name) || self.many.contains(name)
    }
}

/// A text, borrowed when it has no escape.
pub(crate) struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// One text, or a list of texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Texts<'de> {
    One(Cow<'de, str>),
    Many(Vec<Cow<'de, str>>),
}

impl<'de> Texts<'de> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts.as_slice(),
        }
        .iter()
        .map(AsRef::as_ref)
    }

    /// Iterates over the scopes, well formed or not: the words of a text, or the items of a list.
    pub(crate) fn scopes(&self) -> impl Iterator<Item = &str> {
        let is_text = matches!(self, Self::One(_));
        let scopes = self.iter().flat_map(move |text| text.split(move |c| is_text && c == ' '));
        scopes.filter(move |scope| !is_text || !scope.is_empty())
    }
}

/// Any value, of which only the form is checked: it may not repeat a member either.
pub(crate) struct Skipped;

impl<'de> DeserializeSeed<'de> for Skipped {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skipped {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<(), A::Error> {
        Object(&mut Nothing).visit_map(object)
    }
}

/// Knows no member.
pub(crate) struct Nothing;

impl<'de> Members<'de> for Nothing {
    fn member<A: MapAccess<'de>>(&mut self, _: &str, _: &mut A) -> Result<bool, A::Error> {
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str) -> Result<(), String> {
        read(json.as_bytes(), &mut Nothing).map_err(|error| error.to_string())
    }

    #[test]
    fn an_object_whose_names_are_there_once_passes() {
        let many: Vec<_> = (0..40).map(|name| format!("\"{name}\":{name}")).collect();
        let many = format!("{{{}}}", many.join(","));
        for good in ["{}", r#"{"a":{"b":[1,-1,1.5,"x",null,true,{"a":1}]},"b":1}"#, &many] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn a_name_that_is_there_twice_is_an_error_however_it_is_spelled_and_wherever_it_is() {
        let many: Vec<_> = (0..40).chain([39]).map(|name| format!("\"{name}\":1")).collect();
        let many = format!("{{{}}}", many.join(","));
        for twice in [
            r#"{"sub":1,"sub":2}"#,
            r#"{"sub":1,"s\u0075b":2}"#,
            r#"{"s\u0075b":1,"sub":2}"#,
            r#"{"s\u0075b":1,"su\u0062":2}"#,
            r#"{"a":{"b":1,"b":1}}"#,
            r#"{"a":[{"b":1,"b":1}]}"#,
            &many,
        ] {
            assert!(check(twice).is_err_and(|error| error.contains("twice")), "{twice}");
        }
    }

    #[test]
    fn a_text_of_scopes_is_taken_apart_and_an_item_of_a_list_is_not() {
        let text = Texts::One(" read  write".into());
        assert_eq!(text.scopes().collect::<Vec<_>>(), ["read", "write"]);
        let list = Texts::Many(vec!["read".into(), "may not admin".into(), "".into()]);
        assert_eq!(list.scopes().collect::<Vec<_>>(), ["read", "may not admin", ""]);
    }

    #[test]
    fn what_is_no_single_object_is_an_error() {
        for wrong in ["", "1", "[]", "{", "{}{}", "{} x", "{\"a\":1e999}", "\"a\"", "null"] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
        assert!(check(&deep).is_err());
        assert!(read(b"{\"a\":\"\xff\"}", &mut Nothing).is_err());
    }
}
