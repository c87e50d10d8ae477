use super::Algorithm;
use crate::vocabulary::members::{self, Members, Nothing, Object, Skipped, Text, Texts};
use serde_core::de::{Error, MapAccess};
use std::borrow::Cow;

/// What counts of a JOSE header ([RFC 7515 §4](https://www.rfc-editor.org/rfc/rfc7515#section-4)).
/// Where the key is said to be is read over.
#[derive(Clone, Debug)]
pub(crate) struct Header<'a> {
    /// Nothing where it is none that this crate has, `none` among them.
    pub(crate) algorithm: Option<Algorithm>,
    pub(crate) typ: Option<Cow<'a, str>>,
    pub(crate) kid: Option<Cow<'a, str>>,
    /// Whether there is a `crit`: no extension is understood here.
    pub(crate) is_critical: bool,
}

impl<'a> Header<'a> {
    /// Reads the header; nothing where it is no object, has a member twice or one of the wrong
    /// type, or has no `alg`.
    pub(crate) fn parse(json: &'a [u8]) -> Option<Self> {
        let mut reading = Reading::default();
        members::read(json, &mut reading).ok()?;
        Some(Self {
            algorithm: Algorithm::named(&reading.alg?),
            typ: reading.typ,
            kid: reading.kid,
            is_critical: reading.is_critical,
        })
    }
}

#[derive(Default)]
struct Reading<'a> {
    alg: Option<Cow<'a, str>>,
    typ: Option<Cow<'a, str>>,
    kid: Option<Cow<'a, str>>,
    is_critical: bool,
}

impl<'de> Members<'de> for Reading<'de> {
    fn member<A: MapAccess<'de>>(&mut self, name: &str, object: &mut A) -> Result<bool, A::Error> {
        match name {
            "alg" => self.alg = Some(object.next_value_seed(Text)?),
            "typ" => self.typ = Some(object.next_value_seed(Text)?),
            "kid" => self.kid = Some(object.next_value_seed(Text)?),
            // Whatever it names, and also where it names nothing, as it may not.
            "crit" => {
                object.next_value_seed(Skipped)?;
                self.is_critical = true;
            }
            // Of the right type, or whoever wrote this is not to be trusted with the rest.
            "cty" | "jku" | "x5u" | "x5t" | "x5t#S256" => {
                object.next_value_seed(Text)?;
            }
            "x5c" => {
                if let Texts::One(_) = object.next_value_seed(Texts::seed())? {
                    return Err(A::Error::custom("x5c is no list"));
                }
            }
            "jwk" => object.next_value_seed(Object(&mut Nothing))?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}
