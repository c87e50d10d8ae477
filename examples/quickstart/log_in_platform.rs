//! R4, a platform with a log-in endpoint: a user name and a password give a token with the
//! rights of that user. It is no grant of OAuth, and knows no clients.

use crate::{BoxError, refetched, report::Report, system::System};
use tower::Layer;
use tower_oauth2::{
    ClientAuthentication, TokenLocation,
    client::{AddBearer, Grant, RefreshPolicy, TokenCache},
};

const PASSWORD: &str = "p&ss w=rd";

pub(crate) async fn run(report: &mut Report) -> Result<(), BoxError> {
    let locations = [TokenLocation::Bearer];
    let system = System::start("R4 platform with log-in", "alice", &locations, report).await?;
    system.authorization.register_user("alice", PASSWORD, "projects:read".parse()?);

    let log_in = Grant::form([("username", "alice"), ("password", PASSWORD)]);
    let endpoint = system.endpoint("/authorization", ClientAuthentication::none())?;
    let (policy, clock) = (RefreshPolicy::default(), system.clock.clock());
    let cache = TokenCache::new_with_clock(endpoint, log_in, policy, clock);

    let layer = AddBearer::from_source(cache.clone(), system.api.as_str())?;
    let client = layer.layer(system.http.clone());
    refetched::run(system, client, &cache).await
}
