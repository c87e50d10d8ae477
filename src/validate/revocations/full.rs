use std::{error::Error, fmt};

/// A list of [`Revocations`](super::Revocations) is full: nothing was added to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevocationsFull {
    pub(super) _private: (),
}

impl fmt::Display for RevocationsFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the list of revocations is full")
    }
}

impl Error for RevocationsFull {}
