//! The second level of a cache: a store that replicas share.
//!
//! `level` takes the steps of one fetch, `machine` decides, `backend` asks the store through `asker`, `seal` encrypts
//! what it keeps.

use crate::{ClientSecret, back_channel::retry_after::MAX_RETRY_AFTER};
use std::{error::Error as StdError, pin::Pin, sync::Arc, time::Duration};

mod asker;
mod backend;
mod key;
mod level;
mod machine;
mod names;
mod record;
mod seal;

pub(in crate::client::token_cache) use asker::Asker;
pub use key::StoreKey;
pub(in crate::client::token_cache) use level::{Level, digest};
pub(in crate::client::token_cache) use machine::Looks;
pub use names::{Holder, Version};
pub(in crate::client::token_cache) use record::StoredToken;
pub(in crate::client::token_cache) use seal::Kind;
pub use seal::StoreKeys;

/// The longest lease and pause: a store that tells of a longer one is broken.
const LONGEST: Duration = MAX_RETRY_AFTER;
/// The shortest lease: it is renewed three times as often.
const LEASE_MIN: Duration = Duration::from_millis(100);

/// The error of a [`TokenStore`]. The cache shows its text nowhere, so log it in the store.
pub type StoreError = Box<dyn StdError + Send + Sync>;

/// The future of a [`TokenStore`].
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Keeps the tokens that the replicas of a service share, and decides which replica fetches: in Redis, for
/// example, or in a database table.
///
/// [`TokenCache::with_store`](crate::client::TokenCache::with_store) puts one behind a cache. A store keeps
/// three things under a [`StoreKey`], each with an end by the clock of the store alone: a value with its
/// version; the lease of the fetch that is under way; and a pause in which nobody fetches. The values are
/// encrypted already. A store that loses them, is down or panics costs a fetch and the time of its
/// deadline, never an error.
///
/// Each operation runs as a task of its own, which is dropped at the
/// [deadline](StorePolicy::with_deadline) and with the fetch. It must not block its thread. It has to be
/// one step for all who ask at once, done or not done when it is dropped: a script in Redis, a transaction
/// in a database. It may be carried out although its answer is lost.
///
/// A time may be zero, or shorter than the store can measure: what it is given to has ended then. The
/// cache gives leases of 100 ms to 1 h, pauses of up to 1 h, and values of up to ten years. A value is a
/// few KiB of any bytes. An answer that breaks these rules counts as a failure: a version in `had`, a
/// lease or a pause of more than an hour.
///
/// [How to write one](crate::guide::fleet#how-to-write-a-store) has a sketch for Redis.
///
/// # Security
///
/// Who may write can withhold tokens, and cannot put one in the place of another. Grant access to the
/// replicas alone all the same.
pub trait TokenStore: Send + Sync + 'static {
    /// Answers a replica that needs a token, with the first of these that applies:
    ///
    /// 1. [`Found`](Begun::Found), if there is a value whose version is not in `had`, which holds at most
    ///    8 versions that are of no use to who asks.
    /// 2. [`Paused`](Begun::Paused), in a pause.
    /// 3. [`Taken`](Begun::Taken), while another than `holder` has the lease.
    /// 4. [`Yours`](Begun::Yours): `holder` has the lease from now on, for `lease`, also if it had it
    ///    already. A value that is in `had` stays.
    fn begin<'a>(
        &'a self,
        key: &'a StoreKey,
        holder: &'a Holder,
        lease: Duration,
        had: &'a [Version],
    ) -> StoreFuture<'a, Begun>;

    /// Lets the lease of `holder` end after `lease` from now on, if `holder` still has it. A lease that
    /// has ended does not begin again.
    fn renew<'a>(
        &'a self,
        key: &'a StoreKey,
        holder: &'a Holder,
        lease: Duration,
    ) -> StoreFuture<'a, Lease>;

    /// Keeps `value` in the place of what is there, until its time is over, ends the lease, and lets nobody
    /// fetch for `pause` from now on, whatever pause there was. Does nothing if another has the lease, or
    /// if nobody has it and there is a value.
    fn finish<'a>(
        &'a self,
        key: &'a StoreKey,
        holder: &'a Holder,
        value: &'a StoredValue,
        pause: Duration,
    ) -> StoreFuture<'a, Lease>;

    /// Ends the lease of a fetch that failed, and lets nobody fetch for `pause` from now on. The value
    /// stays. Does nothing unless `holder` has the lease.
    fn release<'a>(
        &'a self,
        key: &'a StoreKey,
        holder: &'a Holder,
        pause: Duration,
    ) -> StoreFuture<'a, ()>;

    /// Deletes the value, which is revoked, if it is still this version. A lease and a pause stay.
    fn remove<'a>(&'a self, key: &'a StoreKey, version: &'a Version) -> StoreFuture<'a, ()>;
}

