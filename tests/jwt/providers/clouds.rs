//! Identity providers that are services.

use super::{Provider, personal_key, roles, snippets, typed, untyped};
use crate::api::{NOW, with};
use serde_json::{Value, json};

const TENANT: &str = "0d2fd715-49b1-41f7-b6a0-60ca5ef069c7";
const SECOND: &str = "3a1f9c52-7d04-4b6e-9c1d-2f8e5b7a6c10";
const STRANGE: &str = "11111111-49b1-41f7-b6a0-60ca5ef069c7";

fn of_tenant(tenant: &str) -> Value {
    json!({"iss": format!("https://login.microsoftonline.com/{tenant}/v2.0"), "tid": tenant})
}

fn entra_claims() -> Value {
    let claims = json!({
        "aud": "6e74172b-be56-4843-9ff4-e66a39bb12e3", "nbf": NOW - 10, "aio": "ATQAy/8TAAAA",
        "azp": "b14a7505-96e9-4927-91e8-0601d0fc9caa", "azpacr": "0", "name": "Alice",
        "oid": "690222be-ff1a-4d56-abd1-7e4f7d38e474", "preferred_username": "a@contoso.com",
        "rh": "I", "roles": ["Orders.Read.All"], "scp": "access_as_user orders.read",
        "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ", "uti": "fqiBqXLPj0eQa82S-IYFAA",
        "ver": "2.0", "wids": ["b79fbf4d"], "groups": ["g1"],
    });
    with(claims, of_tenant(TENANT))
}

/// The ID token of a page and an API that are one registration: its audience is that of the API.
fn entra_id() -> Value {
    json!({"azp": null, "azpacr": null, "scp": null, "nonce": "678910"})
}

fn with_thumbprint() -> Value {
    with(typed(), json!({"x5t": "k1"}))
}

#[tokio::test]
async fn entra_access_tokens_of_the_tenant_for_the_api_by_the_client_pass_alone() {
    let entra = Provider::new(snippets::entra(), with_thumbprint(), entra_claims()).await;
    let who = entra.accepts(json!({})).await;
    assert_eq!(roles(&who), ["Orders.Read.All"]);
    assert_eq!(who.scopes().to_string(), "access_as_user orders.read");
    // An application's own token.
    let who = entra.accepts(json!({"scp": null, "azpacr": "1", "name": null})).await;
    assert!(who.scopes().is_empty() && who.has_role("Orders.Read.All"));
    entra.refuses("an ID token", entra_id()).await;
    entra.refuses("another tenant", of_tenant(STRANGE)).await;
    entra.refuses("another client", json!({"azp": "c25b8616-96e9-4927-91e8-0601d0fc9caa"})).await;
    entra.refuses("Graph's", json!({"aud": "00000003-0000-0000-c000-000000000000"})).await;
    let v1 = json!({"iss": format!("https://sts.windows.net/{TENANT}/"), "ver": "1.0"});
    entra.refuses("a v1 token", v1).await;
}

#[tokio::test]
async fn entra_access_tokens_of_the_listed_tenants_pass_alone() {
    let entra = Provider::new(snippets::entra_tenants(), with_thumbprint(), entra_claims()).await;
    for tenant in [TENANT, SECOND] {
        let who = entra.accepts(of_tenant(tenant)).await;
        assert!(who.issuer().unwrap().contains(tenant));
        entra.refuses("an ID token", with(of_tenant(tenant), entra_id())).await;
    }
    entra.refuses("another tenant", of_tenant(STRANGE)).await;
    entra.refuses("the template", of_tenant("{tenantid}")).await;
    entra.refuses("no client", json!({"azp": null})).await;
}

#[tokio::test]
async fn entra_access_tokens_of_any_tenant_pass_by_the_keys_of_that_tenant() {
    let entra = Provider::new(snippets::entra_any_tenant(), typed(), entra_claims()).await;
    for tenant in [TENANT, SECOND, STRANGE] {
        let who = entra.accepts(of_tenant(tenant)).await;
        assert!(who.issuer().unwrap().contains(tenant));
    }
    entra.refuses("an ID token", entra_id()).await;
    entra.refuses("a tid of another tenant", json!({"tid": SECOND})).await;
    entra.refuses("the template", of_tenant("{tenantid}")).await;
    entra
        .refuses("another issuer", json!({"iss": format!("https://sts.windows.net/{TENANT}/")}))
        .await;
    entra.refuses("no client", json!({"azp": null})).await;
    let header = with(typed(), json!({"kid": "m1"}));
    for (tenant, status) in [("9188040d-6c67-4c5b-b112-36a304b66dad", 200), (TENANT, 401)] {
        let seen = entra.status_by(&personal_key(), &header, of_tenant(tenant)).await;
        assert_eq!(seen, status, "by the key of personal accounts: {tenant}");
    }
}

