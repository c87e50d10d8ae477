//! Checks the header of an access token.

use super::{
    issuer::without_application,
    rules::{mismatch, refused},
};
use crate::{
    Algorithm,
    jose::{Header, KeyId},
    validate::Rejection,
};
use std::borrow::Cow;

/// A header that was checked. Its algorithm and its type are for the issuer to judge.
pub(super) struct CheckedHeader<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<KeyId<'a>>,
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
            .map_err(|other| mismatch("alg", "an algorithm that an issuer allows", other))?;
        Ok(Self { algorithm, kid: header.kid, typ: header.typ.map(without_application) })
    }

    /// Returns the header for keeping.
    pub(super) fn to_owned(&self) -> CheckedHeader<'static> {
        let typ = self.typ.as_deref().map(|typ| Cow::Owned(typ.to_owned()));
        let kid = self.kid.as_ref().map(KeyId::to_static);
        CheckedHeader { algorithm: self.algorithm, kid, typ }
    }
}
