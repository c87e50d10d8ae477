use bytes::Bytes;
use http::Response;
use std::collections::VecDeque;

/// What a request ends with.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// This answer. As a fault: the request is not carried out.
    Answer(Response<Bytes>),
    /// No answer, ever. As a fault: the request is not carried out.
    Hang,
    /// A closed connection. As a fault: the request is carried out first.
    Drop,
}

/// Outcomes that replace the answers of the next requests, and one for all later requests.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    queue: VecDeque<(usize, Outcome)>,
    pub(crate) standing: Option<Outcome>,
}

impl Faults {
    /// Replaces the answers of `n` requests, after the faults that are queued already.
    pub(crate) fn queue(&mut self, n: usize, outcome: Outcome) {
        self.queue.push_back((n, outcome));
    }

    /// Takes the fault of the next request.
    pub(crate) fn next(&mut self) -> Option<Outcome> {
        while let Some((left, outcome)) = self.queue.front_mut() {
            if let Some(fewer) = left.checked_sub(1) {
                *left = fewer;
                return Some(outcome.clone());
            }
            self.queue.pop_front();
        }
        self.standing.clone()
    }
}
