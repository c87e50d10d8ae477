//! Clients, roles, actors and sessions, read alike from JWTs and from introspection answers.

use crate::{
    api::NOW,
    odd_tokens::{Verdict, as_a_jwt, asking, introspected, trusted},
};
use serde_json::{Value, json};
use tower_oauth2::validate::{Introspection, Principal, Rejection, TrustedIssuer};

/// The verdict on a token with `claims`, which has to be the same from both validators.
async fn judged(
    jwt: impl FnOnce(TrustedIssuer) -> TrustedIssuer,
    introspection: impl FnOnce(Introspection) -> Introspection,
    claims: &Value,
) -> Verdict {
    let mut all = json!({
        "iss": "https://as.example", "aud": "api", "sub": "alice", "exp": NOW + 600, "active": true,
    });
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    let verdict = as_a_jwt(jwt(trusted().with_audience(["api"])), &all.to_string()).await;
    let other = introspected(introspection(asking(all.to_string()))).await;
    assert_eq!(verdict.as_ref().err(), other.as_ref().err(), "{claims}");
    assert_eq!(verdict.as_ref().ok(), other.as_ref().ok(), "{claims}");
    verdict
}

/// Judges by an issuer and by an introspection of the same settings.
macro_rules! judged {
    ($claims:expr, $validator:ident => $set:expr) => {
        judged(|$validator| $set, |$validator| $set, &$claims).await
    };
}

fn roles(principal: &Principal) -> Vec<&str> {
    principal.roles().collect()
}

#[tokio::test]
async fn roles_are_whole_texts_at_a_pointer_or_a_name() {
    let keycloak = json!({
        "realm_access": {"roles": ["admin", "may not write", 1, null, "", ["nested"], {"x": 1}]},
        "resource_access": {"a/b": {"roles": "only one"}},
    });
    let pointers = ["/realm_access/roles", "/resource_access/a~1b/roles", "/nowhere/roles"];
    let principal = judged!(keycloak, v => v.with_role_claims(pointers).unwrap()).unwrap();
    assert_eq!(roles(&principal), ["admin", "may not write", "only one"]);
    assert!(principal.has_role("admin") && !principal.has_role("may"));

    let auth0 = json!({"https://app.example/roles": ["a"], "roles": {"b": true}});
    let names = ["https://app.example/roles", "roles", "groups"];
    assert_eq!(roles(&judged!(auth0, v => v.with_role_claims(names).unwrap()).unwrap()), ["a"]);
    assert!(roles(&judged!(auth0, v => v.with_session_claims()).unwrap()).is_empty());
}

#[tokio::test]
async fn the_names_of_an_object_are_roles_only_where_that_is_allowed() {
    let claim = "urn:zitadel:iam:org:project:roles";
    let zitadel = json!({claim: {"admin": {"1": "acme"}, "site manager": {}}});
    let principal =
        judged!(zitadel, v => v.with_role_claims([claim]).unwrap().allow_role_objects()).unwrap();
    assert_eq!(roles(&principal), ["admin", "site manager"]);
    assert!(
        roles(&judged!(zitadel, v => v.with_role_claims([claim]).unwrap()).unwrap()).is_empty()
    );
}

#[tokio::test]
async fn a_token_has_at_most_256_roles() {
    let many: Vec<_> = (0..300).map(|number| format!("role {number}")).collect();
    for claims in [json!({"groups": many}), json!({"groups": many[..200], "roles": many[200..]})] {
        let names = ["groups", "roles"];
        let principal = judged!(claims, v => v.with_role_claims(names).unwrap()).unwrap();
        assert_eq!(roles(&principal), many[..256]);
    }
}

#[test]
fn a_role_claim_is_a_name_or_a_pointer_of_at_most_8_names() {
    for wrong in ["", "/a/b/c/d/e/f/g/h/i", "/a~2b", "/a~"] {
        let error = trusted().with_role_claims([wrong]).unwrap_err().to_string();
        assert!(error.contains(&format!("{wrong:?}")), "{error}");
    }
    for right in ["/a/b/c/d/e/f/g/h", "/~0~1/", "a~b", "https://app.example/a/b/c/d/e/f/g/h/i"] {
        assert!(trusted().with_role_claims([right]).is_ok(), "{right}");
    }
}

fn refused_for(verdict: Verdict, told: &str) {
    let rejection: Rejection = verdict.unwrap_err();
    assert_eq!(rejection.kind().status(), 401);
    assert_eq!(rejection.description(), told);
    assert!(!rejection.public_description().contains("expected"));
}