/// A token in a [`TokenStore`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoredValue {
    /// Names this value.
    pub version: Version,
    /// The encrypted token. Opaque to the store.
    pub sealed: Vec<u8>,
    /// How long it is still of use: until the store deletes it.
    pub left: Duration,
}

impl StoredValue {
    /// Creates a value as it is read from a store.
    #[must_use]
    pub fn new(version: Version, sealed: Vec<u8>, left: Duration) -> Self {
        Self { version, sealed, left }
    }
}

/// Who fetches: the answer of [`TokenStore::begin`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Begun {
    /// Nobody needs to.
    Found(StoredValue),
    /// The replica that asks.
    Yours,
    /// Another, whose lease ends after `left` if it is not renewed.
    Taken {
        /// How long the lease lasts.
        left: Duration,
    },
    /// Nobody, before `left` is over.
    Paused {
        /// How long the pause lasts.
        left: Duration,
    },
}

/// Whether an operation of the one who holds a lease had an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// It had: the lease was the holder's, or nobody's.
    Held,
    /// It had none: the lease has ended, or is another's.
    Lost,
}

/// A store, and how a cache uses it.
pub(in crate::client::token_cache) struct SharedStore {
    pub(in crate::client::token_cache) store: Arc<dyn TokenStore>,
    pub(in crate::client::token_cache) keys: StoreKeys,
    pub(in crate::client::token_cache) policy: StorePolicy,
}

/// Decides how long a [`TokenCache`](crate::client::TokenCache) waits for its store and for other
/// replicas.
///
/// ```
/// use std::time::Duration;
/// use tower_oauth2::client::StorePolicy;
///
/// let policy = StorePolicy::default().with_deadline(Duration::from_millis(50));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct StorePolicy {
    deadline: Duration,
    lease: Duration,
    key_secret: Option<ClientSecret>,
}

impl Default for StorePolicy {
    fn default() -> Self {
        Self {
            deadline: Duration::from_millis(250),
            lease: Duration::from_secs(3),
            key_secret: None,
        }
    }
}

impl StorePolicy {
    /// Sets how long the store may take for one answer. After an answer that is late or an error, or
    /// a panic, the fetch goes on without the store, and after three in a row the next fetches of 5 s
    /// do so at once. Callers do not wait for [`finish`](TokenStore::finish) and
    /// [`release`](TokenStore::release). Defaults to 250 ms.
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets how long a replica counts as fetching after it was last heard of: it may have died. While it
    /// fetches, it says so three times as often. Between 100 ms and 1 h. Defaults to 3 s.
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease.clamp(LEASE_MIN, LONGEST);
        self
    }

    /// Mixes `secret`, the same at every replica, into the keys. Without it a reader of the keys can
    /// guess at what they are made of, for example at a user's password. Defaults to none.
    pub fn with_key_secret(mut self, secret: impl Into<ClientSecret>) -> Self {
        self.key_secret = Some(secret.into());
        self
    }

    pub(in crate::client::token_cache) fn key_secret(&self) -> Option<&ClientSecret> {
        self.key_secret.as_ref()
    }
}
