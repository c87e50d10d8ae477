//! Decides over a token without waiting: functions over values and a given instant.

use super::{
    TrustedIssuer,
    header::CheckedHeader,
    known_headers::KnownHeaders,
    rules::{Rules, mismatch, refused, unverified},
};
use crate::{
    back_channel::json,
    jose::{Compact, KeyId, base64url},
    validate::{
        Principal, Rejection,
        claims::{Claims, listed, shown},
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
    pub(super) issuers: Vec<TrustedIssuer>,
    pub(super) rules: Rules,
    /// Headers that were checked for these issuers and rules.
    pub(super) headers: KnownHeaders,
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
        let wrong = "the signature is wrong";
        Self::Refused(match why {
            Unverified::Fetching(wait) => return Self::Fetching(wait),
            Unverified::Unavailable(away) => {
                away.rejection(&format!("a token of {}", issuer.identifier))
            }
            Unverified::NoKey(why) => mismatch("kid", why, shown(kid.map(KeyId::as_str))),
            Unverified::WrongSignature => Rejection::unverified(wrong),
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
    ) -> Result<(Principal, Cow<'b, [u8]>), NotAccepted> {
        if token.len() > MAX_TOKEN_LEN {
            return Err(unmatched("the token is too long").into());
        }
        let jws = Compact::parse(token).ok_or_else(|| no_jws(token))?;
        let (mut header_buffer, bytes, checked);
        let known = self.headers.find(jws.header);
        let header = match known {
            Some(header) => header,
            None => {
                header_buffer = [0; USUAL_HEADER];
                bytes = base64url::decode_within(jws.header, &mut header_buffer);
                let header = bytes.as_deref().unwrap_or_default();
                checked = self.check_header(header, jws.payload, waited)?;
                &checked
            }
        };
        let payload = base64url::decode_within(jws.payload, buffer)
            .ok_or_else(|| unmatched("the payload is not base64url"))?;
        let mut claims = Claims::default();
        claims
            .read(&payload, &self.rules.scope_claims)
            .ok_or_else(|| unmatched("the payload is not a JSON object, or repeats a member"))?;
        let issuer = self.issuer_of(&claims).ok_or_else(|| self.of_nobody(&claims))?;
        self.check_unverified(&claims, issuer, header, now)
            .map_err(|rejection| refused_or_lost(rejection, issuer, waited))?;
        let kid = header.kid.as_ref();
        let verified = issuer.keys.verify(jws, kid, header.algorithm, waited);
        verified.map_err(|why| NotAccepted::unverified(why, issuer, kid))?;
        let object =
            || Cow::Owned(serde_json::from_slice(json::without_bom(&payload)).unwrap_or_default());
        let identifier = Some(issuer.identifier.clone());
        let principal = issuer.profile.principal(&claims, identifier, object)?;
        self.rules.check_age(&principal, now)?;
        drop(claims);
        if known.is_none() {
            self.headers.add(jws.header, header);
        }
        Ok((principal, payload))
    }

    fn check_header<'h>(
        &self,
        header: &'h [u8],
        payload: &str,
        waited: Option<Seen>,
    ) -> Result<CheckedHeader<'h>, NotAccepted> {
        CheckedHeader::parse(header, &self.issuers).map_err(|rejection| match self.named(payload) {
            Some(issuer) => refused_or_lost(rejection, issuer, waited),
            None => rejection.foreign().into(),
        })
    }

    /// Returns the one of the issuers that the payload names: the refusal of its token is then final,
    /// whatever is wrong with the header.
    #[cold]
    fn named(&self, payload: &str) -> Option<&TrustedIssuer> {
        let payload = base64url::decode(payload).unwrap_or_default();
        let mut claims = Claims::default();
        claims.read(&payload, &[])?;
        self.issuer_of(&claims)
    }

    pub(super) fn issuer(&self, identifier: &str) -> Option<&TrustedIssuer> {
        self.issuers.iter().find(|issuer| *issuer.identifier == *identifier)
    }

    fn issuer_of(&self, claims: &Claims<'_>) -> Option<&TrustedIssuer> {
        match claims.iss() {
            Ok(Some(iss)) => self.issuer(iss),
            Ok(None) => self.issuers.iter().find(|issuer| issuer.without_issuer),
            Err(_) => None,
        }
    }

    #[cold]
    fn of_nobody(&self, claims: &Claims<'_>) -> Rejection {
        let own = || listed(self.issuers.iter().map(|issuer| &*issuer.identifier));
        match claims.iss() {
            Ok(iss) => mismatch("iss", own(), shown(iss)),
            Err(told) => unverified(told.to_owned()),
        }
        .foreign()
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
