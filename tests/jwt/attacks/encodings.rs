//! Attacks by a second spelling of the same bytes.

use crate::{
    api::{Api, ISSUER, claims, encoded, good, header, key_of, sealed},
    raw::{self, Change},
};

const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// `segment` with its unused bits set, which a lenient decoder reads as the same bytes.
fn respelled(segment: &str) -> String {
    assert_ne!(segment.len() % 4, 0, "there are unused bits");
    let (rest, last) = segment.split_at(segment.len() - 1);
    let digit = DIGITS.iter().position(|digit| *digit == last.as_bytes()[0]).unwrap();
    format!("{rest}{}", char::from(DIGITS[digit | 1]))
}

/// A token whose every segment has unused bits; white space does not change what is said.
fn segments() -> [String; 3] {
    let spaced = |text: String| match text.len() % 3 {
        0 => encoded(text + " "),
        _ => encoded(text),
    };
    let (header, payload) = (header("ES256", "k1").to_string(), claims().to_string());
    let input = format!("{}.{}", spaced(header), spaced(payload));
    let token = sealed(&key_of(ISSUER, "k1"), "", &input);
    let segments: Vec<_> = token.split('.').map(str::to_owned).collect();
    segments.try_into().unwrap()
}

/// The token with one segment spelled in another way: signed before that, and after it.
fn tokens(place: usize, respell: impl Fn(&str) -> String) -> Vec<String> {
    let mut segments = segments();
    segments[place] = respell(&segments[place]);
    let token = segments.join(".");
    let (input, _) = token.rsplit_once('.').unwrap();
    match place {
        2 => vec![token],
        _ => vec![token.clone(), sealed(&key_of(ISSUER, "k1"), "", input)],
    }
}

#[tokio::test]
async fn unused_bits_that_are_set() {
    let api = Api::new();
    api.takes("as it is", &segments().join(".")).await;
    for place in 0..3 {
        for token in tokens(place, respelled) {
            api.refuses(&format!("segment {place}"), &token).await;
        }
    }
    for kid in ["k1", "r1", "e1"] {
        let token = good(kid);
        let (input, signature) = token.rsplit_once('.').unwrap();
        let signature = crate::api::decoded(signature);
        let other = raw::signature(Some(&Change::OtherSpelling), &signature).unwrap();
        api.refuses(kid, &format!("{input}.{other}")).await;
    }
}

#[tokio::test]
async fn padding_in_every_segment() {
    let api = Api::new();
    for padding in ["=", "==", "===", "%3D"] {
        for place in 0..3 {
            for token in tokens(place, |segment| format!("{segment}{padding}")) {
                api.turns_away(&format!("{padding} in {place}"), &token).await;
            }
        }
    }
    let token = good("k1");
    let (input, signature) = token.rsplit_once('.').unwrap();
    let padded = raw::signature(Some(&Change::Padded), &crate::api::decoded(signature)).unwrap();
    api.refuses("as a header may hold it", &format!("{input}.{padded}")).await;
}

#[tokio::test]
async fn characters_of_another_alphabet_and_of_none() {
    let api = Api::new();
    for place in 0..3 {
        for other in ["+", "/", "~", ".", "A", "AA", "!", ",", "\t", " ", "*"] {
            for token in tokens(place, |segment| format!("{segment}{other}"))
                .into_iter()
                .chain(tokens(place, |segment| format!("{other}{segment}")))
            {
                // White space around the token is the header's.
                if token.trim() == token {
                    api.turns_away(&format!("{other:?} at {place}"), &token).await;
                }
            }
        }
    }
    // Standard base64, where it differs.
    let key = key_of(ISSUER, "k1");
    let payload = claims().to_string().replace("alice", "alice???>>>~~~");
    let input = format!("{}.{}", encoded(header("ES256", "k1").to_string()), encoded(payload));
    let input = input.replace('-', "+").replace('_', "/");
    assert!(input.contains(['+', '/']));
    api.refuses("standard base64", &sealed(&key, "", &input)).await;
}

#[tokio::test]
async fn a_token_around_which_there_is_something() {
    let (api, token) = (Api::new(), good("k1"));
    for (name, other) in [
        ("a scheme twice", format!("Bearer {token}")),
        ("quoted", format!("\"{token}\"")),
        ("in brackets", format!("<{token}>")),
        ("two of them", format!("{token} {token}")),
        ("two with a comma", format!("{token},{token}")),
        ("a parameter", format!("token={token}")),
        ("a dot before", format!(".{token}")),
        ("a dot after", format!("{token}.")),
        ("a JSON form", r#"{"payload":"e30","signatures":[]}"#.to_owned()),
    ] {
        api.turns_away(name, &other).await;
    }
}
