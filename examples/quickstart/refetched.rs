//! The life of a token that can be had again without a user: who calls does not notice its end.

use crate::{
    BoxError,
    system::{ApiClient, System},
};
use std::time::Duration;
use tokio::{task::yield_now, time::timeout};
use tower_oauth2::client::TokenCache;

/// Takes the steps with `client`, whose tokens are in `cache`.
pub(crate) async fn run(
    mut system: System<'_>,
    mut client: ApiClient,
    cache: &TokenCache,
) -> Result<(), BoxError> {
    system.answered_step("get a token and call", &mut client, 1).await?;
    system.reuse_step(&mut client, 1).await?;
    refresh(&mut system, &mut client, cache).await?;
    system.answered_step("call with the new token", &mut client, 2).await?;

    system.authorization.revoke_all();
    system.answered_step("destroyed, and recover", &mut client, 3).await?;

    system.finish();
    Ok(())
}

/// Shortly before the end of a token a call goes out with it all the same, and another is fetched
/// in the background.
async fn refresh(
    system: &mut System<'_>,
    client: &mut ApiClient,
    cache: &TokenCache,
) -> Result<(), BoxError> {
    let left = cache.status().expires_in().ok_or("the token has no expiry")?;
    system.clock.advance(left - left / 20);
    let answer = system.call(client).await?;
    let renewed = timeout(Duration::from_secs(5), until_fresh(cache)).await.is_ok();
    let outcome = format!("{answer}, meanwhile renewed, {}", system.spent_in_words());
    system.step("refresh", answer.status.is_success() && renewed && system.spent(2), &outcome);
    Ok(())
}

async fn until_fresh(cache: &TokenCache) {
    while !cache.status().is_fresh() {
        yield_now().await;
    }
}
