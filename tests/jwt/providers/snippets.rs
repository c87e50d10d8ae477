//! The snippets of `docs/guide/providers`, word for word, over keys of our own.

use super::{Api, Built, Transport};
use tower_oauth2::{
    Algorithm, RequestHead,
    server::{Authenticated, RequirePolicy},
    validate::{Jwks, JwtValidator, Rejection, TrustedIssuer},
};

pub(super) fn keycloak() -> Built {
    let realm = "https://id.example.com/realms/acme";
    let keys = Jwks::from_issuer(realm, Transport::https())?;
    let issuer = TrustedIssuer::new(realm, keys)
        .with_types(["JWT"])
        .allow_azp_as_client_id()
        .with_client_ids(["web"])
        .with_audience(["orders-api"])
        .with_role_claims(["/realm_access/roles", "/resource_access/orders-api/roles"])?;
    let validator = JwtValidator::new(issuer)?;
    Ok(Api::of(validator))
}

pub(super) fn devise() -> Built {
    let (secret, old) = ("0f6d-the-secret-of-this-year-0f6d", "91b2-the-secret-of-last-year-91b2");
    let keys = Jwks::from_secrets(Algorithm::Hs256, [secret, old])?;
    let issuer = TrustedIssuer::new("https://app.example.com", keys)
        .allow_missing_type()
        .allow_missing_issuer()
        .dangerous_allow_missing_audience()
        .allow_numeric_subjects()
        .with_required_claims(["sub", "iat", "jti"])?
        .with_role_claims(["scp"])?;
    let validator = JwtValidator::new(issuer)?;
    Ok(Api::of(validator))
}

pub(super) fn entra() -> Built {
    let tenant = "https://login.microsoftonline.com/0d2fd715-49b1-41f7-b6a0-60ca5ef069c7/v2.0";
    let keys = Jwks::from_issuer(tenant, Transport::https())?;
    let issuer = TrustedIssuer::new(tenant, keys)
        .with_types(["JWT"])
        .with_audience(["6e74172b-be56-4843-9ff4-e66a39bb12e3"])
        .with_client_claims(["azp"])
        .with_client_ids(["b14a7505-96e9-4927-91e8-0601d0fc9caa"])
        .with_required_claims(["sub", "client_id", "iat"])?
        .with_role_claims(["roles"])?;
    let validator = JwtValidator::new(issuer)?.with_scope_claims(["scp"]);
    Ok(Api::of(validator))
}

pub(super) fn entra_tenants() -> Built {
    let trusted = |tenant: &str| {
        let issuer = format!("https://login.microsoftonline.com/{tenant}/v2.0");
        TrustedIssuer::new(&*issuer, Jwks::from_issuer(&issuer, Transport::https())?)
            .with_types(["JWT"])
            .with_audience(["6e74172b-be56-4843-9ff4-e66a39bb12e3"])
            .with_client_claims(["azp"])
            .with_required_claims(["sub", "client_id", "iat"])
    };
    let validator = JwtValidator::new(trusted("0d2fd715-49b1-41f7-b6a0-60ca5ef069c7")?)?
        .with_issuer(trusted("3a1f9c52-7d04-4b6e-9c1d-2f8e5b7a6c10")?)?
        .with_scope_claims(["scp"]);
    Ok(Api::of(validator))
}

pub(super) fn entra_any_tenant() -> Built {
    let keys = "https://login.microsoftonline.com/common/discovery/v2.0/keys";
    let keys = Jwks::from_url(keys, Transport::https())?;
    let template = "https://login.microsoftonline.com/{tenantid}/v2.0";
    let issuer = TrustedIssuer::from_template(template, keys)?
        .with_types(["JWT"])
        .with_audience(["6e74172b-be56-4843-9ff4-e66a39bb12e3"])
        .with_client_claims(["azp"])
        .with_required_claims(["sub", "client_id", "iat"])?;
    let validator = JwtValidator::new(issuer)?.with_scope_claims(["scp"]);
    Ok(Api::of(validator))
}

