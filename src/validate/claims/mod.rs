//! Reads the registered claims of a token once, without copies, and judges what they say: one tolerance
//! for JWTs and introspection answers.
//!
//! **In**: a payload that is not yet verified, or an answer. **Out**: a principal, or what is wrong.
//!
//! 1. Null, an empty text and an empty list are absent. An empty `iss` is a wrong one.
//! 2. A claim of another type than it has to be refuses the token; `acr` and `auth_time` are dropped.
//! 3. Claims that nothing reads may be anything.

mod holder;
mod profile;
mod shown;
mod value;

pub(super) use holder::{Holder, holder_setters};
pub(super) use profile::Profile;
#[cfg(feature = "jwt")]
pub(super) use profile::REQUIRED;
pub(super) use shown::{NOT_GOOD, expired, listed, shown, told, unfit, unreadable};

use super::times::{NumericDate, Times, Untimely};
use crate::{
    back_channel::json,
    vocabulary::members::{self, Members, Object, Texts},
};
use serde_core::de::{DeserializeSeed, MapAccess};
use std::{borrow::Cow, time::SystemTime};
use value::Value;

/// The claims that this crate reads, of the right types.
#[derive(Default)]
pub(super) struct Claims<'a> {
    iss: Option<Cow<'a, str>>,
    sub: Option<Cow<'a, str>>,
    client_id: Option<Cow<'a, str>>,
    jti: Option<Cow<'a, str>>,
    typ: Option<Cow<'a, str>>,
    token_use: Option<Cow<'a, str>>,
    token_type: Option<Cow<'a, str>>,
    acr: Option<Cow<'a, str>>,
    azp: Option<Value<'a>>,
    pub(super) aud: Option<Texts<'a>>,
    pub(super) times: Times,
    auth_time: Option<NumericDate>,
    scopes: Scopes<'a>,
    is_sub_a_number: bool,
    /// `cnf`: the token is bound to a key.
    is_bound: bool,
    /// `events`: a security event token, such as a log-out token.
    is_event: bool,
    /// `at_hash` or `c_hash`: an ID token.
    hash: Option<&'static str>,
    /// Which claim is the first of another type than it has to be.
    odd: Option<String>,
}

/// The values of the claims that name scopes.
#[derive(Default)]
struct Scopes<'a> {
    first: Option<Texts<'a>>,
    more: Vec<Texts<'a>>,
    /// `scope` itself is a list, although RFC 8693 §4.2 requires a text.
    has_list_in_scope: bool,
}

impl<'a> Scopes<'a> {
    fn push(&mut self, texts: Texts<'a>) {
        match self.first {
            None => self.first = Some(texts),
            Some(_) => self.more.push(texts),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Texts<'a>> {
        self.first.iter().chain(&self.more)
    }
}

impl<'a> Claims<'a> {
    /// Reads `payload`, with scopes from the members `scope_claims`. Returns `None` if it is not an
    /// object, or repeats a member.
    pub(super) fn read(&mut self, payload: &'a [u8], scope_claims: &[Box<str>]) -> Option<()> {
        members::read(json::without_bom(payload), &mut Reader { claims: self, scope_claims }).ok()
    }

    /// Reads an object that was parsed before, with scopes from `scope`.
    pub(super) fn of(object: &'a serde_json::Value) -> Option<Self> {
        let mut claims = Self::default();
        let mut reader = Reader { claims: &mut claims, scope_claims: &["scope".into()] };
        Object(&mut reader).deserialize(object).ok()?;
        Some(claims)
    }

    /// Returns the issuer that the token names.
    ///
    /// # Errors
    ///
    /// When a claim is of another type than it has to be, perhaps this one.
    pub(super) fn iss(&self) -> Result<Option<&str>, &str> {
        match (&self.iss, &self.odd) {
            (None, Some(told)) => Err(told),
            (iss, _) => Ok(iss.as_deref()),
        }
    }

    /// Returns `true` if the token is for one of `audience`.
    pub(super) fn is_for(&self, audience: &[Box<str>]) -> bool {
        let mut named = self.aud.iter().flat_map(Texts::iter);
        named.any(|one| audience.iter().any(|own| **own == *one))
    }

    /// Says that the token is for others than `audience`.
    pub(super) fn told_audience<'b>(&self, audience: impl Iterator<Item = &'b str>) -> String {
        let found = self.aud.as_ref().map_or_else(|| shown(None), |aud| listed(aud.iter()));
        told("aud", listed(audience), found)
    }

