use crate::{
    Clock,
    validate::{Rejection, Validated},
};
use std::{sync::Arc, time::SystemTime};

/// Tells a cache how the verdicts of a validator may be cached.
///
/// Every method has a default, and the defaults suit opaque tokens, so most validators implement
/// [`ValidateToken::validate`](super::ValidateToken::validate) alone. A validator with other needs
/// implements this trait and returns itself from
/// [`ValidateToken::cache_support`](super::ValidateToken::cache_support):
///
/// ```
/// use std::{future::{Ready, ready}, sync::Arc};
/// use tower_oauth2::{
///     Answer, RequestHead,
///     validate::{CacheSupport, Cached, Principal, Rejection, ValidateToken, Verdict},
/// };
///
/// /// Accepts `<name>.<signature>`.
/// struct Signed;
///
/// impl ValidateToken for Signed {
///     type Claims = ();
///     type Future = Ready<Verdict<()>>;
///
///     fn validate(&self, token: &str, _: RequestHead<'_>) -> Answer<Self::Future> {
/// #       let is_signature = |signature: &str| signature == "signature";
///         Answer::Ready(match token.rsplit_once('.') {
///             Some((name, signature)) if is_signature(signature) => {
///                 Ok(Arc::new(Principal::new(name).into()))
///             }
///             _ => Err(Rejection::unknown()),
///         })
///     }
///
///     fn cache_support(&self) -> &dyn CacheSupport<()> {
///         self
///     }
/// }
///
/// impl CacheSupport<()> for Signed {
///     fn split_at(&self, token: &[u8]) -> usize {
///         token.iter().rposition(|byte| *byte == b'.').map_or(0, |dot| dot + 1)
///     }
/// }
///
/// let validator = Cached::new(Signed);
/// # let _ = validator;
/// ```
pub trait CacheSupport<C> {
    /// Returns the index at which the secret part of `token` begins. The cache keeps the part
    /// before it, compares that byte for byte, and keeps a keyed digest of the secret part. An
    /// index that leaves either part empty counts as 0.
    ///
    /// Defaults to 0: the whole token is secret, which is right for an opaque token. A signed token
    /// is useless without its signature.
    ///
    /// A cache may call this with bytes that are not checked in any way yet.
    fn split_at(&self, token: &[u8]) -> usize {
        let _ = token;
        0
    }

    /// Fast path: returns the verdict on these bytes if they are a token that the validator found
    /// good before and that is still good. The bytes are not checked in any way yet.
    /// [`RequireToken`](crate::server::RequireToken) calls this first if it reads
    /// `Authorization: Bearer` alone and no header is repeated. Defaults to `None`: the layer
    /// checks the bytes and calls `validate`.
    ///
    /// # Security
    ///
    /// A validator around another may forward this only if it judges nothing but the token, and
    /// must judge it here too: a check of the request or the token that `validate` alone makes is
    /// skipped for a token that is recalled.
    fn recall(&self, presented: &[u8]) -> Option<Arc<Validated<C>>> {
        let _ = presented;
        None
    }

    /// Checks at `now` what time alone changes about a token that was good. A cache calls this at
    /// each hit. Defaults to refusing the token from the principal's expiry on, and a JWT whose issuer
    /// was removed or replaced or has other keys.
    ///
    /// # Errors
    ///
    /// When the token is no longer good, or has to be validated again.
    fn recheck(&self, validated: &Validated<C>, now: SystemTime) -> Result<(), Rejection> {
        validated.check_basis(now)?;
        validated.principal().check_expiry(now)
    }

    /// Returns the clock of the validator, by which a cache or a layer around it then goes, unless it
    /// is given another. Defaults to none of its own.
    fn clock(&self) -> Option<Clock> {
        None
    }

    /// Returns a number that changes when earlier verdicts may no longer hold, for example because
    /// keys changed. A cache then forgets them. Defaults to a constant.
    fn generation(&self) -> u64 {
        0
    }
}

/// The defaults.
pub(super) struct OpaqueTokens;

impl<C> CacheSupport<C> for OpaqueTokens {}
