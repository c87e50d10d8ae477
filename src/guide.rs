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
//! | find the token endpoint by its issuer | [`TokenEndpoint::from_issuer`](crate::client::TokenEndpoint::from_issuer) |
//! | find the token endpoint by the metadata of the API (RFC 9728) | [`ClientCredentialsRefresh::from_resource`](crate::client::ClientCredentialsRefresh::from_resource) |
//! | share one token among replicas | [`TokenStore`](crate::client::TokenStore) in [`with_store`](crate::client::TokenCache::with_store): [replicas that share](fleet) |
//! | let any replica use and renew a user's session | [`SharedSessions`](crate::client::SharedSessions): [sessions of users](fleet) |
//! | revoke a token at its server and in its store | [`TokenCache::revoke`](crate::client::TokenCache::revoke) with a [`TokenRevocation`](crate::client::TokenRevocation) |
//! | monitor a token, or fetch it before the first call | [`TokenCache::status`](crate::client::TokenCache::status), [`warm_up`](crate::client::TokenCache::warm_up) |
//! | answer a readiness probe | [`Health`](crate::Health): [when a replica is ready](health) |
//! | send tokens of several sources to several APIs | [`AddBearer::by_origin`](crate::client::AddBearer::by_origin) |
//! | call by reqwest | [`ReqwestService`](crate::client::ReqwestService), and the layer in its middleware |
//! | repeat calls of tonic or axum, with their own body type | [`Buffered::with_body`](crate::client::Buffered::with_body) |
//! | get more scopes when an API requires them | [`with_step_up`](crate::client::ClientCredentialsRefresh::with_step_up) |
//! | rotate a client's secret without a restart | [`ClientSecretSource`](crate::ClientSecretSource) |
//! | get a token by a grant of the server's own | [`Grant::extension`](crate::client::Grant::extension) |
//! | get a token where OAuth is not spoken | [`Grant::form`](crate::client::Grant::form), [`TokenCache::from_fn`](crate::client::TokenCache::from_fn) |
//! | authenticate by a token of Kubernetes, SPIFFE or a CI job | [`ClientAuthentication::assertion_from_file`](crate::ClientAuthentication::assertion_from_file): [recipes](workloads) |
//! | send the token of a file that rotates | [`TokenCache::from_file`](crate::client::TokenCache::from_file) |
//! | sign a user in from a command line | [`DeviceSignIn`](crate::client::DeviceSignIn) |
//! | get a token without a request | [`TokenCache::access_token`](crate::client::TokenCache::access_token) |
//! | sign who I am, with no secret on the wire | [`ClientAuthentication::private_key_jwt`](crate::ClientAuthentication::private_key_jwt) |
//! | make a stolen token worthless | [`ProofKey`](crate::ProofKey), [`Dpop`](crate::server::Dpop): [stolen tokens](stolen_tokens) |
//! | be known by a certificate | [`ClientAuthentication::tls`](crate::ClientAuthentication::tls), over [`Transport::https`](crate::Transport::https) with [`with_client_certificate_files`](crate::Transport::with_client_certificate_files); found by the issuer, the endpoints are those for certificates ([`with_mtls_aliases`](crate::AuthorizationServerMetadata::with_mtls_aliases)) |
//! | reach it through a proxy, or under a private certificate authority | [`Transport::with_proxy_from_env`](crate::Transport::with_proxy_from_env), [`with_root_certificates`](crate::Transport::with_root_certificates) |
//! | reach the authorization server by my own HTTP client | [`Transport::new`](crate::Transport::new) |
//! | read a token, or put it, elsewhere | [`TokenLocation`](crate::TokenLocation): [where the token rides](placement) |
//! | require a token out of a list | [`StaticTokens`](crate::validate::StaticTokens) |
//! | require a JWT of an issuer | [`JwtValidator`](crate::validate::JwtValidator), [`Jwks`](crate::validate::Jwks), under [`Cached`](crate::validate::Cached) |
//! | ask the issuer about each token | [`Introspection`](crate::validate::Introspection), under [`Cached`](crate::validate::Cached) |
//! | read claims of my own | [`JwtValidator::with_claims`](crate::validate::JwtValidator::with_claims), in axum [`Claims`](crate::server::Claims) |
//! | look tokens up in my database | a closure: [`ValidateToken`](crate::validate::ValidateToken), under [`Cached`](crate::validate::Cached) |
//! | write a validator whose tokens are remembered well | [`split_at`](crate::validate::CacheSupport::split_at) says what of a token is secret, [`recall`](crate::validate::CacheSupport::recall) finds one sooner |
//! | take tokens of several kinds | [`first_of`](crate::validate::first_of), [`Route`](crate::validate::Route) |
//! | take a token back at once | [`Revocations`](crate::validate::Revocations); told over HTTP: [`RevocationEndpoint`](crate::server::RevocationEndpoint) |
//! | ask for a scope on a route | [`RequireScope`](crate::server::RequireScope), in axum [`Scoped`](crate::server::Scoped) |
//! | let some requests through without a token | [`RequireToken::allow_anonymous`](crate::server::RequireToken::allow_anonymous) |
//! | ask for a fresher or stronger log-in | [`StepUp`](crate::server::StepUp) |
//! | give refusals a body | [`RenderRefusals`](crate::server::RenderRefusals) |
//! | tell clients where to get a token (RFC 9728) | [`RequireToken::with_resource`](crate::server::RequireToken::with_resource), [`ResourceMetadata`](crate::server::ResourceMetadata) |
//! | log each decision | [`RequireToken::with_audit`](crate::server::RequireToken::with_audit), or the features `tracing` and `metrics` |
//! | end a stream when its token ends | [`EndWithToken`](crate::server::EndWithToken) |
//! | make sure that refused uploads see the refusal | [`DrainRefused`](crate::server::DrainRefused) |
//! | test all of this without waiting | [`testing`](crate::testing) |
//!
//! Recipes: [Relatel](relatel), [Firmafon](firmafon), [a platform with a log-in
//! endpoint](login_platform), [Relatics on Keycloak](relatics), [token endpoints that are not quite OAuth](endpoints), [workloads without a secret](workloads). [Tokens of each provider](providers),
//! from Auth0 to Zitadel.
//!
//! Guides: [where a token is sent](placement), [when the authorization server is down](outages), [when a replica is ready](health),
//! [replicas that share their tokens](fleet), [odd answers of token endpoints](odd_answers), [odd tokens](odd_tokens), [my token is refused: why?](refused), [the order of layers](layer_order), [testing your own service](testing), [metrics and
//! tracing](telemetry), [what is protected](threat_model), [coming from other layers](migrating).