#[tokio::test]
async fn b2c_and_external_id_access_tokens_pass_and_id_tokens_do_not() {
    let b2c = json!({
        "iss": "https://contoso.b2clogin.com/775527ff-9a37-4307-8b3d-cc311f58d925/v2.0/",
        "aud": "90c0fe63-bcf2-44d5-8fb7-b8bbc0b29dc6", "sub": "884408e1", "nbf": NOW - 10,
        "azp": "f8e2b1a4-5c36-4f7d-8a90-1b2c3d4e5f60", "scp": "orders.read", "ver": "1.0",
        "tfp": "B2C_1_signin", "auth_time": NOW - 60, "name": "Alice",
    });
    let tenant = "8f1c2d3e-4b5a-4697-8877-665544332211";
    let external = json!({
        "iss": format!("https://{tenant}.ciamlogin.com/{tenant}/v2.0"), "tid": tenant,
        "tfp": null, "ver": "2.0",
    });
    let external = with(b2c.clone(), external);
    for (api, claims) in [(snippets::b2c(), b2c), (snippets::external_id(), external)] {
        let provider = Provider::new(api, typed(), claims).await;
        let who = provider.accepts(json!({})).await;
        assert_eq!(who.scopes().to_string(), "orders.read");
        assert_eq!(who.client_id(), Some("f8e2b1a4-5c36-4f7d-8a90-1b2c3d4e5f60"));
        provider.refuses("an ID token", json!({"azp": null, "scp": null, "nonce": "n"})).await;
        let tenant = "https://contoso.b2clogin.com/11111111-9a37-4307-8b3d-cc311f58d925/v2.0/";
        provider.refuses("another tenant", json!({"iss": tenant})).await;
        provider.refuses("another client", json!({"azp": "another"})).await;
    }
}

#[tokio::test]
async fn auth0_access_tokens_of_both_profiles_pass_and_id_tokens_do_not() {
    let auth0 = json!({
        "iss": "https://acme.eu.auth0.com/", "sub": "auth0|5f7c8ec7c33c6c004bbafe82",
        "aud": ["https://api.example.com", "https://acme.eu.auth0.com/userinfo"],
        "azp": "wEbApP1", "scope": "openid profile read:orders", "permissions": ["read:orders"],
    });
    let rfc9068 = with(auth0.clone(), json!({"azp": null, "client_id": "wEbApP1", "jti": "j1"}));
    let header = with(typed(), json!({"typ": "at+jwt"}));
    for (api, header, claims, client) in [
        (snippets::auth0(), typed(), auth0, "azp"),
        (snippets::auth0_rfc9068(), header, rfc9068, "client_id"),
    ] {
        let tenant = Provider::new(api, header, claims).await;
        let who = tenant.accepts(json!({})).await;
        assert_eq!((roles(&who), who.client_id()), (vec!["read:orders"], Some("wEbApP1")));
        let id = json!({"aud": "wEbApP1", client: null, "scope": null, "nonce": "n", "sid": "s"});
        tenant.refuses("an ID token", id.clone()).await;
        assert_eq!(tenant.status(&typed(), id).await, 401);
        tenant.refuses("another tenant", json!({"iss": "https://other.eu.auth0.com/"})).await;
        tenant.refuses("another client", json!({client: "mObIlE2"})).await;
        tenant.refuses("no slash", json!({"iss": "https://acme.eu.auth0.com"})).await;
    }
}

