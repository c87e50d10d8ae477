//! Random schedules of silences: processes that stop, runtimes that rest, connections that die without
//! a word, answers that come late, rejections that mean nothing, and times in which nobody asks.

use crate::engine::{API, Asked, Reply, TokenService, World, ask, bearer_of, get, millis, seconds};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use proptest::{prelude::*, sample::select};
use std::{
    cell::Cell,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::runtime::{Builder, Runtime};
use tower::{BoxError, Layer, ServiceExt, service_fn, util::BoxCloneSyncService};
use tower_oauth2::{
    AccessToken,
    client::{
        AddBearer, Error, Grant, RefreshPolicy, TokenCache, TokenResponse, TokenState, TokenStatus,
    },
    testing::ManualClock,
};

/// How long an answer takes that is not late.
const PROMPT: Duration = millis_of(20);
/// How long a fetch whose runtime rests is left alone after its deadline.
const GRACE: Duration = millis_of(250);

/// In so many polls a runtime does all that is due.
const POLLS: usize = 8;

const fn millis_of(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

// ---- What may happen.

#[derive(Clone, Copy, Debug)]
enum Step {
    /// On one of the two runtimes, which then rests if this says so.
    Call {
        runtime: usize,
        call: Call,
        rest: Option<Rest>,
    },
    /// What becomes of the next token request that has no fate yet.
    Next(Fate),
    /// The process runs. If nobody asks for so long, all is silent.
    Run(u64),
    Rest(usize, u64),
    Stop(u64),
}

/// A rest that begins after a part of what was to be done.
#[derive(Clone, Copy, Debug)]
struct Rest {
    polls: usize,
    millis: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    /// Of the cache itself.
    Ask,
    /// Of the API, by a request that can be repeated.
    Get,
    /// By one that cannot.
    Stream,
    /// Where every token is rejected.
    Odd,
    /// Where every other call is rejected.
    Stray,
}

/// What becomes of a token request. `carried` means that the server acts on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Prompt,
    Silent { carried: bool },
    Broken { carried: bool },
    Late(u64),
}

/// What the cache fetches with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    ClientCredentials,
    /// A session whose refresh token stays.
    Lasting,
    /// A session whose refresh token is replaced at each use.
    Rotating(Reuse),
}

/// What the server does about a refresh token that was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reuse {
    /// Repeats its answer until the new one is used.
    Repeats,
    Refuses,
    /// Refuses, and ends the session.
    Revokes,
}

#[derive(Clone, Debug)]
struct Schedule {
    seed: u64,
    kind: Kind,
    /// In milliseconds.
    patience: u64,
    deadline: u64,
    interval: u64,
    /// In seconds.
    lifetime: u64,
    steps: Vec<Step>,
}

fn step() -> impl Strategy<Value = Step> {
    let call = || {
        prop_oneof![
            Just(Call::Ask),
            Just(Call::Get),
            Just(Call::Stream),
            Just(Call::Odd),
            Just(Call::Stray)
        ]
    };
    let length =
        || prop_oneof![1..300_u64, 300..5_000_u64, 5_000..60_000_u64, 60_000..4_000_000_u64];
    let rest = (0..12_usize, length()).prop_map(|(polls, millis)| Rest { polls, millis });
    let fate = prop_oneof![
        any::<bool>().prop_map(|carried| Fate::Silent { carried }),
        any::<bool>().prop_map(|carried| Fate::Broken { carried }),
        (100..40_000_u64).prop_map(Fate::Late),
        Just(Fate::Prompt),
    ];
    prop_oneof![
        4 => (0..2_usize, call()).prop_map(|(runtime, call)| Step::Call { runtime, call, rest: None }),
        1 => (0..2_usize, call(), rest)
            .prop_map(|(runtime, call, rest)| Step::Call { runtime, call, rest: Some(rest) }),
        2 => fate.prop_map(Step::Next),
        4 => length().prop_map(Step::Run),
        1 => (0..2_usize, length()).prop_map(|(runtime, millis)| Step::Rest(runtime, millis)),
        1 => length().prop_map(Step::Stop),
    ]
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let kind = select(vec![
        Kind::ClientCredentials,
        Kind::Lasting,
        Kind::Rotating(Reuse::Repeats),
        Kind::Rotating(Reuse::Refuses),
        Kind::Rotating(Reuse::Revokes),
    ]);
    (
        any::<u64>(),
        kind,
        select(vec![0, 300, 2_000, 5_000]),
        select(vec![2_000, 30_000]),
        select(vec![1_000, 3_000]),
        select(vec![30, 600]),
        prop::collection::vec(step(), 1..40),
    )
        .prop_map(|(seed, kind, patience, deadline, interval, lifetime, steps)| Schedule {
            seed,
            kind,
            patience,
            deadline,
            interval,
            lifetime,
            steps,
        })
}

