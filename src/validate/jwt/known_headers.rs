//! Remembers the headers of good tokens.

use super::header::CheckedHeader;
use std::sync::OnceLock;

/// How many headers are remembered, for the life of the issuer, which has one for each key that it
/// signs with. Other headers are parsed each time.
const MOST: usize = 8;

/// The headers of good tokens, parsed, by their text: an issuer has the same header on all tokens that
/// it signs with one key. Only a good signature adds one.
#[derive(Default)]
pub(super) struct KnownHeaders {
    known: [OnceLock<Known>; MOST],
}

struct Known {
    text: Box<str>,
    header: CheckedHeader<'static>,
}

impl KnownHeaders {
    pub(super) fn find(&self, text: &str) -> Option<&CheckedHeader<'static>> {
        let mut known = self.known.iter().map_while(OnceLock::get);
        known.find(|known| *known.text == *text).map(|known| &known.header)
    }

    pub(super) fn add(&self, text: &str, header: &CheckedHeader<'_>) {
        let known = || Known { text: text.into(), header: header.to_owned() };
        // The first free place, unless another request added the header meanwhile.
        self.known.iter().any(|place| *place.get_or_init(known).text == *text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Algorithm, jose::KeyId};

    fn named(kid: Option<&str>) -> CheckedHeader<'_> {
        let kid = kid.map(|kid| KeyId::Kid(kid.into()));
        CheckedHeader { algorithm: Algorithm::Es256, kid, typ: None }
    }

    #[test]
    fn what_is_added_twice_takes_one_place() {
        let known = KnownHeaders::default();
        for text in ["a", "a", "b", "a"] {
            known.add(text, &named(None));
        }
        assert_eq!(known.known.iter().filter(|place| place.get().is_some()).count(), 2);
    }

    #[test]
    fn as_many_as_there_is_room_for_are_known_by_their_text() {
        let known = KnownHeaders::default();
        for number in 0..MOST + 2 {
            let text = number.to_string();
            assert!(known.find(&text).is_none());
            known.add(&text, &named(Some(&text)));
            let kid = known.find(&text).map(|header| header.kid.as_ref().map(KeyId::as_str));
            assert_eq!(kid, (number < MOST).then_some(Some(text.as_str())));
        }
        assert_eq!(known.find("0").map(|header| header.algorithm), Some(Algorithm::Es256));
        assert!(known.find("").is_none());
    }
}
