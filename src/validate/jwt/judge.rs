//! What decides over a token, without waiting: functions over values and a given instant.

use super::{
    TrustedIssuer,
    claims::{Claims, issuer_of},
    known_headers::KnownHeaders,
    rules::{Profile, Rules},
};
use crate::{
    Algorithm, ScopeSet,
    jose::{Compact, Header, base64url},
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

/// Where a payload of the usual size has room: others take an allocation.
pub(super) const ROOM: usize = 1024;

/// What becomes of a token at once.
pub(super) enum Judged<'b> {
    /// The signature is good, and so is what the claims say: whose it is, and the payload.
    Good(Principal, Cow<'b, [u8]>),
    Bad(Rejection),
    /// Keys are being fetched.
    Wait(Joined<()>),
}

impl From<Rejection> for Judged<'_> {
    fn from(rejection: Rejection) -> Self {
        Self::Bad(rejection)
    }
}

/// A refusal before the signature: the same answer as to a bad one.
fn refused(description: &'static str) -> Rejection {
    Rejection::unverified(description).not_cached()
}

/// A refusal before it is known whose token it is: it may be another validator's.
fn unmatched(description: &'static str) -> Rejection {
    refused(description).foreign()
}

/// Judges `token` at `now`; `waited` once the keys that it asks for were fetched. What `headers`
/// knows was checked for these issuers and rules.
pub(super) fn judge<'b>(
    token: &str,
    room: &'b mut [u8; ROOM],
    issuers: &[TrustedIssuer],
    rules: &Rules,
    headers: &KnownHeaders,
    now: SystemTime,
    waited: bool,
) -> Judged<'b> {
    if token.len() > MAX_TOKEN_LEN {
        return unmatched("the token is too long").into();
    }
    let Some(compact) = Compact::parse(token) else {
        return unmatched("the token is no compact JWS").into();
    };
    let (mut buffer, bytes, checked);
    let known = headers.find(compact.header);
    let header = match known {
        Some(header) => header,
        None => {
            buffer = [0; USUAL_HEADER];
            bytes = base64url::decode_within(compact.header, &mut buffer).unwrap_or_default();
            checked = match check_header(&bytes, issuers, rules.profile) {
                Ok(header) => header,
                Err(rejection) if names_any(compact.payload, issuers) => return rejection.into(),
                Err(rejection) => return rejection.foreign().into(),
            };
            &checked
        }
    };
    let Some(payload) = base64url::decode_within(compact.payload, room) else {
        return unmatched("the payload is no base64url").into();
    };
    let mut claims = Claims::default();
    if claims.read(&payload, &rules.scope_claims).is_none() {
        return unmatched("a claim is malformed, of the wrong type, or there twice").into();
    }
    let issuer = match check_claims(&claims, header.algorithm, issuers, rules, now) {
        Ok(issuer) => issuer,
        Err(rejection) => return rejection.into(),
    };
    let kid = header.kid.as_deref();
    match issuer.keys.verify(compact, kid, header.algorithm, waited) {
        Ok(()) => {}
        Err(Unverified::Fetching(joined)) => return Judged::Wait(joined),
        Err(Unverified::Unavailable(wait)) => return Rejection::unavailable(wait).into(),
        Err(Unverified::NoKey(why)) => return refused(why).into(),
        Err(Unverified::WrongSignature) => {
            return Rejection::unverified("the signature is wrong").into();
        }
    }
    match principal(&claims, issuer, rules, now) {
        Ok(principal) => {
            drop(claims);
            if known.is_none() {
                headers.add(compact.header, header);
            }
            Judged::Good(principal, payload)
        }
        Err(rejection) => rejection.into(),
    }
}

/// A header, all of whose demands can be met.
pub(super) struct Checked<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<Cow<'a, str>>,
}

fn check_header<'a>(
    header: &'a [u8],
    issuers: &[TrustedIssuer],
    profile: Profile,
) -> Result<Checked<'a>, Rejection> {
    let header = Header::parse(header).ok_or_else(|| refused("the header is malformed"))?;
    if header.is_critical {
        return Err(refused("the header has a critical extension"));
    }
    let algorithm = header.algorithm.filter(|one| issuers.iter().any(|own| own.allows(*one)));
    let algorithm = algorithm.ok_or_else(|| refused("the algorithm is not allowed"))?;
    if !profile.takes_type(header.typ.as_deref()) {
        return Err(refused("the type in the header is not that of an access token"));
    }
    Ok(Checked { algorithm, kid: header.kid })
}

/// Whether the payload names one of `issuers`: whatever is wrong with the header, it is theirs to
/// say what becomes of the token.
#[cold]
fn names_any(payload: &str, issuers: &[TrustedIssuer]) -> bool {
    let payload = base64url::decode(payload).unwrap_or_default();
    issuer_of(&payload).is_some_and(|iss| issuers.iter().any(|own| *own.identifier == *iss))
}

/// What can be said of a token without any key. None of it is true before the signature is
/// verified; but what fails here would fail after that as well.
fn check_claims<'i>(
    claims: &Claims<'_>,
    algorithm: Algorithm,
    issuers: &'i [TrustedIssuer],
    rules: &Rules,
    now: SystemTime,
) -> Result<&'i TrustedIssuer, Rejection> {
    let iss = claims.iss.as_deref().ok_or_else(|| unmatched("there is no issuer"))?;
    let issuer = issuers.iter().find(|issuer| *issuer.identifier == *iss);
    let issuer = issuer.ok_or_else(|| unmatched("the issuer is not trusted"))?;
    if !issuer.allows(algorithm) {
        return Err(refused("the algorithm is not allowed for this issuer"));
    }
    if claims.times.exp.is_none() {
        return Err(refused("there is no expiry"));
    }
    rules.leeway.check(&claims.times, now).map_err(|untimely| refused(described(untimely)))?;
    if !issuer.is_for_us(claims.aud.as_ref().map(Texts::iter)) {
        return Err(refused("for another audience (the signature was not looked at)"));
    }
    Ok(issuer)
}

fn described(untimely: Untimely) -> &'static str {
    match untimely {
        Untimely::ExpiryIsNoDate => "the expiry is no date",
        Untimely::Expired => "expired (the signature was not looked at)",
        Untimely::NotValidYet => "not valid yet (the signature was not looked at)",
        Untimely::IssuedInFuture => "issued in the future (the signature was not looked at)",
    }
}

/// Whose token it is. The signature is good: who presents it may know what is wrong.
fn principal(
    claims: &Claims<'_>,
    issuer: &TrustedIssuer,
    rules: &Rules,
    now: SystemTime,
) -> Result<Principal, Rejection> {
    rules.profile.check(claims)?;
    if claims.is_bound {
        return Err(Rejection::invalid("the access token is bound to a key: proof is missing"));
    }
    let Times { exp, iat, .. } = claims.times;
    let expires_at = NumericDate::optional(exp, "the expiry is no date")?;
    let issued_at = NumericDate::optional(iat, "the time of issue is no date")?;
    let authenticated_at =
        NumericDate::optional(claims.auth_time, "the time of log-in is no date")?;
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

fn scopes(claims: &Claims<'_>) -> Result<ScopeSet, Rejection> {
    let wrong = |_| Rejection::invalid("a scope of the access token is malformed");
    let mut all = ScopeSet::empty();
    for texts in claims.scopes.iter() {
        all = all.joined(ScopeSet::new(texts.scopes()).map_err(wrong)?);
    }
    Ok(all)
}
