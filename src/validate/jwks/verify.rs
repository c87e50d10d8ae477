//! Verifies a signature with the keys of a [`Jwks`]: the one place where a key is chosen.

use super::{Away, Found, Jwks, Seen, Wait, Wanted};
use crate::jose::{Algorithm, Compact, base64url};

/// The longest signature of a key that is accepted: RSA of 8192 bits.
const MAX_SIGNATURE: usize = 1024;

/// How many keys of one name are tried.
const MAX_CANDIDATES: usize = 4;

/// Why a signature is not verified.
pub(crate) enum Unverified {
    /// The keys are being fetched: wait, then verify once more.
    Fetching(Wait),
    /// The keys cannot be fetched.
    Unavailable(Away),
    /// No key was tried, for this reason.
    NoKey(&'static str),
    /// The signature is by none of the keys that it may be by.
    WrongSignature,
}

impl Jwks {
    /// Verifies the signature of `jws` with the key that its header names by `kid`, or else with
    /// the one key for `algorithm`. `waited` is the result of a wait for [`Unverified::Fetching`].
    ///
    /// After a wrong signature the keys are fetched, which nobody waits for: another key may have
    /// taken the name.
    pub(crate) fn verify(
        &self,
        jws: Compact<'_>,
        kid: Option<&str>,
        algorithm: Algorithm,
        waited: Option<Seen>,
    ) -> Result<(), Unverified> {
        let mut buffer = [0; MAX_SIGNATURE + 2];
        let signature = base64url::decode_into(jws.signature, &mut buffer)
            .ok_or(Unverified::NoKey("the signature is not base64url, or too long"))?;
        let keys = match self.look_up(kid, algorithm, waited) {
            Found::Keys(keys) => keys,
            Found::Unknown => return Err(Unverified::NoKey("the key set has no such key")),
            Found::Wait(wait) => return Err(Unverified::Fetching(wait)),
            Found::Unavailable(away) => return Err(Unverified::Unavailable(away)),
        };
        let mut candidates = keys.candidates(kid, algorithm).take(MAX_CANDIDATES);
        let signed = jws.signing_input.as_bytes();
        if kid.is_some() {
            let is_verified = candidates.any(|key| key.verify(algorithm, signed, signature));
            return if is_verified {
                Ok(())
            } else {
                Err(self.doubted(Unverified::WrongSignature))
            };
        }
        match (candidates.next(), candidates.next()) {
            (Some(key), None) if key.verify(algorithm, signed, signature) => Ok(()),
            (Some(_), Some(_)) => {
                let text = "it names no key, and the key set has several";
                Err(self.doubted(Unverified::NoKey(text)))
            }
            // The one key may have been replaced, which a key set without names cannot show.
            _ => Err(match self.shared.look_up(Wanted::Nameless(algorithm), waited) {
                Found::Keys(_) | Found::Unknown => self.doubted(Unverified::WrongSignature),
                Found::Wait(wait) => Unverified::Fetching(wait),
                Found::Unavailable(away) => Unverified::Unavailable(away),
            }),
        }
    }

    fn doubted(&self, why: Unverified) -> Unverified {
        self.shared.doubt();
        why
    }
}
