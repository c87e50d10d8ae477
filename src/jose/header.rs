use super::Algorithm;
use crate::vocabulary::members::{self, Members, Nothing, Object, Skipped, Text, Texts};
use serde_core::de::{Error, MapAccess};
use std::borrow::Cow;

/// The members of a JOSE header that are used
/// ([RFC 7515 §4](https://www.rfc-editor.org/rfc/rfc7515#section-4)). Locations of keys are ignored.
#[derive(Clone, Debug)]
pub(crate) struct Header<'a> {
    /// `None` when the crate does not support it, the algorithm `none` included.
    pub(crate) algorithm: Option<Algorithm>,
    pub(crate) typ: Option<Cow<'a, str>>,
    pub(crate) kid: Option<Cow<'a, str>>,
    /// Whether there is a `crit`. No extension is supported.
    pub(crate) is_critical: bool,
}

impl<'a> Header<'a> {
    /// Parses the header. Returns `None` when it is not an object, has no `alg`, or has a member
    /// that is repeated or of the wrong type.
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
            // Any value counts, an empty list too, which is not allowed.
            "crit" => {
                object.next_value_seed(Skipped)?;
                self.is_critical = true;
            }
            // Of the right type: the writer of a wrong one cannot be trusted with the rest.
            "cty" | "jku" | "x5u" | "x5t" | "x5t#S256" => {
                object.next_value_seed(Text)?;
            }
            "x5c" => {
                if let Texts::One(_) = object.next_value_seed(Texts::seed())? {
                    return Err(A::Error::custom("x5c is not a list"));
                }
            }
            "jwk" => object.next_value_seed(Object(&mut Nothing))?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}
