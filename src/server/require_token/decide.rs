//! Decides about a request, by what it presents and what the validator answers.

use super::{
    audit::{TokenDetails, TokenId},
    authenticated::{Anonymous, Authenticated},
    cache_control::{CacheControl, Changes},
    certificate::sha256_text,
    extract::{self, LocationIndex, Position, has_unread_token},
    possession,
    proved::{Proved, Proving},
    refuse::Refusal,
    settings::{Mode, Settings},
    strip::{self, Strip},
};
use crate::{
    Answer, RequestHead, TokenLocation,
    observe::Outcome,
    validate::{
        CacheSupport, Confirmation, Principal, Rejection, RejectionKind, ValidateToken, Validated,
        Verdict,
    },
};
use http::{Request, header::AUTHORIZATION};
use std::{sync::Arc, time::SystemTime};

/// Admits a request, or refuses it.
pub(super) type Decision<'s> = Result<Changes, Refusal<'s>>;

/// Where a token was presented, without the token.
pub(super) struct PresentedToken {
    location: LocationIndex,
    position: Position,
    /// Only if there is an audit hook.
    id: Option<TokenId>,
    /// Only of a DPoP token. Boxed, since few are.
    possession: Option<Box<Possession>>,
    /// The token is good, and the request does not come from its holder.
    is_unproved: bool,
}

/// What a proof has to be about.
struct Possession {
    /// The digest of the token.
    ath: String,
    /// The key that was proved, and what of it.
    proved: Option<(Box<str>, Proved)>,
}

impl PresentedToken {
    #[inline]
    pub(super) fn new(
        token: &str,
        location: LocationIndex,
        position: Position,
        settings: &Settings,
    ) -> Self {
        let is_dpop = matches!(settings.sources.location(location), TokenLocation::Dpop);
        let possession = is_dpop
            .then(|| Box::new(Possession { ath: sha256_text(token.as_bytes()), proved: None }));
        let id = settings.token_id(token.as_bytes());
        Self { location, position, id, possession, is_unproved: false }
    }

    fn details<'s>(&self, settings: &'s Settings) -> TokenDetails<'s> {
        let location = Some(settings.sources.location(self.location));
        TokenDetails { location, id: self.id, principal: None }
    }
}

/// Admits a request that presents no token in a location that is read. Returns `false`, with the
/// request unchanged, if it needs one.
pub(super) fn admit_without_token<B>(settings: &Arc<Settings>, request: &mut Request<B>) -> bool {
    let head = RequestHead::from_request(request);
    if settings.mode == Mode::Required || has_unread_token(head, &settings.sources) {
        return false;
    }
    admit_anonymous(settings, request, None, TokenDetails::default());
    true
}

/// Decides about a request by the validator's verdict on its token.
pub(super) fn by_verdict<'s, B, C: Send + Sync + 'static>(
    settings: &'s Arc<Settings>,
    request: &mut Request<B>,
    presented: PresentedToken,
    verdict: Verdict<C>,
) -> Decision<'s> {
    match verdict {
        Ok(validated) => {
            let PresentedToken { location, position, id, possession, .. } = presented;
            let proved = possession.and_then(|possession| possession.proved);
            let cache_control = clean(settings, request, location, position);
            admit(settings, request, location, id, validated);
            let needs_nonce = proved.is_some_and(|(_, proved)| proved.needs_nonce);
            Ok(match needs_nonce {
                true => Changes::Nonce(settings.clone()),
                false => Changes::CacheControl(cache_control),
            })
        }
        Err(rejection) if is_ignored(settings, &presented, &rejection) => {
            admit_anonymous(settings, request, Some(&rejection), presented.details(settings));
            let cache_control = clean(settings, request, presented.location, presented.position);
            Ok(Changes::CacheControl(cache_control))
        }
        Err(rejection) => Err(Refusal { rejection, token: presented.details(settings) }),
    }
}

/// Checks that the request of `head` comes from the holder of its token. Returns `None` if the token
/// is not good, or bound to nothing.
#[inline]
pub(super) fn prove<C>(
    settings: &Settings,
    head: RequestHead<'_>,
    presented: &PresentedToken,
    verdict: &Verdict<C>,
) -> Option<Answer<Proving>> {
    let principal = verdict.as_ref().ok()?.principal();
    let is_bound = presented.possession.is_some() || principal.confirmation().is_some();
    is_bound.then(|| prove_bound(settings, head, presented, principal))
}

fn prove_bound(
    settings: &Settings,
    head: RequestHead<'_>,
    presented: &PresentedToken,
    principal: &Principal,
) -> Answer<Proving> {
    let possession = presented.possession.as_ref();
    let ath = possession.map(|possession| &*possession.ath);
    let proved = possession.and_then(|possession| possession.proved.as_ref());
    let proved = proved.map(|(key, _)| &**key);
    possession::check(settings, head, (ath, proved), principal)
}

