//! The values of labels and fields.

/// The outcome of a decision about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Accepted,
    Anonymous,
    Rejected,
}

impl Outcome {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Anonymous => "anonymous",
            Self::Rejected => "rejected",
        }
    }
}

/// What happens to tokens, beside being [used](super::tokens::Uses).
#[derive(Clone, Copy)]
pub(super) enum Event {
    Fetched,
    Failed,
    Retried,
    Rejected,
}
