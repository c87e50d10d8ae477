use std::{error::Error, fmt};

/// The error of a full list of [`Revocations`](super::Revocations): nothing was added.
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