// ---- The server.

thread_local! {
    /// The runtime that is polled.
    static POLLED: Cell<usize> = const { Cell::new(0) };
}

/// What the server knows, and what the client may know of it.
#[derive(Default)]
struct Server {
    /// What becomes of the next requests.
    fates: Vec<Fate>,
    /// The newest refresh token.
    newest: u64,
    is_revoked: bool,
    /// The newest refresh token that reached the client.
    delivered: u64,
    /// The client knows that its newest refresh token was refused.
    has_ended: bool,
    /// How often that came to be known.
    ends: u64,
    requests: u64,
    /// Requests without an answer yet.
    open: Vec<Open>,
    /// How many attempts the schedule made fail.
    losses: u64,
    /// What the client did wrong.
    wrongs: Vec<String>,
}

struct Open {
    request: u64,
    sent: Option<u64>,
    runtime: usize,
    is_bad: bool,
    /// Its runtime rested meanwhile, so that the client may have given it up.
    rested: bool,
}

/// A request that is on its way until this is dropped.
struct OnItsWay(Arc<Mutex<Server>>, u64);

impl Drop for OnItsWay {
    fn drop(&mut self) {
        let mut server = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        server.open.retain(|open| open.request != self.1);
    }
}

fn refresh_token_of(form: &str) -> Option<u64> {
    let token = form.split('&').find_map(|part| part.strip_prefix("refresh_token=R"));
    token.map(|number| number.parse().unwrap())
}

impl Server {
    fn received(&mut self, sent: Option<u64>, schedule: &Schedule) -> u64 {
        self.requests += 1;
        let runtime = POLLED.get();
        if let Some(sent) = sent.filter(|sent| *sent != self.delivered) {
            self.wrongs.push(format!("sent R{sent} and has R{}", self.delivered));
        }
        for other in self.open.iter().filter(|open| !open.rested) {
            self.wrongs.push(format!("R{:?} is still under way", other.sent));
        }
        let fate = self.fates.first().copied().unwrap_or(Fate::Prompt);
        let (deadline, lifetime) = (schedule.deadline, schedule.lifetime * 1_000);
        self.losses += u64::from(match fate {
            Fate::Prompt => false,
            Fate::Silent { .. } | Fate::Broken { .. } => true,
            Fate::Late(takes) => takes >= deadline.min(lifetime / 2),
        });
        let (request, is_bad) = (self.requests, fate != Fate::Prompt);
        self.open.push(Open { request, sent, runtime, is_bad, rested: false });
        request
    }

    fn answer(&mut self, form: &str, schedule: &Schedule) -> Reply {
        let fate = if self.fates.is_empty() { Fate::Prompt } else { self.fates.remove(0) };
        match fate {
            Fate::Prompt => self.act(form, schedule).takes(PROMPT),
            Fate::Late(takes) => self.act(form, schedule).takes(millis(takes)),
            Fate::Silent { carried } => {
                if carried {
                    self.act(form, schedule);
                }
                Reply::broken().hangs()
            }
            Fate::Broken { carried } => {
                if carried {
                    self.act(form, schedule);
                }
                Reply::broken().takes(PROMPT)
            }
        }
    }

    fn act(&mut self, form: &str, schedule: &Schedule) -> Reply {
        let text = format!("T{}", self.requests);
        let Kind::Rotating(reuse) = schedule.kind else {
            return Reply::token(&text, schedule.lifetime);
        };
        let sent = refresh_token_of(form).unwrap();
        if sent == self.newest && !self.is_revoked {
            self.newest += 1;
        } else if reuse != Reuse::Repeats || sent + 1 != self.newest {
            self.is_revoked |= reuse == Reuse::Revokes;
            return Reply::refusal(400, "invalid_grant");
        }
        Reply::rotated(&text, &format!("R{}", self.newest), schedule.lifetime)
    }

