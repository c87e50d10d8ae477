//! The challenges of one layer, made once.

use super::extract::{SEVERAL, SYNTAX, TWICE};
use crate::{
    Challenge, ConfigError, scrub,
    validate::{Rejection, RejectionKind},
};
use http::HeaderValue;

#[derive(Clone, Debug)]
pub(super) struct Challenges {
    /// `Bearer` and what every challenge of the layer says.
    base: Challenge,
    missing: HeaderValue,
    /// Made for the rejections that come with the crate: the usual refusal formats nothing.
    prebuilt: Vec<(Rejection, HeaderValue)>,
    /// Where Basic is read, RFC 9110 §11.6.1 wants it to be offered.
    basic: Option<HeaderValue>,
}

impl Challenges {
    pub(super) fn new(realm: &str, read_basic: bool) -> Result<Self, ConfigError> {
        let base = Challenge::bearer().with_param("realm", realm)?;
        let basic = Challenge::new("Basic")?
            .with_param("realm", realm)?
            .with_param("charset", "UTF-8")?
            .to_header_value();
        let usual = [
            Rejection::malformed(TWICE),
            Rejection::malformed(SEVERAL),
            Rejection::malformed(SYNTAX),
            Rejection::not_mine(),
            Rejection::unknown(),
            Rejection::expired(),
            Rejection::revoked(),
        ];
        let mut challenges = Self {
            missing: base.to_header_value(),
            base,
            prebuilt: Vec::new(),
            basic: read_basic.then_some(basic),
        };
        for rejection in usual {
            if let Some(value) = challenges.format(&rejection) {
                challenges.prebuilt.push((rejection, value));
            }
        }
        Ok(challenges)
    }

    /// The `Bearer` challenge of a refusal, where it has one.
    pub(super) fn bearer(&self, rejection: &Rejection) -> Option<HeaderValue> {
        if rejection.kind() == RejectionKind::Missing {
            return Some(self.missing.clone());
        }
        let prebuilt = self.prebuilt.iter().find(|(usual, _)| {
            usual.kind() == rejection.kind() && usual.description() == rejection.description()
        });
        match prebuilt {
            Some((_, value)) => Some(value.clone()),
            None => self.format(rejection),
        }
    }

    /// The `Basic` challenge beside it, where one is due.
    pub(super) fn basic(&self, rejection: &Rejection) -> Option<HeaderValue> {
        let unauthorized = rejection.kind().status() == http::StatusCode::UNAUTHORIZED;
        self.basic.clone().filter(|_| unauthorized)
    }

    fn format(&self, rejection: &Rejection) -> Option<HeaderValue> {
        let error = rejection.kind().error_code()?;
        let description = scrub::description(rejection.description());
        let mut challenge = self.base.clone().with_param("error", error).ok()?;
        if !description.is_empty() {
            challenge = challenge.with_param("error_description", &description).ok()?;
        }
        if !rejection.scopes().is_empty() {
            challenge = challenge.with_param("scope", &rejection.scopes().to_string()).ok()?;
        }
        Some(challenge.to_header_value())
    }
}
