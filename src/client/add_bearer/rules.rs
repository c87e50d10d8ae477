use super::{Origins, refusal::RejectionRule};
use crate::{Clock, TokenLocation};

/// The settings of one layer.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) origins: Origins,
    pub(super) location: TokenLocation,
    pub(super) overwrite: bool,
    pub(super) allow_other_origins: bool,
    pub(super) allow_missing_token: bool,
    pub(super) rejection: RejectionRule,
    pub(super) clock: Clock,
}

impl Rules {
    pub(super) fn new(origins: Origins, clock: Clock) -> Self {
        Self {
            origins,
            location: TokenLocation::Bearer,
            overwrite: false,
            allow_other_origins: false,
            allow_missing_token: false,
            rejection: RejectionRule::Any,
            clock,
        }
    }
}
