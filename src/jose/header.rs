use super::{Algorithm, key_id::KeyId};
use crate::vocabulary::members::{self, Members, Nothing, Object, Skipped, Text, Texts};
use serde_core::de::{Error, MapAccess};
use std::borrow::Cow;

/// The members of a JOSE header that are used
/// ([RFC 7515 §4](https://www.rfc-editor.org/rfc/rfc7515#section-4)). Locations of keys are ignored.
#[derive(Clone, Debug)]
pub(crate) struct Header<'a> {
    /// As its signatures are checked. The error says what it is if the crate does not support it,
    /// the algorithm `none` included.
    pub(crate) algorithm: Result<Algorithm, &'static str>,
    pub(crate) typ: Option<Cow<'a, str>>,
    /// The name of the key. One that is empty, as Ory Hydra writes it, is none.
    pub(crate) kid: Option<KeyId<'a>>,
    /// Whether there is a `crit`. No extension is supported.
    pub(crate) is_critical: bool,
}

impl<'a> Header<'a> {
    /// Parses the header. Returns `None` when it is not an object, has no `alg`, or has a member
    /// that is repeated or of the wrong type.
    pub(crate) fn parse(json: &'a [u8]) -> Option<Self> {
        let mut reading = Reading::default();
        members::read(json, &mut reading).ok()?;
        let [kid, sha256, sha1] = [reading.kid, reading.x5t_s256, reading.x5t]
            .map(|name| name.filter(|text| !text.is_empty()));
        Some(Self {
            algorithm: Algorithm::in_header(&reading.alg?),
            typ: reading.typ,
            kid: kid.map(KeyId::Kid).or(sha256.or(sha1).map(KeyId::Thumbprint)),
            is_critical: reading.is_critical,
        })
    }
}

#[derive(Default)]
struct Reading<'a> {
    alg: Option<Cow<'a, str>>,
    typ: Option<Cow<'a, str>>,
    kid: Option<Cow<'a, str>>,
    x5t: Option<Cow<'a, str>>,
    x5t_s256: Option<Cow<'a, str>>,
    is_critical: bool,
}

impl<'de> Members<'de> for Reading<'de> {
    fn member<A: MapAccess<'de>>(&mut self, name: &str, object: &mut A) -> Result<bool, A::Error> {
        match name {
            "alg" => self.alg = Some(object.next_value_seed(Text)?),
            "typ" => self.typ = Some(object.next_value_seed(Text)?),
            "kid" => self.kid = Some(object.next_value_seed(Text)?),
            "x5t" => self.x5t = Some(object.next_value_seed(Text)?),
            "x5t#S256" => self.x5t_s256 = Some(object.next_value_seed(Text)?),
            // Any value counts, an empty list too, which is not allowed.
            "crit" => {
                object.next_value_seed(Skipped)?;
                self.is_critical = true;
            }
            // Of the right type: the writer of a wrong one cannot be trusted with the rest.
            "cty" | "jku" | "x5u" => {
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
