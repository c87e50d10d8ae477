//! Reads the registered claims of a token once, without copies, and judges what they say: one tolerance
//! for JWTs and introspection answers.
//!
//! **In**: a payload that is not yet verified, or an answer. **Out**: a principal, or what is wrong.
//!
//! 1. Null, an empty text and an empty list are absent. An empty `iss` is a wrong one.
//! 2. A claim of another type than it has to be refuses the token; `acr` and `auth_time` are dropped.
//! 3. Claims that nothing reads may be anything.

mod holder;
#[cfg(feature = "jwt")]
mod payload;
mod profile;
mod shown;
mod value;

pub(super) use holder::{Holder, holder_setters};
pub(super) use profile::Profile;
#[cfg(feature = "jwt")]
pub(super) use profile::REQUIRED;
pub(super) use shown::{NOT_GOOD, expired, listed, shown, told, unfit, unreadable};

use super::times::{NumericDate, Times, Untimely};
use crate::vocabulary::members::{Members, Object, Texts};
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
    /// The token is bound to a key.
    cnf: Option<Value<'a>>,
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
            value => match value.digits().filter(|_| name == "sub") {
                Some(digits) => {
                    *text = Some(digits.into());
                    claims.is_sub_a_number = true;
                }
                None => claims.refuse(name, "a text", &value),
            },
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
        let value = Value::next(object)?;
        match value.number() {
            Some(seconds) => *date = Some(NumericDate::new(seconds)),
            None if value.is_empty() || name == "auth_time" => {}
            None => claims.refuse(name, "a number", &value),
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
            "cnf" => claims.cnf = Some(value).filter(|value| !matches!(value, Value::Null)),
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