    /// Says why the token is not good at `now`.
    pub(super) fn told_time(&self, untimely: Untimely, now: SystemTime) -> String {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let Times { exp, nbf, iat } = self.times;
        let (name, expected, found) = match untimely {
            Untimely::ExpiryIsNoDate => ("exp", "a date".to_owned(), exp),
            Untimely::Expired => ("exp", format!("a date after {now}"), exp),
            Untimely::NotValidYet => ("nbf", format!("a date up to {now}"), nbf),
            Untimely::IssuedInFuture => ("iat", format!("a date up to {now}"), iat),
        };
        told(name, expected, found.map_or(f64::NAN, NumericDate::seconds))
    }

    #[cold]
    fn refuse(&mut self, name: &str, expected: &str, found: &Value<'_>) {
        self.odd.get_or_insert_with(|| told(name, expected, found.shown()));
    }
}

struct Reader<'a, 'c> {
    claims: &'c mut Claims<'a>,
    scope_claims: &'c [Box<str>],
}

impl<'a> Members<'a> for Reader<'a, '_> {
    fn member<A: MapAccess<'a>>(&mut self, name: &str, object: &mut A) -> Result<bool, A::Error> {
        let claims = &mut *self.claims;
        let text = match name {
            "iss" => &mut claims.iss,
            "sub" => &mut claims.sub,
            "client_id" => &mut claims.client_id,
            "jti" => &mut claims.jti,
            "typ" => &mut claims.typ,
            "token_use" => &mut claims.token_use,
            "token_type" => &mut claims.token_type,
            _ => return self.other(name, object),
        };
        match Value::next(object)? {
            Value::Text(value) if !value.is_empty() => *text = Some(value),
            Value::Null => {}
            value if value.is_empty() && name != "iss" => {}
            Value::Integer(number) if name == "sub" => {
                *text = Some(number.to_string().into());
                claims.is_sub_a_number = true;
            }
            value => claims.refuse(name, "a text", &value),
        }
        Ok(true)
    }
}

impl<'a> Reader<'a, '_> {
    fn other<A: MapAccess<'a>>(&mut self, name: &str, object: &mut A) -> Result<bool, A::Error> {
        let claims = &mut *self.claims;
        let date = match name {
            "exp" => &mut claims.times.exp,
            "nbf" => &mut claims.times.nbf,
            "iat" => &mut claims.times.iat,
            "auth_time" => &mut claims.auth_time,
            _ => return self.rest(name, object),
        };
        match Value::next(object)? {
            #[expect(clippy::cast_precision_loss, reason = "exact up to the year 285 million")]
            Value::Integer(number) => *date = Some(NumericDate::new(number as f64)),
            Value::Number(number) => *date = Some(NumericDate::new(number)),
            value if value.is_empty() || name == "auth_time" => {}
            value => claims.refuse(name, "a number", &value),
        }
        Ok(true)
    }

    fn rest<A: MapAccess<'a>>(&mut self, name: &str, object: &mut A) -> Result<bool, A::Error> {
        let claims = &mut *self.claims;
        let is_scope = self.scope_claims.iter().any(|own| **own == *name);
        let is_read =
            matches!(name, "aud" | "acr" | "azp" | "cnf" | "events" | "at_hash" | "c_hash");
        if !is_read && !is_scope {
            return Ok(false);
        }
        let value = Value::next(object)?;
        match name {
            "cnf" => claims.is_bound = !matches!(value, Value::Null),
            "events" => claims.is_event = !matches!(value, Value::Null),
            _ if value.is_empty() => {}
            "at_hash" => claims.hash = Some("at_hash"),
            "c_hash" => claims.hash = Some("c_hash"),
            "azp" => claims.azp = Some(value),
            "acr" => {
                if let Value::Text(acr) = value {
                    claims.acr = Some(acr);
                }
            }
            _ => match value.into_texts() {
                Ok(texts) if name == "aud" => claims.aud = Some(texts),
                Ok(texts) => {
                    let is_list = matches!(texts, Texts::Many(_));
                    claims.scopes.has_list_in_scope |= name == "scope" && is_list;
                    claims.scopes.push(texts);
                }
                Err(value) => claims.refuse(name, "a text or a list of texts", &value),
            },
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(claims.is_bound && claims.hash.is_none() && claims.odd.is_none());
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
