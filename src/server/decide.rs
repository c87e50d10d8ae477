//! What becomes of a request, once it is known what it presented and what the validator says.

use super::{
    Anonymous, AuditEvent, Authenticated, TokenId,
    extract::{Found, Place, has_unread_token},
    settings::{Mode, Settings},
    strip,
};
use crate::{
    RequestHead, TokenLocation,
    observe::{self, Outcome},
    validate::{Rejection, RejectionKind, Validated, Verdict},
};
use http::Request;
use std::sync::Arc;

/// A token that was presented, without the token.
pub(super) struct Presented {
    location: TokenLocation,
    place: Place,
    /// Only where somebody keeps books.
    token_id: Option<TokenId>,
}

impl Presented {
    pub(super) fn new(found: Found<'_>, settings: &Settings) -> Self {
        let auditor = settings.auditor.as_ref();
        Self {
            token_id: auditor.map(|auditor| auditor.token_id(&found.token)),
            location: found.location,
            place: found.place,
        }
    }
}

/// Passes or refuses; whether an answer must be made private.
pub(super) type Decided = Result<bool, Rejection>;

/// Nothing was presented that is read.
pub(super) fn without_token<B>(settings: &Arc<Settings>, request: &mut Request<B>) -> Decided {
    if settings.mode == Mode::Required || has_unread_token(RequestHead::of(request)) {
        return Err(refused(settings, Rejection::missing(), None));
    }
    request.extensions_mut().insert(Anonymous::new(settings.clone()));
    note(Outcome::Anonymous, settings, None, None, None);
    Ok(false)
}

/// The validator has spoken.
pub(super) fn by_verdict<B, C: Send + Sync + 'static>(
    settings: &Arc<Settings>,
    request: &mut Request<B>,
    presented: Presented,
    verdict: Verdict<C>,
) -> Decided {
    match verdict {
        Ok(validated) => Ok(admit(settings, request, presented, validated)),
        Err(rejection) if settings.mode == Mode::Lenient && is_bad(rejection.kind()) => {
            note(Outcome::Anonymous, settings, Some(&rejection), Some(&presented), None);
            let private = matches!(presented.place, Place::Query(_));
            strip::clean(request, presented.place, settings.strip);
            request.extensions_mut().insert(Anonymous::new(settings.clone()));
            Ok(private)
        }
        Err(rejection) => Err(refused(settings, rejection, Some(&presented))),
    }
}

/// Keeps books of a refusal.
pub(super) fn refused(
    settings: &Settings,
    rejection: Rejection,
    presented: Option<&Presented>,
) -> Rejection {
    note(Outcome::Rejected, settings, Some(&rejection), presented, None);
    rejection
}

/// Makes `request` ready for the inner service.
fn admit<B, C: Send + Sync + 'static>(
    settings: &Arc<Settings>,
    request: &mut Request<B>,
    presented: Presented,
    validated: Arc<Validated<C>>,
) -> bool {
    let principal = validated.principal();
    note(Outcome::Accepted, settings, None, Some(&presented), Some(principal));
    let private = matches!(presented.place, Place::Query(_));
    strip::clean(request, presented.place, settings.strip);
    let authenticated = Authenticated::new(validated, presented.location, settings.clone());
    request.extensions_mut().insert(authenticated);
    private
}

fn note(
    outcome: Outcome,
    settings: &Settings,
    refused: Option<&Rejection>,
    presented: Option<&Presented>,
    principal: Option<&crate::validate::Principal>,
) {
    observe::decided(outcome, refused, presented.map(|presented| &presented.location));
    if let Some(auditor) = &settings.auditor {
        auditor.note(&AuditEvent {
            allowed: outcome != Outcome::Rejected,
            refused: refused.map(Rejection::kind),
            reason: refused.map_or("", Rejection::description),
            location: presented.map(|presented| &presented.location),
            principal,
            token_id: presented.and_then(|presented| presented.token_id),
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
