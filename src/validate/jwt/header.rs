//! Checks the header of an access token.

use super::{
    issuer::without_application,
    rules::{mismatch, refused},
};
use crate::{Algorithm, jose::Header, validate::Rejection};
use std::borrow::Cow;

/// A header that was checked. Its algorithm and its type are for the issuer to judge.
pub(super) struct CheckedHeader<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<Cow<'a, str>>,
    pub(super) typ: Option<Cow<'a, str>>,
}

impl<'a> CheckedHeader<'a> {
    pub(super) fn parse(header: &'a [u8]) -> Result<Self, Rejection> {
        let header = Header::parse(header).ok_or_else(|| refused("the header is malformed"))?;
        if header.is_critical {
            return Err(refused("the header has a critical extension"));
        }
        let algorithm = header
            .algorithm
            .ok_or_else(|| mismatch("alg", "an algorithm that an issuer allows", "another"))?;
        Ok(Self { algorithm, kid: header.kid, typ: header.typ.map(without_application) })
    }

    /// Returns the header for keeping.
    pub(super) fn to_owned(&self) -> CheckedHeader<'static> {
        let owned =
            |text: &Option<Cow<'_, str>>| text.as_deref().map(|text| Cow::Owned(text.to_owned()));
        CheckedHeader { algorithm: self.algorithm, kid: owned(&self.kid), typ: owned(&self.typ) }
    }
}
