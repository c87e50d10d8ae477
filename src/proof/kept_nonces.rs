//! The nonces that servers handed out, for the next proofs.

use crate::vocabulary::{bond::Server, location::DPOP_NONCE};
use http::HeaderMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Of how many servers one is kept.
const MAX_NONCES: usize = 16;
/// The longest nonce that is kept, in bytes.
const MAX_LEN: usize = 512;

/// The newest nonce of each server, the latest last.
#[derive(Default)]
pub(super) struct KeptNonces {
    newest: Mutex<Vec<(Server, Arc<str>)>>,
}

impl KeptNonces {
    fn newest(&self) -> MutexGuard<'_, Vec<(Server, Arc<str>)>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the nonce for the next proof to `server`.
    pub(super) fn get(&self, server: &Server) -> Option<Arc<str>> {
        let newest = self.newest();
        newest.iter().find(|(own, _)| own == server).map(|(_, nonce)| nonce.clone())
    }

    /// Keeps the nonce in `headers`. Returns `true` if there is one, and no more.
    pub(super) fn learn(&self, server: &Server, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(DPOP_NONCE).iter();
        let (Some(nonce), None) = (values.next(), values.next()) else { return false };
        let Some(nonce) = nonce.to_str().ok().filter(|nonce| is_nonce(nonce)) else { return false };
        let mut newest = self.newest();
        if newest.last().is_some_and(|(own, old)| own == server && **old == *nonce) {
            return true;
        }
        newest.retain(|(own, _)| own != server);
        if newest.len() >= MAX_NONCES {
            newest.remove(0);
        }
        newest.push((server.clone(), nonce.into()));
        true
    }
}

/// Checks the characters of [RFC 9449 §8.1](https://www.rfc-editor.org/rfc/rfc9449#section-8.1).
fn is_nonce(nonce: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~');
    (1..=MAX_LEN).contains(&nonce.len()) && nonce.bytes().all(allowed)
}
