//! Which refusals are logged at INFO: the first for each reason, and then one in a while.

use super::facade::enabled;
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    mem,
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
    pub(crate) fn next(
        &self,
        kind: &str,
        text: &str,
        now: impl FnOnce() -> Instant,
    ) -> Option<u64> {
        if !enabled!(target: "tower_oauth2::server", tracing::Level::INFO) {
            return None;
        }
        let is_no_word = |char: char| !(char.is_ascii_alphabetic() || " _,`".contains(char));
        let mut hasher = DefaultHasher::new();
        (kind, text.split(is_no_word).next()).hash(&mut hasher);
        let new = Logged { reason: hasher.finish(), at: now(), suppressed: 0 };
        let is_recent = |one: &Logged| new.at.saturating_duration_since(one.at) < PAUSE;
        // Nothing panics between two writes.
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = logged.iter_mut().find(|one| one.reason == new.reason) {
            if is_recent(same) {
                same.suppressed = same.suppressed.saturating_add(1);
                return None;
            }
            return Some(mem::replace(same, new).suppressed);
        }
        if logged.len() >= MOST_REASONS {
            logged.retain(is_recent);
        }
        let has_room = logged.len() < MOST_REASONS;
        has_room.then(|| logged.push(new)).map(|()| 0)
    }
}
