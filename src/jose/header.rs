use super::{Algorithm, members};
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
        let _ = (json, members::read::<Nothing>);
        unimplemented!()
    }
}
struct Nothing;
impl<'de> members::Members<'de> for Nothing {
    fn member<A: serde_core::de::MapAccess<'de>>(
        &mut self,
        _: &str,
        _: &mut A,
    ) -> Result<bool, A::Error> {
        Ok(false)
    }
}
