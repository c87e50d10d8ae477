//! The store as a replica reaches it, and stores that are wrong on purpose.

use crate::{faults::Kind, net::Place};
use std::{future::pending, time::Duration};
use tower_oauth2::{
    client::{
        Begun, Holder, Lease, SessionStore, StoreFuture, StoreKey, StoredValue, Swap, TokenStore,
        Version,
    },
    testing::InMemoryStore,
};

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// It gives the lease to each replica that asks.
    LeaseForAll,
    /// It says that it renewed a lease, and did not.
    ForgetsRenewals,
    /// It replaces a session whatever version is there.
    SwapsBlindly,
}

/// The way from a replica to the store.
pub(crate) struct FarStore {
    pub(crate) place: Place,
    pub(crate) store: InMemoryStore,
    pub(crate) flaw: Option<Flaw>,
}

impl FarStore {
    /// Does what `answer` does when it is polled, with everything that is wrong on the way.
    fn ask<'a, T: Send + 'a>(
        &'a self,
        answer: impl Future<Output = T> + Send + 'a,
    ) -> StoreFuture<'a, T> {
        let sleep = |millis| self.place.clock.sleep(Duration::from_millis(millis));
        Box::pin(async move {
            sleep(if self.place.has(Kind::StoreSlow) { 100 } else { 1 }).await;
            if self.place.has(Kind::CutFromStore) || self.place.has(Kind::StoreHangs) {
                pending::<()>().await;
            }
            if self.place.has(Kind::StoreDown) {
                return Err("connection refused".into());
            }
            self.place.log(|log| log.report.store_operations += 1);
            let answer = answer.await;
            if self.place.has(Kind::StoreSlow) {
                sleep(100).await;
            }
            if self.place.has(Kind::StoreLate) {
                sleep(400).await;
            }
            Ok(answer)
        })
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }
}

const NEVER_FAILS: &str = "an InMemoryStore fails on demand only";

impl TokenStore for FarStore {
    fn begin<'a>(
        &'a self,
        key: &'a StoreKey,
        holder: &'a Holder,
        lease: Duration,
        had: &'a [Version],
    ) -> StoreFuture<'a, Begun> {
        self.ask(async move {
            match self.store.begin(key, holder, lease, had).await.expect(NEVER_FAILS) {
                Begun::Taken { .. } if self.has(Flaw::LeaseForAll) => Begun::Yours,
                begun => begun,
            }
        })
    }

    fn renew<'a>(
        &'a self,
        key: &'a StoreKey,
        holder: &'a Holder,
        lease: Duration,
    ) -> StoreFuture<'a, Lease> {
        self.ask(async move {
            if self.has(Flaw::ForgetsRenewals) {
                return Lease::Held;
            }
            self.store.renew(key, holder, lease).await.expect(NEVER_FAILS)
        })
    }

    fn finish<'a>(
        &'a self,
        key: &'a StoreKey,
        holder: &'a Holder,
        value: &'a StoredValue,
        pause: Duration,
    ) -> StoreFuture<'a, Lease> {
        self.ask(
            async move { self.store.finish(key, holder, value, pause).await.expect(NEVER_FAILS) },
        )
    }

    fn release<'a>(
        &'a self,
        key: &'a StoreKey,
        holder: &'a Holder,
        pause: Duration,
    ) -> StoreFuture<'a, ()> {
        self.ask(async move { self.store.release(key, holder, pause).await.expect(NEVER_FAILS) })
    }

    fn remove<'a>(&'a self, key: &'a StoreKey, version: &'a Version) -> StoreFuture<'a, ()> {
        self.ask(async move { self.store.remove(key, version).await.expect(NEVER_FAILS) })
    }
}

impl SessionStore for FarStore {
    fn read<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Option<StoredValue>> {
        self.ask(async move { SessionStore::read(&self.store, key).await.expect(NEVER_FAILS) })
    }

    fn swap<'a>(
        &'a self,
        key: &'a StoreKey,
        from: Option<&'a Version>,
        to: Option<&'a StoredValue>,
    ) -> StoreFuture<'a, Swap> {
        self.ask(async move {
            // Two who read the same version both believe that they were first.
            let from = match self.has(Flaw::SwapsBlindly) {
                true => SessionStore::read(&self.store, key).await.expect(NEVER_FAILS),
                false => None,
            }
            .map(|value| value.version)
            .or(from.cloned());
            self.store.swap(key, from.as_ref(), to).await.expect(NEVER_FAILS)
        })
    }
}
