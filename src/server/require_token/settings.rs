//! What holds for every request of one layer.

use super::{
    audit::{Recorder, TokenId},
    certificate::ClientCertificates,
    challenges::Challenges,
    dpop::Dpop,
    extract::Sources,
    strip::Strip,
};
use crate::{Clock, ConfigError, TokenLocation};
use std::time::Duration;

/// What the layer does with a request that has no good token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Refuses it.
    Required,
    /// Lets it through if it presents no token.
    Optional,
    /// Lets it through.
    Lenient,
}

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) challenges: Challenges,
    pub(super) sources: Sources,
    pub(super) dpop: Option<Dpop>,
    pub(super) certificates: ClientCertificates,
    /// They were set, rather than left to the default.
    pub(super) has_certificates: bool,
    pub(super) mode: Mode,
    pub(super) strip: Strip,
    pub(super) preflights_pass: bool,
    /// Refuses calls of gRPC in the form of gRPC.
    pub(super) speaks_grpc: bool,
    pub(super) timeout: Duration,
    pub(super) clock: Clock,
    pub(super) recorder: Recorder,
}

impl Settings {
    pub(super) fn new(realm: Box<str>, clock: Clock) -> Result<Self, ConfigError> {
        Ok(Self {
            challenges: Challenges::new(realm)?,
            sources: Sources::new([TokenLocation::Bearer])?,
            dpop: None,
            certificates: ClientCertificates::default(),
            has_certificates: false,
            mode: Mode::Required,
            strip: Strip::Exposed,
            preflights_pass: false,
            speaks_grpc: true,
            timeout: Duration::from_secs(10),
            clock,
            recorder: Recorder::default(),
        })
    }

    /// Returns the fingerprint of `token`, if there is an audit hook to give it to.
    pub(super) fn token_id(&self, token: &[u8]) -> Option<TokenId> {
        self.recorder.auditor.as_ref().map(|auditor| auditor.token_id(token))
    }
}