    /// Compares what the cache says with what was asked and answered.
    fn check(&self, status: &TokenStatus) {
        assert_eq!(self.wrongs, Vec::<String>::new());
        assert!(self.requests <= status.fetches(), "a request without a fetch");
        assert!(status.failed() <= self.losses, "a fetch failed that nobody lost");
        let has_ended = status.state() == TokenState::SignInNeeded;
        assert!(!has_ended || self.has_ended, "the session ended by itself");
    }

    /// The client has this answer to the request that sent the refresh token `sent`.
    fn delivered(&mut self, sent: Option<u64>, body: &[u8]) {
        let body: serde_json::Value = serde_json::from_slice(body).unwrap();
        if let Some(new) = body["refresh_token"].as_str() {
            let new = new[1..].parse().unwrap();
            // A late answer brings a session back.
            self.has_ended &= new <= self.delivered;
            self.delivered = self.delivered.max(new);
        }
        if body["error"] == "invalid_grant" {
            self.losses += 1;
            let ends = sent == Some(self.delivered);
            self.has_ended |= ends;
            self.ends += u64::from(ends);
        }
    }
}

/// The token endpoint of `world`, as far as the network lets it be seen.
fn network(world: &World, server: &Arc<Mutex<Server>>, schedule: &Schedule) -> TokenService {
    let (inner, server, schedule) = (world.service(), server.clone(), schedule.clone());
    BoxCloneSyncService::new(service_fn(move |request: Request<Full<Bytes>>| {
        let (inner, server, schedule) = (inner.clone(), server.clone(), schedule.clone());
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let sent = refresh_token_of(std::str::from_utf8(&body).unwrap());
            let number = server.lock().unwrap().received(sent, &schedule);
            let on_its_way = OnItsWay(server.clone(), number);
            let response = inner.oneshot(Request::from_parts(head, body.into())).await?;
            drop(on_its_way);
            let (head, body) = response.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            server.lock().unwrap().delivered(sent, &body);
            Ok(Response::from_parts(head, body.into()))
        }
    }))
}

// ---- The client.

type ApiBody = UnsyncBoxBody<Bytes, Infallible>;
type Api = BoxCloneSyncService<Request<ApiBody>, Response<Full<Bytes>>, BoxError>;

/// An API that likes every token, and rejects some all the same.
fn api(cache: &TokenCache) -> Api {
    let strays = Arc::new(Mutex::new(0_u32));
    let api = service_fn(move |request: Request<ApiBody>| {
        let stray = {
            let mut strays = strays.lock().unwrap();
            *strays += u32::from(request.uri().path() == "/stray");
            request.uri().path() == "/stray" && *strays % 2 == 1
        };
        let rejects = stray || request.uri().path() == "/odd" || bearer_of(&request).is_empty();
        let response = Response::builder().status(if rejects { 401 } else { 200 });
        async move { Ok::<_, Infallible>(response.body(Full::default()).unwrap()) }
    });
    let layer = AddBearer::from_source(cache.clone(), API).unwrap();
    BoxCloneSyncService::new(layer.layer(api))
}

impl Call {
    async fn make(self, cache: TokenCache, api: Api) -> Result<u16, Error> {
        let path = match self {
            Self::Ask => return ask(&cache).await.map(|_| 200),
            Self::Get | Self::Stream => "/good",
            Self::Odd => "/odd",
            Self::Stray => "/stray",
        };
        let is_stream = self == Self::Stream;
        let body = move |()| if is_stream { Full::from("chunk") } else { Full::default() };
        let mut request = get().map(|_| ()).map(body).map(BodyExt::boxed_unsync);
        *request.uri_mut() = format!("{API}{path}").parse().unwrap();
        let response = api.oneshot(request).await;
        response.map(|it| it.status().as_u16()).map_err(|error| *error.downcast().unwrap())
    }

    /// How often it waits for a token.
    fn waits(self) -> u32 {
        if matches!(self, Self::Odd | Self::Stray) { 2 } else { 1 }
    }
}

/// The time since the beginning, and the part of it in which the process ran.
#[derive(Clone)]
struct Watch {
    clock: ManualClock,
    start: Instant,
    stopped: Arc<Mutex<Duration>>,
}

impl Watch {
    fn now(&self) -> Duration {
        self.clock.clock().monotonic() - self.start
    }

    fn ran(&self) -> Duration {
        self.now() - *self.stopped.lock().unwrap()
    }
}

