//! What is wrong with what a test wants of the authorization server.

use super::{assert_said, text};
use tower_oauth2::testing::{AuthorizationServer, JwtFormat, RegisteredClient};

#[test]
fn what_is_wrong_with_a_wish_is_said() {
    let server = AuthorizationServer::new();
    let redirect = |uri: &str| text(RegisteredClient::public("app").with_redirect_uri(uri));
    let format = JwtFormat::rfc9068("https://as.example", ["api"]);
    assert_said([
        (
            "a redirect to a path",
            redirect("/callback"),
            "the redirect URI is no absolute URI without a fragment",
        ),
        (
            "a redirect with an accent",
            redirect("https://app.example/caf\u{e9}"),
            "the redirect URI holds a character that is not visible ASCII",
        ),
        (
            "a claim without quotes",
            text(format.with_claim("tenant", "acme")),
            "the value of the claim is no JSON: text stands in quotes",
        ),
        (
            "a member without quotes",
            text(server.set_extra_member("tenant", "acme")),
            "the value of the extra member is no JSON: text stands in quotes",
        ),
        (
            "what is said of tokens, without quotes",
            text(server.set_introspection_member("aud", Some("api"))),
            "the value of the member is no JSON: text stands in quotes",
        ),
        (
            "no claims of an opaque token",
            text(server.mint_opaque("[]")),
            "the claims are no JSON object",
        ),
        ("a number", text(server.mint_opaque(r#"{"sub":1}"#)), "the claim \"sub\" is no text"),
        (
            "a time as text",
            text(server.mint_opaque(r#"{"exp":"1"}"#)),
            "the claim \"exp\" is no time in seconds since 1970",
        ),
        ("no claims", text(server.mint("JWT", "[]")), "the claims are no JSON object"),
        (
            "no key",
            text(server.mint("JWT", "{}")),
            "there is no key to sign with: see rotate_key and issue_jwts",
        ),
        (
            "a client without a key",
            text(RegisteredClient::private_key_jwt("app", "{}")),
            "the public JWK cannot be used: it has no type (kty)",
        ),
        (
            "an issuer without a key",
            text(server.trust_issuer("https://other.example", "{}")),
            "the public JWK cannot be used: it has no type (kty)",
        ),
    ]);
}
