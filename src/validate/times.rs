//! When a token is good: `exp`, `nbf` and `iat`, with a leeway for clocks that differ. One set of
//! rules for every validator.

use crate::ConfigError;
use std::time::{Duration, SystemTime};

/// Clocks that differ by more are wrong, not different.
pub(crate) const MAX_LEEWAY: Duration = Duration::from_secs(5 * 60);

/// The last second of the year 9999, the last that is a date.
const LAST: f64 = 253_402_300_799.0;

/// Seconds since the epoch, fractions allowed
/// ([RFC 7519 §2](https://www.rfc-editor.org/rfc/rfc7519#section-2)).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct NumericDate(f64);

impl NumericDate {
    pub(super) const fn new(seconds: f64) -> Self {
        Self(seconds)
    }

    pub(super) const fn seconds(self) -> f64 {
        self.0
    }

    /// Returns the instant, or `None` before the epoch and after the year 9999.
    pub(super) fn instant(self) -> Option<SystemTime> {
        if !(0.0..=LAST).contains(&self.0) {
            return None;
        }
        SystemTime::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(self.0).ok()?)
    }
}

/// The claims of a token about time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    pub(super) exp: Option<NumericDate>,
    pub(super) nbf: Option<NumericDate>,
    pub(super) iat: Option<NumericDate>,
}

/// Why a token is not good at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Untimely {
    ExpiryIsNoDate,
    Expired,
    NotValidYet,
    IssuedInFuture,
}

/// How far clocks may differ. Defaults to 30 s.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leeway(Duration);

impl Default for Leeway {
    fn default() -> Self {
        Self(Duration::from_secs(30))
    }
}

impl Leeway {
    /// # Errors
    ///
    /// Refuses more than 5 minutes.
    pub(super) fn new(leeway: Duration) -> Result<Self, ConfigError> {
        match leeway > MAX_LEEWAY {
            true => Err(ConfigError::new(format!("the leeway {leeway:?} is more than 5 minutes"))),
            false => Ok(Self(leeway)),
        }
    }

    #[cfg(feature = "jwt")]
    pub(super) fn as_duration(self) -> Duration {
        self.0
    }

    /// Checks the times of a token. A date that is no instant is refused, whatever it means.
    pub(super) fn check(self, times: &Times, now: SystemTime) -> Result<(), Untimely> {
        if let Some(expiry) = times.exp {
            let expiry = expiry.instant().ok_or(Untimely::ExpiryIsNoDate)?;
            if self.is_over(expiry, now) {
                return Err(Untimely::Expired);
            }
        }
        let is_ahead =
            |date: Option<NumericDate>| date.is_some_and(|date| !self.has_come(date, now));
        if is_ahead(times.nbf) {
            return Err(Untimely::NotValidYet);
        }
        if is_ahead(times.iat) {
            return Err(Untimely::IssuedInFuture);
        }
        Ok(())
    }

    /// Returns the instant from which a token with this expiry is refused, or `None` if no clock
    /// can show it.
    pub(super) fn end(self, expiry: SystemTime) -> Option<SystemTime> {
        expiry.checked_add(self.0)
    }

    /// Returns `true` if `expiry` and the leeway are over
    /// ([RFC 7519 §4.1.4](https://www.rfc-editor.org/rfc/rfc7519#section-4.1.4)).
    pub(super) fn is_over(self, expiry: SystemTime, now: SystemTime) -> bool {
        now >= expiry && self.end(expiry).is_some_and(|end| now >= end)
    }

    /// Returns `true` if `date` has come, or comes within the leeway.
    pub(super) fn has_come(self, date: NumericDate, now: SystemTime) -> bool {
        let latest = now.checked_add(self.0);
        date.instant().is_some_and(|instant| latest.is_none_or(|latest| instant <= latest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_date_is_an_instant_of_the_years_1970_to_9999() {
        for wrong in [-1.0, 1e300, -1e300, 253_402_300_800.0, -0.5] {
            assert_eq!(NumericDate::new(wrong).instant(), None, "{wrong}");
        }
        let last = NumericDate::new(253_402_300_799.0);
        assert_eq!(last.instant(), Some(at(253_402_300_799)));
    }

    #[test]
    fn a_leeway_is_bounded_and_ends_exactly() {
        assert!(Leeway::new(MAX_LEEWAY + Duration::from_nanos(1)).is_err());
        let leeway = Leeway::default();
        assert!(!leeway.is_over(at(100), at(129)) && leeway.is_over(at(100), at(130)));
        let none = Leeway::new(Duration::ZERO).unwrap();
        assert!(!none.is_over(at(100), at(99)) && none.is_over(at(100), at(100)));
    }

    #[test]
    fn a_token_is_good_from_nbf_and_iat_to_exp_and_odd_dates_are_refused() {
        use Untimely::{Expired, ExpiryIsNoDate, IssuedInFuture, NotValidYet};
        for (name, seconds, leeway, refused) in [
            ("exp", 1000.0, 0, Some(Expired)),
            ("exp", 1000.5, 0, None),
            ("exp", 970.0, 30, Some(Expired)),
            ("exp", 971.0, 30, None),
            ("exp", 0.0, 30, Some(Expired)),
            ("exp", -1.0, 300, Some(ExpiryIsNoDate)),
            ("exp", 1e300, 0, Some(ExpiryIsNoDate)),
            ("nbf", 1000.0, 0, None),
            ("nbf", 1001.0, 0, Some(NotValidYet)),
            ("nbf", 1030.0, 30, None),
            ("nbf", -1.0, 300, Some(NotValidYet)),
            ("nbf", 1e300, 300, Some(NotValidYet)),
            ("iat", 1001.0, 0, Some(IssuedInFuture)),
            ("iat", 1030.0, 30, None),
            ("iat", -5.0, 0, Some(IssuedInFuture)),
        ] {
            let mut times = Times::default();
            let date = Some(NumericDate::new(seconds));
            match name {
                "exp" => times.exp = date,
                "nbf" => times.nbf = date,
                _ => times.iat = date,
            }
            let leeway = Leeway::new(Duration::from_secs(leeway)).unwrap();
            assert_eq!(leeway.check(&times, at(1000)).err(), refused, "{name} {seconds}");
        }
    }
}