#[doc = include_str!("../docs/guide/endpoints.md")]
pub mod endpoints {}
#[doc = include_str!("../docs/guide/firmafon.md")]
pub mod firmafon {}
#[doc = include_str!("../docs/guide/fleet.md")]
pub mod fleet {}
#[doc = include_str!("../docs/guide/health.md")]
pub mod health {}
#[doc = include_str!("../docs/guide/layer_order.md")]
pub mod layer_order {}
#[doc = include_str!("../docs/guide/login_platform.md")]
pub mod login_platform {}
#[doc = include_str!("../docs/guide/migrating.md")]
pub mod migrating {}
#[doc = include_str!("../docs/guide/odd_answers.md")]
pub mod odd_answers {}
#[doc = include_str!("../docs/guide/odd_tokens.md")]
pub mod odd_tokens {}
#[doc = include_str!("../docs/guide/outages.md")]
pub mod outages {}
#[doc = include_str!("../docs/guide/placement.md")]
pub mod placement {}
#[doc = include_str!("../docs/guide/providers.md")]
pub mod providers {
    #[doc = include_str!("../docs/guide/providers/adfs.md")]
    pub mod adfs {}
    #[doc = include_str!("../docs/guide/providers/auth0.md")]
    pub mod auth0 {}
    #[doc = include_str!("../docs/guide/providers/authentik.md")]
    pub mod authentik {}
    #[doc = include_str!("../docs/guide/providers/b2c.md")]
    pub mod b2c {}
    #[doc = include_str!("../docs/guide/providers/cognito.md")]
    pub mod cognito {}
    #[doc = include_str!("../docs/guide/providers/devise.md")]
    pub mod devise {}
    #[doc = include_str!("../docs/guide/providers/dex.md")]
    pub mod dex {}
    #[doc = include_str!("../docs/guide/providers/duende.md")]
    pub mod duende {}
    #[doc = include_str!("../docs/guide/providers/entra.md")]
    pub mod entra {}
    #[doc = include_str!("../docs/guide/providers/fusionauth.md")]
    pub mod fusionauth {}
    #[doc = include_str!("../docs/guide/providers/github_actions.md")]
    pub mod github_actions {}
    #[doc = include_str!("../docs/guide/providers/gitlab.md")]
    pub mod gitlab {}
    #[doc = include_str!("../docs/guide/providers/google.md")]
    pub mod google {}
    #[doc = include_str!("../docs/guide/providers/hydra.md")]
    pub mod hydra {}
    #[doc = include_str!("../docs/guide/providers/keycloak.md")]
    pub mod keycloak {}
    #[doc = include_str!("../docs/guide/providers/kubernetes.md")]
    pub mod kubernetes {}
    #[doc = include_str!("../docs/guide/providers/okta.md")]
    pub mod okta {}
    #[doc = include_str!("../docs/guide/providers/zitadel.md")]
    pub mod zitadel {}
}
#[doc = include_str!("../docs/guide/refused.md")]
pub mod refused {}
#[doc = include_str!("../docs/guide/relatel.md")]
pub mod relatel {}
#[doc = include_str!("../docs/guide/relatics.md")]
pub mod relatics {}
#[doc = include_str!("../docs/guide/stolen_tokens.md")]
pub mod stolen_tokens {}
#[doc = include_str!("../docs/guide/telemetry.md")]
pub mod telemetry {}
#[doc = include_str!("../docs/guide/testing.md")]
pub mod testing {}
#[doc = include_str!("../docs/guide/threat_model.md")]
pub mod threat_model {}
#[doc = include_str!("../docs/guide/workloads.md")]
pub mod workloads {}
