//! The issuers whose tokens are accepted, which may change while requests are judged.

use super::{
    TrustedIssuer,
    known_headers::KnownHeaders,
    rules::{mismatch, unverified},
};
use crate::{
    ConfigError,
    back_channel::scrub,
    validate::{
        Rejection, Revocation,
        basis::Ground,
        claims::{Claims, listed, shown},
    },
};
use arc_swap::ArcSwap;
use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

/// How many issuers of a resolver are kept.
const MAX_RESOLVED: usize = 10_000;

/// The parts of a table. A change copies one of them.
const PARTS: u64 = 64;

/// Issuers that come and go at run time, for [`JwtValidator::from_issuers`](super::JwtValidator::from_issuers).
///
/// 1. A look-up takes no lock, and as long for many issuers as for one.
/// 2. A change concerns the next request: the cached tokens of an issuer that was
///    [removed](Self::remove) are refused, those of one that was [replaced](Self::insert) are judged
///    again, and those of others stay cached.
/// 3. An unknown issuer costs neither a request nor memory.
///
/// A clone is the same set of issuers.
///
/// ```
/// use tower_oauth2::{
///     Transport,
///     server::RequireToken,
///     validate::{Cached, Issuers, Jwks, JwtValidator, TrustedIssuer},
/// };
///
/// let issuers = Issuers::new();
/// let validator = Cached::new(JwtValidator::from_issuers(issuers.clone()));
/// let layer = RequireToken::new("api", validator)?;
///
/// // When a tenant comes, and when it goes:
/// let keys = Jwks::from_issuer("https://as.example/t1", Transport::https())?;
/// let tenant = TrustedIssuer::new("https://as.example/t1", keys);
/// issuers.insert(tenant.with_audience(["https://api.example"]))?;
/// assert!(issuers.remove("https://as.example/t1").is_some());
/// # let _ = layer;
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[derive(Clone, Default)]
pub struct Issuers {
    shared: Arc<Shared>,
}

type Resolver = dyn Fn(&str) -> Option<TrustedIssuer> + Send + Sync;

#[derive(Default)]
struct Shared {
    table: ArcSwap<Table>,
    writes: Mutex<()>,
    resolver: Option<Box<Resolver>>,
}

type Part = HashMap<Arc<str>, Arc<KnownIssuer>>;

#[derive(Clone)]
struct Table {
    known: Vec<Arc<Part>>,
    hasher: RandomState,
    /// Those of them whose identifier is a template.
    templates: Vec<Arc<KnownIssuer>>,
    /// The one of them whose tokens may lack `iss`.
    unnamed: Option<Arc<KnownIssuer>>,
    resolved: usize,
    removals: u64,
}

/// An issuer, and what its verdicts rest on.
pub(super) struct KnownIssuer {
    pub(super) issuer: TrustedIssuer,
    pub(super) headers: KnownHeaders,
    is_resolved: bool,
    /// It was neither removed nor replaced.
    is_current: AtomicBool,
    removal: Revocation,
}

impl Ground for KnownIssuer {
    fn holds(&self, version: u64, now: SystemTime) -> bool {
        if !self.is_current.load(Ordering::Acquire) {
            return false;
        }
        let keys = &self.issuer.keys;
        // Hits alone may keep a token good for long, while its key is withdrawn.
        keys.refresh_if_due(now);
        keys.generation() == version
    }

    fn removal(&self) -> &Revocation {
        &self.removal
    }
}

impl Issuers {
    /// Creates an empty set of issuers: every token is of an unknown one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a set of issuers that asks `resolver` for those that were not
    /// [inserted](Self::insert).
    ///
    /// The resolver gets the `iss` of a token that is not verified, each time that it is of an unknown
    /// issuer. It must answer at once, without I/O: insert the issuers of a database. What it returns
    /// is kept until it is removed, for at most 10,000 issuers; tokens of further ones are refused with
    /// 503. A `None` is not kept. An issuer that it returns under another identifier, or with settings
    /// that [`insert`](Self::insert) refuses, is a failure of the resource (500).
    ///
    /// ```
    /// use tower_oauth2::{Transport, validate::{Issuers, Jwks, TrustedIssuer}};
    ///
    /// let transport = Transport::https();
    /// let issuers = Issuers::from_resolver(move |iss| {
    ///     let tenant = iss.strip_prefix("https://as.example/")?;
    ///     if !["t1", "t2"].contains(&tenant) {
    ///         return None;
    ///     }
    ///     let keys = Jwks::from_issuer(iss, transport.clone()).ok()?;
    ///     Some(TrustedIssuer::new(iss, keys).with_audience(["https://api.example"]))
    /// });
    /// # let _ = issuers;
    /// ```
    #[must_use]
    pub fn from_resolver<F>(resolver: F) -> Self
    where
        F: Fn(&str) -> Option<TrustedIssuer> + Send + Sync + 'static,
    {
        let resolver: Option<Box<Resolver>> = Some(Box::new(resolver));
        Self { shared: Arc::new(Shared { resolver, ..Shared::default() }) }
    }

