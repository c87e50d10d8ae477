//! The settings of proofs of possession, and the check of one
//! ([RFC 9449](https://www.rfc-editor.org/rfc/rfc9449)).

use super::{
    challenges::NONCE_NEEDED,
    proved::{Proved, Proving},
};
use crate::{
    Algorithm, Answer, Clock, ConfigError, RequestHead,
    proof::{
        Checked, DpopNonces, Expected, Fault, FirstUse, Freshness, ProofReplay, SeenProofs, Target,
        check,
    },
    validate::{Rejection, RejectionKind},
    vocabulary::location::{DPOP, DPOP_NONCE},
};
use http::{HeaderMap, Uri};
use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// How many proofs are remembered by default.
const PROOFS: usize = 1_000_000;
/// Proofs of a longer window would be remembered for too long.
const MAX_WINDOW: Duration = Duration::from_secs(60 * 60);

/// Reads DPoP proofs ([RFC 9449]): a token that is bound to a key is good only with a proof that its
/// sender has the key, made for this very request. For
/// [`RequireToken::with_dpop`](crate::server::RequireToken::with_dpop).
///
/// # Defaults
///
/// Bearer tokens that are bound to no key are good too. Proofs are signed by ES256, ES384, EdDSA or
/// PS256, are at most 60 s old and 30 s ahead, need no nonce, and count once at each layer, which
/// remembers up to a million and then refuses with 503. Layers that serve one URL side by side need one
/// [`SeenProofs`] and the same window ([`with_replay`](Self::with_replay)); layers one inside the other
/// need one each.
///
/// # Deployment
///
/// The proof names the URL as the client calls it. `new` takes what the layer does not see: the origin,
/// and the path that a proxy or `axum::Router::nest` takes away. `Host`, `Forwarded` and their kin are
/// never read, since whoever sends a request chooses them.
///
/// Replicas behind one URL need a shared [`ProofReplay`]; otherwise a proof counts once at each.
///
/// ```
/// use tower_oauth2::{
///     server::{Dpop, RequireToken},
///     validate::StaticTokens,
/// };
///
/// let layer = RequireToken::new("api", StaticTokens::new())?
///     .with_dpop(Dpop::new("https://api.example")?);
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
///
/// [RFC 9449]: https://www.rfc-editor.org/rfc/rfc9449
#[derive(Clone)]
#[must_use]
pub struct Dpop {
    public: PublicUrl,
    pub(super) is_required: bool,
    algorithms: Vec<Algorithm>,
    /// Their names, as challenges list them.
    pub(super) names: Box<str>,
    age: Duration,
    ahead: Duration,
    nonces: Option<DpopNonces>,
    replay: Replay,
}

