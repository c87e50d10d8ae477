//! Authorization servers that one runs oneself.

use super::{Provider, roles, snippets, typed, untyped};
use crate::{
    api::{NOW, encoded, with},
    keys::authenticated,
};
use serde_json::json;

#[tokio::test]
async fn keycloak_tokens_of_the_realm_for_the_api_by_the_client_pass_alone() {
    let realm = "https://id.example.com/realms/acme";
    let claims = json!({
        "jti": "onrtac:1", "iss": realm, "aud": ["orders-api", "account"], "sub": "df053ed9",
        "typ": "Bearer", "azp": "web", "sid": "606b", "acr": "0",
        "allowed-origins": ["http://localhost:8080"], "scope": "profile email",
        "realm_access": {"roles": ["offline_access", "Admin Role"]}, "email_verified": false,
        "resource_access": {"orders-api": {"roles": ["reader"]}, "account": {"roles": ["view"]}},
    });
    let keycloak = Provider::new(snippets::keycloak(), typed(), claims).await;
    let who = keycloak.accepts(json!({})).await;
    assert_eq!(roles(&who), ["offline_access", "Admin Role", "reader"]);
    assert_eq!((who.subject(), who.client_id()), (Some("df053ed9"), Some("web")));
    keycloak.refuses("an ID token", json!({"typ": "ID", "aud": "web", "at_hash": "x"})).await;
    keycloak.refuses("an ID token for the API", json!({"typ": "ID"})).await;
    keycloak.refuses("a refresh token", json!({"typ": "Refresh"})).await;
    keycloak.refuses("another realm", json!({"iss": "https://id.example.com/realms/x"})).await;
    keycloak.refuses("another client", json!({"azp": "mobile"})).await;
    keycloak.refuses("no audience mapper", json!({"aud": "account"})).await;
    keycloak.refuses("no audience at all", json!({"aud": null})).await;
}

#[tokio::test]
async fn hydra_tokens_with_a_granted_audience_pass_and_without_one_where_that_is_allowed() {
    let claims = json!({
        "aud": ["https://api.example.com"], "client_id": "web", "ext": {}, "jti": "f0e2",
        "iss": "https://hydra.example.com/", "nbf": NOW - 10, "scp": ["read", "write"],
        "sub": "alice",
    });
    let strict = Provider::new(snippets::hydra(), typed(), claims.clone()).await;
    let open = Provider::new(
        snippets::hydra_without_audience(),
        typed(),
        with(claims, json!({"aud": []})),
    )
    .await;
    for hydra in [&strict, &open] {
        let who = hydra.accepts(json!({})).await;
        assert_eq!(who.scopes().to_string(), "read write");
        let nameless = with(hydra.header.clone(), json!({"kid": ""}));
        assert_eq!(hydra.status(&nameless, json!({})).await, 200);
        let id = json!({"aud": ["web"], "client_id": null, "scp": null, "at_hash": "x"});
        hydra.refuses("an ID token", id).await;
        hydra.refuses("another client", json!({"client_id": "mobile"})).await;
        hydra.refuses("another server", json!({"iss": "https://hydra.example.org/"})).await;
        hydra
            .refuses("the issuer without its slash", json!({"iss": "https://hydra.example.com"}))
            .await;
    }
    strict.refuses("no audience", json!({"aud": []})).await;
}

#[tokio::test]
async fn dex_tokens_pass_with_the_id_tokens_of_the_same_client_alone() {
    let claims = json!({
        "iss": "https://dex.example.com", "sub": "CgcyMzQyNzQ5EgZnaXRodWI", "aud": "web",
        "at_hash": "Rhvz9tSBl7kgPBnh6b2uCg", "email": "a@example.com", "email_verified": true,
        "groups": ["admins", "on call"], "name": "Alice",
    });
    let dex = Provider::new(snippets::dex(), untyped(), claims).await;
    assert_eq!(roles(&dex.accepts(json!({})).await), ["admins", "on call"]);
    // Dex makes both by one function: nothing in them differs.
    dex.accepts(json!({"nonce": "n", "at_hash": "an ID token's"})).await;
    dex.accepts(json!({"aud": ["web"], "azp": "web"})).await;
    dex.refuses("another client", json!({"aud": "mobile"})).await;
    dex.refuses("a peer's token", json!({"aud": ["web", "mobile"], "azp": "mobile"})).await;
    dex.refuses("another server", json!({"iss": "https://dex.example.org"})).await;
}

