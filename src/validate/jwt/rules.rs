//! The rules for a token besides its signature.

use super::claims::Claims;
use crate::{
    back_channel::scrub,
    validate::{Principal, Rejection, times::Leeway},
};
use std::{
    fmt::{Display, Write},
    time::{Duration, SystemTime},
};

/// The longest text of a token that a refusal repeats, in characters.
const MAX_SHOWN: usize = 128;
/// How many texts of a list a refusal repeats.
const MAX_LISTED: usize = 4;

/// Refuses a token before its signature is verified, with the answer of a wrong signature.
pub(super) fn refused(description: &'static str) -> Rejection {
    Rejection::unverified(description).without_caching()
}

/// Refuses a token before its signature is verified, for the value of a claim or of a header parameter.
/// The text is for logs alone: the caller gets the answer of a wrong signature.
#[cold]
pub(super) fn mismatch(name: &str, expected: impl Display, found: impl Display) -> Rejection {
    let text = format!("{name}: expected {expected}, found {found} (signature not verified)");
    refused("").with_cause(scrub::description(&text))
}

/// Returns a text of a token for a refusal.
pub(super) fn shown(text: Option<&str>) -> String {
    let Some(text) = text else { return "nothing".to_owned() };
    let mut chars = text.chars();
    let mut shown: String = chars.by_ref().take(MAX_SHOWN).collect();
    if chars.next().is_some() {
        shown.push_str("...");
    }
    format!("'{shown}'")
}

pub(super) fn listed<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut list = String::new();
    for (place, text) in texts.enumerate() {
        let separator = if place == 0 { "" } else { ", " };
        if place == MAX_LISTED {
            list.push_str(", ...");
            break;
        }
        // Writing to a `String` does not fail.
        let _ = write!(list, "{separator}{}", shown(Some(text)));
    }
    list
}

/// How access tokens are distinguished from other tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    /// RFC 9068.
    Strict,
    /// What authorization servers without RFC 9068 issue.
    Lenient,
}

impl Profile {
    pub(super) fn types(self) -> &'static [&'static str] {
        match self {
            Self::Strict => &["at+jwt"],
            Self::Lenient => &["at+jwt", "JWT"],
        }
    }

    /// Returns `true` if the `typ` of a header is that of an access token. Media types compare
    /// without case, and `application/` may be left out
    /// ([RFC 7515 §4.1.9](https://www.rfc-editor.org/rfc/rfc7515#section-4.1.9)).
    pub(super) fn accepts_type(self, typ: Option<&str>) -> bool {
        let Some(typ) = typ else { return self == Self::Lenient };
        let bare = match typ.split_at_checked("application/".len()) {
            Some((start, bare)) if start.eq_ignore_ascii_case("application/") => bare,
            _ => typ,
        };
        bare.eq_ignore_ascii_case("at+jwt")
            || (self == Self::Lenient && bare.eq_ignore_ascii_case("jwt"))
    }

    /// Checks the claims of a token whose signature is good.
    pub(super) fn check(self, claims: &Claims<'_>) -> Result<(), Rejection> {
        match self {
            Self::Strict => check_strict(claims),
            Self::Lenient => check_lenient(claims),
        }
    }

    /// Returns the client that the token was issued to.
    pub(super) fn client_id<'c>(self, claims: &'c Claims<'_>) -> Option<&'c str> {
        let own = claims.client_id.as_deref();
        match self {
            Self::Strict => own,
            Self::Lenient => own.or(claims.azp.as_deref()),
        }
    }
}

/// Checks what RFC 9068 §2.2 requires.
fn check_strict(claims: &Claims<'_>) -> Result<(), Rejection> {
    for (is_there, missing) in [
        (claims.sub.is_some(), "the access token has no sub (RFC 9068 section 2.2)"),
        (claims.client_id.is_some(), "the access token has no client_id (RFC 9068 section 2.2)"),
        (claims.times.iat.is_some(), "the access token has no iat (RFC 9068 section 2.2)"),
        (claims.jti.is_some(), "the access token has no jti (RFC 9068 section 2.2)"),
    ] {
        if !is_there {
            return Err(Rejection::invalid(missing));
        }
    }
    if claims.scopes.has_list_in_scope {
        return Err(Rejection::invalid("the scope of the access token is not a text"));
    }
    Ok(())
}

/// Refuses ID tokens and refresh tokens of the same issuer by their claims, since the header may have
/// no type.
fn check_lenient(claims: &Claims<'_>) -> Result<(), Rejection> {
    let is = |claim: Option<&str>, others: &[&str]| {
        claim.is_some_and(|own| others.iter().any(|other| own.eq_ignore_ascii_case(other)))
    };
    let is_other = claims.has_hashes
        || is(claims.typ.as_deref(), &["ID", "Refresh", "Offline", "Logout"])
        || is(claims.token_use.as_deref(), &["id", "id_token", "refresh", "refresh_token"]);
    match is_other {
        true => Err(Rejection::invalid("the token is not an access token")),
        false => Ok(()),
    }
}

/// The settings of a [`JwtValidator`](super::JwtValidator).
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) profile: Profile,
    pub(super) scope_claims: Vec<Box<str>>,
    pub(super) leeway: Leeway,
    pub(super) max_token_age: Option<Duration>,
    pub(super) max_lifetime: Option<Duration>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            profile: Profile::Strict,
            scope_claims: vec!["scope".into()],
            leeway: Leeway::default(),
            max_token_age: None,
            max_lifetime: None,
        }
    }
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
            return Err(Rejection::invalid("the access token does not say when it was issued"));
        };
        let lasts = |longest: Option<Duration>, until: SystemTime| {
            let end = longest.and_then(|longest| issued_at.checked_add(longest));
            longest.is_none() || end.is_none_or(|end| until <= end)
        };
        let oldest = self.max_token_age.map(|age| age.saturating_add(self.leeway.as_duration()));
        if !lasts(oldest, now) {
            return Err(Rejection::invalid("the access token is too old"));
        }
        if principal.expires_at().is_some_and(|expiry| !lasts(self.max_lifetime, expiry)) {
            return Err(Rejection::invalid("the access token lives too long"));
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
            return Err(Rejection::expired());
        }
        self.check_age(principal, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn the_type_of_an_access_token() {
        for good in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"] {
            assert!(Profile::Strict.accepts_type(Some(good)), "{good}");
            assert!(Profile::Lenient.accepts_type(Some(good)), "{good}");
        }
        for lenient in [None, Some("JWT"), Some("jwt"), Some("application/jwt")] {
            assert!(!Profile::Strict.accepts_type(lenient), "{lenient:?}");
            assert!(Profile::Lenient.accepts_type(lenient), "{lenient:?}");
        }
        for bad in ["", "dpop+jwt", "id+jwt", "logout+jwt", "application/", "x/at+jwt", "at+jwt "] {
            assert!(!Profile::Strict.accepts_type(Some(bad)), "{bad}");
            assert!(!Profile::Lenient.accepts_type(Some(bad)), "{bad}");
        }
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
