//! Checks that a request with a bound token comes from its holder.

use super::{
    extract::{self, ExtractError, ExtractedToken},
    proved::{Proved, Proving},
    settings::Settings,
};
use crate::{
    Answer, RequestHead, TokenLocation,
    validate::{Confirmation, Principal, Rejection},
};

/// Extracts the token of the request. There must be one proof beside a DPoP token, and none beside
/// another.
///
/// # Errors
///
/// When that is not so, and as [`extract`](extract::extract).
pub(super) fn extract<'a, 's>(
    head: RequestHead<'a>,
    settings: &'s Settings,
) -> Result<Option<ExtractedToken<'a>>, ExtractError<'s>> {
    let found = extract::extract(head, &settings.sources);
    let (Ok(Some(token)), Some(dpop)) = (&found, &settings.dpop) else { return found };
    let location = settings.sources.location(token.location);
    let is_dpop = matches!(location, TokenLocation::Dpop);
    match dpop.check_headers(head.headers(), is_dpop) {
        Ok(()) => found,
        Err(rejection) => Err(ExtractError { rejection, location: Some(location) }),
    }
}

/// Checks that the request of `head` comes from the holder of the good token of `principal`. `ath` is
/// the digest of a DPoP token, and `proved` the key that was proved before.
pub(super) fn check(
    settings: &Settings,
    head: RequestHead<'_>,
    (ath, proved): (Option<&str>, Option<&str>),
    principal: &Principal,
) -> Answer<Proving> {
    let refused = |description| Answer::Ready(Err(Rejection::invalid(description)));
    let confirmation = principal.confirmation();
    let certificate = confirmation.and_then(Confirmation::certificate_thumbprint);
    if certificate.is_some_and(|thumbprint| !settings.certificates.presents(head, thumbprint)) {
        return refused("the access token is bound to a certificate that the client did not use");
    }
    let key = confirmation.and_then(Confirmation::key_thumbprint);
    match (ath, key, &settings.dpop) {
        (None, None, _) => Answer::Ready(Ok(Proved::default())),
        (Some(_), None, _) => {
            refused("the access token is not bound to a key, so DPoP proves nothing")
        }
        (Some(_), Some(key), _) if proved == Some(key) => Answer::Ready(Ok(Proved::default())),
        (Some(ath), Some(key), Some(dpop)) => dpop.prove(head, ath, key, settings.clock.wall()),
        _ => refused("the access token is bound to a key, and came without a proof"),
    }
}