#[tokio::test]
async fn a_token_of_another_client_than_the_listed_ones_is_refused() {
    let clients = ["web", "cli"];
    let own = judged!(json!({"client_id": "cli"}), v => v.with_client_ids(clients)).unwrap();
    assert_eq!(own.client_id(), Some("cli"));
    assert!(judged!(json!({"azp": "web"}), v => v.with_client_ids(clients)).is_ok());
    let other = judged!(json!({"client_id": "Web"}), v => v.with_client_ids(clients));
    refused_for(other, "client_id: expected 'web', 'cli', found 'Web'");
    let none = judged!(json!({}), v => v.with_client_ids(clients));
    refused_for(none, "client_id: expected 'web', 'cli', found nothing");
    let nobody = judged!(json!({"client_id": "web"}), v => v.with_client_ids([""; 0]));
    refused_for(nobody, "client_id: expected , found 'web'");
}

#[tokio::test]
async fn the_first_client_claim_that_a_token_has_names_its_client() {
    let names = ["appid", "cid"];
    let claims = json!({"client_id": "x", "cid": "two", "appid": "one"});
    let principal = judged!(claims, v => v.with_client_claims(names)).unwrap();
    assert_eq!(principal.client_id(), Some("one"));
    let claims = json!({"client_id": "x", "cid": "two", "appid": ""});
    let ids = ["two"];
    let principal = judged!(claims, v => v.with_client_claims(names).with_client_ids(ids)).unwrap();
    assert_eq!(principal.client_id(), Some("two"));
    let none = judged!(json!({"client_id": "x", "appid": 7}), v => v.with_client_claims(names));
    refused_for(none, "appid: expected a text, found another value");
    let none = judged!(json!({"client_id": "x", "appid": null}), v => v.with_client_claims(names));
    refused_for(none, "appid: expected a client, found nothing");
}

/// A list that has a client that is allowed, before a claim that names one.
#[tokio::test]
async fn a_client_claim_that_is_no_text_is_not_passed_over() {
    let names = ["azp", "appid"];
    for odd in [json!(["web"]), json!(["evil", "web"]), json!({"web": 1}), json!(7), json!(true)] {
        let claims = json!({"client_id": "web", "azp": odd, "appid": "web"});
        let verdict = judged!(claims, v => v.with_client_claims(names).with_client_ids(["web"]));
        let told = verdict.unwrap_err().to_string();
        assert!(told.starts_with("azp: expected a text, found "), "{told}");
    }
    for absent in [json!(null), json!(""), json!([])] {
        let claims = json!({"client_id": "x", "azp": absent, "appid": "web"});
        assert!(judged!(claims, v => v.with_client_claims(names).with_client_ids(["web"])).is_ok());
    }
}

#[tokio::test]
async fn the_actor_is_the_outermost_act_and_the_earlier_ones_are_four_at_most() {
    let act = json!({"sub": "gateway", "iss": "https://as.example", "act": {"sub": "b", "act": {
        "client_id": "c", "act": {"sub": "d", "act": {"sub": "e"}},
    }}});
    let principal = judged!(json!({"act": act}), v => v.with_actor()).unwrap();
    let actor = principal.actor().unwrap();
    assert_eq!((actor.subject(), actor.issuer()), (Some("gateway"), Some("https://as.example")));
    let chain: Vec<_> = std::iter::successors(Some(actor), |actor| actor.earlier()).collect();
    assert_eq!(chain.len(), 4);
    assert_eq!((chain[2].client_id(), chain[3].subject()), (Some("c"), Some("d")));

    assert!(judged!(json!({"act": null}), v => v.with_actor()).unwrap().actor().is_none());
    assert!(judged!(json!({"act": act}), v => v.with_session_claims()).unwrap().actor().is_none());
    let nameless = judged!(json!({"act": {}}), v => v.with_actor()).unwrap();
    assert_eq!(nameless.actor().unwrap().subject(), None);
    for odd in [
        json!("gateway"),
        json!(""),
        json!([]),
        json!(false),
        json!([act]),
        json!({"act": "x", "sub": "gateway"}),
        json!({"act": [], "sub": "gateway"}),
    ] {
        refused_for(
            judged!(json!({"act": odd}), v => v.with_actor()),
            "act: expected an object, found another value",
        );
    }
}

#[tokio::test]
async fn the_session_is_read_where_it_is_asked_for() {
    let claims = json!({"sid": "s-1", "amr": ["pwd", "otp", 1], "acr": "high"});
    let principal = judged!(claims, v => v.with_session_claims()).unwrap();
    assert_eq!((principal.session_id(), principal.acr()), (Some("s-1"), Some("high")));
    assert_eq!(principal.authentication_methods().collect::<Vec<_>>(), ["pwd", "otp"]);
    let principal = judged!(claims, v => v.with_actor()).unwrap();
    assert_eq!((principal.session_id(), principal.authentication_methods().count()), (None, 0));
}
