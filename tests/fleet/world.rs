//! A fleet in one thread: events in the order of their time, and between them nothing but timers.

use crate::{
    faults::{Draw, Fault, Kind, mix},
    invariants::Log,
    net::{Body, Call, Place, Shared, State, whole},
    plan::Plan,
    replica::{PASSWORD, Replica, endpoint, sessions},
    report::{Invariant, Report},
};
use http::{Request, StatusCode};
use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::runtime::Builder;
use tower::ServiceExt;
use tower_oauth2::{
    client::TokenResponse,
    testing::{AuthorizationServer, InMemoryStore, ManualClock, RegisteredClient},
};

/// Nothing happens at the end for so long, before the fleet is looked at.
const QUIET: Duration = Duration::from_secs(60);
pub(crate) const CLOCK_STEP: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Call(usize),
    Herd,
    /// Of the plan's fault with this number.
    Begins(usize),
    Ends(usize),
}

struct World<'a> {
    plan: &'a Plan,
    shared: Arc<Shared>,
    server_clock: ManualClock,
    store: InMemoryStore,
    /// It loses nothing.
    sessions: InMemoryStore,
    store_clock: ManualClock,
    replicas: Vec<Option<Replica>>,
    /// How often each began.
    lives: Vec<u64>,
    draws: Vec<Draw>,
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    next_event: u64,
    next_call: u64,
}

/// Runs `plan` to its end.
pub(crate) fn run(plan: &Plan) -> Report {
    let mut world = World::new(plan);
    while world.step() {}
    world.end()
}

impl<'a> World<'a> {
    fn new(plan: &'a Plan) -> Self {
        let server_clock = ManualClock::seeded(mix(plan.seed));
        let store_clock = ManualClock::seeded(mix(plan.seed));
        let server = AuthorizationServer::new().with_clock(server_clock.clock());
        server.register_client(RegisteredClient::confidential("app", "s3cr3t"));
        for user in 0..plan.users {
            server.register_user(format!("u{user}"), PASSWORD, "read".parse().unwrap());
        }
        server.set_access_token_lifetime(Some(plan.lifetime));
        let peers = (0..plan.replicas).map(|_| None).collect();
        let log = Log::new(plan.clone());
        let state = State { log, faults: Vec::new(), woken: BTreeSet::new(), peers };
        let state = Mutex::new(state);
        let shared = Arc::new(Shared { server, server_takes: plan.server_takes, state });
        let store = InMemoryStore::new().with_clock(store_clock.clock());
        let sessions = InMemoryStore::new().with_clock(store_clock.clock());
        let stores = [&store, &sessions];
        let start = |index| Some(Replica::start(plan, &shared, stores, (index, 0)));
        let mut world = Self {
            plan,
            replicas: (0..plan.replicas).map(start).collect(),
            lives: vec![0; plan.replicas],
            draws: (0..plan.replicas).map(|index| Draw::new(plan.seed, 2 + index as u64)).collect(),
            shared,
            server_clock,
            store,
            sessions,
            store_clock,
            events: BinaryHeap::new(),
            next_event: 0,
            next_call: 0,
        };
        (0..plan.users).filter(|user| plan.has_session(*user)).for_each(|user| world.sign_in(user));
        for index in 0..plan.replicas {
            let first = world.draws[index].wait(plan.calls_every);
            world.at(first, Event::Call(index));
        }
        plan.herds.iter().for_each(|at| world.at(*at, Event::Herd));
        for (number, fault) in plan.faults.iter().enumerate() {
            world.at(fault.at, Event::Begins(number));
            world.at(fault.end(), Event::Ends(number));
        }
        world
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }

    fn at(&mut self, time: Duration, event: Event) {
        self.next_event += 1;
        self.events.push(Reverse((time, self.next_event, event)));
    }

    fn is_paused(&self, replica: usize) -> bool {
        let stands = |fault: &Fault| fault.kind == Kind::Pause && fault.replica == replica;
        self.state().faults.iter().any(stands)
    }

    /// Goes on to the next event or timer. Returns `false` if that is after the end.
    fn step(&mut self) -> bool {
        let paused: Vec<bool> =
            (0..self.plan.replicas).map(|index| self.is_paused(index)).collect();
        let due = |(index, replica): (usize, &Option<Replica>)| {
            replica.as_ref().filter(|_| !paused[index]).and_then(|replica| replica.due)
        };
        let timers = self.replicas.iter().enumerate().filter_map(due);
        let event = self.events.peek().map(|Reverse((time, ..))| *time);
        let Some(next) = timers.chain(event).min() else { return false };
        let before = self.state().log.now;
        if next > self.plan.lasts + QUIET {
            return false;
        }
        let now = next.max(before);
        self.server_clock.advance(now - before);
        self.store_clock.advance(now - before);
        {
            let mut state = self.shared.state.lock().unwrap();
            state.log.now = now;
            for (index, replica) in self.replicas.iter().enumerate() {
                if replica.as_ref().and_then(|replica| replica.due).is_some_and(|due| due <= now) {
                    state.woken.insert(index);
                }
            }
        }
        while let Some(Reverse((time, _, event))) = self.events.peek().copied()
            && time <= now
        {
            self.events.pop();
            self.apply(now, event);
            self.settle(now);
        }
        self.settle(now);
        let signed_out = std::mem::take(&mut self.state().log.signed_out);
        signed_out.into_iter().for_each(|user| self.sign_in(user));
        true
    }

