//! Tokens, scopes, origins, places and challenges: what both ends are configured with.

use super::{Row, assert_said, text};
use tower_oauth2::{AccessToken, Algorithm, Challenge, Origin, Scope, ScopeSet, TokenLocation};

const ORIGIN: &str = "an origin is scheme and host, such as https://api.example";

#[test]
fn what_is_wrong_with_a_token_or_a_scope_is_said() {
    assert_said([
        ("an empty token", text(AccessToken::new("")), "the access token is empty"),
        (
            "a space in a token",
            text(AccessToken::new("a b")),
            "the access token holds a character that is not visible ASCII",
        ),
        (
            "a long token",
            text(AccessToken::new("x".repeat(16 * 1024 + 1))),
            "the access token is longer than 16 KiB",
        ),
        ("an empty scope", text(Scope::new("")), "a scope is empty: leave it out"),
        (
            "two scopes as one",
            text(Scope::new("read write")),
            "a scope is visible ASCII without \" and \\ (RFC 6749 section 3.3): use a ScopeSet for several",
        ),
        (
            "a quote in a list of scopes",
            text("read w\"rite".parse::<ScopeSet>()),
            "a scope is visible ASCII without \" and \\ (RFC 6749 section 3.3): use a ScopeSet for several",
        ),
        (
            "another algorithm",
            text("none".parse::<Algorithm>()),
            "the name is not that of a signature algorithm, such as ES256, RS256 or HS256",
        ),
    ]);
}

#[test]
fn what_is_wrong_with_an_origin_is_said() {
    let said = |text_of: &str| text(text_of.parse::<Origin>());
    assert_said([
        ("no scheme", said("api.example"), ORIGIN),
        ("no URL", said("https://"), ORIGIN),
        ("another scheme", said("ftp://api.example"), ORIGIN),
        (
            "a user",
            said("https://user:hunter2@api.example"),
            "an origin has no user name: use https://api.example",
        ),
        (
            "a path",
            said("https://api.example/v1"),
            "an origin has no path, query or fragment: use https://api.example",
        ),
        (
            "a wildcard",
            said("https://user:hunter2@*.example"),
            "the origin `https://*.example` has a wildcard; list each host",
        ),
        (
            "no host name",
            said("https://api..example"),
            "the origin `https://api..example` has a host that is neither a name nor an address, such \
             as https://api.example",
        ),
    ]);
}

#[test]
fn what_is_wrong_with_the_place_of_a_token_is_said() {
    let taken: Row = (
        "a header that is taken",
        text(TokenLocation::header("Cookie")),
        "the header cookie has another meaning and cannot hold a token",
    );
    assert_said([
        taken,
        (
            "no header name",
            text(TokenLocation::header("x y")),
            "the name of the header is not a header name, such as x-api-key",
        ),
        (
            "Authorization without a scheme",
            text(TokenLocation::header("authorization")),
            "Authorization needs a scheme before the token: use header_with_scheme",
        ),
        (
            "two words as a scheme",
            text(TokenLocation::header_with_scheme("x-key", "To ken")),
            "the scheme of the header is not a token of RFC 9110 section 5.6.2, such as Token",
        ),
        (
            "Basic as a scheme",
            text(TokenLocation::header_with_scheme("authorization", "basic")),
            "Basic and DPoP need more than a token: use BasicUserName or basic_password for Basic",
        ),
        (
            "a colon in a user name",
            text(TokenLocation::basic_password("a:b")),
            "the Basic user name has a colon or a control character",
        ),
        (
            "a cookie without a name",
            text(TokenLocation::cookie("")),
            "the name of the cookie, parameter or subprotocol is not a token of RFC 9110 section 5.6.2",
        ),
        (
            "a parameter of two words",
            text(TokenLocation::query_parameter("a b")),
            "the name of the cookie, parameter or subprotocol is not a token of RFC 9110 section 5.6.2",
        ),
        (
            "a subprotocol of two words",
            text(TokenLocation::websocket_protocol("a b")),
            "the name of the cookie, parameter or subprotocol is not a token of RFC 9110 section 5.6.2",
        ),
        (
            "and the other kind",
            text(TokenLocation::websocket_protocol_pair("a b")),
            "the name of the cookie, parameter or subprotocol is not a token of RFC 9110 section 5.6.2",
        ),
    ]);
}

#[test]
fn what_is_wrong_with_a_challenge_of_somebody_else_is_said() {
    let read = |value: &str| text(Challenge::parse(value.as_bytes()));
    let long = format!("Bearer realm=\"{}\"", "x".repeat(16 * 1024));
    assert_said([
        ("17 KiB", read(&long), "the challenge is longer than 16 KiB"),
        ("an equals sign", read("=x"), "a challenge begins with no scheme"),
        ("no scheme", read("realm=\"x\""), "a parameter stands before any challenge"),
        (
            "no comma",
            read("Bearer realm=\"x\" scope=\"y\""),
            "two challenge parameters are not separated by a comma",
        ),
        (
            "a token68 and a parameter",
            read("Negotiate YWJj==, realm=\"x\""),
            "a challenge has both a token68 and parameters",
        ),
        (
            "a realm twice",
            read("Bearer realm=\"x\", realm=\"y\""),
            "a challenge has the same parameter twice",
        ),
        ("no end", read("Bearer realm=\"x"), "a quoted string has no end"),
        ("half an escape", read("Bearer realm=\"x\\"), "a quoted string ends in a backslash"),
        (
            "a control character",
            read("Bearer realm=\"\u{1}\""),
            "a quoted string holds a control character",
        ),
    ]);
}

#[test]
fn what_is_wrong_with_a_challenge_is_said() {
    let with = |name, value| text(Challenge::bearer().with_param(name, value));
    assert_said([
        (
            "two words as a scheme",
            text(Challenge::new("Bea rer")),
            "the scheme of the challenge is not a token of RFC 9110 section 5.6.2, such as Bearer",
        ),
        (
            "two words as a name",
            with("re alm", "x"),
            "the name of the challenge parameter is not a token of RFC 9110 section 5.6.2, such as realm",
        ),
        (
            "a letter with an accent",
            with("realm", "caf\u{e9}"),
            "the value of the challenge parameter realm has a character that is not printable ASCII",
        ),
        (
            "the same twice",
            text(Challenge::bearer().with_param("realm", "x").unwrap().with_param("realm", "y")),
            "the challenge parameter realm is set twice",
        ),
    ]);
}
