use crate::{ClientSecret, ConfigError, jose::base64url};
use arc_swap::ArcSwapOption;
use aws_lc_rs::{hmac, rand::SystemRandom};
use http::HeaderValue;
use std::{
    fmt,
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

/// What the nonce of a proof is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NonceAge {
    Newest,
    /// It is good, and its client should take the newest from now on.
    Older,
    /// It is absent, too old, or of somebody else.
    Unknown,
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

    /// Judges the nonce of a proof.
    pub(crate) fn judge(&self, nonce: Option<&str>, now: SystemTime) -> NonceAge {
        let Some(nonce) = nonce else { return NonceAge::Unknown };
        let made = self.made(now);
        let is = |good: &HeaderValue| bool::from(good.as_bytes().ct_eq(nonce.as_bytes()));
        if is(&made.newest) {
            NonceAge::Newest
        } else if made.others.iter().any(is) {
            NonceAge::Older
        } else {
            NonceAge::Unknown
        }
    }

    /// Returns the instant at which no nonce that is good now is good any more.
    pub(crate) fn good_until(now: SystemTime) -> Option<SystemTime> {
        now.checked_add(Duration::from_secs((GOOD_SLOTS + 1) * SLOT))
    }

    fn made(&self, now: SystemTime) -> Arc<Made> {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let slot = since.as_secs() / SLOT;
        if let Some(made) = self.shared.made.load_full().filter(|made| made.slot == slot) {
            return made;
        }
        let nonce = |slot: u64| {
            let tag = hmac::sign(&self.shared.key, &slot.to_be_bytes());
            let text = base64url::encode(tag.as_ref().get(..16).unwrap_or_default());
            // Letters, digits, `-` and `_`.
            HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
        };
        let others = [slot + 1, slot.saturating_sub(1), slot.saturating_sub(2)].map(nonce);
        let made = Arc::new(Made { slot, newest: nonce(slot), others });
        self.shared.made.store(Some(made.clone()));
        made
    }
}

impl fmt::Debug for DpopNonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DpopNonces").finish_non_exhaustive()
    }
}

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
        assert_eq!(judged(6059), NonceAge::Newest);
        // A replica whose clock is behind.
        assert_eq!(judged(5990), NonceAge::Older);
        for seconds in [6060, 6179] {
            assert_eq!(judged(seconds), NonceAge::Older, "{seconds}");
        }
        for seconds in [6180, 5939, 0] {
            assert_eq!(judged(seconds), NonceAge::Unknown, "{seconds}");
        }
        assert!(DpopNonces::good_until(at(5990)).unwrap() >= at(6180));
        assert_eq!(
            DpopNonces::random().unwrap().judge(nonce.to_str().ok(), at(6000)),
            NonceAge::Unknown
        );
        assert_eq!(one.judge(None, at(6000)), NonceAge::Unknown);
        assert_eq!(one.judge(Some(""), at(6000)), NonceAge::Unknown);
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
