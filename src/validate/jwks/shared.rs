use super::{
    Away, Found, Snapshot, Standing, Wait,
    fetch::{Failure, Fetched, Memory, Remote},
    machine::{Ask, Cause, Machine, Policy, Seen, Want},
    status::{JwksError, JwksStatus},
};
use crate::{
    Clock,
    jose::{Algorithm, KeyId, KeySet},
    observe,
    vocabulary::{
        clock::Now,
        flight::{Joined, Launch},
    },
};
use arc_swap::{ArcSwap, Guard};
use std::{
    borrow::Cow,
    hash::{BuildHasher, RandomState},
    mem::discriminant,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};
use tokio::{runtime::Handle, sync::watch};

/// No refresh is due.
const NEVER: u64 = u64::MAX;

/// What the clones of a key source share. All decisions are made under `state`. The look-up of a
/// known key reads `snapshot` alone, which is written under the lock.
pub(super) struct Shared {
    pub(super) source: Source,
    pub(super) settings: Settings,
    pub(super) snapshot: ArcSwap<Snapshot>,
    pub(super) generation: AtomicU64,
    /// When a verdict by these keys that is still good starts their refresh, in milliseconds of the
    /// wall clock, so that a hit in a cache costs one load.
    refresh_at: AtomicU64,
    /// Digests the names that are looked for, with a secret of this instance.
    names: RandomState,
    state: Mutex<State>,
    /// The number of fetches that have ended.
    ended: watch::Sender<u64>,
}

#[derive(Clone)]
pub(super) enum Source {
    Fixed(KeySet),
    Remote(Remote),
}

impl Source {
    pub(super) fn with_clock(self, clock: Clock) -> Self {
        match self {
            Self::Remote(Remote { place, transport }) => {
                Self::Remote(Remote { place, transport: transport.with_clock(clock) })
            }
            fixed => fixed,
        }
    }
}

#[derive(Clone)]
pub(super) struct Settings {
    pub(super) clock: Clock,
    pub(super) policy: Policy,
}

struct State {
    machine: Machine,
    flight: Option<Joined<()>>,
    memory: Memory,
    last_failure: Option<JwksError>,
}

type Flight = Launch<(), (), Box<dyn FnOnce(Option<()>) + Send>>;

/// A fetch that is not started yet.
struct Prepared {
    launch: Flight,
    runtime: Handle,
    cause: Cause,
}

/// The key that is looked up.
#[derive(Clone, Copy)]
pub(super) enum Wanted<'a> {
    Any,
    Key(Option<&'a KeyId<'a>>, Algorithm),
    /// A key for this algorithm that the token does not name, and that is not held.
    Nameless(Algorithm),
    /// The result of a fetch that begins now.
    Newer,
    /// Keys, if a failed fetch is why there are none.
    Lost,
}

impl Shared {
    pub(super) fn new(source: Source, settings: Settings) -> Self {
        let (keys, standing) = match &source {
            Source::Fixed(keys) => (keys.clone(), Standing::Fixed),
            Source::Remote(_) => (KeySet::default(), Standing::Absent),
        };
        let state = State {
            machine: Machine::new(settings.policy.clone()),
            flight: None,
            memory: Memory::default(),
            last_failure: None,
        };
        Self {
            source,
            settings,
            snapshot: ArcSwap::from_pointee(Snapshot { keys, standing }),
            generation: AtomicU64::new(0),
            refresh_at: AtomicU64::new(NEVER),
            names: RandomState::new(),
            state: Mutex::new(state),
            ended: watch::Sender::new(0),
        }
    }