#[derive(Clone)]
enum PublicUrl {
    Base(Target),
    Each(Arc<dyn Fn(RequestHead<'_>) -> Option<Uri> + Send + Sync>),
}

#[derive(Clone)]
enum Replay {
    /// By the clock of the layer.
    Default(SeenProofs),
    Remembered(Arc<dyn ProofReplay>),
    Allowed,
}

impl Dpop {
    /// Reads the proofs of requests to `public_url` and below: the origin, and the path that the layer
    /// does not see.
    ///
    /// # Errors
    ///
    /// When `public_url` is not an absolute http(s) URL, or has a query, a fragment or a user name.
    pub fn new(public_url: &str) -> Result<Self, ConfigError> {
        Target::parse(public_url).map(|target| Self::of(PublicUrl::Base(target)))
    }

    /// Reads the proofs of requests to the whole URL that `public_url` returns, for services with many
    /// hosts. It must not believe a header that the client can choose. A request for which it returns
    /// `None` or a URL without origin is refused.
    pub fn from_fn(
        public_url: impl Fn(RequestHead<'_>) -> Option<Uri> + Send + Sync + 'static,
    ) -> Self {
        Self::of(PublicUrl::Each(Arc::new(public_url)))
    }

    fn of(public: PublicUrl) -> Self {
        use Algorithm::{EdDsa, Es256, Es384, Ps256};
        let algorithms = vec![Es256, Es384, EdDsa, Ps256];
        Self {
            public,
            is_required: false,
            names: names(&algorithms),
            algorithms,
            age: Duration::from_secs(60),
            ahead: Duration::from_secs(30),
            nonces: None,
            replay: Replay::Default(SeenProofs::new(PROOFS)),
        }
    }

    /// Reads DPoP tokens alone: a Bearer token, and one anywhere else than in `Authorization`, counts
    /// as none. The layer removes tokens from its other locations as if it read them, so that none is
    /// logged. Defaults to reading the other locations too.
    pub fn without_bearer(mut self) -> Self {
        self.is_required = true;
        self
    }

    /// Sets the algorithms that proofs may be signed by. Defaults to ES256, ES384, EdDSA and PS256.
    ///
    /// # Errors
    ///
    /// When there is none, or one is symmetric (RFC 9449 §4.3).
    pub fn with_algorithms<I>(mut self, algorithms: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item = Algorithm>,
    {
        self.algorithms = algorithms.into_iter().map(Algorithm::checked_as).collect();
        if self.algorithms.is_empty() {
            return Err(ConfigError::new("proofs need an algorithm: with_algorithms names none"));
        }
        if let Some(symmetric) = self.algorithms.iter().find(|one| one.is_symmetric()) {
            return Err(ConfigError::new(format!(
                "proofs cannot be signed by {symmetric}, whose key everyone who checks them has"
            )));
        }
        self.names = names(&self.algorithms);
        Ok(self)
    }

    /// Sets how old a proof may be, and how far ahead of this clock. Defaults to 60 s and 30 s. With
    /// [nonces](Self::with_nonces), the date of a proof does not count.
    ///
    /// # Errors
    ///
    /// When `age` is zero, or the two are more than an hour.
    pub fn with_window(mut self, age: Duration, ahead: Duration) -> Result<Self, ConfigError> {
        if age.is_zero() || age.checked_add(ahead).is_none_or(|window| window > MAX_WINDOW) {
            return Err(ConfigError::new(format!(
                "the window of proofs, {age:?} and {ahead:?} ahead, is empty or more than an hour"
            )));
        }
        (self.age, self.ahead) = (age, ahead);
        Ok(self)
    }

    /// Requires a nonce in each proof, so that none can be made ahead. A client learns it from the first
    /// refusal, and the next one from a response before the old one ends; no cache may store that
    /// response (`Cache-Control: no-store`). Defaults to none.
    pub fn with_nonces(mut self, nonces: DpopNonces) -> Self {
        self.nonces = Some(nonces);
        self
    }

    /// Sets where used proofs are remembered. Defaults to [`SeenProofs`] for a million. If it cannot
    /// tell, the request is refused with 503.
    pub fn with_replay(mut self, replay: impl ProofReplay) -> Self {
        self.replay = Replay::Remembered(Arc::new(replay));
        self
    }

    /// Remembers no proofs: whoever reads a request can send it again until its proof is too old.
    pub fn dangerous_allow_replay(mut self) -> Self {
        self.replay = Replay::Allowed;
        self
    }

    /// Makes the memory anew by `clock`, unless the user has set one.
    pub(super) fn set_clock(&mut self, clock: &Clock) {
        if let Replay::Default(seen) = &mut self.replay {
            *seen = SeenProofs::new_with_clock(PROOFS, clock.clone());
        }
    }

    /// Adds the nonce for the next proof, if proofs have one.
    pub(super) fn add_nonce(&self, headers: &mut HeaderMap, now: SystemTime) {
        if let Some(nonces) = &self.nonces {
            headers.insert(DPOP_NONCE, nonces.newest(now));
        }
    }

    /// Checks that there is one proof beside a DPoP token, and none beside another.
    ///
    /// # Errors
    ///
    /// RFC 9449 §4.3 and §7.1 have them.
    pub(super) fn check_headers(
        &self,
        headers: &HeaderMap,
        is_dpop: bool,
    ) -> Result<(), Rejection> {
        let mut proofs = headers.get_all(DPOP).iter();
        match (is_dpop, proofs.next()) {
            (true, None) => Err(Rejection::malformed("the DPoP token came without a proof")),
            (false, Some(_)) => {
                Err(Rejection::malformed("a proof came with a token that is not DPoP"))
            }
            // Some proxies join the values of a repeated header.
            (true, Some(proof)) if proofs.next().is_some() || proof.as_bytes().contains(&b',') => {
                Err(invalid_proof("more than one proof was presented"))
            }
            _ => Ok(()),
        }
    }

    /// Checks the proof of the request of `head`, whose token has the digest `ath` and is bound to the
    /// key of `thumbprint`.
    pub(super) fn prove(
        &self,
        head: RequestHead<'_>,
        ath: &str,
        thumbprint: &str,
        now: SystemTime,
    ) -> Answer<Proving> {
        let checked = match self.check(head, ath, thumbprint, now) {
            Ok(checked) => checked,
            Err(rejection) => return Answer::Ready(Err(rejection)),
        };
        let proved = Proved { needs_nonce: checked.needs_nonce };
        let replay: &dyn ProofReplay = match &self.replay {
            Replay::Default(seen) => seen,
            Replay::Remembered(replay) => &**replay,
            Replay::Allowed => return Answer::Ready(Ok(proved)),
        };
        let decide = move |first_use| match first_use {
            Ok(FirstUse::First) => Ok(proved),
            Ok(FirstUse::Replayed) => Err(invalid_proof("the proof was used before")),
            Err(error) => {
                let cause = format!("the memory for proofs: {error}");
                Err(Rejection::unavailable(None).with_cause(cause))
            }
        };
        match replay.first_use(checked.id, checked.until) {
            Answer::Ready(first_use) => Answer::Ready(decide(first_use)),
            Answer::Pending(first_use) => {
                Answer::Pending(Box::pin(async move { decide(first_use.await) }))
            }
        }
    }

    fn check(
        &self,
        head: RequestHead<'_>,
        ath: &str,
        thumbprint: &str,
        now: SystemTime,
    ) -> Result<Checked, Rejection> {
        let (each, url);
        let (target, path) = match &self.public {
            PublicUrl::Base(target) => (target, head.uri().path()),
            PublicUrl::Each(public_url) => {
                url = public_url(head);
                let unknown = || invalid_proof("the URL of the request is not known");
                let uri = url.as_ref().ok_or_else(unknown)?;
                each = Target::new(uri, "").ok_or_else(unknown)?;
                (&each, uri.path())
            }
        };
        let freshness = match &self.nonces {
            Some(nonces) => Freshness::Nonces(nonces),
            None => Freshness::Window { age: self.age, ahead: self.ahead },
        };
        let expected = Expected {
            method: head.method(),
            target,
            path,
            ath: Some(ath),
            thumbprint: Some(thumbprint),
            algorithms: &self.algorithms,
            freshness,
            now,
        };
        let proof = head.headers().get(DPOP).map_or(&[][..], |proof| proof.as_bytes().trim_ascii());
        check(proof, &expected).map_err(|fault| match fault {
            Fault::Invalid(description) => invalid_proof(description),
            Fault::Nonce => Rejection::of(RejectionKind::NonceNeeded, NONCE_NEEDED),
            Fault::OtherKey => {
                Rejection::invalid("the proof is of another key than the access token is bound to")
            }
        })
    }
}

fn invalid_proof(description: &'static str) -> Rejection {
    Rejection::of(RejectionKind::InvalidProof, description)
}

fn names(algorithms: &[Algorithm]) -> Box<str> {
    let names: Vec<_> = algorithms.iter().map(|algorithm| algorithm.as_str()).collect();
    names.join(" ").into()
}

impl fmt::Debug for Dpop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dpop")
            .field("is_required", &self.is_required)
            .field("algorithms", &self.names)
            .finish_non_exhaustive()
    }
}