#[tokio::test]
async fn okta_access_tokens_of_the_custom_server_pass_and_id_tokens_do_not() {
    let claims = json!({
        "ver": 1, "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE",
        "iss": "https://acme.okta.com/oauth2/default", "aud": "api://default", "cid": "0oa1web",
        "uid": "00u1", "scp": ["openid", "orders.read"], "sub": "a@example.com",
        "groups": ["Everyone", "IT Admins"], "auth_time": NOW - 30,
    });
    let okta = Provider::new(snippets::okta(), untyped(), claims).await;
    let who = okta.accepts(json!({})).await;
    assert_eq!(roles(&who), ["Everyone", "IT Admins"]);
    assert_eq!(
        (who.scopes().to_string().as_str(), who.client_id()),
        ("openid orders.read", Some("0oa1web"))
    );
    // A machine's token.
    okta.accepts(json!({"uid": null, "sub": "0oa1web", "groups": null})).await;
    let id = json!({
        "aud": "0oa1web", "cid": null, "scp": null, "at_hash": "x", "jti": "ID.1", "amr": ["pwd"],
    });
    okta.refuses("an ID token", id).await;
    okta.refuses("an ID token for the API", json!({"cid": null})).await;
    okta.refuses("another server", json!({"iss": "https://acme.okta.com/oauth2/aus1"})).await;
    okta.refuses("the org's", json!({"iss": "https://acme.okta.com"})).await;
    okta.refuses("another client", json!({"cid": "0oa2mobile"})).await;
}

#[tokio::test]
async fn cognito_access_tokens_of_the_listed_clients_pass_alone() {
    let pool = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI";
    let claims = json!({
        "sub": "f02e777c-489d-43c5-806d-2e6c06c9a355", "iss": pool, "version": 2,
        "client_id": "3n4b5urk1ft4fl3mg5e62d9ado", "origin_jti": "o", "event_id": "e",
        "token_use": "access", "scope": "orders/read", "auth_time": NOW - 20, "jti": "j",
        "username": "alice", "cognito:groups": ["eu-west-1_AbCdEfGhI_Google", "admins"],
    });
    let cognito = Provider::new(snippets::cognito(), untyped(), claims).await;
    let who = cognito.accepts(json!({})).await;
    assert_eq!(roles(&who), ["eu-west-1_AbCdEfGhI_Google", "admins"]);
    let id = json!({
        "aud": "3n4b5urk1ft4fl3mg5e62d9ado", "client_id": null, "token_use": "id", "at_hash": "x",
        "scope": null,
    });
    cognito.refuses("an ID token", id).await;
    cognito.refuses("an ID token by its kind", json!({"token_use": "id"})).await;
    let other = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_ZzZzZzZzZ";
    cognito.refuses("another pool", json!({"iss": other})).await;
    cognito.refuses("another client", json!({"client_id": "7another"})).await;
}

#[tokio::test]
async fn google_tokens_of_the_listed_service_account_pass_alone() {
    let claims = json!({
        "iss": "https://accounts.google.com", "aud": "https://orders.example.com",
        "azp": "113774264463038321964", "sub": "113774264463038321964", "email_verified": true,
        "email": "billing@acme.iam.gserviceaccount.com",
    });
    let google = Provider::new(snippets::google_service_accounts(), typed(), claims).await;
    assert_eq!(google.accepts(json!({})).await.client_id(), Some("113774264463038321964"));
    let other = json!({"azp": "999999999999999999999", "sub": "999999999999999999999"});
    google.refuses("another service account", other).await;
    google.refuses("a user's ID token", json!({"at_hash": "x", "sub": "1"})).await;
    google.refuses("another issuer", json!({"iss": "https://accounts.google.org"})).await;
    google.refuses("a service account without azp", json!({"azp": null})).await;
}

#[tokio::test]
async fn google_users_id_tokens_of_the_listed_client_pass_alone() {
    let client = "4077-web.apps.googleusercontent.com";
    let claims = json!({
        "iss": "https://accounts.google.com", "azp": client, "aud": client, "hd": "example.com",
        "sub": "110169484474386276334", "email": "a@example.com", "email_verified": true,
        "at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q", "nonce": "0394852-3190485-2490358", "name": "Alice",
    });
    let google = Provider::new(snippets::google_users(), typed(), claims).await;
    assert_eq!(google.accepts(json!({})).await.subject(), Some("110169484474386276334"));
    google.accepts(json!({"at_hash": null})).await;
    let other = "4077-other.apps.googleusercontent.com";
    google.refuses("another client", json!({"aud": other, "azp": other})).await;
    google.refuses("for the client, by another", json!({"azp": other})).await;
    google.refuses("another issuer", json!({"iss": "https://accounts.google.org"})).await;
    google.refuses("no client named", json!({"azp": null})).await;
}
