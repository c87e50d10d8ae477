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

pub(super) const NONCE_NEEDED: &str = "the proof needs a nonce of this server";

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
    /// The algorithms of proofs, if DPoP tokens are read.
    pub(super) dpop: Option<Box<str>>,
    /// Offers Bearer.
    pub(super) offers_bearer: bool,
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
            dpop: None,
            offers_bearer: true,
            offers_basic: false,
        })
    }

    /// Returns the challenge of `scheme` with the parameters of every refusal.
    fn base(&self, scheme: Scheme) -> Challenge {
        let mut challenge = match scheme {
            Scheme::Bearer => Challenge::bearer(),
            Scheme::Dpop => Challenge::dpop(self.dpop.as_deref().unwrap_or_default()),
        };
        challenge.push("realm", &self.realm);
        if let Some(resource) = &self.resource {
            challenge.push("resource_metadata", &resource.metadata_url);
        }
        challenge
    }

    /// Returns the challenge of a request that presents no token.
    fn missing(&self, scheme: Scheme) -> Challenge {
        let mut challenge = self.base(scheme);
        if !self.scope_hint.is_empty() {
            challenge.push("scope", &self.scope_hint.to_string());
        }
        challenge
    }

    /// Returns the challenge of a refusal that has an `error`.
    fn error(&self, scheme: Scheme, error: &str, rejection: &Rejection) -> Challenge {
        let mut challenge = self.base(scheme);
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

    fn offers(&self, scheme: Scheme) -> bool {
        match scheme {
            Scheme::Bearer => self.offers_bearer,
            Scheme::Dpop => self.dpop.is_some(),
        }
    }

    /// Returns the challenge of `scheme` in a refusal of a token that came by `used`, if it has one.
    fn challenge(&self, scheme: Scheme, used: Scheme, rejection: &Rejection) -> Option<Challenge> {
        let kind = rejection.kind();
        match kind.error_code() {
            _ if !self.offers(scheme) => None,
            _ if kind == RejectionKind::Missing => Some(self.missing(scheme)),
            Some(error) if scheme == used || !self.offers(used) => {
                Some(self.error(scheme, error, rejection))
            }
            Some(_) if asks_for_token(kind) => Some(self.base(scheme)),
            _ => None,
        }
    }

    fn basic(&self) -> HeaderValue {
        let mut challenge = Challenge::basic();
        challenge.push("realm", &self.realm);
        challenge.push("charset", "UTF-8");
        challenge.to_header_value()
    }
}

/// The scheme by which a token came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// And any other but DPoP.
    Bearer,
    Dpop,
}

/// Returns `true` if another token would do.
fn asks_for_token(kind: RejectionKind) -> bool {
    kind.status() == StatusCode::UNAUTHORIZED && kind != RejectionKind::InsufficientAuthentication
}

#[derive(Clone, Debug)]
pub(super) struct Challenges {
    settings: ChallengeSettings,
    /// Those of the crate's own rejections, the most frequent first, so that the usual refusal formats
    /// nothing.
    prebuilt: Vec<(Rejection, Scheme, HeaderMap)>,
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
            Rejection::of(RejectionKind::NonceNeeded, NONCE_NEEDED),
        ];
        let schemes = [Scheme::Bearer, Scheme::Dpop];
        let built = schemes
            .into_iter()
            .filter(|scheme| self.settings.offers(*scheme))
            .flat_map(|scheme| usual.iter().map(move |usual| (usual.clone(), scheme)));
        self.prebuilt = built
            .map(|(rejection, scheme)| {
                let headers = self.build(&rejection, scheme);
                (rejection, scheme, headers)
            })
            .collect();
    }

    /// Returns the headers of a refusal: `Cache-Control` and its challenges.
    pub(super) fn headers(&self, rejection: &Rejection, used: Scheme) -> HeaderMap {
        let prebuilt = self.prebuilt.iter().find(|(usual, scheme, _)| {
            usual.kind() == rejection.kind()
                && *scheme == used
                && usual.public_description() == rejection.public_description()
        });
        match prebuilt {
            Some((.., headers)) => headers.clone(),
            None => self.build(rejection, used),
        }
    }

    fn build(&self, rejection: &Rejection, used: Scheme) -> HeaderMap {
        let mut headers = uncached::headers();
        for scheme in [Scheme::Bearer, Scheme::Dpop] {
            if let Some(challenge) = self.settings.challenge(scheme, used, rejection) {
                headers.append(WWW_AUTHENTICATE, challenge.to_header_value());
            }
        }
        if self.settings.offers_basic && asks_for_token(rejection.kind()) {
            headers.append(WWW_AUTHENTICATE, self.settings.basic());
        }
        if self.settings.exposed {
            let exposed = match self.settings.dpop {
                Some(_) => "WWW-Authenticate, DPoP-Nonce",
                None => "WWW-Authenticate",
            };
            let exposed = HeaderValue::from_static(exposed);
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
            let prebuilt = challenges.headers(&rejection, Scheme::Bearer)[WWW_AUTHENTICATE].clone();
            (prebuilt, challenges.settings.error(Scheme::Bearer, "invalid_token", &rejection))
        };
        let (prebuilt, formatted) = built("the issuer is not trusted");
        let (other, _) = built("the signature is wrong");
        assert_eq!(prebuilt, formatted.to_header_value());
        assert_eq!(prebuilt, other);
        let description = "error_description=\"the access token is not good\"";
        assert!(prebuilt.to_str().unwrap().contains(description));
    }
}