struct Caller {
    call: Call,
    runtime: usize,
    progress: Arc<Mutex<Progress>>,
    /// How long its runtime rested since it was made.
    rested: Duration,
    /// Something was lost while it waited.
    excused: bool,
    seen: bool,
}

#[derive(Default)]
struct Progress {
    /// By the time that the process ran.
    began: Option<Duration>,
    outcome: Option<Result<u16, Error>>,
}

/// An upper bound of the pause after a row of failures.
#[derive(Default)]
struct Row {
    tried: Duration,
    failed_at: Option<Duration>,
    pause: Duration,
}

struct Run<'a> {
    schedule: &'a Schedule,
    watch: Watch,
    server: Arc<Mutex<Server>>,
    cache: TokenCache,
    api: Api,
    runtimes: [Runtime; 2],
    /// Until when each rests.
    rests: [Option<Duration>; 2],
    callers: Vec<Caller>,
    /// When fetches were started, and on which runtime the last.
    starts: Vec<Duration>,
    owner: usize,
    /// The fetch in flight cannot but be late.
    is_late: bool,
    failed: u64,
    row: Row,
    excused_until: Duration,
    log: Vec<String>,
}

impl<'a> Run<'a> {
    fn new(schedule: &'a Schedule) -> Self {
        let clock = ManualClock::seeded(schedule.seed);
        let server = Arc::new(Mutex::new(Server::default()));
        let script = {
            let (server, schedule) = (server.clone(), schedule.clone());
            move |asked: &Asked| server.lock().unwrap().answer(&asked.form, &schedule)
        };
        let world = World::with_clock(clock.clone(), script);
        let endpoint = world.endpoint_over(network(&world, &server, schedule));
        let policy = RefreshPolicy::default()
            .with_patience(millis(schedule.patience))
            .with_fetch_deadline(millis(schedule.deadline))
            .with_min_interval(millis(schedule.interval));
        let cache = if schedule.kind == Kind::ClientCredentials {
            let grant = Grant::client_credentials();
            TokenCache::new_with_clock(endpoint, grant, policy, clock.clock())
        } else {
            let response = TokenResponse::new(AccessToken::new("T0").unwrap())
                .with_lifetime(seconds(schedule.lifetime))
                .with_refresh_token("R0");
            TokenCache::from_sign_in(endpoint, &response, policy, clock.clock())
        };
        let runtime = || Builder::new_current_thread().build().unwrap();
        let start = clock.clock().monotonic();
        Self {
            schedule,
            watch: Watch { clock, start, stopped: Arc::default() },
            server,
            api: api(&cache),
            cache,
            runtimes: [runtime(), runtime()],
            rests: [None; 2],
            callers: Vec::new(),
            starts: Vec::new(),
            owner: 0,
            is_late: false,
            failed: 0,
            row: Row::default(),
            excused_until: Duration::ZERO,
            log: Vec::new(),
        }
    }

    fn carry_out(mut self) -> Vec<String> {
        for step in self.schedule.steps.clone() {
            self.log.push(format!("{:?} {step:?}", self.watch.now()));
            match step {
                Step::Call { runtime, call, rest } => self.call(runtime, call, rest),
                Step::Next(fate) => self.server.lock().unwrap().fates.push(fate),
                Step::Run(length) => self.run(millis(length)),
                Step::Rest(runtime, length) => self.rest(runtime, millis(length)),
                Step::Stop(length) => self.stop(millis(length)),
            }
        }
        self.rests = [None; 2];
        self.settle();
        self.run(seconds(600));
        assert!(self.callers.iter().all(|caller| caller.seen), "a caller waits for ever");
        self.log
    }

