use super::{
    Found, Snapshot, Standing,
    fetch::{Failure, Fetched, Memory, Remote},
    machine::{Ask, Machine, Policy},
    status::{JwksError, JwksStatus},
};
use crate::{
    Clock,
    jose::{Algorithm, KeySet},
    observe,
    vocabulary::{
        clock::Now,
        flight::{Joined, Launch},
    },
};
use arc_swap::{ArcSwap, Guard};
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};
use tokio::{runtime::Handle, sync::watch};

/// What the clones of a key source share. All decisions are made under `state`. The look-up of a
/// known key reads `snapshot` alone, which is written under the lock.
pub(super) struct Shared {
    pub(super) source: Source,
    pub(super) settings: Settings,
    pub(super) snapshot: ArcSwap<Snapshot>,
    pub(super) generation: AtomicU64,
    state: Mutex<State>,
    /// The number of fetches that have ended.
    ended: watch::Sender<u64>,
}

#[derive(Clone)]
pub(super) enum Source {
    Fixed(KeySet),
    /// One key: a secret without a name.
    Secret(Algorithm, KeySet),
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

/// The key that is looked up.
#[derive(Clone, Copy)]
pub(super) enum Wanted<'a> {
    Any,
    Key(Option<&'a str>, Algorithm),
    /// A key that is not held.
    Other,
}

impl Shared {
    pub(super) fn new(source: Source, settings: Settings) -> Self {
        let (keys, standing) = match &source {
            Source::Fixed(keys) => (keys.clone(), Standing::Fixed),
            Source::Secret(_, keys) => (keys.clone(), Standing::Secret),
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
            state: Mutex::new(state),
            ended: watch::Sender::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics between two writes, so a poisoned state is consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks up a key that is not held, or whose set is not fresh.
    #[cold]
    pub(super) fn look_up(self: &Arc<Self>, wanted: Wanted<'_>, waited: bool) -> Found {
        let Source::Remote(remote) = &self.source else { return Found::Unknown };
        let now = self.settings.clock.now();
        let mut launch = None;
        let mut state = self.lock();
        // Another look-up may have written it meanwhile.
        let snapshot = self.snapshot.load();
        let known = match wanted {
            Wanted::Any => true,
            Wanted::Key(kid, algorithm) => snapshot.knows(kid, algorithm),
            Wanted::Other => false,
        };
        let found = match state.machine.ask(now, known, waited) {
            Ask::Keys => Found::Keys(snapshot),
            Ask::KeysAndFetch => {
                // Without a runtime the keys are still good, and the next look-up tries again.
                launch = self.prepare(&mut state).map(|(launch, _, runtime)| (launch, runtime));
                Found::Keys(snapshot)
            }
            Ask::Fetch => match self.prepare(&mut state) {
                Some((prepared, joined, runtime)) => {
                    launch = Some((prepared, runtime));
                    Found::Wait(joined)
                }
                None => {
                    state.last_failure = Some(JwksError::no_runtime());
                    Found::Unavailable(None)
                }
            },
            Ask::Join => match &state.flight {
                Some(joined) => Found::Wait(joined.clone()),
                None => Found::Unavailable(None),
            },
            Ask::Unknown => Found::Unknown,
            Ask::Unavailable(next_try) => Found::Unavailable(next_try),
        };
        // Not under the lock: a runtime that is shutting down ends the task at once.
        drop(state);
        if let Some((launch, runtime)) = launch {
            launch.spawn(&runtime, self.clone().fetch(remote.clone()));
        }
        found
    }

    /// Prepares the task, which reports to [`finish`](Self::finish) however it ends.
    fn prepare(self: &Arc<Self>, state: &mut State) -> Option<(Flight, Joined<()>, Handle)> {
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
        state.flight = Some(joined.clone());
        Some((launch, joined, runtime))
    }

    async fn fetch(self: Arc<Self>, remote: Remote) {
        loop {
            let memory = self.lock().memory.clone();
            let fetched = remote.fetch(memory, &self.settings.clock).await;
            if !self.finish(fetched) {
                return;
            }
        }
    }

    /// Takes the result of a fetch. Returns `true` if another fetch must follow.
    fn finish(&self, fetched: Result<Fetched, Failure>) -> bool {
        let now = self.settings.clock.now();
        let mut state = self.lock();
        let (mut held, mut failed, mut skipped) = (None, None, Vec::new());
        let again = match fetched {
            Ok(fetched) => {
                let again = self.keep(&mut state, fetched, now, &mut skipped);
                held = Some(self.snapshot.load().keys.len());
                again
            }
            Err(failure) => {
                failed = Some(failure.error.clone());
                state.machine.failed(now, failure.retry_after, self.settings.clock.fraction());
                state.last_failure = Some(failure.error);
                false
            }
        };
        if !again {
            state.flight = None;
        }
        // Logging runs code of the user, which may call for the status.
        drop(state);
        held.into_iter().for_each(observe::keys::fetched);
        failed.iter().for_each(observe::keys::not_fetched);
        skipped.iter().for_each(|line| observe::keys::skipped(line));
        self.ended.send_modify(|ended| *ended = ended.wrapping_add(1));
        again
    }

    /// Stores fetched keys, and adds newly skipped entries to `skipped`.
    fn keep(
        &self,
        state: &mut State,
        fetched: Fetched,
        now: Now,
        skipped: &mut Vec<String>,
    ) -> bool {
        let again = state.machine.fetched(now, fetched.lifetime);
        state.memory = fetched.memory;
        state.last_failure = None;
        let held = self.snapshot.load();
        let changed = fetched.keys.as_ref().is_some_and(|keys| !keys.is_same(&held.keys));
        let keys = fetched.keys.unwrap_or_else(|| held.keys.clone());
        if changed {
            *skipped = keys.skipped().to_vec();
        }
        let standing = state.machine.lease().map_or(Standing::Absent, Standing::Until);
        self.snapshot.store(Arc::new(Snapshot { keys, standing }));
        if changed {
            // After the keys: a reader of the new number sees the new keys.
            self.generation.fetch_add(1, Ordering::Release);
        }
        again
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
