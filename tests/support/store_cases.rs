//! What every `TokenStore` answers: one suite for the store of `testing`, and for those of others. The file
//! needs nothing but the public names of the crate, so that another crate can include it.
//!
//! A case has an empty store of its own. Its times are multiples of [`TICK`], and it looks half a tick beside
//! their ends, so that a store whose time cannot be stopped passes as well.
#![allow(dead_code, reason = "each crate uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a panic is the verdict of a test")]

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};
use tower_oauth2::{
    ClientAuthentication, Transport,
    client::{
        Begun, Grant, Holder, Lease, RefreshPolicy, StoreKey, StoreKeys, StorePolicy, StoredValue,
        TokenCache, TokenEndpoint, TokenStore, Version,
    },
    testing::InMemoryStore,
};

/// The unit of time.
pub(crate) const TICK: Duration = Duration::from_millis(100);

pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// An empty store, and how to let its time pass.
pub(crate) struct Subject {
    pub(crate) store: Arc<dyn TokenStore>,
    pub(crate) pass: Box<dyn Fn(Duration) -> BoxFuture<()> + Send + Sync>,
}

/// A store under test, and two keys.
pub(crate) struct Bench {
    subject: Subject,
    key: StoreKey,
    other: StoreKey,
}

pub(crate) type Case = fn(Bench) -> BoxFuture<()>;

