//! Wider tokens, where a resource asks for them and a ceiling lets it
//! ([RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)).

use super::{Error, ErrorKind};
use crate::ScopeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a resource may make a client ask for.
pub(super) struct StepUp {
    ceiling: ScopeSet,
    widths: Mutex<Widths>,
}

#[derive(Default)]
struct Widths {
    /// Asked for beside what the grant asks for.
    wanted: ScopeSet,
    /// That part of it which an answer came to.
    fetched: ScopeSet,
    /// The server refuses them, whatever else is asked for.
    refused: ScopeSet,
}

impl StepUp {
    pub(super) fn new(ceiling: ScopeSet) -> Self {
        Self { ceiling, widths: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Widths> {
        self.widths.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is asked for beside what the grant asks for.
    pub(super) fn wanted(&self) -> ScopeSet {
        self.lock().wanted.clone()
    }

    /// A resource refused a token for lack of `asked`, which has `granted`: whether another is worth
    /// fetching.
    pub(super) fn widen(&self, asked: &ScopeSet, granted: Option<&ScopeSet>) -> bool {
        let mut widths = self.lock();
        let refused = asked.iter().any(|scope| widths.refused.contains(scope));
        let fetched = widths.fetched.contains_all(asked);
        if asked.is_empty() || !self.ceiling.contains_all(asked) || refused || fetched {
            return false;
        }
        // Where none are asked for the server decides; it must not have to give less than before.
        let before = granted.cloned().unwrap_or_default();
        widths.wanted = std::mem::take(&mut widths.wanted).joined(before).joined(asked.clone());
        true
    }

    /// An answer came to a request for `wanted`.
    pub(super) fn fetched(&self, wanted: &ScopeSet) {
        self.lock().fetched = wanted.clone();
    }

    /// A request for `wanted` failed. Where it was refused, no more is asked for than before.
    pub(super) fn failed(&self, wanted: &ScopeSet, error: &Error) {
        let mut widths = self.lock();
        let refused = error.kind() == ErrorKind::Refused && error.status().is_some();
        let about_client = error.code() == Some("invalid_client");
        if !refused || error.is_transient() || about_client {
            return;
        }
        let fetched = widths.fetched.clone();
        let refused = wanted.filtered(|scope| !fetched.contains(scope));
        widths.wanted = widths.wanted.filtered(|scope| !refused.contains(scope));
        widths.refused = std::mem::take(&mut widths.refused).joined(refused);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::Secrets;
    use http::StatusCode;

    fn set(scopes: &str) -> ScopeSet {
        scopes.parse().unwrap()
    }

    fn refused(status: u16, code: &str) -> Error {
        let status = StatusCode::from_u16(status).unwrap();
        Error::refused(status, Some(code), None, &Secrets::default())
    }

    #[test]
    fn only_what_is_below_the_ceiling_is_asked_for_and_only_while_it_may_help() {
        let step_up = StepUp::new(set("write admin"));
        for outside in ["", "root", "write root"] {
            assert!(!step_up.widen(&set(outside), None), "{outside:?}");
        }
        assert!(step_up.widen(&set("write"), Some(&set("read"))));
        assert_eq!(step_up.wanted(), set("read write"));
        assert!(step_up.widen(&set("write"), None), "no answer came yet");
        step_up.fetched(&step_up.wanted());
        assert!(!step_up.widen(&set("write"), None), "the server gave what it gives");

        assert!(step_up.widen(&set("admin"), None));
        step_up.failed(&step_up.wanted(), &refused(503, "x"));
        step_up.failed(&step_up.wanted(), &refused(401, "invalid_client"));
        let of_no_use = Error::of_no_use(StatusCode::OK, "missing issued_token_type");
        step_up.failed(&step_up.wanted(), &of_no_use);
        assert_eq!(step_up.wanted(), set("read write admin"));
        step_up.failed(&step_up.wanted(), &refused(400, "invalid_scope"));
        assert_eq!(step_up.wanted(), set("read write"));
        assert!(!step_up.widen(&set("admin"), None), "it is refused for good");
    }
}
