//! What a machine is asked, and what it answers.

use std::time::{Duration, Instant};

/// What the machine decides when a caller asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client::token_cache) enum Ask {
    /// The caller gets the token.
    Serve,
    /// The caller gets the token, and the driver starts a fetch.
    ServeAndFetch,
    /// The driver starts a fetch, and the caller waits for it.
    Fetch,
    /// The caller waits for the fetch in flight, and asks again at [`look_at`](super::Machine::look_at).
    Join,
    /// The caller waits until then and asks again.
    WaitUntil(Instant),
    /// There is no token, and the next try is too far away.
    Fail { next_try: Duration },
    /// There is no token, and none can be fetched.
    Gone,
}

/// What the machine decides about a token that was fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client::token_cache) enum Fetched {
    /// It is the current token.
    Kept,
    /// The waiting callers get it, and it is not kept.
    Once,
    /// It cannot be used; the fetch counts as failed.
    Useless,
    /// A token was stored meanwhile, and stays.
    Superseded,
}

/// What the call that needs a token can do with one that a resource rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client::token_cache) enum Need {
    /// The call is made once: it waits for a fetch under way.
    Any,
    /// The call can be repeated: it goes on with the token.
    Repeatable,
    /// The call was rejected with it.
    Another,
}

/// Why a fetch failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client::token_cache) enum Failed {
    /// It was ended at this end, and says nothing about the server.
    Aborted,
    Transient,
    /// Another replica failed, and says how long to wait.
    Paused,
    /// The answer was lost, and the request is made once more at once.
    Lost,
    /// The answer was lost again: the request is not made while the token is good.
    LostAgain,
    Permanent,
    /// The user has to sign in, here or at another replica.
    SignedOut,
    /// The server issued something unusable, and will again.
    OfNoUse,
    /// No further fetch can succeed.
    Gone,
}
