//! Checks the header of an access token.

use super::{
    issuer::TrustedIssuer,
    rules::{Profile, listed, mismatch, refused, shown},
};
use crate::{
    Algorithm,
    jose::{Header, KeyId},
    validate::Rejection,
};

/// A header that was checked: its algorithm is allowed, its type is that of an access token.
pub(super) struct CheckedHeader<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<KeyId<'a>>,
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
        let allowed = |one: &Algorithm| issuers.iter().any(|own| own.allows(*one));
        let algorithm = header.algorithm.ok().filter(allowed).ok_or_else(|| {
            let known = header.algorithm.map_or_else(|other| other, Algorithm::as_str);
            mismatch("alg", "an algorithm that an issuer allows", known)
        })?;
        if !profile.accepts_type(header.typ.as_deref()) {
            let expected = listed(profile.types().iter().copied());
            return Err(mismatch("typ", expected, shown(header.typ.as_deref())));
        }
        Ok(Self { algorithm, kid: header.kid })
    }
}