pub(super) fn b2c() -> Built {
    let policy = "https://contoso.b2clogin.com/contoso.onmicrosoft.com/B2C_1_signin";
    let keys = Jwks::from_url(&format!("{policy}/discovery/v2.0/keys"), Transport::https())?;
    let tenant = "https://contoso.b2clogin.com/775527ff-9a37-4307-8b3d-cc311f58d925/v2.0/";
    let issuer = TrustedIssuer::new(tenant, keys)
        .with_types(["JWT"])
        .with_audience(["90c0fe63-bcf2-44d5-8fb7-b8bbc0b29dc6"])
        .with_client_claims(["azp"])
        .with_client_ids(["f8e2b1a4-5c36-4f7d-8a90-1b2c3d4e5f60"])
        .with_required_claims(["sub", "client_id", "iat"])?;
    let validator = JwtValidator::new(issuer)?.with_scope_claims(["scp"]);
    Ok(Api::of(validator))
}

pub(super) fn external_id() -> Built {
    let tenant = "https://8f1c2d3e-4b5a-4697-8877-665544332211.ciamlogin.com/\
                  8f1c2d3e-4b5a-4697-8877-665544332211/v2.0";
    let keys = Jwks::from_issuer(tenant, Transport::https())?;
    let issuer = TrustedIssuer::new(tenant, keys)
        .with_types(["JWT"])
        .with_audience(["90c0fe63-bcf2-44d5-8fb7-b8bbc0b29dc6"])
        .with_client_claims(["azp"])
        .with_client_ids(["f8e2b1a4-5c36-4f7d-8a90-1b2c3d4e5f60"])
        .with_required_claims(["sub", "client_id", "iat"])?;
    let validator = JwtValidator::new(issuer)?.with_scope_claims(["scp"]);
    Ok(Api::of(validator))
}

pub(super) fn auth0() -> Built {
    let tenant = "https://acme.eu.auth0.com/";
    let keys = Jwks::from_issuer(tenant, Transport::https())?;
    let issuer = TrustedIssuer::new(tenant, keys)
        .with_types(["JWT"])
        .with_audience(["https://api.example.com"])
        .with_client_claims(["azp"])
        .with_client_ids(["wEbApP1"])
        .with_required_claims(["sub", "client_id", "iat"])?
        .with_role_claims(["permissions"])?;
    let validator = JwtValidator::new(issuer)?;
    Ok(Api::of(validator))
}

pub(super) fn auth0_rfc9068() -> Built {
    let tenant = "https://acme.eu.auth0.com/";
    let keys = Jwks::from_issuer(tenant, Transport::https())?;
    let issuer = TrustedIssuer::new(tenant, keys)
        .with_audience(["https://api.example.com"])
        .with_client_ids(["wEbApP1"])
        .with_role_claims(["permissions"])?;
    let validator = JwtValidator::new(issuer)?;
    Ok(Api::of(validator))
}

pub(super) fn okta() -> Built {
    let server = "https://acme.okta.com/oauth2/default";
    let keys = Jwks::from_issuer(server, Transport::https())?;
    let issuer = TrustedIssuer::new(server, keys)
        .allow_missing_type()
        .with_audience(["api://default"])
        .with_client_claims(["cid"])
        .with_client_ids(["0oa1web"])
        .with_role_claims(["groups"])?;
    let validator = JwtValidator::new(issuer)?.with_scope_claims(["scp"]);
    Ok(Api::of(validator))
}

pub(super) fn cognito() -> Built {
    let pool = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI";
    let keys = Jwks::from_issuer(pool, Transport::https())?;
    let issuer = TrustedIssuer::new(pool, keys)
        .allow_missing_type()
        .dangerous_allow_missing_audience()
        .with_client_ids(["3n4b5urk1ft4fl3mg5e62d9ado"])
        .with_role_claims(["cognito:groups"])?;
    let validator = JwtValidator::new(issuer)?;
    Ok(Api::of(validator))
}