    /// Inserts `issuer`, in place of the one of the same identifier. Cached tokens of that one are judged
    /// again by the new settings and keys at the next request; streams that run go on.
    ///
    /// An issuer goes before a [template](TrustedIssuer::from_template) that it fits. Tokens of it that the
    /// template accepted before stay cached for their time.
    ///
    /// # Errors
    ///
    /// When the issuer has no audience and does not allow tokens without one, when its settings
    /// contradict each other, when it shares a secret while another has public keys, and when another
    /// allows a missing issuer too. Nothing has changed then.
    pub fn insert(&self, issuer: TrustedIssuer) -> Result<(), ConfigError> {
        let _lock = self.lock();
        self.put(issuer, false).map(|_| ())
    }

    /// Removes the issuer of this identifier, and returns it, or `None` if it was not known. Its
    /// tokens are refused from the next request on, cached or not; for requests in flight
    /// [`Authenticated::ended`](crate::server::Authenticated::ended) resolves, and the streams of
    /// [`EndWithToken`](crate::server::EndWithToken) end.
    ///
    /// A resolver is asked again at its next token: make that return `None` first. A
    /// [template](TrustedIssuer::from_template) that the issuer fits accepts its tokens from then on: insert
    /// that with [other tenants](TrustedIssuer::with_tenants) first.
    pub fn remove(&self, identifier: &str) -> Option<TrustedIssuer> {
        let _lock = self.lock();
        let mut table = self.table();
        table.removals = table.removals.wrapping_add(1);
        let removed = table.take(identifier);
        self.shared.table.store(Arc::new(table));
        let removed = removed?;
        // After the table: a token that is judged again does not find it.
        removed.is_current.store(false, Ordering::Release);
        removed.removal.revoke();
        Some(removed.issuer.clone())
    }

    /// Returns another set of the same issuers.
    pub(super) fn fork(&self) -> Self {
        let table = ArcSwap::from_pointee(self.table());
        Self { shared: Arc::new(Shared { table, ..Shared::default() }) }
    }

    pub(super) fn has(&self, identifier: &str) -> bool {
        self.shared.table.load().get(identifier).is_some()
    }

    /// Returns the issuer of a token.
    pub(super) fn of(&self, claims: &Claims<'_>) -> Result<Arc<KnownIssuer>, Rejection> {
        let found = match claims.iss() {
            Ok(Some(iss)) => self.find(iss)?,
            Ok(None) => self.shared.table.load().unnamed.clone(),
            Err(told) => return Err(unverified(told.to_owned()).foreign()),
        };
        found.ok_or_else(|| self.of_nobody(claims))
    }

    fn find(&self, iss: &str) -> Result<Option<Arc<KnownIssuer>>, Rejection> {
        loop {
            let table = self.shared.table.load();
            if let Some(known) = table.find(iss) {
                return Ok(Some(known.clone()));
            }
            let Some(resolver) = &self.shared.resolver else { return Ok(None) };
            let Some(issuer) = resolver(iss) else { return Ok(None) };
            // Otherwise it may have been removed while the resolver was asked.
            if let Some(kept) = self.keep(iss, issuer, table.removals) {
                return kept.map(Some);
            }
        }
    }

    /// Keeps what the resolver returned, unless an issuer was removed since. Another request may have
    /// kept it meanwhile.
    #[cold]
    fn keep(
        &self,
        iss: &str,
        issuer: TrustedIssuer,
        removals: u64,
    ) -> Option<Result<Arc<KnownIssuer>, Rejection>> {
        let _lock = self.lock();
        let table = self.shared.table.load();
        if table.removals != removals || table.find(iss).is_some() {
            return None;
        }
        let failed = |text: &dyn fmt::Display| {
            Rejection::internal(scrub::description(&format!("the resolver: {text}")))
        };
        if issuer.template.is_some() || *issuer.identifier != *iss {
            let text = format!("another issuer than {}", shown(Some(iss)));
            return Some(Err(failed(&text)));
        }
        if table.resolved >= MAX_RESOLVED {
            let text = format!("the resolver returned more than {MAX_RESOLVED} issuers");
            return Some(Err(Rejection::unavailable(None).with_cause(text)));
        }
        Some(self.put(issuer, true).map_err(|error| failed(&error)))
    }

