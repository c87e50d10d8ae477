//! What holds for every request of one layer.

use super::{
    audit::{Auditor, TokenId},
    challenges::{Challenges, Says},
    extract::Sources,
    strip::Strip,
};
use crate::{Clock, ConfigError, TokenLocation};
use std::time::Duration;

/// What becomes of a request without a good token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Mode {
    Required,
    /// Passes where nothing was presented.
    Optional,
    /// Passes where nothing good was presented.
    Lenient,
}

#[derive(Clone, Debug)]
pub(in crate::server) struct Settings {
    says: Says,
    pub(in crate::server) challenges: Challenges,
    pub(in crate::server) sources: Sources,
    pub(in crate::server) mode: Mode,
    pub(in crate::server) strip: Strip,
    pub(in crate::server) preflights_pass: bool,
    /// gRPC callers are refused in gRPC's words.
    pub(in crate::server) speaks_grpc: bool,
    pub(in crate::server) timeout: Duration,
    pub(in crate::server) clock: Clock,
    pub(in crate::server) auditor: Option<Auditor>,
}

impl Settings {
    pub(in crate::server) fn new(realm: Box<str>) -> Result<Self, ConfigError> {
        let sources = Sources::new([TokenLocation::Bearer])?;
        let says = Says::new(realm)?;
        let challenges = Challenges::new(&says, sources.read_basic());
        Ok(Self {
            says,
            challenges,
            sources,
            mode: Mode::Required,
            strip: Strip::Exposed,
            preflights_pass: false,
            speaks_grpc: true,
            timeout: Duration::from_secs(10),
            clock: Clock::system(),
            auditor: None,
        })
    }

    /// What stands for a token where somebody keeps books.
    pub(in crate::server) fn token_id(&self, token: &[u8]) -> Option<TokenId> {
        self.auditor.as_ref().map(|auditor| auditor.token_id(token))
    }

    /// Reads tokens in `locations`, and only there.
    pub(in crate::server) fn read_from<I>(&mut self, locations: I) -> Result<(), ConfigError>
    where
        I: IntoIterator<Item = TokenLocation>,
    {
        self.sources.set_locations(locations)?;
        self.say(|_| {});
        Ok(())
    }

    /// Changes what challenges say.
    pub(in crate::server) fn say(&mut self, change: impl FnOnce(&mut Says)) {
        change(&mut self.says);
        self.challenges = Challenges::new(&self.says, self.sources.read_basic());
    }

    pub(in crate::server) fn says(&self) -> &Says {
        &self.says
    }
}