/// Makes a good verdict a refusal if the proof is not good, and keeps what was proved.
pub(super) fn proved<C>(
    presented: &mut PresentedToken,
    verdict: &mut Verdict<C>,
    proof: Result<Proved, Rejection>,
) {
    match (proof, &verdict, &mut presented.possession) {
        (Err(rejection), ..) => {
            presented.is_unproved = true;
            *verdict = Err(rejection);
        }
        (Ok(proof), Ok(validated), Some(possession)) if possession.proved.is_none() => {
            let key = validated.principal().confirmation().and_then(Confirmation::key_thumbprint);
            possession.proved = key.map(|key| (key.into(), proof));
        }
        _ => {}
    }
}

/// Returns `true` if a request with this verdict goes on to the inner service.
pub(super) fn admits<C>(
    settings: &Settings,
    presented: &PresentedToken,
    verdict: &Verdict<C>,
) -> bool {
    verdict.as_ref().map_or_else(|rejection| is_ignored(settings, presented, rejection), |_| true)
}

/// Makes a good verdict a refusal if the token has ended since. Returns `false` if the token has to
/// be judged again, because `generation` is no longer that of the validator or a recheck fails.
pub(super) fn still_holds<C>(
    verdict: &mut Verdict<C>,
    support: &dyn CacheSupport<C>,
    generation: u64,
    now: SystemTime,
) -> bool {
    let Ok(validated) = verdict else { return true };
    if let Err(rejection) = validated.check_end(now) {
        *verdict = Err(rejection);
        return true;
    }
    generation == support.generation() && support.recheck(validated, now).is_ok()
}

/// What is known of a request before its token is judged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Glance {
    Admitted,
    /// It presents no token, and needs one.
    Missing,
    /// The request is unchanged.
    Unclear,
}

/// Fast path: admits `request` if its token is where most are and `validator` remembers the very bytes,
/// and decides about one without a token.
pub(super) fn at_a_glance<V: ValidateToken, B>(
    settings: &Arc<Settings>,
    request: &mut Request<B>,
    validator: &V,
) -> Glance {
    let Some(found) = extract::bearer_header(request, &settings.sources) else {
        return Glance::Unclear;
    };
    let Some(header) = found else {
        let is_admitted = admit_without_token(settings, request);
        return if is_admitted { Glance::Admitted } else { Glance::Missing };
    };
    let known = extract::bearer_credentials(header).and_then(|credentials| {
        let validated = validator.cache_support().recall(credentials)?;
        let is_bound = validated.principal().confirmation().is_some();
        (!is_bound).then(|| (validated, settings.token_id(credentials)))
    });
    let Some((validated, token_id)) = known else { return Glance::Unclear };
    match settings.strip {
        Strip::Everything => drop(request.headers_mut().remove(AUTHORIZATION)),
        Strip::Exposed | Strip::Nothing => header.set_sensitive(true),
    }
    admit(settings, request, LocationIndex::FIRST, token_id, validated);
    Glance::Admitted
}

/// Removes the token from `request`, as far as the settings say.
fn clean<B>(
    settings: &Settings,
    request: &mut Request<B>,
    location: LocationIndex,
    position: Position,
) -> CacheControl {
    let sources = &settings.sources;
    let mut is_protected = extract::is_authorization(sources.location(location), &position);
    strip::strip_token(request, sources.location(location), position, settings.strip);
    if sources.first_wins {
        // The other tokens would leak where they are, too.
        for location in sources.locations() {
            is_protected &= !strip::strip_location(request, location, sources, settings.strip);
        }
    }
    if is_protected { CacheControl::Unchanged } else { CacheControl::Private }
}

/// Records a good token, and hands it on in the extensions.
fn admit<B, C: Send + Sync + 'static>(
    settings: &Arc<Settings>,
    request: &mut Request<B>,
    index: LocationIndex,
    id: Option<TokenId>,
    validated: Arc<Validated<C>>,
) {
    let (location, principal) = (settings.sources.location(index), validated.principal());
    let token = TokenDetails { location: Some(location), id, principal: Some(principal) };
    settings.recorder.record(&settings.clock, Outcome::Accepted, None, token);
    let authenticated = Authenticated::new(validated, index, id, settings.clone());
    request.extensions_mut().insert(authenticated);
}

fn admit_anonymous<B>(
    settings: &Arc<Settings>,
    request: &mut Request<B>,
    rejection: Option<&Rejection>,
    token: TokenDetails<'_>,
) {
    settings.recorder.record(&settings.clock, Outcome::Anonymous, rejection, token);
    request.extensions_mut().insert(Anonymous::new(settings.clone()));
}

/// Returns `true` if the token was judged, is not good, and counts as none. A good token of somebody
/// else never does.
fn is_ignored(settings: &Settings, presented: &PresentedToken, rejection: &Rejection) -> bool {
    let is_bad = || {
        matches!(
            rejection.kind(),
            RejectionKind::NotMine
                | RejectionKind::Invalid
                | RejectionKind::Expired
                | RejectionKind::Revoked
        )
    };
    settings.mode == Mode::Lenient && !presented.is_unproved && is_bad()
}
