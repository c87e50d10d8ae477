//! Reads the registered claims of a payload, once, without copies, before anything is verified.

use crate::{
    validate::times::{NumericDate, Times},
    vocabulary::{
        member_values::Number,
        members::{self, Members, Text, Texts},
    },
};
use serde_core::de::MapAccess;
use std::borrow::Cow;

/// The claims that this crate reads, of the right types.
#[derive(Default)]
pub(super) struct Claims<'a> {
    pub(super) iss: Option<Cow<'a, str>>,
    pub(super) sub: Option<Cow<'a, str>>,
    pub(super) client_id: Option<Cow<'a, str>>,
    pub(super) azp: Option<Cow<'a, str>>,
    pub(super) jti: Option<Cow<'a, str>>,
    pub(super) acr: Option<Cow<'a, str>>,
    pub(super) typ: Option<Cow<'a, str>>,
    pub(super) token_use: Option<Cow<'a, str>>,
    pub(super) aud: Option<Texts<'a>>,
    pub(super) times: Times,
    pub(super) auth_time: Option<NumericDate>,
    pub(super) scopes: Scopes<'a>,
    /// `cnf`: the token is bound to a key.
    pub(super) is_bound: bool,
    /// `at_hash` or `c_hash`: an ID token.
    pub(super) has_hashes: bool,
}

/// The values of the claims that name scopes.
#[derive(Default)]
pub(super) struct Scopes<'a> {
    first: Option<Texts<'a>>,
    more: Vec<Texts<'a>>,
    /// `scope` itself is a list, although RFC 8693 §4.2 requires a text.
    pub(super) has_list_in_scope: bool,
}

impl<'a> Scopes<'a> {
    fn push(&mut self, texts: Texts<'a>) {
        match self.first {
            None => self.first = Some(texts),
            Some(_) => self.more.push(texts),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Texts<'a>> {
        self.first.iter().chain(&self.more)
    }
}

impl<'a> Claims<'a> {
    /// Reads `payload`, with scopes from the members `scope_claims`. Returns `None` if it is not an
    /// object, repeats a member, or has one of the wrong type.
    pub(super) fn read(&mut self, payload: &'a [u8], scope_claims: &[Box<str>]) -> Option<()> {
        members::read(payload, &mut Reader { claims: self, scope_claims }).ok()
    }
}

/// Returns the issuer that `payload` names, or `None` if it is malformed.
pub(super) fn issuer_of(payload: &[u8]) -> Option<Cow<'_, str>> {
    let mut claims = Claims::default();
    claims.read(payload, &[])?;
    claims.iss
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
            "azp" => &mut claims.azp,
            "jti" => &mut claims.jti,
            "acr" => &mut claims.acr,
            "typ" => &mut claims.typ,
            "token_use" => &mut claims.token_use,
            _ => return self.other(name, object),
        };
        *text = Some(object.next_value_seed(Text)?);
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
            "aud" => {
                claims.aud = Some(object.next_value_seed(Texts::seed())?);
                return Ok(true);
            }
            // Their values are skipped by the caller.
            "cnf" => {
                claims.is_bound = true;
                return Ok(false);
            }
            "at_hash" | "c_hash" => {
                claims.has_hashes = true;
                return Ok(false);
            }
            _ if self.scope_claims.iter().any(|own| **own == *name) => {
                let texts = object.next_value_seed(Texts::seed())?;
                claims.scopes.has_list_in_scope |=
                    name == "scope" && matches!(texts, Texts::Many(_));
                claims.scopes.push(texts);
                return Ok(true);
            }
            _ => return Ok(false),
        };
        *date = Some(NumericDate::new(object.next_value_seed(Number)?));
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
        assert_eq!(claims.iss.as_deref(), Some("i"));
        assert_eq!(claims.aud.unwrap().iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(claims.times.exp, Some(NumericDate::new(1.5)));
        assert_eq!(claims.scopes.iter().count(), 2);
        assert!(claims.is_bound && !claims.has_hashes);
    }

    #[test]
    fn a_claim_of_another_type_is_no_absent_claim() {
        for wrong in [
            r#"{"iss":["i"]}"#,
            r#"{"aud":123}"#,
            r#"{"aud":null}"#,
            r#"{"aud":["a",1]}"#,
            r#"{"nbf":"1"}"#,
            r#"{"exp":true}"#,
            r#"{"sub":1}"#,
            r#"{"scope":{}}"#,
            r#"{"iss":"i","iss":"i"}"#,
            r#"[]"#,
        ] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }
}
