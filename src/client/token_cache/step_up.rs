//! Scopes that a resource asks for, within a ceiling
//! ([RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)).

use crate::{
    ScopeSet,
    client::{Error, ErrorKind},
};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Decides which scopes a resource may make a client ask for.
pub(in crate::client) struct StepUp {
    /// The scopes of the grant.
    own: ScopeSet,
    ceiling: ScopeSet,
    widths: Mutex<Widths>,
}

#[derive(Default)]
struct Widths {
    /// Asked for beside the scopes of the grant, because tokens lacked them.
    wanted: ScopeSet,
    /// What tokens had unasked. It is asked for together with `wanted`, and never counts as refused.
    along: ScopeSet,
    /// What was asked for when an answer last came.
    fetched: ScopeSet,
    refusals: Vec<Refusal>,
}

/// Scopes that the server refused. Others that were asked for with them may be granted without.
struct Refusal {
    scopes: ScopeSet,
    /// The error code was about scopes. Otherwise the next token ends the refusal.
    for_good: bool,
}

impl Widths {
    fn is_refused(&self, scopes: &ScopeSet) -> bool {
        self.refusals.iter().any(|refusal| scopes.contains_all(&refusal.scopes))
    }
}

impl StepUp {
    pub(in crate::client) fn new(own: ScopeSet, ceiling: ScopeSet) -> Self {
        Self { own, ceiling, widths: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Widths> {
        self.widths.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what is asked for beside the scopes of the grant.
    pub(in crate::client) fn wanted(&self) -> ScopeSet {
        let widths = self.lock();
        match widths.wanted.is_empty() {
            true => ScopeSet::empty(),
            false => widths.along.clone().joined(widths.wanted.clone()),
        }
    }

    /// Returns `true` if a resource may make a client ask for `scopes`.
    pub(in crate::client) fn allows(&self, scopes: &ScopeSet) -> bool {
        !scopes.is_empty() && self.ceiling.contains_all(scopes)
    }

    /// Returns `true` if the last token was asked for with `scopes`: it has them unless the server
    /// says otherwise (RFC 6749 §5.1).
    pub(in crate::client) fn asked_for(&self, scopes: &ScopeSet) -> bool {
        let widths = self.lock();
        scopes.iter().all(|scope| self.own.contains(scope) || widths.fetched.contains(scope))
    }

    /// Notes that a resource refused a token, which has `granted`, for lack of `asked`. Returns `true`
    /// if another token may help.
    pub(in crate::client) fn widen(&self, asked: &ScopeSet, granted: Option<&ScopeSet>) -> bool {
        let mut widths = self.lock();
        let granted = granted.cloned().unwrap_or_default();
        let (wanted, fetched) = (widths.wanted.clone(), widths.fetched.clone());
        let lacks = |scope: &str| {
            !self.own.contains(scope) && !granted.contains(scope) && !fetched.contains(scope)
        };
        let missing = asked.filtered(lacks);
        let tried = wanted.filtered(lacks).joined(missing.clone());
        if missing.is_empty() || !self.allows(asked) || widths.is_refused(&tried) {
            return false;
        }
        // Without scopes the server decides; it must not give less than before.
        let along = granted.filtered(|scope| self.own.is_empty() || asked.contains(scope));
        widths.along = std::mem::take(&mut widths.along).joined(along);
        widths.wanted = wanted.joined(missing);
        true
    }

    /// Notes an answer to a request for `wanted`.
    pub(in crate::client) fn fetched(&self, wanted: &ScopeSet) {
        let mut widths = self.lock();
        widths.fetched = wanted.clone();
        widths.refusals.retain(|refusal| refusal.for_good);
    }

    /// Notes that a request for `wanted` failed. If it was refused, no more is asked for than before.
    pub(in crate::client) fn failed(&self, wanted: &ScopeSet, error: &Error) {
        let mut widths = self.lock();
        let refused = error.kind() == ErrorKind::Refused && error.status().is_some();
        let about_client = error.code() == Some("invalid_client");
        if !refused || error.is_transient() || about_client {
            return;
        }
        let (along, fetched) = (widths.along.clone(), widths.fetched.clone());
        let about_scopes = error.code() == Some("invalid_scope");
        let new = wanted.filtered(|scope| !along.contains(scope) && !fetched.contains(scope));
        let refusal = match new.is_empty() {
            false => Refusal { scopes: new, for_good: about_scopes },
            // A scope that was granted before may be refused now, or one of the grant's own.
            true if about_scopes && !widths.wanted.is_empty() => {
                widths.fetched = ScopeSet::empty();
                Refusal { scopes: widths.wanted.clone(), for_good: false }
            }
            true => return,
        };
        widths.wanted = widths.wanted.filtered(|scope| !refusal.scopes.contains(scope));
        widths.refusals.push(refusal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::back_channel::secrets::Secrets;
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
        let step_up = StepUp::new(ScopeSet::empty(), set("write admin"));
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