    fn put(
        &self,
        issuer: TrustedIssuer,
        is_resolved: bool,
    ) -> Result<Arc<KnownIssuer>, ConfigError> {
        let mut table = self.table();
        let replaced = table.take(&issuer.identifier);
        // All have keys of one kind, so one stands for all.
        issuer.check(table.iter().next(), table.unnamed.as_ref().map(|known| &known.issuer))?;
        let known = Arc::new(KnownIssuer {
            issuer,
            headers: KnownHeaders::default(),
            is_resolved,
            is_current: AtomicBool::new(true),
            // Requests in flight by the settings of before end with the issuer too.
            removal: replaced.as_ref().map(|old| old.removal.clone()).unwrap_or_default(),
        });
        table.put(&known);
        self.shared.table.store(Arc::new(table));
        // After the table: a token that is judged again finds the new one.
        replaced.iter().for_each(|old| old.is_current.store(false, Ordering::Release));
        Ok(known)
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.shared.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn table(&self) -> Table {
        Table::clone(&self.shared.table.load())
    }

    #[cold]
    fn of_nobody(&self, claims: &Claims<'_>) -> Rejection {
        let table = self.shared.table.load();
        let mut names: Vec<_> = table.iter().map(|issuer| &*issuer.identifier).take(5).collect();
        names.sort_unstable();
        let iss = claims.iss().ok().flatten();
        mismatch("iss", listed(names.into_iter()), shown(iss)).foreign()
    }
}

impl Default for Table {
    fn default() -> Self {
        Self {
            known: (0..PARTS).map(|_| Arc::default()).collect(),
            hasher: RandomState::new(),
            templates: Vec::new(),
            unnamed: None,
            resolved: 0,
            removals: 0,
        }
    }
}

impl Table {
    /// Returns the issuer that `iss` names. The text of a template names none.
    fn find(&self, iss: &str) -> Option<&Arc<KnownIssuer>> {
        let known = self.get(iss).filter(|known| known.issuer.template.is_none());
        known.or_else(|| {
            self.templates.iter().find(|known| {
                let template = known.issuer.template.as_ref();
                template.is_some_and(|template| template.tenant(iss).is_some())
            })
        })
    }

    fn place(&self, identifier: &str) -> usize {
        usize::try_from(self.hasher.hash_one(identifier) % PARTS).unwrap_or_default()
    }

    fn get(&self, identifier: &str) -> Option<&Arc<KnownIssuer>> {
        self.known.get(self.place(identifier))?.get(identifier)
    }

    fn part(&mut self, identifier: &str) -> Option<&mut Part> {
        let place = self.place(identifier);
        self.known.get_mut(place).map(Arc::make_mut)
    }

    fn iter(&self) -> impl Iterator<Item = &TrustedIssuer> {
        self.known.iter().flat_map(|part| part.values()).map(|known| &known.issuer)
    }

    fn put(&mut self, known: &Arc<KnownIssuer>) {
        let TrustedIssuer { identifier, template, without_issuer, .. } = &known.issuer;
        if template.is_some() {
            self.templates.push(known.clone());
        }
        if *without_issuer {
            self.unnamed = Some(known.clone());
        }
        self.resolved += usize::from(known.is_resolved);
        if let Some(part) = self.part(identifier) {
            part.insert(identifier.clone(), known.clone());
        }
    }

    fn take(&mut self, identifier: &str) -> Option<Arc<KnownIssuer>> {
        let known = self.part(identifier)?.remove(identifier)?;
        self.templates.retain(|other| !Arc::ptr_eq(other, &known));
        self.unnamed.take_if(|other| Arc::ptr_eq(other, &known));
        self.resolved = self.resolved.saturating_sub(known.is_resolved.into());
        Some(known)
    }
}

/// Shows the number of issuers.
impl fmt::Debug for Issuers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: usize = self.shared.table.load().known.iter().map(|part| part.len()).sum();
        f.debug_struct("Issuers").field("known", &known).finish_non_exhaustive()
    }
}
