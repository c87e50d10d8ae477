//! Checks the header of an access token.

use super::{
    issuer::TrustedIssuer,
    rules::{Profile, refused},
};
use crate::{Algorithm, jose::Header, validate::Rejection};
use std::borrow::Cow;

/// A header that was checked: its algorithm is allowed, its type is that of an access token.
pub(super) struct CheckedHeader<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<Cow<'a, str>>,
}

impl<'a> CheckedHeader<'a> {
    pub(super) fn parse(
        header: &'a [u8],
        issuers: &[TrustedIssuer],
        profile: Profile,
    ) -> Result<Self, Rejection> {
        let header = Header::parse(header).ok_or_else(|| refused("the header is malformed"))?;
        if header.is_critical {
            return Err(refused("the header has a critical extension"));
        }
        let algorithm = header.algorithm.filter(|one| issuers.iter().any(|own| own.allows(*one)));
        let algorithm = algorithm.ok_or_else(|| refused("the algorithm is not allowed"))?;
        if !profile.accepts_type(header.typ.as_deref()) {
            return Err(refused("the type in the header is not that of an access token"));
        }
        Ok(Self { algorithm, kid: header.kid })
    }
}
