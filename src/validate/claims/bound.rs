//! What a token is bound to (`cnf`, [RFC 7800](https://www.rfc-editor.org/rfc/rfc7800)).

use super::value::Value;
use crate::{validate::principal::Confirmation, vocabulary::members::Members};
use serde_core::de::MapAccess;
use std::borrow::Cow;

/// The members of an object that `cnf` can have.
#[derive(Default)]
pub(super) struct Bound<'a> {
    /// `jkt` (RFC 9449 §6.1).
    key: Option<Cow<'a, str>>,
    /// `x5t#S256` (RFC 8705 §3.1).
    certificate: Option<Cow<'a, str>>,
    /// A way to prove possession that is not supported, or a wrong member.
    has_other: bool,
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
