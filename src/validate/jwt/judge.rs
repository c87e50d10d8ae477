//! Decides over a token without waiting: functions over values and a given instant.

use super::{
    TrustedIssuer,
    claims::{Claims, issuer_of},
    header::CheckedHeader,
    known_headers::KnownHeaders,
    rules::{Rules, listed, mismatch, refused, shown},
};
use crate::{
    Algorithm, ScopeSet,
    jose::{Compact, KeyId, base64url},
    validate::{
        Principal, Rejection,
        jwks::{Seen, Unverified, Wait},
        times::{NumericDate, Times, Untimely},
    },
    vocabulary::{members::Texts, token::MAX_TOKEN_LEN},
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
        let jws =
            Compact::parse(token).ok_or_else(|| unmatched("the token is not a compact JWS"))?;
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
            .ok_or_else(|| unmatched("a claim is malformed, of the wrong type, or repeated"))?;
        let issuer = self.issuer_of(&claims)?;
        self.check_claims(&claims, issuer, header.algorithm, now)
            .map_err(|rejection| refused_or_lost(rejection, issuer, waited))?;
        let kid = header.kid.as_ref();
        let verified = issuer.keys.verify(jws, kid, header.algorithm, waited);
        verified.map_err(|why| NotAccepted::unverified(why, issuer, kid))?;
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
        waited: Option<Seen>,
    ) -> Result<CheckedHeader<'h>, NotAccepted> {
        CheckedHeader::parse(header, &self.issuers, self.rules.profile).map_err(|rejection| {
            match self.named(payload) {
                Some(issuer) => refused_or_lost(rejection, issuer, waited),
                None => rejection.foreign().into(),
            }
        })
    }

    /// Returns the one of the issuers that the payload names: the refusal of its token is then final,
    /// whatever is wrong with the header.
    #[cold]
    fn named(&self, payload: &str) -> Option<&TrustedIssuer> {
        let payload = base64url::decode(payload).unwrap_or_default();
        issuer_of(&payload).and_then(|iss| self.issuer(&iss))
    }

    pub(super) fn issuer(&self, identifier: &str) -> Option<&TrustedIssuer> {
        self.issuers.iter().find(|issuer| *issuer.identifier == *identifier)
    }

    fn issuer_of(&self, claims: &Claims<'_>) -> Result<&TrustedIssuer, Rejection> {
        let iss = claims.iss.as_deref();
        iss.and_then(|iss| self.issuer(iss)).ok_or_else(|| {
            let own = self.issuers.iter().map(|issuer| &*issuer.identifier);
            mismatch("iss", listed(own), shown(iss)).foreign()
        })
    }

    /// Checks what needs no key. None of the claims is true before the signature is verified, but
    /// what fails here would fail after that as well.
    fn check_claims(
        &self,
        claims: &Claims<'_>,
        issuer: &TrustedIssuer,
        algorithm: Algorithm,
        now: SystemTime,
    ) -> Result<(), Rejection> {
        if !issuer.allows(algorithm) {
            let text = format!("an algorithm that {} allows", issuer.identifier);
            return Err(mismatch("alg", text, algorithm));
        }
        if claims.times.exp.is_none() {
            return Err(mismatch("exp", "a date", "nothing"));
        }
        let in_time = self.rules.leeway.check(&claims.times, now);
        in_time.map_err(|untimely| described(untimely, &claims.times, now))?;
        if !issuer.is_for_us(claims.aud.as_ref().map(Texts::iter)) {
            let found = claims.aud.as_ref().map_or_else(|| shown(None), |aud| listed(aud.iter()));
            return Err(mismatch("aud", listed(issuer.audience()), found));
        }
        Ok(())
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

fn described(untimely: Untimely, times: &Times, now: SystemTime) -> Rejection {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let dated = |date: Option<NumericDate>| date.map_or(f64::NAN, NumericDate::seconds);
    match untimely {
        Untimely::ExpiryIsNoDate => mismatch("exp", "a date", dated(times.exp)),
        Untimely::Expired => mismatch("exp", format!("a date after {now}"), dated(times.exp)),
        Untimely::NotValidYet => mismatch("nbf", format!("a date up to {now}"), dated(times.nbf)),
        Untimely::IssuedInFuture => {
            mismatch("iat", format!("a date up to {now}"), dated(times.iat))
        }
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
