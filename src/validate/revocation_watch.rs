use super::{Principal, RevocationList, TokenFingerprint};
use crate::vocabulary::race::before;
use std::{
    future::pending,
    pin::Pin,
    sync::{Arc, OnceLock},
};

/// The lists that may revoke one token, kept in the verdict on it.
///
/// The first request with the verdict adds them, so that a request costs nothing more until it
/// waits for the end of its token.
#[derive(Clone, Default)]
pub(super) struct RevocationWatch {
    first: OnceLock<Arc<Watched>>,
}

struct Watched {
    list: Arc<dyn RevocationList>,
    token: TokenFingerprint,
    next: RevocationWatch,
}

impl RevocationWatch {
    /// Adds `list`, unless it was added before.
    pub(super) fn add(&self, list: &Arc<dyn RevocationList>, token: impl Fn() -> TokenFingerprint) {
        let mut slot = self;
        loop {
            let watched = slot.first.get_or_init(|| {
                let (list, token, next) = (list.clone(), token(), Self::default());
                Arc::new(Watched { list, token, next })
            });
            if Arc::ptr_eq(&watched.list, list) {
                return;
            }
            slot = &watched.next;
        }
    }

    /// Returns `true` if one of the lists revokes the token, which is of `principal`.
    pub(super) fn is_revoked(&self, principal: &Principal) -> bool {
        self.first.get().is_some_and(|watched| {
            watched.list.is_fingerprint_revoked(&watched.token, principal)
                || watched.next.is_revoked(principal)
        })
    }

    /// Waits until one of the lists revokes the token, which is of `principal`.
    pub(super) fn revoked<'a>(
        &'a self,
        principal: &'a Principal,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        match self.first.get() {
            None => Box::pin(pending()),
            Some(watched) => Box::pin(async move {
                before(watched.revoked(principal), watched.next.revoked(principal)).await;
            }),
        }
    }
}

impl Watched {
    async fn revoked(&self, principal: &Principal) {
        let mut changes = self.list.changes().subscribe();
        // Looked up after subscribing, so that no change in between is missed.
        while !self.list.is_fingerprint_revoked(&self.token, principal) {
            if changes.changed().await.is_err() {
                // The list holds the sender, so the channel does not close.
                return pending().await;
            }
        }
    }
}

opaque_debug!(RevocationWatch { .. });
