//! The rules for a token besides its signature.

use crate::{
    back_channel::scrub,
    validate::{
        Principal, Rejection,
        claims::{expired, shown, told, unfit},
        times::Leeway,
    },
};
use std::{
    borrow::Cow,
    fmt::Display,
    time::{Duration, SystemTime},
};

/// Refuses a token before its signature is verified, with the answer of a wrong signature.
pub(super) fn refused(description: impl Into<Cow<'static, str>>) -> Rejection {
    Rejection::unverified(description).without_caching()
}

/// Refuses a token before its signature is verified, for the value of a claim or of a header parameter.
/// The text is for logs alone: the caller gets the answer of a wrong signature.
#[cold]
pub(super) fn mismatch(name: &str, expected: impl Display, found: impl Display) -> Rejection {
    unverified(told(name, expected, found))
}

#[cold]
pub(super) fn unverified(mut told: String) -> Rejection {
    told.push_str(" (signature not verified)");
    refused(scrub::description(&told))
}

/// The settings of a [`JwtValidator`](super::JwtValidator).
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    pub(super) scope_claims: Vec<Box<str>>,
    pub(super) leeway: Leeway,
    pub(super) max_token_age: Option<Duration>,
    pub(super) max_lifetime: Option<Duration>,
}

impl Rules {
    /// Checks the age and the lifetime of a token.
    pub(super) fn check_age(
        &self,
        principal: &Principal,
        now: SystemTime,
    ) -> Result<(), Rejection> {
        if self.max_token_age.is_none() && self.max_lifetime.is_none() {
            return Ok(());
        }
        let Some(issued_at) = principal.issued_at() else {
            let told = told("iat", "a date", shown(None));
            return Err(unfit("the access token does not say when it was issued", &told));
        };
        let oldest = self.max_token_age.map(|age| age.saturating_add(self.leeway.as_duration()));
        let (old, long) = ("the access token is too old", "the access token lives too long");
        for (longest, until, public, name) in [
            (oldest, Some(now), old, "age since iat"),
            (self.max_lifetime, principal.expires_at(), long, "lifetime from iat to exp"),
        ] {
            let (Some(longest), Some(until)) = (longest, until) else { continue };
            let found = until.duration_since(issued_at).unwrap_or_default();
            if found > longest {
                let expected = format!("at most {} s", longest.as_secs());
                let found = format!("{} s", found.as_secs());
                return Err(unfit(public, &told(name, expected, found)));
            }
        }
        Ok(())
    }

    /// Returns the end of a good token: its expiry or its highest age, whichever comes first, and the
    /// leeway; or `None` if no clock can show it.
    pub(super) fn good_until(&self, principal: &Principal) -> Option<SystemTime> {
        let aged = self.max_token_age.zip(principal.issued_at());
        let old = aged.and_then(|(age, issued_at)| issued_at.checked_add(age));
        let ends = [principal.expires_at(), old].into_iter().flatten();
        self.leeway.end(ends.min()?)
    }

    /// Checks once more what time alone changes.
    pub(super) fn recheck(&self, principal: &Principal, now: SystemTime) -> Result<(), Rejection> {
        if principal.expires_at().is_none_or(|expiry| self.leeway.is_over(expiry, now)) {
            return Err(expired(principal.expires_at(), now));
        }
        match self.max_token_age {
            None => Ok(()),
            Some(_) => self.check_age(principal, now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn an_age_and_a_lifetime_are_measured_from_the_time_of_issue() {
        let mut rules = Rules::default();
        let token = Principal::new("alice").with_issued_at(at(100)).with_expiry(at(700));
        rules.max_token_age = Some(Duration::from_secs(60));
        assert!(rules.check_age(&token, at(190)).is_ok());
        assert!(rules.check_age(&token, at(191)).is_err());
        rules.max_lifetime = Some(Duration::from_secs(599));
        assert!(rules.check_age(&token, at(100)).is_err());
        rules.max_lifetime = Some(Duration::from_secs(600));
        assert!(rules.check_age(&token, at(100)).is_ok());
        assert!(rules.check_age(&Principal::new("alice"), at(100)).is_err());
    }
}