#[tokio::test]
async fn zitadel_tokens_for_the_project_pass_and_id_tokens_do_not() {
    let claims = json!({
        "iss": "https://acme.zitadel.cloud", "sub": "77776025198584418", "jti": "69234237813329048",
        "aud": ["69234237810729234", "69234237810729019"], "azp": "69234237810729234",
        "nbf": NOW - 10, "urn:zitadel:iam:org:project:69234237810729019:roles": {
            "site manager": {"165461": "acme.zitadel.cloud"},
        },
    });
    let zitadel = Provider::new(snippets::zitadel(), untyped(), claims).await;
    assert_eq!(roles(&zitadel.accepts(json!({})).await), ["site manager"]);
    zitadel.accepts(json!({"azp": null, "client_id": "69234237810729234"})).await;
    assert_eq!(zitadel.status(&typed(), json!({})).await, 200);
    zitadel.refuses("an ID token", json!({"jti": null, "nonce": "n", "amr": ["pwd"]})).await;
    zitadel.refuses("an ID token with a hash", json!({"at_hash": "x"})).await;
    zitadel.refuses("another instance", json!({"iss": "https://other.zitadel.cloud"})).await;
    zitadel.refuses("another client", json!({"azp": "69234237810729999"})).await;
}

#[tokio::test]
async fn fusionauth_tokens_of_the_application_and_tenant_pass_alone() {
    let application = "e9fdb985-9173-4e01-9d73-ac2d60d1dc8e";
    let claims = json!({
        "aud": application, "iss": "acme.com", "sub": "00000000-0000-0000-0000-111111111111",
        "jti": "2e2271d7-3057-4bfd-99ab-34af48e84567", "authenticationType": "PASSWORD",
        "email": "a@example.com", "applicationId": application, "scope": "profile openid",
        "roles": ["admin"], "sid": "0abe7139", "auth_time": NOW - 60,
        "tid": "d7d09513-a3f5-401c-9685-34ab6c552453",
    });
    let header = with(typed(), json!({"gty": ["authorization_code"]}));
    let fusionauth = Provider::new(snippets::fusionauth(), header, claims).await;
    let who = fusionauth.accepts(json!({})).await;
    assert_eq!((roles(&who), who.client_id()), (vec!["admin"], Some(application)));
    fusionauth.refuses("an ID token", json!({"at_hash": "x"})).await;
    fusionauth.refuses("an ID token without a hash", json!({"jti": null})).await;
    fusionauth.refuses("another tenant", json!({"iss": "other.com"})).await;
    let other = "79103734-97ab-4d1a-af37-e006d05d2952";
    fusionauth.refuses("another application", json!({"aud": other, "applicationId": other})).await;
    fusionauth.refuses("a user who is not registered", json!({"applicationId": null})).await;
}

#[tokio::test]
async fn authentik_access_tokens_pass_and_id_tokens_of_the_same_audience_do_not() {
    let claims = json!({
        "iss": "https://auth.example.com/application/o/shop/", "sub": "b9b8", "aud": "web",
        "auth_time": NOW - 60, "acr": "goauthentik.io/providers/oauth2/default", "amr": ["pwd"],
        "sid": "1f", "email": "a@example.com", "groups": ["admins"], "azp": "web", "uid": "rB4v",
    });
    let authentik = Provider::new(snippets::authentik(), typed(), claims).await;
    assert_eq!(roles(&authentik.accepts(json!({})).await), ["admins"]);
    authentik.refuses("an ID token", json!({"azp": null, "uid": null, "nonce": "n"})).await;
    authentik.refuses("an ID token with a hash", json!({"at_hash": "x"})).await;
    let other = "https://auth.example.com/application/o/other/";
    authentik.refuses("another application", json!({"iss": other})).await;
    authentik.refuses("another client", json!({"aud": "mobile", "azp": "mobile"})).await;
}

