use crate::Clock;
use std::fmt;
use zeroize::Zeroizing;

/// A statement that is signed anew at each attempt. What holds one compiles without the feature
/// `jwt`, which has the one implementation.
pub(crate) trait Assertion: fmt::Debug + Send + Sync {
    /// Returns a new one of this `typ` for `audience`, unless it is always for another.
    ///
    /// # Errors
    ///
    /// When there is no key, the system gives no random numbers, the clock is before the epoch, or
    /// signing fails.
    fn sign(&self, audience: &str, typ: &str, clock: &Clock)
    -> Result<Zeroizing<String>, Box<str>>;

    /// Returns what assertions of the same key and content, and no others, have in common. It is
    /// secret.
    fn identity(&self) -> Zeroizing<String>;
}
