//! Decides over a token without waiting: functions over values and a given instant.

use super::{
    TrustedIssuer,
    header::CheckedHeader,
    issuers::{Issuers, KnownIssuer},
    rules::{Rules, mismatch, refused, unverified},
};
use crate::{
    back_channel::json,
    jose::{Compact, KeyId, base64url},
    validate::{
        Principal, Rejection,
        basis::Basis,
        claims::{Claims, shown},
        jwks::{Seen, Unverified, Wait},
    },
    vocabulary::token::MAX_TOKEN_LEN,
};
use std::{borrow::Cow, time::SystemTime};

/// Enough for headers without certificates.
const USUAL_HEADER: usize = 512;

/// Enough for a payload of the usual size; a longer one takes an allocation.
pub(super) const USUAL_PAYLOAD: usize = 1024;

/// Decides over tokens without waiting and without a clock.
#[derive(Clone)]
pub(super) struct Judge {
    pub(super) issuers: Issuers,
    pub(super) rules: Rules,
}

/// A good token.
pub(super) struct Judged<'b> {
    pub(super) principal: Principal,
    pub(super) payload: Cow<'b, [u8]>,
    pub(super) basis: Basis,
}

/// Why a token is not accepted.
pub(super) enum NotAccepted {
    Refused(Rejection),
    /// Its keys are being fetched.
    Fetching(Wait),
}

impl From<Rejection> for NotAccepted {
    fn from(rejection: Rejection) -> Self {
        Self::Refused(rejection)
    }
}

impl NotAccepted {
    fn unverified(why: Unverified, issuer: &TrustedIssuer, kid: Option<&KeyId<'_>>) -> Self {
        Self::Refused(match why {
            Unverified::Fetching(wait) => return Self::Fetching(wait),
            Unverified::Unavailable(away) => {
                away.rejection(&format!("a token of {}", issuer.identifier))
            }
            Unverified::NoKey(why) => mismatch("kid", why, shown(kid.map(KeyId::as_str))),
            Unverified::WrongSignature => Rejection::unverified("the signature is wrong"),
        })
    }
}

/// Refuses a token whose issuer is not known yet: it may be another validator's.
fn unmatched(description: &'static str) -> Rejection {
    refused(description).foreign()
}

#[cold]
fn no_jws(token: &str) -> Rejection {
    unmatched(match token.matches('.').count() {
        4 => "the token is encrypted (JWE), which is not supported",
        _ => "the token is not a compact JWS",
    })
}

impl Judge {
    /// Returns the principal and the payload of `token`, if its signature and its claims are good
    /// at `now`. `waited` is the result of a wait for [`NotAccepted::Fetching`].
    pub(super) fn judge<'b>(
        &self,
        token: &str,
        buffer: &'b mut [u8; USUAL_PAYLOAD],
        now: SystemTime,
        waited: Option<Seen>,
    ) -> Result<Judged<'b>, NotAccepted> {
        if token.len() > MAX_TOKEN_LEN {
            return Err(unmatched("the token is too long").into());
        }
        let jws = Compact::parse(token).ok_or_else(|| no_jws(token))?;
        let payload = base64url::decode_within(jws.payload, buffer)
            .ok_or_else(|| unmatched("the payload is not base64url"))?;
        let mut claims = Claims::default();
        claims
            .read(&payload, &self.rules.scope_claims)
            .ok_or_else(|| unmatched("the payload is not a JSON object, or repeats a member"))?;
        let known = self.issuers.of(&claims)?;
        // Read before the keys: a change meanwhile outdates the verdict.
        let version = known.issuer.keys.generation();
        let principal = self.principal(jws, &payload, &claims, &known, now, waited);
        drop(claims);
        let basis = Basis::new(known, version);
        match principal {
            Ok(principal) => Ok(Judged { principal, payload, basis }),
            Err(NotAccepted::Refused(rejection)) => Err(rejection.with_basis(basis).into()),
            Err(fetching) => Err(fetching),
        }
    }

    /// Judges a token of `known`, none of whose claims is verified.
    fn principal(
        &self,
        jws: Compact<'_>,
        payload: &[u8],
        claims: &Claims<'_>,
        known: &KnownIssuer,
        now: SystemTime,
        waited: Option<Seen>,
    ) -> Result<Principal, NotAccepted> {
        let issuer = &known.issuer;
        let refused = |rejection| refused_or_lost(rejection, issuer, waited);
        let (mut buffer, bytes, checked);
        let found = known.headers.find(jws.header);
        let header = match found {
            Some(header) => header,
            None => {
                buffer = [0; USUAL_HEADER];
                bytes = base64url::decode_within(jws.header, &mut buffer);
                let header = bytes.as_deref().unwrap_or_default();
                checked = CheckedHeader::parse(header).map_err(refused)?;
                &checked
            }
        };
        self.check_unverified(claims, issuer, header, now).map_err(refused)?;
        let iss = issuer.tenant_issuer(claims, payload).map_err(refused)?;
        let kid = header.kid.as_ref();
        let verified = issuer.keys.verify(jws, kid, header.algorithm, iss, waited);
        verified.map_err(|why| NotAccepted::unverified(why, issuer, kid))?;
        let object =
            || Cow::Owned(serde_json::from_slice(json::without_bom(payload)).unwrap_or_default());
        let identifier = iss.map_or_else(|| issuer.identifier.clone(), Into::into);
        let principal = issuer.profile.principal(claims, Some(identifier), object)?;
        self.rules.check_age(&principal, now)?;
        if found.is_none() {
            known.headers.add(jws.header, header);
        }
        Ok(principal)
    }

    /// Checks what needs no key. None of the claims is true before the signature is verified, but
    /// what fails here would fail after that as well.
    fn check_unverified(
        &self,
        claims: &Claims<'_>,
        issuer: &TrustedIssuer,
        header: &CheckedHeader<'_>,
        now: SystemTime,
    ) -> Result<(), Rejection> {
        if !issuer.allows(header.algorithm) {
            let text = format!("an algorithm that {} allows", issuer.identifier);
            return Err(mismatch("alg", text, header.algorithm));
        }
        issuer.check_kind(header.typ.as_deref(), claims)?;
        if claims.times.exp.is_none() {
            return Err(mismatch("exp", "a date", "nothing"));
        }
        let in_time = self.rules.leeway.check(&claims.times, now);
        in_time.map_err(|untimely| unverified(claims.told_time(untimely, now)))?;
        issuer.check_audience(claims)
    }
}

/// Refuses a token by `rejection`, unless the keys of its issuer cannot be had: nothing in such a token
/// is known to be true, so it gets the answer of every token of the issuer.
#[cold]
fn refused_or_lost(
    rejection: Rejection,
    issuer: &TrustedIssuer,
    waited: Option<Seen>,
) -> NotAccepted {
    match issuer.keys.lost(waited) {
        None => rejection.into(),
        Some(why) => NotAccepted::unverified(why, issuer, None),
    }
}
