//! What every `SessionStore` answers: one suite, beside that of `store_cases`, whose rules hold here too.
#![allow(clippy::unwrap_used, reason = "a panic is the verdict of a test")]

use crate::store_cases::{BoxFuture, TICK, about, key, version};
use std::{
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};
use tower_oauth2::client::{SessionStore, StoreKey, StoredValue, Swap};

/// An empty store, and how to let its time pass.
pub(crate) struct Subject {
    pub(crate) store: Arc<dyn SessionStore>,
    pub(crate) pass: Box<dyn Fn(Duration) -> BoxFuture<()> + Send + Sync>,
}

/// A store under test, and two keys.
struct Bench {
    subject: Subject,
    key: StoreKey,
    other: StoreKey,
}

/// Longer than any case takes.
const LONG: Duration = Duration::from_secs(600);

fn value(name: &str, left: Duration) -> StoredValue {
    StoredValue::new(version(name), name.as_bytes().to_vec(), left)
}

impl Bench {
    async fn read(&self) -> Option<StoredValue> {
        self.subject.store.read(&self.key).await.unwrap()
    }

    async fn swap(&self, from: Option<&str>, to: Option<&str>) -> Swap {
        let (from, to) = (from.map(version), to.map(|name| value(name, LONG)));
        self.subject.store.swap(&self.key, from.as_ref(), to.as_ref()).await.unwrap()
    }

    /// The version that is there.
    async fn holds(&self) -> Option<String> {
        self.read().await.map(|value| value.version.as_str().to_owned())
    }
}

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

macro_rules! cases {
    ($(async fn $name:ident($bench:ident) $body:block)*) => {
        /// Each case with its name.
        const CASES: &[(&str, fn(Bench) -> BoxFuture<()>)] = &[
            $((stringify!($name), |$bench| Box::pin(async move { $body; })),)*
        ];
    };
}

cases! {
    async fn nothing_is_read_where_nothing_is(bench) {
        assert!(bench.read().await.is_none());
        assert_eq!(bench.swap(None, None).await, Swap::Done);
        assert!(bench.read().await.is_none());
    }

    async fn what_was_put_where_nothing_was_is_read(bench) {
        assert_eq!(bench.swap(None, Some("v1")).await, Swap::Done);
        let value = bench.read().await.unwrap();
        assert_eq!((value.version, value.sealed), (version("v1"), b"v1".to_vec()));
        about(value.left, LONG);
    }

    async fn where_something_is_nothing_is_not_swapped(bench) {
        bench.swap(None, Some("v1")).await;
        for to in [Some("v1"), Some("v2"), None] {
            assert_eq!(bench.swap(None, to).await, Swap::Lost);
            assert_eq!(bench.holds().await.as_deref(), Some("v1"));
        }
    }

    async fn the_expected_version_is_replaced(bench) {
        bench.swap(None, Some("v1")).await;
        assert_eq!(bench.swap(Some("v1"), Some("v2")).await, Swap::Done);
        assert_eq!(bench.swap(Some("v2"), Some("v3")).await, Swap::Done);
        assert_eq!(bench.holds().await.as_deref(), Some("v3"));
    }

    async fn another_version_is_left_alone(bench) {
        bench.swap(None, Some("v1")).await;
        bench.swap(Some("v1"), Some("v2")).await;
        for (from, to) in [("v1", Some("v3")), ("v1", None), ("v", Some("v3"))] {
            assert_eq!(bench.swap(Some(from), to).await, Swap::Lost);
            assert_eq!(bench.holds().await.as_deref(), Some("v2"));
        }
    }

    async fn a_version_is_deleted_once(bench) {
        bench.swap(None, Some("v1")).await;
        assert_eq!(bench.swap(Some("v1"), None).await, Swap::Done);
        assert!(bench.read().await.is_none());
        assert_eq!(bench.swap(Some("v1"), None).await, Swap::Lost);
        assert_eq!(bench.swap(Some("v1"), Some("v2")).await, Swap::Lost);
        assert_eq!(bench.swap(None, Some("v2")).await, Swap::Done);
    }

    async fn a_value_is_gone_at_its_end(bench) {
        let short = value("v1", TICK);
        bench.subject.store.swap(&bench.key, None, Some(&short)).await.unwrap();
        (bench.subject.pass)(TICK / 2).await;
        about(bench.read().await.unwrap().left, TICK / 2);
        (bench.subject.pass)(TICK).await;
        assert!(bench.read().await.is_none());
        assert_eq!(bench.swap(Some("v1"), Some("v2")).await, Swap::Lost);
        assert_eq!(bench.swap(None, Some("v2")).await, Swap::Done);
    }

    async fn a_swap_gives_the_value_its_own_end(bench) {
        let short = value("v1", TICK);
        bench.subject.store.swap(&bench.key, None, Some(&short)).await.unwrap();
        assert_eq!(bench.swap(Some("v1"), Some("v2")).await, Swap::Done);
        (bench.subject.pass)(TICK * 2).await;
        assert_eq!(bench.holds().await.as_deref(), Some("v2"));
    }

    async fn keys_have_nothing_to_do_with_each_other(bench) {
        bench.swap(None, Some("v1")).await;
        assert!(bench.subject.store.read(&bench.other).await.unwrap().is_none());
        let other = value("v2", LONG);
        let swap = bench.subject.store.swap(&bench.other, None, Some(&other)).await.unwrap();
        assert_eq!(swap, Swap::Done);
        assert_eq!(bench.holds().await.as_deref(), Some("v1"));
    }

    async fn of_fifty_who_swap_at_once_one_wins(bench) {
        bench.swap(None, Some("v1")).await;
        let bench = Arc::new(bench);
        let swaps: Vec<_> = (0..50)
            .map(|number| {
                let bench = bench.clone();
                tokio::spawn(async move {
                    bench.swap(Some("v1"), Some(&format!("w{number}"))).await
                })
            })
            .collect();
        let mut won = Vec::new();
        for (number, swap) in swaps.into_iter().enumerate() {
            if swap.await.unwrap() == Swap::Done {
                won.push(format!("w{number}"));
            }
        }
        assert_eq!(won.len(), 1);
        assert_eq!(bench.holds().await.as_ref(), won.first());
    }

    async fn bytes_that_are_no_text_come_back_as_they_were(bench) {
        let sealed: Vec<u8> = (0..=u8::MAX).cycle().take(64 * 1024).collect();
        let value = StoredValue::new(version("v1"), sealed.clone(), LONG);
        bench.subject.store.swap(&bench.key, None, Some(&value)).await.unwrap();
        assert!(bench.read().await.unwrap().sealed == sealed);
    }

    async fn a_swap_that_is_dropped_is_done_or_not(bench) {
        bench.swap(None, Some("v1")).await;
        {
            let (from, to) = (version("v1"), value("v2", LONG));
            let mut swap = bench.subject.store.swap(&bench.key, Some(&from), Some(&to));
            let _ = swap.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
        let holds = bench.holds().await.unwrap();
        assert!(["v1", "v2"].contains(&&*holds), "{holds}");
        assert_eq!(bench.swap(Some(&holds), Some("v3")).await, Swap::Done);
    }
}