/// Runs each case on a store that `subject` makes.
///
/// # Panics
///
/// If one fails; the message names all that do.
pub(crate) async fn run(subject: impl Fn() -> Subject) {
    let (key, other) = (key("one").await, key("other").await);
    let mut failed = Vec::new();
    for (name, case) in CASES {
        let bench = Bench { subject: subject(), key: key.clone(), other: other.clone() };
        if tokio::spawn(case(bench)).await.is_err() {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "the store fails in {failed:?}");
}

/// The key of the tokens of a client.
pub(crate) async fn key(client: &str) -> StoreKey {
    let service =
        tower::service_fn(async |_: http::Request<http_body_util::Full<bytes::Bytes>>| {
            let body = http_body_util::Full::<bytes::Bytes>::from(
                r#"{"access_token":"T","expires_in":60}"#,
            );
            Ok::<_, std::convert::Infallible>(http::Response::new(body))
        });
    let client = ClientAuthentication::basic(client, "secret");
    let transport = Transport::new(service);
    let endpoint = TokenEndpoint::new("https://as.example/token", client, transport).unwrap();
    let cache = TokenCache::new(endpoint, Grant::client_credentials(), RefreshPolicy::default());
    let (store, keys) = (InMemoryStore::new(), StoreKeys::new(&[7; 32]).unwrap());
    let shared = Arc::new(store.clone());
    let cache = cache.with_store(shared, keys, StorePolicy::default()).unwrap();
    cache.warm_up().await.unwrap();
    [store.leased_keys(), store.keys()].concat().swap_remove(0)
}

pub(crate) fn holder(name: &str) -> Holder {
    name.parse().unwrap()
}

pub(crate) fn version(name: &str) -> Version {
    name.parse().unwrap()
}

const NOTHING: Duration = Duration::ZERO;
/// Longer than any case takes.
const LONG: Duration = Duration::from_secs(600);

impl Bench {
    async fn pass(&self, half_ticks: u32) {
        (self.subject.pass)(TICK / 2 * half_ticks).await;
    }

    async fn begin(&self, holder_name: &str, had: &[&str]) -> Begun {
        self.begin_for(holder_name, LONG, had).await
    }

    async fn begin_for(&self, holder_name: &str, lease: Duration, had: &[&str]) -> Begun {
        let had: Vec<_> = had.iter().map(|name| version(name)).collect();
        self.subject.store.begin(&self.key, &holder(holder_name), lease, &had).await.unwrap()
    }

    async fn renew(&self, name: &str, lease: Duration) -> Lease {
        self.subject.store.renew(&self.key, &holder(name), lease).await.unwrap()
    }

    async fn finish(
        &self,
        holder_name: &str,
        name: &str,
        left: Duration,
        pause: Duration,
    ) -> Lease {
        let value = StoredValue::new(version(name), name.as_bytes().to_vec(), left);
        self.subject.store.finish(&self.key, &holder(holder_name), &value, pause).await.unwrap()
    }

    async fn release(&self, name: &str, pause: Duration) {
        self.subject.store.release(&self.key, &holder(name), pause).await.unwrap();
    }

    async fn remove(&self, name: &str) {
        self.subject.store.remove(&self.key, &version(name)).await.unwrap();
    }

    /// A value that `maker` put there, with nobody fetching.
    async fn with_value(&self, name: &str, left: Duration) {
        yours(&self.begin("maker", &[]).await);
        assert_eq!(self.finish("maker", name, left, NOTHING).await, Lease::Held);
    }
}

fn yours(begun: &Begun) {
    assert!(matches!(begun, Begun::Yours), "{begun:?}");
}

/// Half a tick is what a store may be late by.
pub(crate) fn about(left: Duration, expected: Duration) {
    let at_least = expected.saturating_sub(TICK / 2);
    assert!((at_least..=expected).contains(&left), "{left:?}, not {expected:?}");
}

fn taken(begun: &Begun, expected: Duration) {
    let Begun::Taken { left } = begun else { panic!("{begun:?}") };
    about(*left, expected);
}

fn paused(begun: &Begun, expected: Duration) {
    let Begun::Paused { left } = begun else { panic!("{begun:?}") };
    about(*left, expected);
}

/// The value that [`Bench::finish`] gave.
fn found(begun: &Begun, name: &str) -> Duration {
    let Begun::Found(value) = begun else { panic!("{begun:?}") };
    assert_eq!((value.version.as_str(), &*value.sealed), (name, name.as_bytes()));
    value.left
}

macro_rules! cases {
    ($(async fn $name:ident($bench:ident) $body:block)*) => {
        /// Each case with its name.
        pub(crate) const CASES: &[(&str, Case)] = &[
            $((stringify!($name), |$bench| Box::pin(async move { $body; })),)*
        ];
    };
}

cases! {
    async fn begin_on_nothing_gives_the_lease(bench) {
        yours(&bench.begin("a", &[]).await);
        taken(&bench.begin("b", &[]).await, LONG);
    }

    async fn begin_on_a_value_finds_it_with_the_time_that_is_left(bench) {
        bench.with_value("v", TICK * 10).await;
        bench.pass(8).await;
        about(found(&bench.begin("a", &[]).await, "v"), TICK * 6);
        about(found(&bench.begin("b", &["w"]).await, "v"), TICK * 6);
    }

    async fn begin_on_a_value_takes_no_lease(bench) {
        bench.with_value("v", LONG).await;
        found(&bench.begin("a", &[]).await, "v");
        yours(&bench.begin("b", &["v"]).await);
    }

    async fn a_version_that_was_had_is_not_found(bench) {
        bench.with_value("v", LONG).await;
        yours(&bench.begin("a", &["v"]).await);
    }

    async fn a_version_is_not_found_wherever_it_is_among_eight(bench) {
        bench.with_value("v", LONG).await;
        for had in [
            ["v", "1", "2", "3", "4", "5", "6", "7"],
            ["1", "2", "3", "4", "v", "5", "6", "7"],
            ["1", "2", "3", "4", "5", "6", "7", "v"],
        ] {
            yours(&bench.begin("a", &had).await);
        }
    }

    async fn a_version_is_found_if_eight_others_were_had(bench) {
        bench.with_value("v", LONG).await;
        let had = ["1", "2", "3", "4", "5", "6", "7", "8"];
        found(&bench.begin("a", &had).await, "v");
        found(&bench.begin("a", &["V", "v-", "vv"]).await, "v");
    }

    async fn a_value_that_one_had_stays_for_the_others(bench) {
        bench.with_value("v", LONG).await;
        yours(&bench.begin("a", &["v"]).await);
        found(&bench.begin("b", &[]).await, "v");
        taken(&bench.begin("b", &["v"]).await, LONG);
        bench.release("a", NOTHING).await;
        found(&bench.begin("b", &[]).await, "v");
    }

    async fn the_same_holder_begins_again(bench) {
        yours(&bench.begin_for("a", TICK * 2, &[]).await);
        yours(&bench.begin_for("a", TICK * 6, &[]).await);
        taken(&bench.begin("b", &[]).await, TICK * 6);
    }

    async fn a_lease_ends(bench) {
        yours(&bench.begin_for("a", TICK * 4, &[]).await);
        bench.pass(4).await;
        taken(&bench.begin("b", &[]).await, TICK * 2);
        bench.pass(5).await;
        yours(&bench.begin("b", &[]).await);
        taken(&bench.begin("a", &[]).await, LONG);
    }

    async fn a_lease_of_no_time_has_ended(bench) {
        yours(&bench.begin_for("a", NOTHING, &[]).await);
        bench.pass(1).await;
        yours(&bench.begin("b", &[]).await);
    }

    async fn a_renewed_lease_lasts_from_then_on(bench) {
        yours(&bench.begin_for("a", TICK * 4, &[]).await);
        bench.pass(6).await;
        assert_eq!(bench.renew("a", TICK * 4).await, Lease::Held);
        bench.pass(6).await;
        taken(&bench.begin("b", &[]).await, TICK);
        bench.pass(3).await;
        yours(&bench.begin("b", &[]).await);
    }

    async fn a_renewal_may_make_a_lease_shorter(bench) {
        yours(&bench.begin("a", &[]).await);
        assert_eq!(bench.renew("a", TICK).await, Lease::Held);
        bench.pass(3).await;
        yours(&bench.begin("b", &[]).await);
    }

    async fn a_lease_that_has_ended_is_not_renewed(bench) {
        assert_eq!(bench.renew("a", LONG).await, Lease::Lost);
        yours(&bench.begin_for("a", TICK, &[]).await);
        bench.pass(3).await;
        assert_eq!(bench.renew("a", LONG).await, Lease::Lost);
        yours(&bench.begin("b", &[]).await);
        assert_eq!(bench.renew("a", LONG).await, Lease::Lost);
    }

    async fn a_stranger_renews_nothing(bench) {
        yours(&bench.begin_for("a", TICK * 4, &[]).await);
        assert_eq!(bench.renew("b", LONG).await, Lease::Lost);
        taken(&bench.begin("b", &[]).await, TICK * 4);
        assert_eq!(bench.renew("a", LONG).await, Lease::Held);
    }

    async fn the_holder_finishes(bench) {
        yours(&bench.begin("a", &[]).await);
        assert_eq!(bench.finish("a", "v", TICK * 10, NOTHING).await, Lease::Held);
        about(found(&bench.begin("b", &[]).await, "v"), TICK * 10);
        assert_eq!(bench.renew("a", LONG).await, Lease::Lost);
        yours(&bench.begin("b", &["v"]).await);
    }

    async fn the_holder_replaces_a_value(bench) {
        bench.with_value("v", LONG).await;
        yours(&bench.begin("a", &["v"]).await);
        assert_eq!(bench.finish("a", "w", TICK * 10, NOTHING).await, Lease::Held);
        about(found(&bench.begin("b", &[]).await, "w"), TICK * 10);
        yours(&bench.begin("b", &["w"]).await);
    }

    async fn a_stranger_does_not_finish_while_another_fetches(bench) {
        yours(&bench.begin_for("a", TICK * 6, &[]).await);
        assert_eq!(bench.finish("b", "w", LONG, LONG).await, Lease::Lost);
        taken(&bench.begin("b", &[]).await, TICK * 6);
        assert_eq!(bench.finish("a", "v", LONG, NOTHING).await, Lease::Held);
        found(&bench.begin("b", &[]).await, "v");
    }

    async fn anyone_finishes_where_nobody_fetches_and_nothing_is_there(bench) {
        assert_eq!(bench.finish("a", "v", LONG, NOTHING).await, Lease::Held);
        found(&bench.begin("b", &[]).await, "v");
    }

    async fn nobody_else_finishes_where_a_value_is_there(bench) {
        bench.with_value("v", LONG).await;
        assert_eq!(bench.finish("a", "w", LONG, LONG).await, Lease::Lost);
        found(&bench.begin("b", &[]).await, "v");
        yours(&bench.begin("b", &["v"]).await);
    }

    async fn who_lost_the_lease_does_not_finish_over_the_next(bench) {
        yours(&bench.begin_for("a", TICK, &[]).await);
        bench.pass(3).await;
        yours(&bench.begin("b", &[]).await);
        assert_eq!(bench.finish("a", "v", LONG, LONG).await, Lease::Lost);
        taken(&bench.begin("c", &[]).await, LONG);
        assert_eq!(bench.finish("b", "w", LONG, NOTHING).await, Lease::Held);
        assert_eq!(bench.finish("a", "v", LONG, LONG).await, Lease::Lost);
        found(&bench.begin("c", &[]).await, "w");
    }

    async fn who_lost_the_lease_to_nobody_finishes(bench) {
        yours(&bench.begin_for("a", TICK, &[]).await);
        bench.pass(3).await;
        assert_eq!(bench.finish("a", "v", LONG, NOTHING).await, Lease::Held);
        found(&bench.begin("b", &[]).await, "v");
    }

    async fn a_finish_that_is_carried_out_twice_counts_once(bench) {
        yours(&bench.begin("a", &[]).await);
        assert_eq!(bench.finish("a", "v", TICK * 4, NOTHING).await, Lease::Held);
        bench.pass(2).await;
        assert_eq!(bench.finish("a", "v", TICK * 4, LONG).await, Lease::Lost);
        about(found(&bench.begin("b", &[]).await, "v"), TICK * 3);
        yours(&bench.begin("b", &["v"]).await);
    }

    async fn nobody_begins_in_the_pause_after_a_finish(bench) {
        yours(&bench.begin("a", &[]).await);
        assert_eq!(bench.finish("a", "v", LONG, TICK * 4).await, Lease::Held);
        found(&bench.begin("b", &[]).await, "v");
        paused(&bench.begin("b", &["v"]).await, TICK * 4);
        paused(&bench.begin("a", &["v"]).await, TICK * 4);
        bench.pass(9).await;
        yours(&bench.begin("b", &["v"]).await);
    }

    async fn nobody_begins_in_the_pause_after_a_release(bench) {
        yours(&bench.begin("a", &[]).await);
        bench.release("a", TICK * 4).await;
        paused(&bench.begin("b", &[]).await, TICK * 4);
        bench.pass(4).await;
        paused(&bench.begin("a", &[]).await, TICK * 2);
        bench.pass(5).await;
        yours(&bench.begin("b", &[]).await);
    }

    async fn a_pause_of_no_time_has_ended(bench) {
        yours(&bench.begin("a", &[]).await);
        bench.release("a", NOTHING).await;
        yours(&bench.begin("b", &[]).await);
    }

    async fn a_later_pause_replaces_one_that_is_longer(bench) {
        yours(&bench.begin("a", &[]).await);
        bench.release("a", LONG).await;
        // The server works: a replica got a token although its lease had ended.
        assert_eq!(bench.finish("b", "v", LONG, TICK * 4).await, Lease::Held);
        paused(&bench.begin("c", &["v"]).await, TICK * 4);
    }

    async fn a_stranger_releases_nothing(bench) {
        yours(&bench.begin_for("a", TICK * 4, &[]).await);
        bench.release("b", NOTHING).await;
        taken(&bench.begin("b", &[]).await, TICK * 4);
        assert_eq!(bench.renew("a", LONG).await, Lease::Held);
    }

    async fn who_lost_the_lease_releases_nothing(bench) {
        bench.release("a", LONG).await;
        yours(&bench.begin_for("a", TICK, &[]).await);
        bench.pass(3).await;
        bench.release("a", LONG).await;
        yours(&bench.begin("b", &[]).await);
        bench.release("a", LONG).await;
        taken(&bench.begin("c", &[]).await, LONG);
    }

    async fn a_release_that_is_carried_out_twice_counts_once(bench) {
        yours(&bench.begin("a", &[]).await);
        bench.release("a", TICK * 4).await;
        bench.pass(4).await;
        bench.release("a", TICK * 4).await;
        paused(&bench.begin("b", &[]).await, TICK * 2);
    }

    async fn this_version_is_removed(bench) {
        bench.with_value("v", LONG).await;
        bench.remove("v").await;
        bench.remove("v").await;
        yours(&bench.begin("a", &[]).await);
    }

    async fn another_version_is_not_removed(bench) {
        bench.remove("v").await;
        bench.with_value("v", LONG).await;
        bench.remove("w").await;
        found(&bench.begin("a", &[]).await, "v");
    }

    async fn a_removal_leaves_the_lease_and_the_pause(bench) {
        yours(&bench.begin("a", &[]).await);
        assert_eq!(bench.finish("a", "v", LONG, TICK * 4).await, Lease::Held);
        bench.remove("v").await;
        paused(&bench.begin("b", &[]).await, TICK * 4);
        bench.pass(9).await;
        yours(&bench.begin("b", &[]).await);
        bench.remove("v").await;
        taken(&bench.begin("c", &[]).await, LONG);
    }

    async fn a_value_ends(bench) {
        bench.with_value("v", TICK * 4).await;
        bench.pass(6).await;
        about(found(&bench.begin("a", &[]).await, "v"), TICK);
        bench.pass(3).await;
        yours(&bench.begin("a", &[]).await);
        assert_eq!(bench.renew("a", LONG).await, Lease::Held);
    }

    async fn a_value_of_no_time_replaces_the_other_and_is_not_found(bench) {
        bench.with_value("v", LONG).await;
        yours(&bench.begin("a", &["v"]).await);
        assert_eq!(bench.finish("a", "w", NOTHING, NOTHING).await, Lease::Held);
        yours(&bench.begin("b", &[]).await);
    }

    async fn a_value_is_kept_for_years(bench) {
        let years = Duration::from_secs(10 * 365 * 24 * 60 * 60);
        bench.with_value("v", years).await;
        about(found(&bench.begin("a", &[]).await, "v"), years);
    }

    async fn keys_know_nothing_of_one_another(bench) {
        let (store, other) = (&bench.subject.store, &bench.other);
        yours(&bench.begin("a", &[]).await);
        yours(&store.begin(other, &holder("a"), LONG, &[]).await.unwrap());
        bench.release("a", LONG).await;
        assert_eq!(store.renew(other, &holder("a"), LONG).await.unwrap(), Lease::Held);
        let value = StoredValue::new(version("v"), b"v".to_vec(), LONG);
        let finished = store.finish(other, &holder("a"), &value, NOTHING).await.unwrap();
        assert_eq!(finished, Lease::Held);
        bench.remove("v").await;
        paused(&bench.begin("b", &[]).await, LONG);
        found(&store.begin(other, &holder("b"), LONG, &[]).await.unwrap(), "v");
    }

    async fn any_bytes_are_kept(bench) {
        let all: Vec<_> = (0..=u8::MAX).collect();
        for (number, sealed) in [vec![], vec![0], all, vec![0xff; 64 * 1024]].into_iter().enumerate() {
            let name = number.to_string();
            let value = StoredValue::new(version(&name), sealed, LONG);
            let had: Vec<_> = (0..number).map(|number| number.to_string()).collect();
            yours(&bench.begin("a", &had.iter().map(String::as_str).collect::<Vec<_>>()).await);
            let (store, key) = (&bench.subject.store, &bench.key);
            let finished = store.finish(key, &holder("a"), &value, NOTHING).await.unwrap();
            assert_eq!(finished, Lease::Held);
            let Begun::Found(kept) = bench.begin("b", &[]).await else { panic!("{number}") };
            assert_eq!((kept.version, kept.sealed), (value.version, value.sealed));
        }
    }

    async fn of_fifty_who_begin_at_once_one_fetches(bench) {
        let begin = |number: usize| {
            let (store, key) = (bench.subject.store.clone(), bench.key.clone());
            tokio::spawn(async move {
                let holder = holder(&number.to_string());
                store.begin(&key, &holder, LONG, &[]).await.unwrap()
            })
        };
        let tasks: Vec<_> = (0..50).map(begin).collect();
        let mut lucky = 0;
        for task in tasks {
            match task.await.unwrap() {
                Begun::Yours => lucky += 1,
                begun => taken(&begun, LONG),
            }
        }
        assert_eq!(lucky, 1);
    }

    async fn a_finish_that_is_dropped_is_done_or_not_done(bench) {
        for polls in 0..3 {
            let name = polls.to_string();
            let had: Vec<_> = (0..polls).map(|number| number.to_string()).collect();
            let had: Vec<_> = had.iter().map(String::as_str).collect();
            // The holder before has ended, or begins again.
            yours(&bench.begin("a", &had).await);
            let (store, key, a) = (bench.subject.store.clone(), bench.key.clone(), holder("a"));
            let value = StoredValue::new(version(&name), name.as_bytes().to_vec(), LONG);
            let mut finish = store.finish(&key, &a, &value, NOTHING);
            for _ in 0..polls {
                let mut cx = Context::from_waker(Waker::noop());
                if finish.as_mut().poll(&mut cx).is_ready() {
                    break;
                }
            }
            drop(finish);
            bench.pass(2).await;
            match bench.begin("b", &had).await {
                begun @ Begun::Found(_) => {
                    found(&begun, &name);
                    assert_eq!(bench.renew("a", LONG).await, Lease::Lost, "the lease has ended too");
                }
                begun => {
                    taken(&begun, LONG - TICK);
                    assert_eq!(bench.finish("a", &name, LONG, NOTHING).await, Lease::Held);
                }
            }
        }
    }

    async fn a_begin_that_is_dropped_is_done_or_not_done(bench) {
        let (store, key, a) = (bench.subject.store.clone(), bench.key.clone(), holder("a"));
        drop(store.begin(&key, &a, TICK * 4, &[]));
        bench.pass(2).await;
        match bench.begin_for("b", TICK, &[]).await {
            Begun::Yours => assert_eq!(bench.renew("a", LONG).await, Lease::Lost),
            begun => {
                taken(&begun, TICK * 3);
                assert_eq!(bench.renew("a", LONG).await, Lease::Held);
            }
        }
    }
}
