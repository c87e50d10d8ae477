//! What a run came to.

use http::StatusCode;
use std::{collections::BTreeMap, fmt, time::Duration};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Invariant {
    /// No token is sent after its end, by the clock of its server.
    NoExpiredTokenIsSent,
    /// While the store can be reached, one token request of a key is under way at most.
    OneRequestAtATime,
    /// A call has the token of its own user.
    OwnToken,
    /// No 401 for a token that its server finds good.
    GoodTokensPass,
    /// A call is answered within the caller's patience and the validator's deadline.
    AnsweredInTime,
    /// No call fails while what it needs can be reached.
    NoCallFailsForNothing,
    /// Token requests of a key: 1.25 for each renewal, and what each fault may cost.
    FewRequests,
    /// No refresh token is sent more than twice without an answer while an access token of its session
    /// lives.
    NoRefreshTokenIsSentAgain,
    /// The server ends a session only after an answer was lost.
    NoSessionEndsForNothing,
    /// While the server can be reached, no caller notices that tokens were revoked.
    NoCallerNoticesRevocation,
    /// When all is quiet, nothing runs, and nothing is kept but what is of use.
    NothingIsLeft,
}

/// A breach.
#[derive(Clone)]
pub(crate) struct Breach {
    pub(crate) invariant: Invariant,
    pub(crate) at: Duration,
    pub(crate) note: String,
}

impl fmt::Debug for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {:?}: {}", self.invariant, self.at, self.note)
    }
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) breaches: Vec<Breach>,
    /// Follows from everything that was seen, and when.
    pub(crate) trace: u64,
    pub(crate) calls: u64,
    pub(crate) ok: u64,
    pub(crate) unauthorized: u64,
    pub(crate) unavailable: u64,
    /// Calls without a token.
    pub(crate) no_token: u64,
    /// Those of them whose error says when to try again.
    pub(crate) no_token_with_time: u64,
    /// Calls whose connection was lost.
    pub(crate) disconnected: u64,
    pub(crate) worst: Duration,
    /// The token requests of each user: when, and of which replica.
    pub(crate) requests: BTreeMap<u32, Vec<(Duration, usize)>>,
    pub(crate) introspections: u64,
    /// Renewals of sessions, and sessions that the server ended.
    pub(crate) rotations: u64,
    pub(crate) killed: u64,
    pub(crate) store_operations: u64,
    pub(crate) expired_sent: u64,
    /// The token requests of a key in parts of what is allowed, the most of any key.
    pub(crate) allowed_part: f64,
}

impl Report {
    pub(crate) fn token_requests(&self) -> usize {
        self.requests.values().map(Vec::len).sum()
    }

    pub(crate) fn failed(&self) -> u64 {
        self.unauthorized + self.unavailable + self.no_token + self.disconnected
    }

    pub(crate) fn breaks(&self, invariant: Invariant) -> bool {
        self.breaches.iter().any(|breach| breach.invariant == invariant)
    }
}

/// How a call ended.
pub(crate) enum End {
    Answered(StatusCode, String),
    /// The error says when to try again, or not, and whether the user has to sign in.
    NoToken {
        has_time: bool,
        signed_out: bool,
    },
    Disconnected,
}
