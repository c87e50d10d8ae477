//! Claims in refusals: what a token has to say, and what it says, at a bounded length. For logs alone.

use crate::{back_channel::scrub, validate::Rejection, vocabulary::clock::unix_seconds};
use std::{
    borrow::Cow,
    fmt::{Display, Write},
    time::SystemTime,
};

/// The longest text of a token that a refusal repeats, in characters.
const MAX_SHOWN: usize = 128;
/// How many texts of a list a refusal repeats.
const MAX_LISTED: usize = 4;

/// Says which claim or header parameter is not as it has to be.
#[cold]
pub(in crate::validate) fn told(name: &str, expected: impl Display, found: impl Display) -> String {
    format!("{name}: expected {expected}, found {found}")
}

/// Refuses a token whose issuer vouches for it. The caller gets `public`, the log what is
/// [`told`].
#[cold]
pub(in crate::validate) fn unfit(public: impl Into<Cow<'static, str>>, told: &str) -> Rejection {
    Rejection::invalid(public).with_cause(scrub::description(told))
}

/// Refuses a token whose claims are not those that the user reads.
#[cold]
pub(in crate::validate) fn unreadable(error: &serde_json::Error) -> Rejection {
    let error = scrub::redacted(&error.to_string(), str::to_owned);
    unfit(NOT_GOOD, &format!("the claims are not those that are expected: {error}"))
}

/// Refuses a token that expired after its claims were read.
#[cold]
pub(in crate::validate) fn expired(expiry: Option<SystemTime>, now: SystemTime) -> Rejection {
    let expected = format!("a date after {}", unix_seconds(now));
    let found = expiry.map_or_else(|| shown(None), |expiry| unix_seconds(expiry).to_string());
    Rejection::expired().with_cause(told("exp", expected, found))
}

/// What callers are told of a token whose claims cannot be read.
pub(in crate::validate) const NOT_GOOD: &str = "the access token is not good";

/// Returns a text of a token for a refusal.
pub(in crate::validate) fn shown(text: Option<&str>) -> String {
    let Some(text) = text else { return "nothing".to_owned() };
    let mut chars = text.chars();
    let mut shown: String = chars.by_ref().take(MAX_SHOWN).collect();
    if chars.next().is_some() {
        shown.push_str("...");
    }
    format!("'{shown}'")
}

pub(in crate::validate) fn listed<'a>(texts: impl Iterator<Item = &'a str>) -> String {
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