pub(super) fn google_service_accounts() -> Built {
    let google = "https://accounts.google.com";
    let keys = Jwks::from_issuer(google, Transport::https())?;
    let issuer = TrustedIssuer::new(google, keys)
        .with_types(["JWT"])
        .with_audience(["https://orders.example.com"])
        .with_client_claims(["azp"])
        .with_client_ids(["113774264463038321964"])
        .with_required_claims(["sub", "client_id", "iat"])?;
    let validator = JwtValidator::new(issuer)?;
    Ok(Api::of(validator))
}

pub(super) fn google_users() -> Built {
    let google = "https://accounts.google.com";
    let keys = Jwks::from_issuer(google, Transport::https())?;
    let issuer = TrustedIssuer::new(google, keys)
        .with_types(["JWT"])
        .dangerous_allow_id_tokens(["4077-web.apps.googleusercontent.com"])
        .with_client_claims(["azp"])
        .with_required_claims(["sub", "client_id", "iat"])?;
    let validator = JwtValidator::new(issuer)?;
    Ok(Api::of(validator))
}

#[rustfmt::skip]
pub(super) fn kubernetes() -> Built {
    let cluster = "https://kubernetes.default.svc.cluster.local";
    let issuer = TrustedIssuer::new(cluster, Jwks::from_issuer(cluster, Transport::https())?)
        .allow_missing_type()
        .with_audience(["https://orders.example.com"])
        .with_required_claims(["sub", "iat"])?;
    let validator = JwtValidator::new(issuer)?;
    let billing = RequirePolicy::new(|who: &Authenticated, _: RequestHead<'_>| {
        let is_billing = who.principal().subject() == Some("system:serviceaccount:shop:billing");
        is_billing.then_some(()).ok_or(Rejection::forbidden("not the service account of billing"))
    });
    Ok(Api::guarded(validator, &billing))
}

#[rustfmt::skip]
pub(super) fn github_actions() -> Built {
    #[derive(serde::Deserialize)]
    struct Job { repository: String, environment: String }
    let github = "https://token.actions.githubusercontent.com";
    let issuer = TrustedIssuer::new(github, Jwks::from_issuer(github, Transport::https())?)
        .with_audience(["shop-deploy"]).with_types(["JWT"]).with_required_claims(["sub", "jti"])?;
    let validator = JwtValidator::new(issuer)?.with_claims::<Job>();
    let prod = RequirePolicy::new(|who: &Authenticated, _: RequestHead<'_>| match who.claims() {
        Some(Job { repository: r, environment: e }) if [r, e] == ["acme/shop", "prod"] => Ok(()),
        _ => Err(Rejection::forbidden("not the environment prod of acme/shop")),
    });
    Ok(Api::guarded(validator, &prod))
}

#[rustfmt::skip]
pub(super) fn gitlab() -> Built {
    #[derive(serde::Deserialize)]
    struct Job { project_path: String, ref_protected: String }
    let gitlab = "https://gitlab.com";
    let issuer = TrustedIssuer::new(gitlab, Jwks::from_issuer(gitlab, Transport::https())?)
        .with_audience(["shop-deploy"]).with_types(["JWT"]).with_required_claims(["sub", "jti"])?;
    let validator = JwtValidator::new(issuer)?.with_claims::<Job>();
    let safe = RequirePolicy::new(|who: &Authenticated, _: RequestHead<'_>| match who.claims() {
        Some(Job { project_path: p, ref_protected: r }) if [p, r] == ["acme/shop", "true"] => Ok(()),
        _ => Err(Rejection::forbidden("not a protected branch of acme/shop")),
    });
    Ok(Api::guarded(validator, &safe))
}

pub(super) fn hydra() -> Built {
    let server = "https://hydra.example.com/";
    let keys = Jwks::from_issuer(server, Transport::https())?;
    let issuer = TrustedIssuer::new(server, keys)
        .with_types(["JWT"])
        .with_audience(["https://api.example.com"])
        .with_client_ids(["web"]);
    let validator = JwtValidator::new(issuer)?.with_scope_claims(["scp"]);
    Ok(Api::of(validator))
}

