//! The challenges of one layer, made once.

use super::{
    extract::{SEVERAL, SYNTAX, TWICE},
    refuse::NO_STORE,
};
use crate::{
    Challenge, ConfigError, ScopeSet,
    back_channel::{scrub, well_known::resource_metadata},
    validate::{Rejection, RejectionKind},
};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{ACCESS_CONTROL_EXPOSE_HEADERS, CACHE_CONTROL, WWW_AUTHENTICATE},
};

/// What the challenges of a layer say beside the error.
#[derive(Clone, Debug)]
pub(in crate::server) struct Says {
    realm: Box<str>,
    pub(in crate::server) resource: Option<Resource>,
    pub(in crate::server) scope_hint: ScopeSet,
    pub(in crate::server) error_uri: Option<Box<str>>,
    /// Why a token is refused.
    pub(in crate::server) details: bool,
    pub(in crate::server) exposed: bool,
}

/// A protected resource, and where its metadata are.
#[derive(Clone, Debug)]
pub(in crate::server) struct Resource {
    pub(in crate::server) identifier: Box<str>,
    metadata_url: Box<str>,
}

impl Resource {
    pub(in crate::server) fn new(identifier: Box<str>) -> Result<Self, ConfigError> {
        let metadata_url = resource_metadata(&identifier)?.to_string().into();
        Ok(Self { identifier, metadata_url })
    }
}

impl Says {
    pub(in crate::server) fn new(realm: Box<str>) -> Result<Self, ConfigError> {
        Challenge::bearer().with_param("realm", &realm)?;
        Ok(Self {
            realm,
            resource: None,
            scope_hint: ScopeSet::empty(),
            error_uri: None,
            details: true,
            exposed: false,
        })
    }

    /// `Bearer` with what every challenge of the layer says.
    fn base(&self) -> Challenge {
        let mut challenge = Challenge::bearer();
        challenge.push("realm", &self.realm);
        if let Some(resource) = &self.resource {
            challenge.push("resource_metadata", &resource.metadata_url);
        }
        challenge
    }

    fn missing(&self) -> Challenge {
        let mut challenge = self.base();
        if !self.scope_hint.is_empty() {
            challenge.push("scope", &self.scope_hint.to_string());
        }
        challenge
    }

    /// The challenge of a refusal that has an `error`.
    fn error(&self, error: &str, rejection: &Rejection) -> Challenge {
        let mut challenge = self.base();
        challenge.push("error", error);
        let description = scrub::description(rejection.public_description());
        if self.details && !description.is_empty() {
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

    /// The `Bearer` challenge of a refusal, where it has one.
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
pub(in crate::server) struct Challenges {
    says: Says,
    /// Made for the rejections that come with the crate: the usual refusal formats nothing.
    prebuilt: Vec<(Rejection, HeaderMap)>,
    /// Where Basic is read, RFC 9110 §11.6.1 wants it to be offered.
    basic: Option<HeaderValue>,
}

impl Challenges {
    pub(in crate::server) fn new(says: &Says, read_basic: bool) -> Self {
        let usual = [
            Rejection::missing(),
            Rejection::malformed(TWICE),
            Rejection::malformed(SEVERAL),
            Rejection::malformed(SYNTAX),
            Rejection::not_mine(),
            Rejection::unknown(),
            Rejection::expired(),
            Rejection::revoked(),
            Rejection::unverified(""),
        ];
        let basic = read_basic.then(|| says.basic());
        let mut challenges = Self { says: says.clone(), prebuilt: Vec::new(), basic };
        let made = usual.map(|rejection| {
            let headers = challenges.make(&rejection);
            (rejection, headers)
        });
        challenges.prebuilt = made.into();
        challenges
    }

    /// The headers of a refusal: its challenges, and that it is not to be kept.
    pub(in crate::server) fn headers(&self, rejection: &Rejection) -> HeaderMap {
        let prebuilt = self.prebuilt.iter().find(|(usual, _)| {
            usual.kind() == rejection.kind()
                && usual.public_description() == rejection.public_description()
        });
        match prebuilt {
            Some((_, headers)) => headers.clone(),
            None => self.make(rejection),
        }
    }

    fn make(&self, rejection: &Rejection) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(2);
        headers.insert(CACHE_CONTROL, NO_STORE);
        if let Some(bearer) = self.says.bearer(rejection) {
            headers.append(WWW_AUTHENTICATE, bearer.to_header_value());
        }
        let asks = rejection.kind().status() == StatusCode::UNAUTHORIZED
            && rejection.kind() != RejectionKind::InsufficientAuthentication;
        if let Some(basic) = self.basic.as_ref().filter(|_| asks) {
            headers.append(WWW_AUTHENTICATE, basic.clone());
        }
        if self.says.exposed {
            let exposed = HeaderValue::from_static("WWW-Authenticate");
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
        headers
    }

    pub(in crate::server) fn are_terse(&self) -> bool {
        !self.says.details
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_a_token_was_refused_before_its_signature_is_told_no_caller() {
        let says = Says::new("api".into()).unwrap();
        let challenges = Challenges::new(&says, false);
        let told = |description| {
            let rejection = Rejection::unverified(description);
            let prebuilt = challenges.headers(&rejection)[WWW_AUTHENTICATE].clone();
            (prebuilt, says.error("invalid_token", &rejection))
        };
        let (prebuilt, made) = told("the issuer is not trusted");
        let (other, _) = told("the signature is wrong");
        assert_eq!(prebuilt, made.to_header_value());
        assert_eq!(prebuilt, other);
        assert!(
            prebuilt
                .to_str()
                .unwrap()
                .contains("error_description=\"the access token is not good\"")
        );
    }
}
