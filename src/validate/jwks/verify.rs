//! Verifies a signature with the keys of a [`Jwks`]: the one place where a key is chosen.

use super::{Away, Found, Jwks, Seen, Wait, Wanted};
use crate::jose::{Algorithm, Compact, KeyId, base64url};

/// The longest signature of a key that is accepted: RSA of 8192 bits.
const MAX_SIGNATURE: usize = 1024;

/// How many keys are tried, of one name or without one.
pub(super) const MAX_CANDIDATES: usize = 4;

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
    /// Verifies the signature of `jws` with the keys that it may be by, at most
    /// four, and if `issuer` is named by keys that [are of it](crate::jose::VerifyingKey::is_of).
    /// `waited` is the result of a wait for [`Unverified::Fetching`].
    ///
    /// After a wrong signature the keys are fetched, which nobody waits for if the header names the
    /// key: another key may have taken the name.
    pub(crate) fn verify(
        &self,
        jws: Compact<'_>,
        kid: Option<&KeyId<'_>>,
        algorithm: Algorithm,
        issuer: Option<&str>,
        waited: Option<Seen>,
    ) -> Result<(), Unverified> {
        let mut buffer = [0; MAX_SIGNATURE + 2];
        let signature = base64url::decode_into(jws.signature, &mut buffer)
            .ok_or(Unverified::NoKey("the signature is not base64url, or too long"))?;
        let generation = Some(self.generation());
        let waited = self.own(waited);
        let keys = match self.look_up(kid, algorithm, waited) {
            Found::Keys(keys) => keys,
            Found::Unknown => return Err(Unverified::NoKey("the key set has no such key")),
            Found::Wait(wait) => return Err(Unverified::Fetching(wait)),
            Found::Unavailable(away) => return Err(Unverified::Unavailable(away)),
        };
        let candidates = keys.keys.candidates(kid, algorithm);
        let candidates = candidates.filter(|key| issuer.is_none_or(|issuer| key.is_of(issuer)));
        let mut candidates = candidates.take(MAX_CANDIDATES).peekable();
        let is_named = matches!(kid, Some(KeyId::Kid(_)));
        if !is_named && candidates.peek().is_none() {
            let text = "it does not name its key, and the key set has several";
            return Err(self.doubted(Unverified::NoKey(text)));
        }
        let signed = jws.signing_input.as_bytes();
        // A fetch that brought no other keys is no reason to try them again.
        let is_new = waited.is_none_or(|waited| waited.tried != generation);
        if is_new && candidates.any(|key| key.verify(algorithm, signed, signature)) {
            return Ok(());
        }
        if is_named {
            return Err(self.doubted(Unverified::WrongSignature));
        }
        // A key may have been replaced, which a key set without names cannot show.
        Err(match self.shared.look_up(Wanted::Nameless(algorithm), waited) {
            Found::Keys(_) | Found::Unknown => self.doubted(Unverified::WrongSignature),
            Found::Wait(mut wait) => {
                wait.seen.tried = generation;
                Unverified::Fetching(wait)
            }
            Found::Unavailable(away) => Unverified::Unavailable(away),
        })
    }

    fn doubted(&self, why: Unverified) -> Unverified {
        self.shared.doubt();
        why
    }
}
