//! A token in Basic credentials
//! ([RFC 7617 §2](https://www.rfc-editor.org/rfc/rfc7617#section-2)).

use super::{BAD_SYNTAX, Sources, check_length, token_in};
use crate::{TokenLocation, validate::Rejection, vocabulary::token::MAX_TOKEN_LEN};
use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// `token68` allows the padding to be left out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads the user name of Basic credentials with one of `passwords`. With another password they are
/// those of a user, and hold no token.
pub(super) fn user_name(
    credentials: &[u8],
    passwords: &[Box<str>],
) -> Result<Option<String>, Rejection> {
    let mut user_pass = user_pass(credentials)?;
    let (user, password) = split(&user_pass)?;
    if !passwords.iter().any(|own| **own == *password) {
        return Ok(None);
    }
    let length = token_in(user.as_bytes())?.len();
    user_pass.truncate(length);
    Ok(Some(user_pass))
}

/// Reads the password of the Basic credentials of `user`, unless their user name is read as the
/// token.
pub(super) fn password(
    credentials: &[u8],
    user: &str,
    sources: &Sources,
) -> Result<Option<String>, Rejection> {
    let user_pass = user_pass(credentials)?;
    let (own, password) = split(&user_pass)?;
    let is_user_name = sources.locations().contains(&TokenLocation::BasicUserName)
        && sources.basic_passwords.iter().any(|one| **one == *password);
    if own != user || is_user_name {
        return Ok(None);
    }
    token_in(password.as_bytes()).map(|token| Some(token.to_owned()))
}

/// Decodes the `user-pass` of [RFC 7617 §2](https://www.rfc-editor.org/rfc/rfc7617#section-2).
fn user_pass(credentials: &[u8]) -> Result<String, Rejection> {
    // Room for the longest token, and for as much beside it.
    check_length(credentials.len(), 2 * MAX_TOKEN_LEN * 4 / 3)?;
    let decoded = BASE64.decode(credentials).ok();
    let text = decoded.and_then(|decoded| String::from_utf8(decoded).ok());
    let text = text.filter(|text| !text.chars().any(char::is_control));
    text.ok_or(Rejection::malformed(BAD_SYNTAX))
}

fn split(user_pass: &str) -> Result<(&str, &str), Rejection> {
    user_pass.split_once(':').ok_or(Rejection::malformed(BAD_SYNTAX))
}
