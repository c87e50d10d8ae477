use crate::Answer;
use sha2::{Digest, Sha256};
use std::{error::Error, fmt, pin::Pin, time::SystemTime};

/// Remembers the proofs that were used, so that each counts once
/// ([RFC 9449 §11.1](https://www.rfc-editor.org/rfc/rfc9449#section-11.1)).
///
/// [`SeenProofs`](crate::server::SeenProofs) does it for one process. Replicas behind one URL need a
/// shared one, such as a database in which a name can be set if it is not there yet.
///
/// ```
/// use std::{io, time::SystemTime};
/// use tower_oauth2::{
///     Answer,
///     server::{FirstUse, ProofId, ProofReplay, ReplayFuture},
/// };
///
/// #[derive(Clone)]
/// struct Redis;
///
/// impl Redis {
///     /// `SET name 1 NX PX milliseconds`: whether it was set.
///     async fn set_new(&self, name: &[u8], milliseconds: u128) -> io::Result<bool> {
/// #       let _ = (name, milliseconds);
/// #       Ok(true)
///     }
/// }
///
/// impl ProofReplay for Redis {
///     fn first_use(&self, proof: ProofId, until: SystemTime) -> Answer<ReplayFuture> {
///         let redis = self.clone();
///         Answer::Pending(Box::pin(async move {
///             let left = until.duration_since(SystemTime::now()).unwrap_or_default();
///             // Five seconds more, by which the clocks of the replicas may differ.
///             let is_new = redis.set_new(proof.as_bytes(), left.as_millis() + 5000).await?;
///             Ok(if is_new { FirstUse::First } else { FirstUse::Replayed })
///         }))
///     }
/// }
/// ```
pub trait ProofReplay: Send + Sync + 'static {
    /// Remembers `proof` until the instant `until`, from which it is refused for its age, and returns
    /// whether it was there. `until` is the same each time that a proof is used. Replicas go by their own
    /// clocks: where these can differ, remember it for longer by as much.
    ///
    /// # Errors
    ///
    /// When that cannot be told. The request is then refused with 503.
    fn first_use(&self, proof: ProofId, until: SystemTime) -> Answer<ReplayFuture>;
}

/// The pending answer of a [`ProofReplay`].
pub type ReplayFuture =
    Pin<Box<dyn Future<Output = Result<FirstUse, Box<dyn Error + Send + Sync>>> + Send>>;

/// Says whether a proof was used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstUse {
    /// It was not.
    First,
    /// It was: the request is refused.
    Replayed,
}

/// The name of a proof among those of all keys: a SHA-256 digest of the key's thumbprint and of the
/// proof's `jti`. It is the same at every replica, and has a fixed size.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProofId([u8; 32]);

impl ProofId {
    pub(crate) fn new(thumbprint: &str, jti: &str) -> Self {
        let mut hash = Sha256::new();
        // All thumbprints have the same length, so that no two pairs are hashed as the same bytes.
        hash.update(thumbprint);
        hash.update(jti);
        Self(hash.finalize().into())
    }

    /// Returns the digest.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Shows the digest in hexadecimal digits.
impl fmt::Debug for ProofId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProofId(")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}
