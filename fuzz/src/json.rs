//! JSON with every member of an object, the repeated ones too.

use serde_core::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::{collections::HashSet, fmt};

#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    pub fn parse(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// Parses an object in which no name is repeated, however deep, behind a byte order mark or none.
    pub fn unique(text: &[u8]) -> Option<Self> {
        Self::unmarked(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text))
    }

    /// Like [`unique`](Self::unique), but without a byte order mark: the header of a JWT has none.
    pub fn unmarked(text: &[u8]) -> Option<Self> {
        Self::parse(text).filter(|json| matches!(json, Self::Object(_)) && json.is_unique())
    }

    fn is_unique(&self) -> bool {
        match self {
            Self::List(items) => items.iter().all(Self::is_unique),
            Self::Object(members) => {
                let mut names = HashSet::new();
                members.iter().all(|(name, value)| names.insert(name) && value.is_unique())
            }
            _ => true,
        }
    }

    /// Returns `true` if no name of this object itself is repeated.
    pub fn is_without_repeats(&self) -> bool {
        let mut names = HashSet::new();
        self.members().iter().all(|(name, _)| names.insert(name))
    }

    pub fn members(&self) -> &[(String, Self)] {
        match self {
            Self::Object(members) => members,
            _ => &[],
        }
    }

    /// The last member of this name, `null` or not.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.members().iter().rev().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Self::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The member if it is a text that is not empty.
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.text(name).filter(|text| !text.is_empty())
    }

    /// Returns `true` if the member is not there, null, or empty.
    pub fn lacks(&self, name: &str) -> bool {
        match self.get(name) {
            None | Some(Self::Null) => true,
            Some(Self::Text(text)) => text.is_empty(),
            Some(Self::List(items)) => items.is_empty(),
            Some(_) => false,
        }
    }

    pub fn number(&self, name: &str) -> Option<f64> {
        match self.get(name) {
            Some(Self::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// Returns `true` if the member is a text or a list of texts, and `text` is it, or among them.
    pub fn names(&self, name: &str, text: &str) -> bool {
        let is = |json: &Self| matches!(json, Self::Text(own) if own == text);
        match self.get(name) {
            Some(Self::List(items)) => items.iter().any(is),
            Some(item) => is(item),
            None => false,
        }
    }

    /// Returns `true` if there are members of no other names.
    pub fn has_only(&self, names: &[&str]) -> bool {
        self.members().iter().all(|(name, _)| names.contains(&&**name))
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, bool: bool) -> Result<Json, E> {
        Ok(Json::Bool(bool))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Number(number as f64))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        Ok(Json::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = object.next_entry()? {
            members.push(member);
        }
        Ok(Json::Object(members))
    }
}
