//! One replica: a runtime, a clock, and the layers of the crate as a service has them.

use crate::{
    faults::mix,
    net::{Api, Body, Call, Client, Place, Shared, whole},
    plan::{Plan, Store},
    report::End,
    store::FarStore,
};
use http::{Request, Response};
use std::{
    convert::Infallible,
    future::poll_fn,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, Waker},
    time::{Duration, Instant, SystemTime},
};
use tokio::runtime::{Builder, Runtime};
use tower::{Layer, ServiceExt, service_fn};
use tower_oauth2::{
    ClientAuthentication, ClientSecret, Transport,
    client::{
        AddBearer, Error, Grant, RefreshPolicy, SessionStore, SharedSessions, StoreKeys,
        StorePolicy, TokenCache, TokenEndpoint, TokenPool,
    },
    server::{Authenticated, RequireToken},
    testing::{InMemoryStore, ManualClock},
    validate::{Cached, Introspection, Revocations},
};

pub(crate) const PASSWORD: &str = "pw";

/// The wall clock of a replica is good to a minute.
const LEEWAY: Duration = Duration::from_secs(150);

#[derive(Default)]
struct Idle {
    is_idle: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

pub(crate) struct Replica {
    runtime: Runtime,
    idle: Arc<Idle>,
    clock: ManualClock,
    /// What the clock showed when the replica began, and when that was.
    began: (Instant, Duration),
    /// What the clock shows, as a time of the world.
    at: Duration,
    /// The wall clock at the beginning of the world, as this replica has it.
    wall: SystemTime,
    /// When the next timer is due.
    pub(crate) due: Option<Duration>,
    client: Client,
    pub(crate) api: Api,
    pub(crate) pool: TokenPool<u32>,
    pub(crate) revocations: Revocations,
    place: Place,
}

impl Replica {
    /// Starts the replica `index` for the `life`th time.
    pub(crate) fn start(
        plan: &Plan,
        shared: &Arc<Shared>,
        stores: [&InMemoryStore; 2],
        (index, life): (usize, u64),
    ) -> Self {
        let at = shared.state.lock().unwrap().log.now;
        let idle = Arc::new(Idle::default());
        let runtime = Builder::new_current_thread()
            .on_thread_park({
                let idle = idle.clone();
                move || {
                    if let Some(waker) = idle.waker.lock().unwrap().take() {
                        idle.is_idle.store(true, Ordering::Relaxed);
                        waker.wake();
                    }
                }
            })
            .build()
            .unwrap();
        let numbers = mix(plan.seed ^ mix(index as u64) ^ mix(life << 32));
        let clock = ManualClock::seeded(numbers);
        // Half of the replicas are ahead, by up to `skew`, the others are behind.
        let skew = plan.skew.mul_f64(((numbers >> 20) % 1001) as f64 / 1000.0);
        let start = clock.clock().wall();
        let wall = if index % 2 == 0 { start + skew } else { start - skew };
        let place = Place { replica: index, clock: clock.clock(), shared: shared.clone() };
        let pool = pool(plan, &place, stores);
        let layer = AddBearer::from_source(pool.clone(), "https://api.example").unwrap();
        let layer = layer.with_clock(clock.clock());
        let client = Client::new(layer.layer(place.to_api()));
        let revocations = Revocations::new().with_clock(clock.clock());
        let api = api(&place, &revocations);
        let began = (clock.clock().monotonic(), at);
        let replica = Self {
            runtime,
            idle,
            clock,
            began,
            at,
            wall,
            due: None,
            client,
            api,
            pool,
            revocations,
            place,
        };
        replica.step_clock(Duration::ZERO, false);
        shared.state.lock().unwrap().peers[index] =
            Some((replica.runtime.handle().clone(), replica.api.clone()));
        replica
    }

    /// Sets the wall clock to `by` ahead or behind of what this replica has otherwise.
    pub(crate) fn step_clock(&self, by: Duration, is_behind: bool) {
        let wall = self.wall + self.at;
        self.clock.set_wall(if is_behind { wall - by } else { wall + by });
    }

    /// Moves the clock to `now`.
    pub(crate) fn advance(&mut self, now: Duration) {
        if now > self.at {
            self.clock.advance(now - self.at);
            self.at = now;
        }
    }

    /// Moves the clock to `now`, after a time in which the replica stood still.
    pub(crate) fn resume(&mut self, now: Duration) {
        self.clock.stop_for(now - self.at);
        self.at = now;
    }