    fn call(&mut self, runtime: usize, call: Call, rest: Option<Rest>) {
        let (progress, watch) = (Arc::new(Mutex::new(Progress::default())), self.watch.clone());
        let (cache, api, shared) = (self.cache.clone(), self.api.clone(), progress.clone());
        let state = self.cache.status().state();
        drop(self.runtimes[runtime].spawn(async move {
            shared.lock().unwrap().began = Some(watch.ran());
            let outcome = call.make(cache, api).await;
            shared.lock().unwrap().outcome = Some(outcome);
        }));
        let (rested, excused, seen) = (Duration::ZERO, false, false);
        self.callers.push(Caller { call, runtime, progress, rested, excused, seen });
        if self.rests[runtime].is_some() {
            return;
        }
        if let Some(rest) = rest {
            self.poll(runtime, rest.polls);
            return self.rest(runtime, millis(rest.millis));
        }
        self.settle();
        // A good token is there at once, and one that is good enough for calls that can be repeated.
        let at_once = match call {
            Call::Get => matches!(state, TokenState::Fresh | TokenState::Stale),
            Call::Ask | Call::Stream => state == TokenState::Fresh,
            Call::Odd | Call::Stray => false,
        };
        let caller = self.callers.last().unwrap();
        let progress = caller.progress.lock().unwrap();
        let is_good = matches!(progress.outcome, Some(Ok(200)));
        assert!(!at_once || is_good, "{call:?} waits although a token is {state:?}");
    }

    fn rest(&mut self, runtime: usize, length: Duration) {
        let until = self.watch.now() + length;
        self.rests[runtime] = self.rests[runtime].max(Some(until));
        for open in &mut self.server.lock().unwrap().open {
            open.rested |= open.runtime == runtime;
        }
        self.note_rests();
    }

    /// A fetch whose runtime rests may be given up.
    fn note_rests(&mut self) {
        if !self.is_late && self.rests[self.owner].is_some() && self.cache.status().is_fetching() {
            self.is_late = true;
            self.server.lock().unwrap().losses += 1;
        }
    }

    fn stop(&mut self, length: Duration) {
        let cannot_last = length + GRACE >= seconds(self.schedule.lifetime) / 2;
        if cannot_last && self.cache.status().is_fetching() && !self.is_late {
            self.is_late = true;
            self.server.lock().unwrap().losses += 1;
        }
        *self.watch.stopped.lock().unwrap() += length;
        self.watch.clock.stop_for(length);
        self.wake_runtimes();
        self.settle();
    }

    /// Lets time pass, from one timer to the next.
    fn run(&mut self, length: Duration) {
        let end = self.watch.now() + length;
        while self.watch.now() < end {
            let now = self.watch.now();
            let timer = self.watch.clock.next_timer().map(|at| at - self.watch.start);
            let next = [timer, self.rests[0], self.rests[1], Some(end)];
            let next = next.into_iter().flatten().filter(|at| *at > now).min().unwrap();
            for caller in self.callers.iter_mut().filter(|caller| !caller.seen) {
                if self.rests[caller.runtime].is_some() {
                    caller.rested += next - now;
                }
            }
            self.watch.clock.advance(next - now);
            self.wake_runtimes();
            self.settle();
        }
    }

    fn wake_runtimes(&mut self) {
        let now = self.watch.now();
        for rest in &mut self.rests {
            rest.take_if(|until| *until <= now);
        }
    }

    /// Lets the runtimes that do not rest do what is due.
    fn settle(&mut self) {
        for _ in 0..2 {
            for runtime in 0..2 {
                if self.rests[runtime].is_none() {
                    self.poll(runtime, POLLS);
                }
            }
        }
        self.check_patience();
    }

    fn poll(&mut self, runtime: usize, times: usize) {
        self.excuse();
        let ends = self.ends();
        POLLED.set(runtime);
        self.runtimes[runtime].block_on(async {
            for _ in 0..times {
                tokio::task::yield_now().await;
            }
        });
        self.observe(runtime);
        self.excuse();
        self.check_callers(ends.0 || ends != self.ends());
    }

    fn ends(&self) -> (bool, u64) {
        let server = self.server.lock().unwrap();
        (server.has_ended, server.ends)
    }

    /// Looks at what the cache did while `runtime` was polled.
    fn observe(&mut self, runtime: usize) {
        let (now, status) = (self.watch.now(), self.cache.status());
        while self.failed < status.failed() {
            self.failed += 1;
            self.row.failed(now, &self.starts, millis(self.schedule.deadline));
            let last = self.starts.last().copied().unwrap_or_default();
            let pause = (now + self.row.pause).max(last + millis(self.schedule.interval));
            self.excused_until = self.excused_until.max(pause);
        }
        if status.last_error().is_none() {
            self.row = Row::default();
        }
        while (self.starts.len() as u64) < status.fetches() {
            self.starts.push(now);
            (self.owner, self.is_late) = (runtime, false);
            self.log.push(format!("{now:?} fetch {} on {runtime}", self.starts.len()));
        }
        self.note_rests();
        self.server.lock().unwrap().check(&status);
        let interval = millis(self.schedule.interval);
        let is_slow = |three: &[Duration]| three[2] - three[0] >= interval;
        assert!(self.starts.windows(3).all(is_slow), "too many fetches: {:?}", self.starts);
    }

