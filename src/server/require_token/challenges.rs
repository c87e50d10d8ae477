//! The challenges of one layer, built once.

use super::extract::{BAD_SYNTAX, REPEATED_HEADER, SEVERAL_TOKENS};
use crate::{
    Challenge, ConfigError, ScopeSet,
    back_channel::{scrub, well_known::resource_metadata},
    server::uncached,
    validate::{Rejection, RejectionKind},
};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{ACCESS_CONTROL_EXPOSE_HEADERS, WWW_AUTHENTICATE},
};

/// What the challenges of a layer say beside the error.
#[derive(Clone, Debug)]
pub(super) struct ChallengeSettings {
    realm: Box<str>,
    pub(super) resource: Option<Resource>,
    pub(super) scope_hint: ScopeSet,
    pub(super) error_uri: Option<Box<str>>,
    /// Does not tell callers why a token is refused.
    pub(super) terse: bool,
    /// Lets pages of other origins read the challenges.
    pub(super) exposed: bool,
    /// Offers Basic beside Bearer, as RFC 9110 §11.6.1 requires of a layer that reads it.
    pub(super) offers_basic: bool,
}

/// A protected resource, and the URL of its metadata.
#[derive(Clone, Debug)]
pub(super) struct Resource {
    pub(super) identifier: Box<str>,
    metadata_url: Box<str>,
}

impl Resource {
    pub(super) fn new(identifier: Box<str>) -> Result<Self, ConfigError> {
        let metadata_url = resource_metadata(&identifier)?.to_string().into();
        Ok(Self { identifier, metadata_url })
    }
}

impl ChallengeSettings {
    fn new(realm: Box<str>) -> Result<Self, ConfigError> {
        Challenge::bearer().with_param("realm", &realm)?;
        Ok(Self {
            realm,
            resource: None,
            scope_hint: ScopeSet::empty(),
            error_uri: None,
            terse: false,
            exposed: false,
            offers_basic: false,
        })
    }

    /// Returns the `Bearer` challenge with the parameters of every refusal.
    fn base(&self) -> Challenge {
        let mut challenge = Challenge::bearer();
        challenge.push("realm", &self.realm);
        if let Some(resource) = &self.resource {
            challenge.push("resource_metadata", &resource.metadata_url);
        }
        challenge
    }

    /// Returns the challenge of a request that presents no token.
    fn missing(&self) -> Challenge {
        let mut challenge = self.base();
        if !self.scope_hint.is_empty() {
            challenge.push("scope", &self.scope_hint.to_string());
        }
        challenge
    }

    /// Returns the challenge of a refusal that has an `error`.
    fn error(&self, error: &str, rejection: &Rejection) -> Challenge {
        let mut challenge = self.base();
        challenge.push("error", error);
        let description = scrub::description(rejection.public_description());
        if !self.terse && !description.is_empty() {
            challenge.push("error_description", &description);
        }
        if let Some(error_uri) = &self.error_uri {
            challenge.push("error_uri", error_uri);
        }
        if !rejection.scopes().is_empty() {
            challenge.push("scope", &rejection.scopes().to_string());
        }
        for (name, value) in rejection.params() {
            challenge.push(name, value);
        }
        challenge
    }

    /// Returns the `Bearer` challenge of a refusal, if it has one.
    fn bearer(&self, rejection: &Rejection) -> Option<Challenge> {
        match rejection.kind().error_code() {
            _ if rejection.kind() == RejectionKind::Missing => Some(self.missing()),
            Some(error) => Some(self.error(error, rejection)),
            None => None,
        }
    }

    fn basic(&self) -> HeaderValue {
        let mut challenge = Challenge::basic();
        challenge.push("realm", &self.realm);
        challenge.push("charset", "UTF-8");
        challenge.to_header_value()
    }
}

#[derive(Clone, Debug)]
pub(super) struct Challenges {
    settings: ChallengeSettings,
    /// Those of the crate's own rejections, the most frequent first, so that the usual refusal formats
    /// nothing.
    prebuilt: Vec<(Rejection, HeaderMap)>,
}

impl Challenges {
    pub(super) fn new(realm: Box<str>) -> Result<Self, ConfigError> {
        let settings = ChallengeSettings::new(realm)?;
        let mut challenges = Self { settings, prebuilt: Vec::new() };
        challenges.rebuild();
        Ok(challenges)
    }

    pub(super) fn settings(&self) -> &ChallengeSettings {
        &self.settings
    }

    /// Changes the settings, and builds the challenges anew.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut ChallengeSettings)) {
        change(&mut self.settings);
        self.rebuild();
    }

    fn rebuild(&mut self) {
        let usual = [
            Rejection::missing(),
            Rejection::malformed(BAD_SYNTAX),
            Rejection::unknown(),
            Rejection::unverified(""),
            Rejection::expired(),
            Rejection::revoked(),
            Rejection::not_mine(),
            Rejection::malformed(REPEATED_HEADER),
            Rejection::malformed(SEVERAL_TOKENS),
        ];
        let built = usual.map(|rejection| {
            let headers = self.build(&rejection);
            (rejection, headers)
        });
        self.prebuilt = built.into();
    }

    /// Returns the headers of a refusal: `Cache-Control` and its challenges.
    pub(super) fn headers(&self, rejection: &Rejection) -> HeaderMap {
        let prebuilt = self.prebuilt.iter().find(|(usual, _)| {
            usual.kind() == rejection.kind()
                && usual.public_description() == rejection.public_description()
        });
        match prebuilt {
            Some((_, headers)) => headers.clone(),
            None => self.build(rejection),
        }
    }

    fn build(&self, rejection: &Rejection) -> HeaderMap {
        let mut headers = uncached::headers();
        if let Some(bearer) = self.settings.bearer(rejection) {
            headers.append(WWW_AUTHENTICATE, bearer.to_header_value());
        }
        let asks_for_token = rejection.kind().status() == StatusCode::UNAUTHORIZED
            && rejection.kind() != RejectionKind::InsufficientAuthentication;
        if self.settings.offers_basic && asks_for_token {
            headers.append(WWW_AUTHENTICATE, self.settings.basic());
        }
        if self.settings.exposed {
            let exposed = HeaderValue::from_static("WWW-Authenticate");
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_do_not_learn_why_a_token_was_refused_before_its_signature_was_checked() {
        let challenges = Challenges::new("api".into()).unwrap();
        let built = |description| {
            let rejection = Rejection::unverified(description);
            let prebuilt = challenges.headers(&rejection)[WWW_AUTHENTICATE].clone();
            (prebuilt, challenges.settings.error("invalid_token", &rejection))
        };
        let (prebuilt, formatted) = built("the issuer is not trusted");
        let (other, _) = built("the signature is wrong");
        assert_eq!(prebuilt, formatted.to_header_value());
        assert_eq!(prebuilt, other);
        let description = "error_description=\"the access token is not good\"";
        assert!(prebuilt.to_str().unwrap().contains(description));
    }
}
