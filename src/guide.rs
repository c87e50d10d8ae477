//! Lists the type or method for each task, and holds recipes and guides. Tests compile and run every
//! snippet.
//!
//! | to … | use … |
//! |---|---|
//! | send a fixed token | [`AddBearer::bearer`](crate::client::AddBearer::bearer) |
//! | send a token of my own client, and refresh it | [`ClientCredentialsRefresh`](crate::client::ClientCredentialsRefresh) |
//! | send a user's token | [`SignIn`](crate::client::SignIn), then [`TokenCache::from_sign_in`](crate::client::TokenCache::from_sign_in) |
//! | send each user's own token | [`TokenPool`](crate::client::TokenPool) |
//! | get a token for another token, or for a signed assertion | [`Grant::token_exchange`](crate::client::Grant::token_exchange), [`Grant::jwt_bearer`](crate::client::Grant::jwt_bearer) |
//! | find the token endpoint by its issuer | [`TokenEndpoint::discovered`](crate::client::TokenEndpoint::discovered) |
//! | find the token endpoint by the metadata of the API (RFC 9728) | [`ClientCredentialsRefresh::for_resource`](crate::client::ClientCredentialsRefresh::for_resource) |
//! | share one token among replicas | [`TokenStore`](crate::client::TokenStore) in [`with_store`](crate::client::TokenCache::with_store) |
//! | revoke a token at its server and in its store | [`TokenCache::revoke`](crate::client::TokenCache::revoke) with a [`TokenRevocation`](crate::client::TokenRevocation) |
//! | monitor a token, or fetch it before the first call | [`TokenCache::status`](crate::client::TokenCache::status), [`warm_up`](crate::client::TokenCache::warm_up) |
//! | get more scopes when an API requires them | [`with_step_up`](crate::client::ClientCredentialsRefresh::with_step_up) |
//! | rotate a client's secret without a restart | [`ClientSecretSource`](crate::ClientSecretSource) |
//! | get a token from an endpoint that is not OAuth | [`Grant::form`](crate::client::Grant::form), [`TokenCache::from_fn`](crate::client::TokenCache::from_fn) |
//! | authenticate by a signature, without sending a secret | [`ClientAuthentication::private_key_jwt`](crate::ClientAuthentication::private_key_jwt) |
//! | authenticate by a certificate | [`ClientAuthentication::tls`](crate::ClientAuthentication::tls), over a [`Transport`](crate::Transport::new) that presents it; for the endpoints for certificates in the metadata: ([`with_mtls_aliases`](crate::AuthorizationServerMetadata::with_mtls_aliases)) |
//! | reach the authorization server with my own HTTP client | [`Transport::new`](crate::Transport::new) |
//! | read or send a token elsewhere than in `Authorization` | [`TokenLocation`](crate::TokenLocation): [where a token is sent](placement) |
//! | require a token of a list | [`StaticTokens`](crate::validate::StaticTokens) |
//! | require a JWT of an issuer | [`JwtValidator`](crate::validate::JwtValidator) with [`Jwks`](crate::validate::Jwks), in a [`Cached`](crate::validate::Cached) |
//! | ask the issuer about each token | [`Introspection`](crate::validate::Introspection), in a [`Cached`](crate::validate::Cached) |
//! | read my own claims | [`JwtValidator::with_claims`](crate::validate::JwtValidator::with_claims); in axum [`Claims`](crate::server::Claims) |
//! | look tokens up in my database | a closure as the [`ValidateToken`](crate::validate::ValidateToken), in a [`Cached`](crate::validate::Cached) |
//! | make the tokens of my own validator cacheable | [`split_at`](crate::validate::CacheSupport::split_at) separates the secret part of a token, [`recall`](crate::validate::CacheSupport::recall) finds a cached verdict sooner |
//! | accept several kinds of tokens | [`first_of`](crate::validate::first_of), [`Route`](crate::validate::Route) |
//! | revoke a token at once | [`Revocations`](crate::validate::Revocations); over HTTP: [`RevocationEndpoint`](crate::server::RevocationEndpoint) |
//! | require a scope on a route | [`RequireScope`](crate::server::RequireScope); in axum [`Scoped`](crate::server::Scoped) |
//! | accept requests without a token too | [`RequireToken::allow_anonymous`](crate::server::RequireToken::allow_anonymous) |
//! | require a more recent or stronger log-in | [`StepUp`](crate::server::StepUp) |
//! | send refusals with a body | [`RenderRefusals`](crate::server::RenderRefusals) |
//! | tell clients where to get a token (RFC 9728) | [`RequireToken::with_resource`](crate::server::RequireToken::with_resource), [`ResourceMetadata`](crate::server::ResourceMetadata) |
//! | log each decision | [`RequireToken::with_audit`](crate::server::RequireToken::with_audit), or the features `tracing` and `metrics` |
//! | end a stream when its token ends | [`EndWithToken`](crate::server::EndWithToken) |
//! | test all of this without waiting | [`testing`](crate::testing) |
//!
//! Recipes: [Relatel](relatel), [Firmafon](firmafon), [a platform with a log-in
//! endpoint](login_platform), [Relatics on Keycloak](relatics).
//!
//! Guides: [where a token is sent](placement), [when the authorization server is down](outages),
//! [the order of layers](layer_order), [testing your own service](testing), [metrics and
//! tracing](telemetry), [what is protected](threat_model), [coming from other layers](migrating).

#[doc = include_str!("../docs/guide/firmafon.md")]
pub mod firmafon {}
#[doc = include_str!("../docs/guide/layer_order.md")]
pub mod layer_order {}
#[doc = include_str!("../docs/guide/login_platform.md")]
pub mod login_platform {}
#[doc = include_str!("../docs/guide/migrating.md")]
pub mod migrating {}
#[doc = include_str!("../docs/guide/outages.md")]
pub mod outages {}
#[doc = include_str!("../docs/guide/placement.md")]
pub mod placement {}
#[doc = include_str!("../docs/guide/relatel.md")]
pub mod relatel {}
#[doc = include_str!("../docs/guide/relatics.md")]
pub mod relatics {}
#[doc = include_str!("../docs/guide/telemetry.md")]
pub mod telemetry {}
#[doc = include_str!("../docs/guide/testing.md")]
pub mod testing {}
#[doc = include_str!("../docs/guide/threat_model.md")]
pub mod threat_model {}