    /// Signs a user in, at no replica in particular.
    fn sign_in(&mut self, user: u32) {
        let form = format!("grant_type=password&username=u{user}&password={PASSWORD}&scope=read");
        let request = Request::post("https://as.example/token")
            .header("authorization", "Basic YXBwOnMzY3IzdA==")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(form))
            .unwrap();
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let Ok(response) = self.shared.server.clone().oneshot(request).await;
            if response.status() != StatusCode::OK {
                // It is down. The next call finds that, too.
                return;
            }
            let response = TokenResponse::from_json(&whole(response.into_body()).await).unwrap();
            {
                let mut state = self.shared.state.lock().unwrap();
                state.log.issued(user, response.access_token().expose());
                state.log.signed_in(user, response.refresh_token().unwrap().expose());
            }
            let clock = self.store_clock.clock();
            let place = Place { replica: usize::MAX, clock, shared: self.shared.clone() };
            let sessions = sessions(endpoint(&place), Arc::new(self.sessions.clone()));
            sessions.sign_in(&format!("u{user}"), &response).await.unwrap();
        });
    }

    /// Runs the replicas that have something to do, until none has.
    fn settle(&mut self, now: Duration) {
        loop {
            let Some(index) = self.state().woken.pop_first() else { return };
            if self.is_paused(index) {
                continue;
            }
            if let Some(replica) = &mut self.replicas[index] {
                replica.run(now);
            }
        }
    }

    fn apply(&mut self, now: Duration, event: Event) {
        match event {
            Event::Call(from) => {
                let wait = self.draws[from].wait(self.plan.calls_every);
                let to = self.draws[from].below(self.plan.replicas);
                let user = self.draws[from].below(self.plan.users as usize) as u32;
                self.call(from, to, user);
                if now + wait < self.plan.lasts {
                    self.at(now + wait, Event::Call(from));
                }
            }
            Event::Herd => {
                for from in 0..self.plan.replicas {
                    self.call(from, (from + 1) % self.plan.replicas, 0);
                }
            }
            Event::Begins(number) => {
                let fault = self.plan.faults[number];
                self.state().faults.push(fault);
                self.begin(now, &fault);
            }
            Event::Ends(number) => {
                let fault = self.plan.faults[number];
                let mut state = self.state();
                let at = state.faults.iter().position(|other| *other == fault).unwrap();
                state.faults.remove(at);
                let same =
                    |other: &Fault| other.kind == fault.kind && other.concerns(fault.replica);
                let is_over = !state.faults.iter().any(same);
                drop(state);
                if is_over {
                    self.finish(now, &fault);
                }
            }
        }
    }

    fn call(&mut self, from: usize, to: usize, user: u32) {
        let is_paused = self.is_paused(from);
        let Some(replica) = self.replicas[from].as_mut().filter(|_| !is_paused) else { return };
        self.next_call += 1;
        let call = Call { number: self.next_call, from, to, user };
        let mut state = self.shared.state.lock().unwrap();
        replica.advance(state.log.now);
        state.log.called(call);
        state.woken.insert(from);
        drop(state);
        replica.call(call);
    }

    fn begin(&mut self, now: Duration, fault: &Fault) {
        let server = &self.shared.server;
        match fault.kind {
            Kind::Crash => {
                let mut state = self.shared.state.lock().unwrap();
                state.peers[fault.replica] = None;
                state.log.crashed(fault.replica);
                drop(state);
                self.replicas[fault.replica] = None;
            }
            Kind::ClockAhead | Kind::ClockBehind => {
                if let Some(replica) = &mut self.replicas[fault.replica] {
                    replica.advance(now);
                    replica.step_clock(CLOCK_STEP, fault.kind == Kind::ClockBehind);
                }
            }
            Kind::ServerDown => server.go_down(),
            Kind::StoreDown | Kind::StoreEmptied => self.store.lose(),
            Kind::StoreGarbage => self.store.overwrite(b"garbage"),
            Kind::RevokeAll => server.revoke_all(),
            Kind::RevokeNewest => {
                let user = fault.replica as u32 % self.plan.users;
                let Some(token) = self.state().log.newest(user) else { return };
                self.shared.server.revoke(&token);
                for replica in self.replicas.iter_mut().flatten() {
                    replica.revocations.revoke_token(&token, None).unwrap();
                }
            }
            _ => {}
        }
    }

    fn finish(&mut self, now: Duration, fault: &Fault) {
        match fault.kind {
            Kind::Crash => {
                let life = &mut self.lives[fault.replica];
                *life += 1;
                let which = (fault.replica, *life);
                let stores = [&self.store, &self.sessions];
                let replica = Replica::start(self.plan, &self.shared, stores, which);
                self.replicas[fault.replica] = Some(replica);
            }
            Kind::Pause => {
                if let Some(replica) = &mut self.replicas[fault.replica] {
                    replica.resume(now);
                    self.state().woken.insert(fault.replica);
                }
            }
            Kind::ClockAhead | Kind::ClockBehind => {
                if let Some(replica) = &mut self.replicas[fault.replica] {
                    replica.advance(now);
                    replica.step_clock(Duration::ZERO, false);
                }
            }
            Kind::ServerDown => self.shared.server.come_back(),
            _ => {}
        }
    }

    fn end(self) -> Report {
        let users = self.plan.users as usize;
        let mut notes = Vec::new();
        for (index, replica) in self.replicas.iter().enumerate() {
            let Some(replica) = replica else { continue };
            if replica.due.is_some() || replica.tasks() > 0 {
                notes.push(format!("replica {index} has {} tasks", replica.tasks()));
            }
            if replica.pool.len() > users {
                notes.push(format!("replica {index} has {} caches", replica.pool.len()));
            }
        }
        if self.store.keys().len() > users || !self.store.leased_keys().is_empty() {
            notes.push(format!("{:?}, leased {:?}", self.store, self.store.leased_keys()));
        }
        let mut state = self.state();
        notes.into_iter().for_each(|note| state.log.breach(Invariant::NothingIsLeft, note));
        state.log.over();
        std::mem::take(&mut state.log.report)
    }
}
