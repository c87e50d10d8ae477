//! Decides over a token without waiting: functions over values and a given instant.

use super::{
    TrustedIssuer,
    claims::{Claims, issuer_of},
    header::CheckedHeader,
    known_headers::KnownHeaders,
    rules::{Rules, refused},
};
use crate::{
    Algorithm, ScopeSet,
    jose::{Compact, base64url},
    validate::{
        Principal, Rejection,
        jwks::Unverified,
        times::{NumericDate, Times, Untimely},
    },
    vocabulary::{flight::Joined, members::Texts, token::MAX_TOKEN_LEN},
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
    Fetching(Joined<()>),
}

impl From<Rejection> for NotAccepted {
    fn from(rejection: Rejection) -> Self {
        Self::Refused(rejection)
    }
}

impl From<Unverified> for NotAccepted {
    fn from(unverified: Unverified) -> Self {
        Self::Refused(match unverified {
            Unverified::Fetching(joined) => return Self::Fetching(joined),
            Unverified::Unavailable(next_try) => Rejection::unavailable(next_try),
            Unverified::NoKey(why) => refused(why),
            Unverified::WrongSignature => Rejection::unverified("the signature is wrong"),
        })
    }
}

/// Refuses a token whose issuer is not known yet: it may be another validator's.
fn unmatched(description: &'static str) -> Rejection {
    refused(description).foreign()
}

impl Judge {
    /// Returns the principal and the payload of `token`, if its signature and its claims are good
    /// at `now`. `waited` is `true` once the keys that it needs were fetched.
    pub(super) fn judge<'b>(
        &self,
        token: &str,
        buffer: &'b mut [u8; USUAL_PAYLOAD],
        now: SystemTime,
        waited: bool,
    ) -> Result<(Principal, Cow<'b, [u8]>), NotAccepted> {
        if token.len() > MAX_TOKEN_LEN {
            return Err(unmatched("the token is too long").into());
        }
        let jws =
            Compact::parse(token).ok_or_else(|| unmatched("the token is not a compact JWS"))?;
        let (mut header_buffer, bytes, checked);
        let known = self.headers.find(jws.header);
        let header = match known {
            Some(header) => header,
            None => {
                header_buffer = [0; USUAL_HEADER];
                bytes = base64url::decode_within(jws.header, &mut header_buffer);
                checked = self.check_header(bytes.as_deref().unwrap_or_default(), jws.payload)?;
                &checked
            }
        };
        let payload = base64url::decode_within(jws.payload, buffer)
            .ok_or_else(|| unmatched("the payload is not base64url"))?;
        let mut claims = Claims::default();
        claims
            .read(&payload, &self.rules.scope_claims)
            .ok_or_else(|| unmatched("a claim is malformed, of the wrong type, or repeated"))?;
        let issuer = self.check_claims(&claims, header.algorithm, now)?;
        issuer.keys.verify(jws, header.kid.as_deref(), header.algorithm, waited)?;
        let principal = self.principal(&claims, issuer, now)?;
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
    ) -> Result<CheckedHeader<'h>, Rejection> {
        CheckedHeader::parse(header, &self.issuers, self.rules.profile).map_err(|rejection| {
            match self.names_an_issuer(payload) {
                true => rejection,
                false => rejection.foreign(),
            }
        })
    }

    /// Returns `true` if the payload names one of the issuers: the refusal of its token is then
    /// final, whatever is wrong with the header.
    #[cold]
    fn names_an_issuer(&self, payload: &str) -> bool {
        let payload = base64url::decode(payload).unwrap_or_default();
        issuer_of(&payload).is_some_and(|iss| self.issuer(&iss).is_some())
    }

    fn issuer(&self, identifier: &str) -> Option<&TrustedIssuer> {
        self.issuers.iter().find(|issuer| *issuer.identifier == *identifier)
    }

    /// Checks what needs no key. None of the claims is true before the signature is verified, but
    /// what fails here would fail after that as well.
    fn check_claims(
        &self,
        claims: &Claims<'_>,
        algorithm: Algorithm,
        now: SystemTime,
    ) -> Result<&TrustedIssuer, Rejection> {
        let iss = claims.iss.as_deref().ok_or_else(|| unmatched("there is no issuer"))?;
        let issuer = self.issuer(iss).ok_or_else(|| unmatched("the issuer is not trusted"))?;
        if !issuer.allows(algorithm) {
            return Err(refused("the algorithm is not allowed for this issuer"));
        }
        if claims.times.exp.is_none() {
            return Err(refused("there is no expiry"));
        }
        let in_time = self.rules.leeway.check(&claims.times, now);
        in_time.map_err(|untimely| refused(described(untimely)))?;
        if !issuer.is_for_us(claims.aud.as_ref().map(Texts::iter)) {
            return Err(refused("for another audience (the signature was not verified)"));
        }
        Ok(issuer)
    }

    /// Returns the principal of a token whose signature is good: its caller may know what is wrong.
    fn principal(
        &self,
        claims: &Claims<'_>,
        issuer: &TrustedIssuer,
        now: SystemTime,
    ) -> Result<Principal, Rejection> {
        let Self { rules, .. } = self;
        rules.profile.check(claims)?;
        if claims.is_bound {
            return Err(Rejection::invalid("the access token is bound to a key: proof is missing"));
        }
        let Times { exp, iat, .. } = claims.times;
        let expires_at = NumericDate::optional(exp, "the expiry is not a date")?;
        let issued_at = NumericDate::optional(iat, "the time of issue is not a date")?;
        let authenticated_at =
            NumericDate::optional(claims.auth_time, "the time of log-in is not a date")?;
        // All at once: it is large, and each setter would move it.
        let principal = Principal {
            subject: claims.sub.as_deref().map(Into::into),
            client_id: rules.profile.client_id(claims).map(Into::into),
            issuer: Some(issuer.identifier.clone()),
            token_id: claims.jti.as_deref().map(Into::into),
            audience: claims.aud.iter().flat_map(Texts::iter).map(Into::into).collect(),
            scopes: scopes(claims)?,
            issued_at,
            expires_at,
            acr: claims.acr.as_deref().map(Into::into),
            authenticated_at,
        };
        rules.check_age(&principal, now)?;
        Ok(principal)
    }
}

fn described(untimely: Untimely) -> &'static str {
    match untimely {
        Untimely::ExpiryIsNoDate => "the expiry is not a date",
        Untimely::Expired => "expired (the signature was not verified)",
        Untimely::NotValidYet => "not valid yet (the signature was not verified)",
        Untimely::IssuedInFuture => "issued in the future (the signature was not verified)",
    }
}

fn scopes(claims: &Claims<'_>) -> Result<ScopeSet, Rejection> {
    let wrong = |_| Rejection::invalid("a scope of the access token is malformed");
    let mut all = ScopeSet::empty();
    for texts in claims.scopes.iter() {
        all = all.joined(ScopeSet::new(texts.scopes()).map_err(wrong)?);
    }
    Ok(all)
}
