//! The errors of the setters of the authorization server in the process.

use super::{assert_said, text};
use tower_oauth2::testing::{AuthorizationServer, JwtFormat, RegisteredClient};

#[test]
fn errors_of_the_test_server_say_what_is_wrong_and_what_to_do() {
    let server = AuthorizationServer::new();
    let redirect = |uri: &str| text(RegisteredClient::public("app").with_redirect_uri(uri));
    let format = JwtFormat::rfc9068("https://as.example", ["api"]);
    assert_said([
        (
            "a redirect to a path",
            redirect("/callback"),
            "the redirect URI is not an absolute URI without a fragment; begin it with a scheme, and end \
             it before the `#`",
        ),
        (
            "a redirect with an accent",
            redirect("https://app.example/caf\u{e9}"),
            "the redirect URI has a character that is not visible ASCII; percent-encode it",
        ),
        (
            "a claim without quotes",
            text(format.with_claim("tenant", "acme")),
            "the value of the claim is not JSON; put text in quotes",
        ),
        (
            "a member without quotes",
            text(server.set_extra_member("tenant", "acme")),
            "the value of the member is not JSON; put text in quotes",
        ),
        (
            "an introspection member without quotes",
            text(server.set_introspection_member("aud", "api")),
            "the value of the member is not JSON; put text in quotes",
        ),
        (
            "no claims of an opaque token",
            text(server.mint_opaque("[]")),
            "the claims are not a JSON object",
        ),
        ("a number", text(server.mint_opaque(r#"{"sub":1}"#)), "the claim \"sub\" is not text"),
        (
            "a time as text",
            text(server.mint_opaque(r#"{"exp":"1"}"#)),
            "the claim \"exp\" is not a number of seconds since 1970",
        ),
        ("no claims", text(server.mint("JWT", "[]")), "the claims are not a JSON object"),
        (
            "no key",
            text(server.mint("JWT", "{}")),
            "there is no key to sign with; call rotate_key or issue_jwts first",
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
