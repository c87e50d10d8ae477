//! Verifies a signature with the keys of a [`Jwks`]: the one place where a key is chosen.

use super::{Found, Jwks};
use crate::{
    jose::{Algorithm, Compact, base64url},
    vocabulary::flight::Joined,
};
use std::time::Duration;

/// The longest signature of a key that is accepted: RSA of 8192 bits.
const MAX_SIGNATURE: usize = 1024;

/// How many keys of one name are tried.
const MAX_CANDIDATES: usize = 4;

/// Why a signature is not verified.
pub(crate) enum Unverified {
    /// The keys are being fetched: wait, then verify once more.
    Fetching(Joined<()>),
    /// The keys cannot be fetched; the time until the next fetch, if it is known.
    Unavailable(Option<Duration>),
    /// No key was tried, for this reason.
    NoKey(&'static str),
    /// The signature is by none of the keys that it may be by.
    WrongSignature,
}

impl Jwks {
    /// Verifies the signature of `jws` with the key that its header names by `kid`, or else with
    /// the one key for `algorithm`. `waited` is `true` after a wait for [`Unverified::Fetching`],
    /// and rules out another.
    pub(crate) fn verify(
        &self,
        jws: Compact<'_>,
        kid: Option<&str>,
        algorithm: Algorithm,
        waited: bool,
    ) -> Result<(), Unverified> {
        let mut buffer = [0; MAX_SIGNATURE + 2];
        let signature = base64url::decode_into(jws.signature, &mut buffer)
            .ok_or(Unverified::NoKey("the signature is not base64url, or too long"))?;
        let keys = match self.look_up(kid, algorithm, waited) {
            Found::Keys(keys) => keys,
            Found::Unknown => return Err(Unverified::NoKey("the key set has no such key")),
            Found::Wait(joined) => return Err(Unverified::Fetching(joined)),
            Found::Unavailable(next_try) => return Err(Unverified::Unavailable(next_try)),
        };
        let mut candidates = keys.candidates(kid, algorithm).take(MAX_CANDIDATES);
        let signed = jws.signing_input.as_bytes();
        if kid.is_some() {
            let is_verified = candidates.any(|key| key.verify(algorithm, signed, signature));
            return if is_verified { Ok(()) } else { Err(Unverified::WrongSignature) };
        }
        match (candidates.next(), candidates.next()) {
            (Some(key), None) if key.verify(algorithm, signed, signature) => Ok(()),
            (Some(_), Some(_)) => {
                Err(Unverified::NoKey("it names no key, and the key set has several"))
            }
            // The one key may have been replaced, which a key set without names cannot show.
            _ => Err(match self.look_further(waited) {
                Found::Keys(_) | Found::Unknown => Unverified::WrongSignature,
                Found::Wait(joined) => Unverified::Fetching(joined),
                Found::Unavailable(next_try) => Unverified::Unavailable(next_try),
            }),
        }
    }
}
