//! What takes tokens back, what judges them together, and what clients give back.

use super::{SECRET, assert_clean, assert_clean_text, call, get, percent_encoded};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use std::time::SystemTime;
use tower_oauth2::{
    AccessToken, Answer, RequestHead,
    server::{ClientCredentials, RevocationEndpoint, RevocationError, RevokeRequest},
    validate::{
        NoRoute, Principal, Rejection, RevocationList, Revocations, Route, StaticTokens,
        ValidateToken, Validated, first_of, prefix,
    },
};

/// The pending verdict of `validator` on the secret.
fn pending<V: ValidateToken>(validator: &V) -> V::Future {
    let request = get("/r");
    match validator.validate(SECRET, RequestHead::from_request(&request)) {
        Answer::Pending(verdict) => verdict,
        Answer::Ready(_) => panic!("it takes its time"),
    }
}

fn known() -> StaticTokens {
    let tokens = StaticTokens::new();
    tokens.insert(SECRET, Principal::new("alice")).unwrap();
    tokens
}

async fn slow(_: AccessToken) -> Result<Validated, Rejection> {
    Err(Rejection::unknown())
}

#[tokio::test]
async fn a_list_of_revocations_shows_none_of_them() {
    let list = Revocations::new().with_capacity(2);
    list.revoke_token(SECRET, None).unwrap();
    list.revoke_subject(None, "alice", SystemTime::now(), None).unwrap();
    assert_clean("validate::Revocations", &list);
    assert_clean("validate::TokenFingerprint", &list.fingerprint(SECRET));
    assert_clean("validate::RevocationChanges", list.changes());
    let full = list.revoke_id(None, SECRET, None).unwrap_err();
    assert_clean("validate::RevocationsFull", &full);
    let guarded = list.guard(known());
    assert_clean("validate::Revocable", &guarded);
    let request = get("/r");
    let Answer::Ready(verdict) = guarded.validate(SECRET, RequestHead::from_request(&request))
    else {
        panic!("it knows at once");
    };
    assert_clean("the verdict", &verdict);
    assert_clean("validate::RevocableFuture", &pending(&list.guard(slow)));
}

#[tokio::test]
async fn validators_that_judge_as_one_show_no_token() {
    let chain = first_of(known(), known());
    assert_clean("validate::FirstOf", &chain);
    assert_clean("validate::FirstOfFuture", &pending(&first_of(slow, known())));
    let mapped = known().map_claims(|()| 1_u8);
    assert_clean("validate::MapClaims", &mapped);
    assert_clean("validate::MapClaimsFuture", &pending(&slow.map_claims(|()| 1_u8)));
    let route = Route::<NoRoute<()>>::new();
    assert_clean("validate::NoRoute", &route);
    let route = route.when(prefix("x"), known()).otherwise(known());
    assert_clean("validate::Route", &route);
    assert_clean("validate::When", &route);
    assert_clean("validate::RouteFuture", &pending(&Route::new().otherwise(slow)));
}

#[tokio::test]
async fn a_token_that_is_given_back_does_not_print() {
    let encoded = percent_encoded();
    let form = format!("token={encoded}&client_id=app&client_secret={encoded}");
    let request = Request::post("/revoke")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Full::new(Bytes::from(form)))
        .unwrap();
    let mut endpoint = RevocationEndpoint::new(
        async |client: ClientCredentials| {
            assert_eq!(client.secret().unwrap().expose(), SECRET);
            assert_clean("server::ClientCredentials", &client);
            Ok(())
        },
        async |request: RevokeRequest| {
            assert_eq!(request.expose_token(), SECRET);
            assert_clean("server::RevokeRequest", &request);
            Err(RevocationError::unauthorized_client())
        },
    );
    assert_clean("server::RevocationEndpoint", &endpoint);
    assert_clean("server::RevocationError", &RevocationError::invalid_client());
    let answer = call(&mut endpoint, request).await;
    assert_clean("server::RevocationEndpointFuture", &answer);
    let response = answer.await.unwrap();
    assert_clean("server::EndpointBody", response.body());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_clean_text("the answer", std::str::from_utf8(&body).unwrap());
    // A list takes what is given back.
    let endpoint = RevocationEndpoint::from_revocations(
        async |_: ClientCredentials| Ok(()),
        Revocations::new(),
    );
    assert_clean("server::IntoRevocations", &endpoint);
}
