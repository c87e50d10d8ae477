use super::*;
use crate::validate::RejectionKind;
use base64::{Engine, prelude::BASE64_STANDARD};
use http::Request;

fn read(
    sources: &[TokenLocation],
    uri: &str,
    headers: &[(&str, &str)],
) -> Result<Option<String>, RejectionKind> {
    let mut request = Request::get(uri);
    for (name, value) in headers {
        request = request.header(*name, value.as_bytes());
    }
    let request = request.body(()).unwrap();
    let sources = Sources::new(sources.iter().cloned()).unwrap();
    match extract(RequestHead::from_request(&request), &sources) {
        Ok(found) => Ok(found.map(|found| found.token.into_owned())),
        Err(error) => Err(error.rejection.kind()),
    }
}

fn all() -> [TokenLocation; 3] {
    [TokenLocation::Bearer, TokenLocation::Query, TokenLocation::BasicUserName]
}

const MALFORMED: Result<Option<String>, RejectionKind> = Err(RejectionKind::Malformed);

fn token(text: &str) -> Result<Option<String>, RejectionKind> {
    Ok(Some(text.to_owned()))
}

#[test]
fn the_authorization_header_position_by_position() {
    let long = format!("Bearer {}", "a".repeat(16 * 1024 + 1));
    for (value, expected) in [
        ("Bearer abc", token("abc")),
        ("bEARER   abc", token("abc")),
        (" Bearer abc\t", token("abc")),
        ("", Ok(None)),
        (" ", Ok(None)),
        ("Bearer", MALFORMED),
        ("Bearer ", MALFORMED),
        ("Bearer\tabc", MALFORMED),
        ("Bearer abc def", MALFORMED),
        ("Bearer a=b", MALFORMED),
        ("Bearer abc, Bearer def", MALFORMED),
        ("Bearer caf\u{e9}", MALFORMED),
        ("Bearer: abc", Ok(None)),
        ("Bearerabc", Ok(None)),
        ("X Bearer abc", Ok(None)),
        ("Digest abc", Ok(None)),
        (long.as_str(), Err(RejectionKind::Invalid)),
    ] {
        let found = read(&[TokenLocation::Bearer], "/", &[("authorization", value)]);
        assert_eq!(found, expected, "{value:.40}");
    }
}

#[test]
fn the_basic_user_name_position_by_position() {
    for (value, expected) in [
        ("Basic YWJjOg==", token("abc")),
        ("basic YWJjOg", token("abc")),
        ("Basic YWJjOng=", Ok(None)),
        ("Basic YWJjOjo=", Ok(None)),
        ("Basic OmFiYw==", Ok(None)),
        ("Basic Og==", MALFORMED),
        ("Basic YWJj", MALFORMED),
        ("Basic", MALFORMED),
        ("Basic -_86", MALFORMED),
        ("Basic Zm9vOmJhcg==, Bearer abc", MALFORMED),
        ("Basic YWIKOg==", MALFORMED),
    ] {
        let found = read(&all(), "/", &[("authorization", value)]);
        assert_eq!(found, expected, "{value}");
    }
    let unread = read(&[TokenLocation::Bearer], "/", &[("authorization", "Basic YWJjOg==")]);
    assert_eq!(unread, Ok(None));
}

#[test]
fn the_basic_password_of_one_user_position_by_position() {
    let password = TokenLocation::basic_password("x-token").unwrap();
    let [alone, beside] = [vec![password.clone()], vec![TokenLocation::BasicUserName, password]];
    for (user_pass, expected, beside_the_user_name) in [
        ("x-token:abc", token("abc"), token("abc")),
        ("x-token:a:b", MALFORMED, MALFORMED),
        ("x-token:", MALFORMED, token("x-token")),
        ("x-tokens:abc", Ok(None), Ok(None)),
        ("abc:", Ok(None), token("abc")),
        ("x-token", MALFORMED, MALFORMED),
    ] {
        let value = format!("Basic {}", BASE64_STANDARD.encode(user_pass));
        let headers = [("authorization", value.as_str())];
        assert_eq!(read(&alone, "/", &headers), expected, "{user_pass}");
        assert_eq!(read(&beside, "/", &headers), beside_the_user_name, "{user_pass}");
    }
}

#[test]
fn a_query_parameter_of_another_name() {
    let locations = [TokenLocation::query_parameter("jwt").unwrap()];
    for (uri, expected) in [
        ("/?jwt=abc&access_token=x", token("abc")),
        ("/?j%77t=abc", token("abc")),
        ("/?jwt=a&jwt=a", MALFORMED),
        ("/?access_token=abc", Ok(None)),
    ] {
        assert_eq!(read(&locations, uri, &[]), expected, "{uri}");
    }
}

#[test]
fn the_query_position_by_position() {
    for (uri, expected) in [
        ("/?access_token=abc", token("abc")),
        ("/?x&access%5Ftoken=a%2Bc&y", token("a+c")),
        ("/?access_token=a+c", MALFORMED),
        ("/?access_token=", MALFORMED),
        ("/?access_token", MALFORMED),
        ("/?access_token=a&access%5ftoken=a", MALFORMED),
        ("/?access_token=%ff", MALFORMED),
        ("/?access_token2=a&xaccess_token=b", Ok(None)),
        ("/?", Ok(None)),
    ] {
        assert_eq!(read(&all(), uri, &[]), expected, "{uri}");
    }
    assert_eq!(read(&[TokenLocation::Bearer], "/?access_token=abc", &[]), Ok(None));
}

#[test]
fn two_ways_at_once_are_refused_and_a_malformed_one_is_never_skipped() {
    let query = "/?access_token=abc";
    for header in ["Bearer abc", "Bearer ", "Basic YWJjOg=="] {
        assert_eq!(read(&all(), query, &[("authorization", header)]), MALFORMED);
    }
    assert_eq!(read(&all(), query, &[("authorization", "Negotiate x")]), token("abc"));
    let twice = [("authorization", ""), ("authorization", "Bearer abc")];
    assert_eq!(read(&all(), "/", &twice), MALFORMED);
}

#[test]
fn another_header_with_a_scheme_or_raw() {
    let raw = [TokenLocation::header("x-api-key").unwrap()];
    assert_eq!(read(&raw, "/", &[("X-Api-Key", "abc")]), token("abc"));
    assert_eq!(read(&raw, "/", &[("X-Api-Key", "Bearer abc")]), MALFORMED);
    assert_eq!(read(&raw, "/", &[("authorization", "Bearer abc")]), Ok(None));
    let scheme = [TokenLocation::header_with_scheme("authorization", "Token").unwrap()];
    assert_eq!(read(&scheme, "/", &[("authorization", "token abc")]), token("abc"));
    assert_eq!(read(&scheme, "/", &[("authorization", "Bearer abc")]), Ok(None));
}
