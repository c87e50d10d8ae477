//! A wider token in the place of a good one.

use super::{flight, shared::Shared};
use crate::{
    AccessToken, ScopeSet,
    client::{BoxTokenFuture, Error},
    vocabulary::race::before,
};
use std::{future::pending, sync::Arc};

impl Shared {
    /// A resource refused `held` for lack of `scopes`: the wait for a token that has them, where one
    /// may be had. Whatever becomes of it, the token that is held goes out to others meanwhile.
    pub(in crate::client::token_cache) fn widen(
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
        let joined = self.fetch_wider()?;
        let (this, held, scopes) = (self.clone(), held.clone(), scopes.clone());
        Some(Box::pin(async move {
            flight::runtime()?;
            let (clock, patience) = (this.clock().clone(), this.patience());
            let too_late = async move {
                match patience.is_zero() {
                    true => pending().await,
                    false => clock.sleep(patience).await,
                }
            };
            let wider = this.landed_wider(joined, &held, &scopes);
            before(wider, too_late).await.unwrap_or_else(|| Err(flight::aborted()))
        }))
    }

    async fn landed_wider(
        self: &Arc<Self>,
        joined: flight::Joined,
        held: &AccessToken,
        scopes: &ScopeSet,
    ) -> Result<AccessToken, Error> {
        landed(joined).await?;
        if let Some(wider) = self.wider_than(held, scopes) {
            return Ok(wider);
        }
        // A fetch that was in flight already may have asked for less.
        let is_asked = self.fetcher().step_up().is_none_or(|step_up| step_up.asked_for(scopes));
        let again = if is_asked { None } else { self.fetch_wider() };
        landed(again.ok_or_else(flight::aborted)?).await?;
        self.wider_than(held, scopes).ok_or_else(flight::aborted)
    }
}

async fn landed(mut joined: flight::Joined) -> Result<(), Error> {
    match joined.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone().unwrap_or_else(|| Err(flight::aborted())).map(drop),
        Err(_) => Err(flight::aborted()),
    }
}