#[tokio::test]
async fn adfs_access_tokens_with_a_thumbprint_and_a_date_pass_and_id_tokens_do_not() {
    let claims = json!({
        "aud": "https://api.example.com", "iss": "http://fs.example.com/adfs/services/trust",
        "apptype": "Confidential", "appid": "1269b850-6b1c-4f0e-8f60-21e5c3c31b4d", "ver": "1.0",
        "authmethod": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
        "auth_time": "2025-12-31T08:50:55.546Z", "scp": "openid",
    });
    let header = json!({"typ": "JWT", "alg": "RS256", "x5t": "k1"});
    let adfs = Provider::new(snippets::adfs(), header, claims).await;
    let who = adfs.accepts(json!({})).await;
    assert_eq!((who.subject(), who.scopes().to_string().as_str()), (None, "openid"));
    assert_eq!(adfs.status(&typed(), json!({})).await, 200);
    let id = json!({"iss": "https://fs.example.com/adfs", "sub": "s", "aud": "1269b850"});
    adfs.refuses("an ID token", id).await;
    adfs.refuses("an ID token for the API", json!({"iss": "https://fs.example.com/adfs"})).await;
    adfs.refuses("another server", json!({"iss": "http://fs.example.org/adfs/services/trust"}))
        .await;
    adfs.refuses("another client", json!({"appid": "5f0e21e5-6b1c-4f0e-8f60-c3c31b4d0000"})).await;
}

#[tokio::test]
async fn duende_tokens_with_scopes_in_a_list_pass_by_one_setting() {
    let claims = json!({
        "iss": "https://identity.example.com", "nbf": NOW - 10, "aud": "https://api.example.com",
        "scope": ["openid", "orders.read"], "amr": ["pwd"], "client_id": "web", "sub": "818727",
        "auth_time": NOW - 60, "idp": "local", "sid": "4CAC", "jti": "9A8C",
    });
    let header = with(typed(), json!({"typ": "at+jwt"}));
    let duende = Provider::new(snippets::duende(), header, claims).await;
    assert_eq!(duende.accepts(json!({})).await.scopes().to_string(), "openid orders.read");
    let id = json!({"aud": "web", "client_id": null, "jti": null, "scope": null, "at_hash": "x"});
    assert_eq!(duende.status(&typed(), id.clone()).await, 401);
    duende.refuses("an ID token of that type", id).await;
    assert_eq!(duende.status(&typed(), json!({})).await, 401);
    duende.refuses("another server", json!({"iss": "https://identity.example.org"})).await;
    duende.refuses("another client", json!({"client_id": "mobile"})).await;
    duende.refuses("no API resource", json!({"aud": null})).await;
}

#[tokio::test]
async fn tokens_of_devise_by_either_secret_pass_and_no_others() {
    let (secret, old) = ("0f6d-the-secret-of-this-year-0f6d", "91b2-the-secret-of-last-year-91b2");
    let api = snippets::devise().unwrap();
    let token = |secret: &str, algorithm: &str, changes| {
        let claims =
            json!({"sub": 42, "scp": "user", "iat": NOW - 10, "exp": NOW + 600, "jti": "e1"});
        let header = json!({"alg": algorithm}).to_string();
        let input = format!("{}.{}", encoded(header), encoded(with(claims, changes).to_string()));
        let tag = authenticated(algorithm, secret.as_bytes(), input.as_bytes());
        format!("{input}.{}", encoded(tag))
    };
    for secret in [secret, old] {
        for changes in [json!({}), json!({"aud": null}), json!({"sub": "42"})] {
            assert_eq!(api.status(&token(secret, "HS256", changes)).await, 200);
            let who = api.seen.lock().unwrap().take().unwrap();
            assert_eq!(
                (who.subject(), who.issuer()),
                (Some("42"), Some("https://app.example.com"))
            );
            assert_eq!(roles(&who), ["user"]);
        }
        for changes in [
            json!({"exp": NOW - 60}),
            json!({"exp": null}),
            json!({"jti": null}),
            json!({"sub": null}),
            json!({"iss": "https://other.example.com"}),
            json!({"aud": "https://other.example.com"}),
            json!({"cnf": {"jkt": "x"}}),
            json!({"events": {"logout": {}}}),
            json!({"token_use": "refresh"}),
        ] {
            assert_eq!(
                api.status(&token(secret, "HS256", changes.clone())).await,
                401,
                "{changes}"
            );
        }
        assert_eq!(api.status(&token(secret, "HS512", json!({}))).await, 401);
    }
    let third = "a7c4-the-secret-of-the-year-before";
    assert_eq!(api.status(&token(third, "HS256", json!({}))).await, 401);
}
