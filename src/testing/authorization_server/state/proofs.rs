//! Reads the DPoP proofs of token requests (feature `jwt`).

use crate::{
    Algorithm,
    proof::{DpopNonces, Expected, Fault, Freshness, ProofId, Target, check},
    testing::authorization_server::answer::Refusal,
    vocabulary::location::DPOP,
};
use bytes::Bytes;
use http::{HeaderValue, Request, header::HOST};
use std::{
    collections::HashSet,
    time::{Duration, SystemTime},
};

const ALGORITHMS: [Algorithm; 4] =
    [Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa, Algorithm::Ps256];
const WINDOW: Freshness<'_> =
    Freshness::Window { age: Duration::from_secs(60), ahead: Duration::from_secs(30) };

/// The nonces of proofs, and the proofs that were used.
#[derive(Default)]
pub(crate) struct Proofs {
    nonces: Option<DpopNonces>,
    used: HashSet<ProofId>,
}

impl Proofs {
    /// Returns the thumbprint of the key that `request` proves to have, or `None` without a proof.
    ///
    /// # Errors
    ///
    /// As RFC 9449 §5 and §8 have it, when the proof is not good, or was used before.
    pub(crate) fn check(
        &mut self,
        request: &Request<Bytes>,
        needs_nonce: bool,
        now: SystemTime,
    ) -> Result<Option<Box<str>>, Refusal> {
        let invalid = |why: &'static str| Refusal::new("invalid_dpop_proof", why);
        let mut proofs = request.headers().get_all(DPOP).iter();
        let Some(proof) = proofs.next() else { return Ok(None) };
        if proofs.next().is_some() {
            return Err(invalid("there are two proofs"));
        }
        let target = target(request).ok_or_else(|| invalid("the request names no host"))?;
        let nonces = if needs_nonce { self.nonces() } else { None };
        let expected = Expected {
            method: request.method(),
            target: &target,
            path: request.uri().path(),
            ath: None,
            thumbprint: None,
            algorithms: &ALGORITHMS,
            freshness: nonces.map_or(WINDOW, Freshness::Nonces),
            now,
        };
        let checked = check(proof.as_bytes(), &expected).map_err(|fault| match fault {
            Fault::Invalid(why) => invalid(why),
            Fault::Nonce => {
                Refusal::new("use_dpop_nonce", "the proof needs the nonce in DPoP-Nonce")
            }
            Fault::OtherKey => invalid("the proof is of another key"),
        })?;
        match self.used.insert(checked.id) {
            true => Ok(Some(checked.thumbprint.into())),
            false => Err(invalid("the proof was used before")),
        }
    }

    /// Returns the nonce that clients should use from now on.
    pub(crate) fn nonce(&mut self, now: SystemTime) -> Option<HeaderValue> {
        Some(self.nonces()?.newest(now))
    }

    pub(crate) fn rotate_nonce(&mut self) {
        self.nonces = None;
    }

    /// Returns the algorithms of proofs, as JSON.
    pub(crate) fn algorithms(&self) -> Option<String> {
        Some(serde_json::json!(ALGORITHMS.map(|algorithm| algorithm.as_str())).to_string())
    }

    fn nonces(&mut self) -> Option<&DpopNonces> {
        if self.nonces.is_none() {
            self.nonces = DpopNonces::random().ok();
        }
        self.nonces.as_ref()
    }
}

/// Returns the URL of `request` without its path. On a socket it is that of the header `Host`, which
/// would be no choice outside of tests.
fn target(request: &Request<Bytes>) -> Option<Target> {
    if request.uri().authority().is_some() {
        return Target::new(request.uri(), "");
    }
    let host = request.headers().get(HOST)?.to_str().ok()?;
    Target::parse(&format!("http://{host}")).ok()
}