pub(super) fn hydra_without_audience() -> Built {
    let server = "https://hydra.example.com/";
    let keys = Jwks::from_issuer(server, Transport::https())?;
    let issuer = TrustedIssuer::new(server, keys)
        .with_types(["JWT"])
        .dangerous_allow_missing_audience()
        .with_client_ids(["web"]);
    let validator = JwtValidator::new(issuer)?.with_scope_claims(["scp"]);
    Ok(Api::of(validator))
}

pub(super) fn dex() -> Built {
    let server = "https://dex.example.com";
    let keys = Jwks::from_issuer(server, Transport::https())?;
    let issuer = TrustedIssuer::new(server, keys)
        .allow_missing_type()
        .dangerous_allow_id_tokens(["web"])
        .with_required_claims(["sub", "iat"])?
        .with_role_claims(["groups"])?;
    let validator = JwtValidator::new(issuer)?;
    Ok(Api::of(validator))
}

pub(super) fn zitadel() -> Built {
    let instance = "https://acme.zitadel.cloud";
    let keys = Jwks::from_issuer(instance, Transport::https())?;
    let issuer = TrustedIssuer::new(instance, keys)
        .with_types(["at+jwt", "JWT"])
        .allow_missing_type()
        .with_audience(["69234237810729019"])
        .allow_azp_as_client_id()
        .with_client_ids(["69234237810729234"])
        .with_role_claims(["urn:zitadel:iam:org:project:69234237810729019:roles"])?
        .allow_role_objects();
    let validator = JwtValidator::new(issuer)?;
    Ok(Api::of(validator))
}

pub(super) fn fusionauth() -> Built {
    let url = "https://auth.example.com/.well-known/jwks.json";
    let keys = Jwks::from_url(url, Transport::https())?;
    let issuer = TrustedIssuer::new("acme.com", keys)
        .with_types(["JWT"])
        .with_audience(["e9fdb985-9173-4e01-9d73-ac2d60d1dc8e"])
        .with_client_claims(["applicationId"])
        .with_client_ids(["e9fdb985-9173-4e01-9d73-ac2d60d1dc8e"])
        .with_role_claims(["roles"])?;
    let validator = JwtValidator::new(issuer)?;
    Ok(Api::of(validator))
}

pub(super) fn authentik() -> Built {
    let application = "https://auth.example.com/application/o/shop/";
    let keys = Jwks::from_issuer(application, Transport::https())?;
    let issuer = TrustedIssuer::new(application, keys)
        .with_types(["JWT"])
        .with_audience(["web"])
        .with_client_claims(["azp"])
        .with_client_ids(["web"])
        .with_required_claims(["sub", "client_id", "iat"])?
        .with_role_claims(["groups"])?;
    let validator = JwtValidator::new(issuer)?;
    Ok(Api::of(validator))
}

pub(super) fn adfs() -> Built {
    let url = "https://fs.example.com/adfs/discovery/keys";
    let keys = Jwks::from_url(url, Transport::https())?;
    let issuer = TrustedIssuer::new("http://fs.example.com/adfs/services/trust", keys)
        .with_types(["JWT"])
        .with_audience(["https://api.example.com"])
        .with_client_claims(["appid"])
        .with_client_ids(["1269b850-6b1c-4f0e-8f60-21e5c3c31b4d"])
        .with_required_claims(["client_id", "iat"])?;
    let validator = JwtValidator::new(issuer)?.with_scope_claims(["scp"]);
    Ok(Api::of(validator))
}

pub(super) fn duende() -> Built {
    let server = "https://identity.example.com";
    let keys = Jwks::from_issuer(server, Transport::https())?;
    let issuer = TrustedIssuer::new(server, keys)
        .allow_other_scopes()
        .with_audience(["https://api.example.com"])
        .with_client_ids(["web"]);
    let validator = JwtValidator::new(issuer)?;
    Ok(Api::of(validator))
}
