//! Which refusals are logged at INFO: the first for each reason, and then one in a while.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The shortest time between two lines for one reason.
const PAUSE: Duration = Duration::from_secs(10);

/// How many reasons are told apart. The texts of a user's validator may be any.
const MOST_REASONS: usize = 64;

/// The reasons that were logged lately. Refusals alone look at it.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    logged: Mutex<Vec<Logged>>,
}

#[derive(Debug)]
struct Logged {
    reason: u64,
    at: Instant,
    /// How many refusals for the reason were not logged since.
    suppressed: u64,
}

impl Repeats {
    /// Returns how many refusals for the same reason were suppressed since the last line for it, or `None`
    /// if this one is suppressed too. The reason is the kind and the start of the text, up to what is
    /// no word: a name or a number that belongs to one token.
    pub(super) fn next(&self, kind: &str, description: &str, now: Instant) -> Option<u64> {
        let is_no_word = |char: char| !(char.is_ascii_alphabetic() || " _,`".contains(char));
        let mut hasher = DefaultHasher::new();
        (kind, description.split(is_no_word).next()).hash(&mut hasher);
        let new = Logged { reason: hasher.finish(), at: now, suppressed: 0 };
        let is_recent = |one: &Logged| now.saturating_duration_since(one.at) < PAUSE;
        // Nothing panics between two writes.
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = logged.iter_mut().find(|one| one.reason == new.reason) {
            if is_recent(same) {
                same.suppressed = same.suppressed.saturating_add(1);
                return None;
            }
            return Some(std::mem::replace(same, new).suppressed);
        }
        if logged.len() < MOST_REASONS {
            logged.push(new);
            return Some(0);
        }
        let oldest = logged.iter_mut().min_by_key(|one| one.at).filter(|one| !is_recent(one))?;
        *oldest = new;
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_its_kind_and_the_words_before_what_belongs_to_one_token() {
        let (repeats, now) = (Repeats::default(), Instant::now());
        for (kind, text, first) in [
            ("invalid", "aud: expected 'a', found 'b'", true),
            ("invalid", "aud: expected 'a', found 'c'", false),
            ("invalid", "iss: expected 'a', found 'c'", true),
            ("expired", "aud: expected 'a', found 'c'", true),
            ("invalid", "", true),
            ("invalid", "12", false),
        ] {
            assert_eq!(repeats.next(kind, text, now).is_some(), first, "{kind} {text}");
        }
    }

    #[test]
    fn texts_without_end_neither_grow_the_table_nor_the_log() {
        let (repeats, now) = (Repeats::default(), Instant::now());
        let lines = |now| {
            let text = |n: usize| format!("user {}", "x".repeat(n));
            let texts = (0..1000).map(text);
            texts.filter(|text| repeats.next("invalid", text, now).is_some()).count()
        };
        assert_eq!(lines(now), MOST_REASONS);
        assert_eq!(lines(now + PAUSE), MOST_REASONS);
        assert_eq!(repeats.logged.lock().unwrap().len(), MOST_REASONS);
    }
}
