//! What is asked of the payload of a JWT alone.

use super::{
    Claims, Reader, Value, listed,
    profile::{ID, is},
    told,
};
use crate::{back_channel::json, vocabulary::members};

impl<'a> Claims<'a> {
    /// Reads `payload`, with scopes from the members `scope_claims`. Returns `None` if it is not an
    /// object, or repeats a member.
    pub(in crate::validate) fn read(
        &mut self,
        payload: &'a [u8],
        scope_claims: &[Box<str>],
    ) -> Option<()> {
        members::read(json::without_bom(payload), &mut Reader { claims: self, scope_claims }).ok()
    }

    /// Returns `true` if the token says that it is an ID token. Not every ID token does.
    pub(in crate::validate) fn is_id_token(&self) -> bool {
        let kinds = [&self.typ, &self.token_use];
        self.hash.is_some() || kinds.into_iter().flatten().any(|kind| is(kind, ID))
    }

    /// Returns `true` if the token is for none but `clients`, and was asked for by one of them as far
    /// as it says.
    pub(in crate::validate) fn is_of_clients(&self, clients: &[Box<str>]) -> bool {
        let is_one = |name: &str| clients.iter().any(|client| **client == *name);
        let is_for_them = self.aud.as_ref().is_some_and(|aud| aud.iter().all(is_one));
        is_for_them && self.told_client(clients).is_none()
    }

    /// Says that the token was asked for by another than `clients`.
    pub(in crate::validate) fn told_client(&self, clients: &[Box<str>]) -> Option<String> {
        match self.azp.as_ref()? {
            Value::Text(azp) if clients.iter().any(|client| **client == **azp) => None,
            azp => Some(told("azp", listed(clients.iter().map(AsRef::as_ref)), azp.shown())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::times::NumericDate;

    fn parse(payload: &str) -> Option<Claims<'_>> {
        let mut claims = Claims::default();
        claims.read(payload.as_bytes(), &["scope".into(), "scp".into()])?;
        Some(claims)
    }

    #[test]
    fn claims_of_the_right_types_are_read() {
        let claims = parse(
            r#"{"iss":"i","aud":["a","b"],"exp":1.5,"iat":0,"scope":"r w","scp":["x"],"cnf":{}}"#,
        )
        .unwrap();
        assert_eq!(claims.iss(), Ok(Some("i")));
        assert_eq!(claims.aud.unwrap().iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(claims.times.exp, Some(NumericDate::new(1.5)));
        assert_eq!(claims.scopes.iter().count(), 2);
        assert!(claims.cnf.is_some() && claims.hash.is_none() && claims.odd.is_none());
    }

    #[test]
    fn the_first_claim_of_another_type_is_told_at_a_bounded_length() {
        let long = format!(r#"{{"sub":{{}},"exp":"{}"}}"#, "x".repeat(9999));
        for (payload, odd) in [
            (r#"{"sub":["s"],"exp":"soon"}"#, "sub: expected a text, found the list ['s']"),
            (r#"{"exp":"soon"}"#, "exp: expected a number, found 'soon'"),
            (r#"{"iss":""}"#, "iss: expected a text, found ''"),
            (r#"{"jti":18446744073709551615}"#, "jti: expected a text, found 18446744073709551615"),
            (&long, "sub: expected a text, found an object"),
            (
                r#"{"aud":["a",1]}"#,
                "aud: expected a text or a list of texts, found a list with another item than a text",
            ),
        ] {
            assert_eq!(parse(payload).unwrap().odd.as_deref(), Some(odd));
        }
        let told = parse(&long.replace("{}", "null")).unwrap().odd.unwrap();
        assert!(told.ends_with("xxx...'") && told.len() < 200, "{told}");
    }

    #[test]
    fn what_is_no_object_or_repeats_a_member_is_not_read() {
        for wrong in ["[]", "{", r#"{"iss":"i","iss":"i"}"#, r#"{"cnf":{"a":1,"a":1}}"#] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }

    /// As with the feature `arbitrary_precision` of `serde_json`, which any crate may switch on.
    #[test]
    fn a_number_that_is_handed_on_as_its_text_is_a_number() {
        let payload = r#"{"exp":{"$serde_json::private::Number":"1767226200.5"},"nbf":{"a":"1"}}"#;
        let claims = parse(payload).unwrap();
        assert_eq!(claims.times.exp, Some(NumericDate::new(1_767_226_200.5)));
        assert_eq!(claims.odd.as_deref(), Some("nbf: expected a number, found an object"));
    }

    #[test]
    fn an_object_that_was_parsed_before_is_read_as_its_text_is() {
        let text =
            r#"{"iss":"i","sub":7,"aud":["a","b"],"exp":1.5,"scope":"r w","acr":1,"x":null}"#;
        let object = serde_json::from_str(text).unwrap();
        let (one, two) = (parse(text).unwrap(), Claims::of(&object).unwrap());
        assert_eq!((one.iss(), &one.sub, &one.aud), (two.iss(), &two.sub, &two.aud));
        assert_eq!((one.times.exp, one.is_sub_a_number), (two.times.exp, two.is_sub_a_number));
        assert_eq!(one.scopes.iter().count(), two.scopes.iter().count());
    }
}