    /// Excuses the callers that wait while something is lost.
    fn excuse(&mut self) {
        let server = self.server.lock().unwrap();
        let rests = self.cache.status().is_fetching() && self.is_late;
        let is_bad = server.open.iter().any(|open| open.is_bad);
        let is_lost = rests || is_bad || server.has_ended || self.watch.now() < self.excused_until;
        for caller in self.callers.iter_mut().filter(|caller| !caller.seen) {
            caller.excused |= is_lost;
        }
    }

    /// Looks at what callers got. `has_ended`: the session ended, if a late answer did not bring it
    /// back.
    fn check_callers(&mut self, has_ended: bool) {
        let now = self.watch.now();
        for (number, caller) in self.callers.iter_mut().enumerate().filter(|(_, it)| !it.seen) {
            let progress = caller.progress.lock().unwrap();
            let Some(outcome) = &progress.outcome else { continue };
            caller.seen = true;
            self.log.push(format!("{now:?} call {number}: {outcome:?}"));
            if let Err(error) = outcome {
                let is_ended = error.is_sign_in_needed();
                assert!(!is_ended || has_ended, "call {number}: the session ended by itself");
                assert!(
                    caller.excused || has_ended,
                    "{now:?}: call {number} failed for nothing: {error}"
                );
            }
        }
    }

    fn check_patience(&self) {
        let (patience, deadline) = (millis(self.schedule.patience), millis(self.schedule.deadline));
        // Without patience of its own, for the fetch in flight, and the one that replaces it.
        let wait = if patience.is_zero() { (deadline + GRACE) * 2 } else { patience };
        for (number, caller) in self.callers.iter().enumerate().filter(|(_, it)| !it.seen) {
            let began = caller.progress.lock().unwrap().began;
            let Some(began) = began.filter(|_| self.rests[caller.runtime].is_none()) else {
                continue;
            };
            let one_wait = caller.call.waits() == 1 && !patience.is_zero();
            let rested = if one_wait { Duration::ZERO } else { caller.rested };
            let most = wait * caller.call.waits() + rested;
            let waited = self.watch.ran() - began;
            assert!(waited < most, "call {number} has waited for {waited:?}");
        }
    }
}

impl Row {
    fn failed(&mut self, now: Duration, starts: &[Duration], deadline: Duration) {
        let started = starts.last().copied().unwrap_or_default();
        let idle = self.failed_at.map_or(Duration::ZERO, |at| started.saturating_sub(at));
        self.tried += idle.min(self.pause * 2) + (now - started).min(deadline);
        self.pause = (self.tried / 5).clamp(seconds(1), seconds(30));
        self.failed_at = Some(now);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_silence_costs_callers_no_more_than_the_attempt_that_was_lost(schedule in schedule()) {
        let log = Run::new(&schedule).carry_out();
        prop_assert_eq!(log, Run::new(&schedule).carry_out());
    }
}

/// The renewal that is given up has its answer, and gets it as the next one begins.
#[test]
fn a_renewal_sends_no_refresh_token_that_was_replaced_as_it_began() {
    let schedule = Schedule {
        seed: 0,
        kind: Kind::Rotating(Reuse::Repeats),
        patience: 300,
        deadline: 2_000,
        interval: 1_000,
        lifetime: 30,
        steps: vec![
            Step::Next(Fate::Silent { carried: false }),
            Step::Call {
                runtime: 0,
                call: Call::Odd,
                rest: Some(Rest { polls: 6, millis: 2_000 }),
            },
            Step::Run(2_828),
            Step::Call { runtime: 0, call: Call::Ask, rest: Some(Rest { polls: 8, millis: 1 }) },
            Step::Call { runtime: 0, call: Call::Ask, rest: None },
            Step::Rest(0, 1_000_000),
            Step::Run(5_000),
            Step::Call { runtime: 0, call: Call::Ask, rest: None },
            Step::Call { runtime: 1, call: Call::Get, rest: None },
            Step::Run(300),
        ],
    };
    Run::new(&schedule).carry_out();
}
