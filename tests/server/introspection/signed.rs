//! Answers that are to be signed (RFC 9701).

use super::{API, Endpoint, ISSUER, TOKEN, URL, cached, call, guarded, outage, refused};
use serde_json::{Value, json};
use tower_oauth2::{
    Algorithm, ClientAuthentication, SigningKey, Transport,
    testing::{AuthorizationServer, JwtFormat},
    validate::{Introspection, Jwks},
};

/// A server that signs, with a key of the name `k`.
fn signing() -> AuthorizationServer {
    let server = AuthorizationServer::new();
    let key = SigningKey::generate(Algorithm::Es256).unwrap().with_key_id("k");
    server.issue_jwts(JwtFormat::rfc9068(ISSUER, [API]), key);
    server
}

/// The claims of a signed answer that is good.
fn signed_claims() -> Value {
    let said = json!({"active": true, "aud": API, "sub": "alice"});
    json!({"iss": ISSUER, "aud": "api", "iat": 1_000_000, "token_introspection": said})
}

// case: intro-028
#[tokio::test]
async fn answers_that_are_to_be_signed_are_taken_only_so() {
    let (server, stranger) = (signing(), signing());
    let endpoint = Endpoint::new();
    let asks = |keys| endpoint.introspection().with_signed_responses(ISSUER, keys).unwrap();
    let fixed = Jwks::from_json(&server.key_set()).unwrap();
    let fetched =
        Jwks::from_url("https://as.example/jwks", Transport::new(server.clone())).unwrap();
    let typ = "token-introspection+jwt";
    let with = |name: &str, value: Value| {
        let mut claims = signed_claims();
        claims[name] = value;
        claims.to_string()
    };

    let good = server.mint(typ, &signed_claims().to_string()).unwrap();
    for keys in [fixed.clone(), fetched] {
        endpoint.answer(200, &good);
        let service = guarded(cached(asks(keys), &endpoint.clock));
        assert_eq!(call(&service, TOKEN).await.body(), "alice");
    }
    let accepts = endpoint.asked.lock().unwrap()[0].headers()["accept"].clone();
    assert_eq!(accepts, "application/token-introspection+jwt");

    let service = guarded(cached(asks(fixed), &endpoint.clock));
    let (input, _) = good.rsplit_once('.').unwrap();
    let mint = |typ, claims: &str| server.mint(typ, claims).unwrap();
    for (asked, wrong) in [
        mint("at+jwt", &signed_claims().to_string()),
        mint("JWT", &signed_claims().to_string()),
        mint(typ, &with("iss", json!("https://other.example"))),
        mint(typ, &with("aud", json!("other"))),
        mint(typ, &with("aud", Value::Null)),
        mint(typ, &with("iat", Value::Null)),
        mint(typ, &with("iat", json!(1_000_001))),
        mint(typ, &with("token_introspection", json!("active"))),
        mint(typ, &with("token_introspection", json!({"sub": "alice"}))),
        mint(typ, r#"{"active":true}"#),
        stranger.mint(typ, &signed_claims().to_string()).unwrap(),
        format!("{input}."),
        format!("{input}.AAAA"),
        json!({"active": true, "aud": API}).to_string(),
        signed_claims().to_string(),
        String::new(),
    ]
    .into_iter()
    .enumerate()
    {
        endpoint.asked.lock().unwrap().clear();
        endpoint.answer(200, &wrong);
        for times in 1..3 {
            assert_eq!(outage(&call(&service, TOKEN).await), 5, "{asked}");
            assert_eq!(endpoint.asked(), times, "{asked}");
        }
    }

    let inactive = with("token_introspection", json!({"active": false}));
    endpoint.answer(200, &mint(typ, &inactive));
    refused(&call(&service, "inactive").await);
    endpoint.answer(200, &good);
    assert_eq!(call(&service, TOKEN).await.body(), "alice");

    let nobody = Introspection::new(URL, ClientAuthentication::none(), endpoint.transport());
    assert!(
        nobody
            .unwrap()
            .with_signed_responses(ISSUER, Jwks::from_json(&server.key_set()).unwrap())
            .is_err()
    );
}

#[tokio::test]
async fn a_key_without_a_name_that_replaces_another_signs_answers_after_one_fetch() {
    let nameless = || {
        let server = AuthorizationServer::new();
        server.rotate_key(SigningKey::generate(Algorithm::Es256).unwrap());
        server
    };
    let (old, new, stranger) = (nameless(), nameless(), nameless());
    let (keys, endpoint) = (Endpoint::new(), Endpoint::new());
    let fetched = Jwks::from_url("https://as.example/jwks", keys.transport()).unwrap();
    let fetched = fetched.with_clock(endpoint.clock.clock());
    let asks = endpoint.introspection().with_signed_responses(ISSUER, fetched).unwrap();
    let service = guarded(asks);
    let signed_by = |server: &AuthorizationServer| {
        server.mint("token-introspection+jwt", &signed_claims().to_string()).unwrap()
    };

    keys.answer(200, &old.key_set());
    endpoint.answer(200, &signed_by(&old));
    assert_eq!(call(&service, TOKEN).await.status(), 200);
    keys.answer(200, &new.key_set());
    endpoint.answer(200, &signed_by(&new));
    assert_eq!(call(&service, TOKEN).await.status(), 200, "replaced");
    assert_eq!((call(&service, TOKEN).await.status().as_u16(), keys.asked()), (200, 2));
    // Answers by a stranger cost no more than the two budgets.
    endpoint.answer(200, &signed_by(&stranger));
    for _ in 0..3 {
        assert_eq!(outage(&call(&service, TOKEN).await), 5);
    }
    assert!(keys.asked() <= 6, "{}", keys.asked());
}
