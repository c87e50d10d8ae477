//! A wider token in the place of a good one.

use super::shared::Shared;
use crate::{
    AccessToken, ScopeSet,
    client::{BoxTokenFuture, Error, flight},
    race::before,
};
use std::{future::pending, sync::Arc};

impl Shared {
    /// A resource refused `held` for lack of `scopes`: the wait for a token that has them, where one
    /// may be had. Whatever becomes of it, the token that is held goes out to others meanwhile.
    pub(super) fn widen(
        self: &Arc<Self>,
        held: &AccessToken,
        scopes: &ScopeSet,
    ) -> Option<BoxTokenFuture> {
        let step_up = self.fetcher().step_up().filter(|step_up| step_up.allows(scopes))?;
        if let Some(wider) = self.wider_than(held, scopes) {
            return Some(Box::pin(async { Ok(wider) }));
        }
        if !step_up.widen(scopes, self.granted().as_ref()) {
            return None;
        }
        // At once: who cannot repeat the call does not wait, and the next call has it.
        let mut joined = self.fetch_wider()?;
        let (this, held, scopes) = (self.clone(), held.clone(), scopes.clone());
        Some(Box::pin(async move {
            // A fetch that was in flight already may have asked for less.
            for _ in 0..2 {
                this.landed_in_time(joined).await?;
                if let Some(wider) = this.wider_than(&held, &scopes) {
                    return Ok(wider);
                }
                joined = this.fetch_wider().ok_or_else(flight::aborted)?;
            }
            Err(flight::aborted())
        }))
    }

    async fn landed_in_time(&self, mut joined: flight::Joined) -> Result<(), Error> {
        flight::runtime()?;
        let patience = self.patience();
        let landed = async move {
            match joined.wait_for(Option::is_some).await {
                Ok(outcome) => outcome.clone().unwrap_or_else(|| Err(flight::aborted())),
                Err(_) => Err(flight::aborted()),
            }
        };
        let clock = self.clock().clone();
        let too_late = async move {
            match patience.is_zero() {
                true => pending().await,
                false => clock.sleep(patience).await,
            }
        };
        before(landed, too_late).await.unwrap_or_else(|| Err(flight::aborted())).map(drop)
    }
}
