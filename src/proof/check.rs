//! Reads one proof and checks it, in the order of [RFC 9449 §4.3] from cheap to dear.
//!
//! [RFC 9449 §4.3]: https://www.rfc-editor.org/rfc/rfc9449#section-4.3

use super::{DpopNonces, ProofId, Target};
use crate::{
    Algorithm,
    jose::{Compact, EmbeddedKey, base64url},
    vocabulary::members::{self, Members, Text},
};
use http::Method;
use serde_core::de::MapAccess;
use std::{
    borrow::Cow,
    time::{Duration, SystemTime},
};

/// Longer ones are refused unread, in bytes.
const MAX_LEN: usize = 4 * 1024;
/// The longest `jti`, in bytes.
const MAX_JTI: usize = 256;

/// What the proof of a request has to say.
pub(crate) struct Expected<'e> {
    pub(crate) method: &'e Method,
    pub(crate) target: &'e Target,
    /// After that of the target.
    pub(crate) path: &'e str,
    /// The digest of the access token, if there is one.
    pub(crate) ath: Option<&'e str>,
    /// The key that the token is bound to.
    pub(crate) thumbprint: Option<&'e str>,
    pub(crate) algorithms: &'e [Algorithm],
    pub(crate) freshness: Freshness<'e>,
    pub(crate) now: SystemTime,
}

/// How old a proof may be.
#[derive(Clone, Copy)]
pub(crate) enum Freshness<'e> {
    /// By its `iat`.
    Window { age: Duration, ahead: Duration },
    /// By its `nonce`, so that the clock of the client does not matter.
    Nonces(&'e DpopNonces),
}

/// A good proof, which must not have been used before.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) id: ProofId,
    /// Of its key.
    #[cfg_attr(not(feature = "test-util"), allow(dead_code, reason = "tokens are bound to it"))]
    pub(crate) thumbprint: String,
    /// From then on the proof is too old.
    pub(crate) until: SystemTime,
    /// There is a newer nonce than the proof has.
    pub(crate) needs_nonce: bool,
}

/// Why a proof is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// In words.
    Invalid(&'static str),
    /// It has no nonce that is good now.
    Nonce,
    /// It is good for another key than the token is bound to.
    OtherKey,
}

/// Checks `proof`.
///
/// # Errors
///
/// Which check failed first.
pub(crate) fn check(proof: &[u8], expected: &Expected<'_>) -> Result<Checked, Fault> {
    use Fault::Invalid;
    if proof.len() > MAX_LEN {
        return Err(Invalid("the proof is longer than 4 KiB"));
    }
    let compact = str::from_utf8(proof).ok().and_then(Compact::parse);
    let compact = compact.ok_or(Invalid("the proof is not a JWS"))?;
    let header = base64url::decode(compact.header);
    let header = header.as_deref().and_then(EmbeddedKey::parse);
    let header = header.ok_or(Invalid("the header of the proof is malformed"))?;
    if header.typ.as_deref() != Some("dpop+jwt") {
        return Err(Invalid("the typ of the proof is not dpop+jwt"));
    }
    let algorithm = header.algorithm.filter(|own| expected.algorithms.contains(own));
    let algorithm = algorithm.ok_or(Invalid("the algorithm of the proof is not accepted"))?;
    let payload = base64url::decode(compact.payload);
    let claims = payload.as_deref().and_then(ProofClaims::parse);
    let claims = claims.ok_or(Invalid("the claims of the proof are malformed"))?;
    let jti = claims.check(expected)?;
    let (until, needs_nonce) = claims.check_freshness(expected)?;
    let unusable = Invalid("the key of the proof cannot be used");
    let thumbprint = header.thumbprint().ok_or(unusable)?;
    if expected.thumbprint.is_some_and(|bound| bound != thumbprint) {
        return Err(header.key().map_or(unusable, |_| Fault::OtherKey));
    }
    let key = header.key().map_err(|_| unusable)?;
    let signature = base64url::decode(compact.signature);
    let is_good = signature.is_some_and(|signature| {
        key.verify(algorithm, compact.signing_input.as_bytes(), &signature)
    });
    if !is_good {
        return Err(Invalid("the signature of the proof is wrong"));
    }
    Ok(Checked { id: ProofId::new(&thumbprint, jti), thumbprint, until, needs_nonce })
}

#[derive(Default)]
struct ProofClaims<'a> {
    jti: Option<Cow<'a, str>>,
    htm: Option<Cow<'a, str>>,
    htu: Option<Cow<'a, str>>,
    ath: Option<Cow<'a, str>>,
    nonce: Option<Cow<'a, str>>,
    iat: Option<f64>,
}

impl<'a> ProofClaims<'a> {
    fn parse(json: &'a [u8]) -> Option<Self> {
        let mut claims = Self::default();
        members::read(json, &mut claims).ok()?;
        Some(claims)
    }

    /// Checks that the proof is for the request and its token. Returns its `jti`.
    fn check(&self, expected: &Expected<'_>) -> Result<&str, Fault> {
        let jti = self.jti.as_deref().filter(|jti| (1..=MAX_JTI).contains(&jti.len()));
        let jti = jti.ok_or(Fault::Invalid("the proof has no jti of 1 to 256 bytes"))?;
        if self.htm.as_deref() != Some(expected.method.as_str()) {
            return Err(Fault::Invalid("the proof is for another method (htm)"));
        }
        let htu = self.htu.as_deref().unwrap_or_default();
        if !expected.target.is_named_by(htu, expected.path) {
            return Err(Fault::Invalid("the proof is for another URL (htu)"));
        }
        if expected.ath.is_some() && self.ath.as_deref() != expected.ath {
            return Err(Fault::Invalid("the proof is for another token (ath)"));
        }
        Ok(jti)
    }

    /// Returns when the proof is too old, and whether there is a newer nonce than its own.
    fn check_freshness(&self, expected: &Expected<'_>) -> Result<(SystemTime, bool), Fault> {
        let now = expected.now;
        let iat = self.iat.and_then(|iat| Duration::try_from_secs_f64(iat).ok());
        let iat = iat.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
        let iat = iat.ok_or(Fault::Invalid("the proof has no date (iat)"))?;
        match expected.freshness {
            Freshness::Nonces(nonces) => {
                let nonce = nonces.judge(self.nonce.as_deref(), now).ok_or(Fault::Nonce)?;
                Ok((nonce.until, !nonce.is_newest))
            }
            Freshness::Window { age, ahead } => {
                let until = iat.checked_add(age).filter(|until| now < *until);
                let until = until.ok_or(Fault::Invalid("the proof is too old (iat)"))?;
                match now.checked_add(ahead).is_some_and(|latest| iat <= latest) {
                    true => Ok((until, false)),
                    false => Err(Fault::Invalid("the proof is of the future (iat)")),
                }
            }
        }
    }
}

impl<'de> Members<'de> for ProofClaims<'de> {
    fn member<A: MapAccess<'de>>(&mut self, name: &str, object: &mut A) -> Result<bool, A::Error> {
        let text = match name {
            "jti" => &mut self.jti,
            "htm" => &mut self.htm,
            "htu" => &mut self.htu,
            "ath" => &mut self.ath,
            "nonce" => &mut self.nonce,
            "iat" => {
                self.iat = Some(object.next_value()?);
                return Ok(true);
            }
            _ => return Ok(false),
        };
        *text = Some(object.next_value_seed(Text)?);
        Ok(true)
    }
}
