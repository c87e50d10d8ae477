//! Attacks by the name of an issuer.

use crate::api::{
    Api, ISSUER, OTHER, claiming, claims, entries, header, key_of, signed, token, with,
};
use serde_json::json;

#[tokio::test]
async fn a_name_that_looks_like_that_of_an_issuer() {
    let api = Api::new();
    for iss in [
        "https://as.example/",
        "https://AS.example",
        "HTTPS://as.example",
        "http://as.example",
        "https://as.example:443",
        "https://as.example.",
        "https://as.example/.",
        "https://as.example?",
        "https://as.example#",
        "https://as.example%2f",
        "https://as.exampl%65",
        "https://@as.example",
        "https://as.example@evil.example",
        "https://as.example.evil.example",
        "https://as.example\\.evil.example",
        "https:/as.example",
        "https:///as.example",
        "//as.example",
        "as.example",
        " https://as.example",
        "https://as.example ",
        "https://as.example\u{0}",
        "https://as.example\n",
        "\u{feff}https://as.example",
        "https://as.ex\u{430}mple",
        "https://as.e\u{445}ample",
        "https://a\u{17f}.example",
        "https://as\u{ff0e}example",
        "https://as\u{3002}example",
        "https://as\u{ad}.example",
        "https://as.example\u{200b}",
        "https://\u{202e}elpmaxe.sa",
        "https://a\u{73}\u{301}.example",
        "",
    ] {
        api.refuses(iss, &claiming(json!({"iss": iss}))).await;
    }
    for iss in [json!(null), json!([ISSUER]), json!([ISSUER, OTHER]), json!({"iss": ISSUER})] {
        api.refuses(&iss.to_string(), &claiming(json!({"iss": iss}))).await;
    }
    let mut nobody = claims();
    nobody.as_object_mut().unwrap().remove("iss");
    api.refuses("no iss", &token(&header("ES256", "k1"), &nobody)).await;
}

#[tokio::test]
async fn an_issuer_that_nobody_trusts_is_never_asked() {
    let api = Api::new();
    let evil = "https://evil.example";
    api.web.publish(evil, entries(evil));
    let key = key_of(evil, "k1");
    for more in [json!({}), json!({"jku": "https://evil.example/jwks", "iss": ISSUER})] {
        let header = with(header("ES256", "k1"), more).to_string();
        let claims = with(claims(), json!({"iss": evil})).to_string();
        api.refuses("of its own", &signed(&key, header, claims)).await;
    }
    for (name, seen) in [("the other", OTHER), ("the first", ISSUER)] {
        let claims = with(claims(), json!({"iss": seen})).to_string();
        api.refuses(name, &signed(&key, header("ES256", "k1").to_string(), claims)).await;
    }
    assert!(api.web.asked().iter().all(|url| !url.contains("evil")));
}

#[tokio::test]
async fn members_that_say_who_it_is_elsewhere_are_not_looked_at() {
    let api = Api::new();
    // RFC 7519 section 5.3 copies claims into headers; nobody reads them there.
    let header = with(header("ES256", "k1"), json!({"iss": OTHER, "sub": "mallory", "aud": "x"}));
    api.takes("claims in the header", &token(&header, &claims())).await;
    let claims = json!({
        "client": "x", "act": {"sub": "mallory"}, "may_act": {"sub": "mallory"}, "alg": "none",
        "kid": "evil", "username": "mallory",
    });
    api.takes("a header in the claims", &claiming(claims)).await;
}
