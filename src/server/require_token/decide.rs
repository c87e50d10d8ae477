//! What becomes of a request, once it is known what it presented and what the validator says.

use super::{
    extract::{self, Found, Place, Which, has_unread_token},
    settings::{Mode, Settings},
    strip::{self, Strip},
};
use crate::{
    RequestHead, TokenLocation,
    back_channel::scrub,
    observe::{self, Outcome},
    server::{Anonymous, AuditEvent, Authenticated, TokenId},
    validate::{Principal, Rejection, RejectionKind, ValidateToken, Validated, Verdict},
};
use http::{Request, header::AUTHORIZATION};
use std::sync::Arc;

/// A token that was presented, without the token.
pub(in crate::server) struct Presented {
    which: Which,
    place: Place,
    /// Only where somebody keeps books.
    token_id: Option<TokenId>,
}

impl Presented {
    pub(in crate::server) fn new(found: Found<'_>, settings: &Settings) -> Self {
        let token_id = settings.token_id(found.token.as_bytes());
        Self { which: found.which, place: found.place, token_id }
    }

    fn whose<'s>(&self, settings: &'s Settings) -> Whose<'s> {
        let location = Some(settings.sources.location(self.which));
        Whose { location, token_id: self.token_id, principal: None }
    }
}

/// Whose token a decision is about, as far as that is known.
#[derive(Clone, Copy, Default)]
pub(in crate::server) struct Whose<'a> {
    pub(in crate::server) location: Option<&'a TokenLocation>,
    pub(in crate::server) token_id: Option<TokenId>,
    pub(in crate::server) principal: Option<&'a Principal>,
}

/// Passes or refuses; whether an answer must be made private.
pub(in crate::server) type Decided = Result<bool, Rejection>;

/// Nothing was presented that is read.
pub(in crate::server) fn without_token<B>(
    settings: &Arc<Settings>,
    request: &mut Request<B>,
) -> Decided {
    if settings.mode == Mode::Required || has_unread_token(RequestHead::from_request(request)) {
        let missing = Rejection::missing();
        refused(settings, &missing, Whose::default());
        return Err(missing);
    }
    request.extensions_mut().insert(Anonymous::new(settings.clone()));
    note(Outcome::Anonymous, settings, None, Whose::default());
    Ok(false)
}

/// The validator has spoken.
pub(in crate::server) fn by_verdict<B, C: Send + Sync + 'static>(
    settings: &Arc<Settings>,
    request: &mut Request<B>,
    presented: Presented,
    verdict: Verdict<C>,
) -> Decided {
    match verdict {
        Ok(validated) => Ok(admit(settings, request, presented, validated)),
        Err(rejection) if settings.mode == Mode::Lenient && is_bad(rejection.kind()) => {
            note(Outcome::Anonymous, settings, Some(&rejection), presented.whose(settings));
            let private = clean(settings, request, presented.which, presented.place);
            request.extensions_mut().insert(Anonymous::new(settings.clone()));
            Ok(private)
        }
        Err(rejection) => {
            refused(settings, &rejection, presented.whose(settings));
            Err(rejection)
        }
    }
}

/// Keeps books of a refusal, by this layer or by what stands below it.
pub(in crate::server) fn refused(settings: &Settings, rejection: &Rejection, whose: Whose<'_>) {
    note(Outcome::Rejected, settings, Some(rejection), whose);
}

/// Takes the token out of `request`; whether the answer must be made private.
fn clean<B>(settings: &Settings, request: &mut Request<B>, which: Which, place: Place) -> bool {
    let sources = &settings.sources;
    let mut private = matches!(place, Place::Query(_));
    strip::clean(request, sources.location(which), place, settings.strip);
    if sources.first_wins {
        // The others are tokens too, and would leak where they are.
        for location in sources.locations() {
            let head = RequestHead::from_request(request);
            if let Some(name) = extract::parameter(head, location, sources) {
                private |= strip::clean_parameter(request, name, settings.strip);
                continue;
            }
            let Ok(Some((_, place))) = extract::read(head, location, sources) else { continue };
            strip::clean(request, location, place, settings.strip);
        }
    }
    private
}

/// Lets `request` through where `validator` knows its token by the bytes, as most are, and the
/// token is where most have it. Whether it did; where not, nothing is changed.
pub(in crate::server) fn admit_known<V: ValidateToken, B>(
    settings: &Arc<Settings>,
    request: &mut Request<B>,
    validator: &V,
) -> bool {
    let Some(header) = extract::bearer_header(request, &settings.sources) else { return false };
    let Some(credentials) = extract::bearer_credentials(header) else { return false };
    let Some(validated) = validator.recall(credentials) else { return false };
    let token_id = settings.token_id(credentials);
    match settings.strip {
        Strip::Everything => drop(request.headers_mut().remove(AUTHORIZATION)),
        Strip::Exposed | Strip::Nothing => header.set_sensitive(true),
    }
    accept(settings, request, Which::FIRST, token_id, validated);
    true
}

/// Makes `request` ready for the inner service; whether the answer must be made private.
fn admit<B, C: Send + Sync + 'static>(
    settings: &Arc<Settings>,
    request: &mut Request<B>,
    presented: Presented,
    validated: Arc<Validated<C>>,
) -> bool {
    let Presented { which, place, token_id } = presented;
    let private = clean(settings, request, which, place);
    accept(settings, request, which, token_id, validated);
    private
}

/// Keeps books of a good token, and hands on whose it is.
fn accept<B, C: Send + Sync + 'static>(
    settings: &Arc<Settings>,
    request: &mut Request<B>,
    which: Which,
    token_id: Option<TokenId>,
    validated: Arc<Validated<C>>,
) {
    let (location, principal) = (settings.sources.location(which), validated.principal());
    let whose = Whose { location: Some(location), token_id, principal: Some(principal) };
    note(Outcome::Accepted, settings, None, whose);
    let authenticated = Authenticated::new(validated, which, token_id, settings.clone());
    request.extensions_mut().insert(authenticated);
}

fn note(outcome: Outcome, settings: &Settings, refused: Option<&Rejection>, whose: Whose<'_>) {
    let reason = refused.map(|refused| refused.kind().as_str());
    let source = whose.location.map(TokenLocation::kind);
    let description = || scrub::description(refused.map_or("", Rejection::description));
    observe::decided(outcome, reason, source, description);
    if let Some(auditor) = &settings.auditor {
        auditor.note(&AuditEvent {
            allowed: outcome != Outcome::Rejected,
            refused: refused.map(Rejection::kind),
            reason: refused.map_or("", Rejection::description),
            location: whose.location,
            principal: whose.principal,
            token_id: whose.token_id,
        });
    }
}

/// Whether the token is known to be no good, rather than not judged.
fn is_bad(kind: RejectionKind) -> bool {
    matches!(
        kind,
        RejectionKind::NotMine
            | RejectionKind::Invalid
            | RejectionKind::Expired
            | RejectionKind::Revoked
    )
}