    /// Returns a random number of this instance.
    pub(super) fn id(&self) -> u64 {
        self.names.hash_one(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics between two writes, so a poisoned state is consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks up a key that is not held, or whose set is not fresh.
    #[cold]
    pub(super) fn look_up(self: &Arc<Self>, wanted: Wanted<'_>, waited: Option<Seen>) -> Found {
        let now = self.settings.clock.now();
        let mut launch = None;
        let mut state = self.lock();
        // Another look-up may have written it meanwhile.
        let snapshot = self.snapshot.load();
        let Source::Remote(remote) = &self.source else {
            return match wanted {
                Wanted::Lost | Wanted::Newer => Found::Keys(snapshot),
                _ => Found::Unknown,
            };
        };
        let want = self.want(wanted, &snapshot);
        let seen = waited.unwrap_or_else(|| Seen { asked: self.id(), ..state.machine.seen() });
        let found = match state.machine.ask(now, want, waited) {
            Ask::Keys => Found::Keys(snapshot),
            Ask::KeysAndFetch => {
                // Without a runtime the keys are still good, and the next look-up tries again.
                launch = self.prepare(&mut state, Cause::Refresh);
                Found::Keys(snapshot)
            }
            Ask::Fetch(cause) => {
                launch = self.prepare(&mut state, cause);
                if launch.is_none() {
                    state.last_failure = Some(JwksError::no_runtime());
                }
                state.wait(seen)
            }
            Ask::Join => state.wait(seen),
            Ask::Unknown => Found::Unknown,
            Ask::Spent(wait) => Found::Unavailable(Away::spent(wait)),
            Ask::Unavailable(next_try) => Found::Unavailable(state.away(next_try)),
        };
        // Not under the lock: a runtime that is shutting down ends the task at once.
        drop(state);
        self.spawn(launch, remote);
        found
    }

    fn want(&self, wanted: Wanted<'_>, snapshot: &Snapshot) -> Want {
        match wanted {
            Wanted::Any => Want::Held,
            Wanted::Key(kid, algorithm) if snapshot.knows(kid, algorithm) => Want::Held,
            Wanted::Key(Some(KeyId::Kid(kid)), _) => Want::Missing(self.names.hash_one(kid)),
            Wanted::Key(_, algorithm) | Wanted::Nameless(algorithm) => {
                Want::Missing(self.names.hash_one(discriminant(&algorithm)))
            }
            Wanted::Newer => Want::Newer,
            Wanted::Lost => Want::Lost,
        }
    }

    /// Has the keys fetched, which failed to verify a signature, unless they were lately. Nobody waits
    /// for it.
    #[cold]
    pub(super) fn doubt(self: &Arc<Self>) {
        let Source::Remote(remote) = &self.source else { return };
        let now = self.settings.clock.now();
        let mut state = self.lock();
        let fetches = state.machine.doubt(now);
        let launch = if fetches { self.prepare(&mut state, Cause::Search) } else { None };
        drop(state);
        self.spawn(launch, remote);
    }

    /// Returns `true` if a refresh is due at `now`, by the wall clock alone.
    pub(super) fn is_refresh_due(&self, now: SystemTime) -> bool {
        let due = Duration::from_millis(self.refresh_at.load(Ordering::Relaxed));
        SystemTime::UNIX_EPOCH.checked_add(due).is_some_and(|due| now >= due)
    }

    /// Prepares the task, which reports to [`finish`](Self::finish) however it ends.
    fn prepare(self: &Arc<Self>, state: &mut State, cause: Cause) -> Option<Prepared> {
        let Some(runtime) = self.settings.clock.runtime() else {
            state.machine.not_started();
            return None;
        };
        let shared = self.clone();
        let (launch, joined) = Launch::new(Box::new(move |ended: Option<()>| {
            if ended.is_none() {
                shared.finish(Err(JwksError::aborted().into()));
            }
        }) as Box<dyn FnOnce(Option<()>) + Send>);
        state.flight = Some(joined);
        self.refresh_at.store(NEVER, Ordering::Relaxed);
        Some(Prepared { launch, runtime, cause })
    }

    fn spawn(self: &Arc<Self>, prepared: Option<Prepared>, remote: &Remote) {
        if let Some(Prepared { launch, runtime, cause }) = prepared {
            launch.spawn(&runtime, self.clone().fetch(remote.clone(), cause));
        }
    }

    async fn fetch(self: Arc<Self>, remote: Remote, cause: Cause) {
        let memory = {
            let mut state = self.lock();
            state.machine.sent();
            state.memory.clone()
        };
        let fetched = remote.fetch(memory, cause, &self.settings.clock).await;
        self.finish(fetched);
    }

    /// Takes the result of a fetch.
    fn finish(&self, fetched: Result<Fetched, Failure>) {
        let now = self.settings.clock.now();
        let mut state = self.lock();
        let (mut held, mut failed, mut skipped, mut emptied) = (None, None, Vec::new(), false);
        match fetched {
            Ok(fetched) => {
                self.keep(&mut state, fetched, now, &mut skipped);
                held = Some(self.snapshot.load().keys.len());
            }
            Err(failure) => {
                failed = Some(failure.error.clone());
                emptied = failure.is_empty && self.empty(&mut state);
                state.machine.failed(now, failure.retry_after, self.settings.clock.fraction());
                state.last_failure = Some(failure.error);
            }
        }
        state.flight = None;
        let refresh_at = now.wall.checked_add(state.machine.next_refresh(now));
        self.refresh_at.store(refresh_at.map_or(NEVER, millis), Ordering::Relaxed);
        // Logging runs code of the user, which may call for the status.
        drop(state);
        held.into_iter().for_each(observe::keys::fetched);
        failed.iter().for_each(observe::keys::not_fetched);
        if emptied {
            observe::keys::emptied();
        }
        skipped.iter().for_each(|line| observe::keys::skipped(line));
        self.ended.send_modify(|ended| *ended = ended.wrapping_add(1));
    }

    /// Stores fetched keys, and adds newly skipped entries to `skipped`.
    fn keep(&self, state: &mut State, fetched: Fetched, now: Now, skipped: &mut Vec<String>) {
        state.machine.fetched(now, fetched.lifetime);
        state.memory = fetched.memory;
        state.last_failure = None;
        let held = self.snapshot.load();
        let changed = fetched.keys.as_ref().is_some_and(|keys| !keys.is_same(&held.keys));
        let keys = fetched.keys.unwrap_or_else(|| held.keys.clone());
        if changed {
            *skipped = keys.skipped().to_vec();
        }
        let standing = state.machine.lease().map_or(Standing::Absent, Standing::Until);
        self.replace(Snapshot { keys, standing }, changed);
    }

    /// Drops the keys, which the server has withdrawn. Returns `true` if there were any.
    fn empty(&self, state: &mut State) -> bool {
        state.machine.emptied();
        // Otherwise "not modified" could bring back what is dropped.
        state.memory.forget_version();
        let held = self.snapshot.load().keys.len() > 0;
        let none = Snapshot { keys: KeySet::default(), standing: Standing::Absent };
        self.replace(none, held);
        held
    }

    fn replace(&self, snapshot: Snapshot, changed: bool) {
        self.snapshot.store(Arc::new(snapshot));
        if changed {
            // After the keys: a reader of the new number sees the new keys.
            self.generation.fetch_add(1, Ordering::Release);
        }
    }

    pub(super) fn last_failure(&self) -> Option<JwksError> {
        self.lock().last_failure.clone()
    }

    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.ended.subscribe()
    }

    pub(super) fn status(&self) -> JwksStatus {
        let now = self.settings.clock.now();
        let ended = *self.ended.borrow();
        let state = self.lock();
        let snapshot: Guard<Arc<Snapshot>> = self.snapshot.load();
        let lease = state.machine.lease();
        let fixed = !matches!(self.source, Source::Remote(_));
        JwksStatus {
            keys: snapshot.keys.len(),
            age: lease.map(|lease| lease.age(now)),
            ready: fixed || lease.is_some_and(|lease| lease.is_usable(now)),
            stale: lease.is_some_and(|lease| !lease.is_fresh(now)),
            fetching: state.machine.is_fetching(),
            last_failure: state.last_failure.clone(),
            skipped: snapshot.keys.skipped().to_vec(),
            generation: self.generation.load(Ordering::Acquire),
            ended,
        }
    }
}

impl State {
    /// Waits for the fetch in flight, if there is one.
    fn wait(&self, seen: Seen) -> Found {
        match &self.flight {
            Some(joined) => Found::Wait(Wait { joined: joined.clone(), seen }),
            None => Found::Unavailable(self.away(None)),
        }
    }

    fn away(&self, next_try: Option<Duration>) -> Away {
        let cause = self.last_failure.as_ref().map(ToString::to_string);
        Away {
            next_try,
            cause: cause.map_or(Cow::Borrowed("they are not fetched yet"), Cow::Owned),
        }
    }
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_secs().saturating_mul(1000).saturating_add(since.subsec_millis().into())
}
