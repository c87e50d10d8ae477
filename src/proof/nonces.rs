use crate::{ClientSecret, ConfigError, jose::base64url, vocabulary::clock::unix_seconds};
use arc_swap::ArcSwapOption;
use aws_lc_rs::{hmac, rand::SystemRandom};
use http::HeaderValue;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use subtle::ConstantTimeEq;

/// How long one nonce is handed out, in seconds.
const SLOT: u64 = 60;
/// For how many slots it is good.
const GOOD_SLOTS: u64 = 3;

/// The nonces that clients have to put into their proofs, so that no proof can be made ahead
/// ([RFC 9449 §9](https://www.rfc-editor.org/rfc/rfc9449#section-9)). A clone makes the same ones.
///
/// A new one is handed out every 60 s, and is good for 120 to 180 s. Nothing is kept for a client: a
/// nonce is the keyed digest of its minute.
#[derive(Clone)]
pub struct DpopNonces {
    shared: Arc<Shared>,
}

struct Shared {
    key: hmac::Key,
    /// Those of the current slot, made once.
    made: ArcSwapOption<Made>,
}

struct Made {
    slot: u64,
    newest: HeaderValue,
    /// That of the next slot, for replicas whose clocks are ahead, and the good ones before.
    others: [HeaderValue; 3],
}

/// The nonce of a proof, if it is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GoodNonce {
    /// The same whenever it is judged.
    pub(crate) until: SystemTime,
    /// If not, its client should take the newest from now on.
    pub(crate) is_newest: bool,
}

impl DpopNonces {
    /// Creates the nonces of one process, under a random key.
    ///
    /// # Errors
    ///
    /// When the random number generator of the system fails.
    pub fn random() -> Result<Self, ConfigError> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Ok(Self::of(key.map_err(|_| ConfigError::new("the system gives no random numbers"))?))
    }

    /// Creates the nonces of all replicas that share `secret`, whose clocks may differ by a minute.
    ///
    /// # Errors
    ///
    /// When `secret` is shorter than 32 bytes.
    pub fn from_secret(secret: &ClientSecret) -> Result<Self, ConfigError> {
        let secret = secret.expose().as_bytes();
        if secret.len() < 32 {
            return Err(ConfigError::new("the secret of the nonces is shorter than 32 bytes"));
        }
        Ok(Self::of(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }

    fn of(key: hmac::Key) -> Self {
        Self { shared: Arc::new(Shared { key, made: ArcSwapOption::empty() }) }
    }

    /// Returns the nonce that clients should use from `now` on.
    pub(crate) fn newest(&self, now: SystemTime) -> HeaderValue {
        self.made(now).newest.clone()
    }

    /// Judges the nonce of a proof. Returns `None` if it is absent, too old, or of somebody else.
    pub(crate) fn judge(&self, nonce: Option<&str>, now: SystemTime) -> Option<GoodNonce> {
        let (nonce, made) = (nonce?, self.made(now));
        let is = |good: &HeaderValue| bool::from(good.as_bytes().ct_eq(nonce.as_bytes()));
        let is_newest = is(&made.newest);
        let slot = match is_newest {
            true => made.slot,
            false => made.others.iter().zip(others(made.slot)).find(|(other, _)| is(other))?.1,
        };
        let end = Duration::from_secs((slot + GOOD_SLOTS) * SLOT);
        Some(GoodNonce { until: SystemTime::UNIX_EPOCH.checked_add(end)?, is_newest })
    }

    fn made(&self, now: SystemTime) -> Arc<Made> {
        let slot = unix_seconds(now) / SLOT;
        if let Some(made) = self.shared.made.load_full().filter(|made| made.slot == slot) {
            return made;
        }
        let nonce = |slot: u64| {
            let tag = hmac::sign(&self.shared.key, &slot.to_be_bytes());
            let text = base64url::encode(tag.as_ref().get(..16).unwrap_or_default());
            // Letters, digits, `-` and `_`.
            HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
        };
        let others = others(slot).map(nonce);
        let made = Arc::new(Made { slot, newest: nonce(slot), others });
        self.shared.made.store(Some(made.clone()));
        made
    }
}

/// The slots whose nonces are good in `slot`, besides its own.
fn others(slot: u64) -> [u64; 3] {
    [slot + 1, slot.saturating_sub(1), slot.saturating_sub(2)]
}

opaque_debug!(DpopNonces { .. });

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_nonce_is_new_for_a_minute_and_good_for_three_at_every_replica_that_shares_the_secret() {
        let secret = ClientSecret::new("a secret of at least 32 characters");
        let [one, other] = [(); 2].map(|()| DpopNonces::from_secret(&secret).unwrap());
        let nonce = one.newest(at(6000));
        let judged = |seconds| other.judge(nonce.to_str().ok(), at(seconds));
        let good = |is_newest| Some(GoodNonce { until: at(6180), is_newest });
        assert_eq!(judged(6059), good(true));
        // The first is for a replica whose clock is behind.
        for seconds in [5940, 6060, 6179] {
            assert_eq!(judged(seconds), good(false), "{seconds}");
        }
        for seconds in [6180, 5939, 0] {
            assert_eq!(judged(seconds), None, "{seconds}");
        }
        assert_eq!(DpopNonces::random().unwrap().judge(nonce.to_str().ok(), at(6000)), None);
        assert_eq!(one.judge(None, at(6000)), None);
        assert_eq!(one.judge(Some(""), at(6000)), None);
    }

    #[test]
    fn a_short_secret_is_refused() {
        assert!(
            DpopNonces::from_secret(&ClientSecret::new("31 bytes: too short to be shared")).is_ok()
        );
        assert!(
            DpopNonces::from_secret(&ClientSecret::new("31 bytes: too short to be share")).is_err()
        );
    }
}