    /// Runs until every task waits.
    pub(crate) fn run(&mut self, now: Duration) {
        self.advance(now);
        let idle = &self.idle;
        self.runtime.block_on(poll_fn(|cx| {
            if idle.is_idle.swap(false, Ordering::Relaxed) {
                return Poll::Ready(());
            }
            *idle.waker.lock().unwrap() = Some(cx.waker().clone());
            Poll::Pending
        }));
        self.due = self.clock.next_timer().map(|due| due - self.began.0 + self.began.1);
    }

    /// Begins a call.
    pub(crate) fn call(&self, call: Call) {
        let mut request = Request::get("https://api.example/me").body(Body::default()).unwrap();
        request.extensions_mut().insert(call);
        let (client, place) = (self.client.clone(), self.place.clone());
        self.runtime.spawn(async move {
            let end = match client.oneshot(request).await {
                Ok(response) => {
                    let (head, body) = response.into_parts();
                    let body = String::from_utf8(whole(body).await.to_vec()).unwrap();
                    End::Answered(head.status, body)
                }
                Err(error) => match error.downcast_ref::<Error>() {
                    Some(error) => End::NoToken {
                        has_time: error.retry_after().is_some(),
                        signed_out: error.is_sign_in_needed(),
                    },
                    None => End::Disconnected,
                },
            };
            place.log(|log| log.ended(call, &end));
        });
    }

    /// Returns how many tasks are not over.
    pub(crate) fn tasks(&self) -> usize {
        self.runtime.metrics().num_alive_tasks()
    }
}

pub(crate) fn endpoint(place: &Place) -> TokenEndpoint {
    let transport = Transport::new(place.to_server()).with_clock(place.clock.clone());
    let client = ClientAuthentication::basic("app", "s3cr3t");
    TokenEndpoint::new("https://as.example/token", client, transport).unwrap()
}

/// The sessions in `store`, as a replica at `endpoint` has them.
pub(crate) fn sessions(endpoint: TokenEndpoint, store: Arc<dyn SessionStore>) -> SharedSessions {
    let keys = StoreKeys::new(&[8; 32]).unwrap();
    SharedSessions::new(endpoint, store, keys, "pepper")
}

/// A cache of each user: of a password, or, for those who have signed in, of their session.
fn pool(plan: &Plan, place: &Place, [store, session_store]: [&InMemoryStore; 2]) -> TokenPool<u32> {
    let endpoint = endpoint(place);
    let flaw = match plan.store {
        Store::None => None,
        Store::Sound => Some(None),
        Store::Flawed(flaw) => Some(Some(flaw)),
    };
    let far = |store: &InMemoryStore, flaw| {
        Arc::new(FarStore { place: place.clone(), store: store.clone(), flaw })
    };
    let sessions = sessions(endpoint.clone(), far(session_store, flaw.flatten()));
    let plan = plan.clone();
    let far = flaw.map(|flaw| far(store, flaw));
    let keys = StoreKeys::new(&[7; 32]).unwrap();
    let policy = RefreshPolicy::default().with_patience(plan.patience);
    TokenPool::new(|request| request.extensions().get::<Call>().map(|call| call.user)).with_caches(
        move |user| {
            if plan.has_session(*user) {
                let (name, policy) = (format!("u{user}"), policy.clone());
                return Some(TokenCache::from_shared_session(&sessions, &name, policy));
            }
            let grant = Grant::password(format!("u{user}").as_str(), &ClientSecret::new(PASSWORD));
            let cache = TokenCache::new(endpoint.clone(), grant, policy.clone());
            let Some(far) = far.clone() else { return Some(cache) };
            Some(cache.with_store(far, keys.clone(), StorePolicy::default()).unwrap())
        },
    )
}

fn api(place: &Place, revocations: &Revocations) -> Api {
    let transport = Transport::new(place.to_server()).with_clock(place.clock.clone());
    let client = ClientAuthentication::basic("app", "s3cr3t");
    let introspection = Introspection::new("https://as.example/introspect", client, transport)
        .unwrap()
        .with_leeway(LEEWAY)
        .unwrap();
    let validator = revocations.guard(Cached::new(introspection));
    let handler = service_fn(async |request: Request<Body>| {
        let caller = request.extensions().get::<Authenticated>().unwrap();
        let user = caller.principal().subject().unwrap_or_default().to_owned();
        Ok::<_, Infallible>(Response::new(Body::from(user)))
    });
    Api::new(RequireToken::new("api", validator).unwrap().layer(handler))
}
