//! A token in a form body ([RFC 6750 §2.2](https://www.rfc-editor.org/rfc/rfc6750#section-2.2)).

use super::{Position, Read, SEVERAL_TOKENS, check_length, token_in};
use crate::{
    RequestHead,
    validate::Rejection,
    vocabulary::{location::ACCESS_TOKEN, token::MAX_TOKEN_LEN},
};
use http::{Method, header::CONTENT_TYPE};
use http_body::Body;
use http_body_util::{BodyExt, Collected, LengthLimitError, Limited};
use std::{borrow::Cow, error::Error};

/// The longest form that is read by default, in bytes.
pub(in crate::server) const DEFAULT_LIMIT: usize = 64 * 1024;

const BROKEN: &str = "the form could not be read to its end";

/// The token of a form, or why there is none: a request extension of
/// [`BufferForm`](crate::server::BufferForm).
#[derive(Clone)]
pub(in crate::server) struct FormToken(Result<Option<String>, Rejection>);

impl FormToken {
    pub(in crate::server) fn parse(form: &[u8]) -> Self {
        let mut tokens = form_urlencoded::parse(form).filter(|(name, _)| name == ACCESS_TOKEN);
        Self(match (tokens.next(), tokens.next()) {
            (_, Some(_)) => Err(Rejection::malformed(SEVERAL_TOKENS)),
            (Some((_, token)), None) => {
                check_length(token.len(), MAX_TOKEN_LEN).map(|()| Some(token.into_owned()))
            }
            (None, None) => Ok(None),
        })
    }
}

/// Reads the token of the form that `BufferForm` has parsed.
pub(super) fn read(head: RequestHead<'_>) -> Read<'_> {
    match head.extensions().get::<FormToken>() {
        Some(FormToken(Ok(Some(token)))) => {
            Ok(Some((Cow::Borrowed(token_in(token.as_bytes())?), Position::Form)))
        }
        Some(FormToken(Err(rejection))) => Err(rejection.clone()),
        None if is_form(head) => {
            let misplaced =
                "RequireToken reads forms, and no BufferForm is above it: put that layer around it";
            Err(Rejection::internal(misplaced))
        }
        Some(FormToken(Ok(None))) | None => Ok(None),
    }
}

/// Returns `true` if the request declares its body as a form.
pub(in crate::server) fn is_form(head: RequestHead<'_>) -> bool {
    let has_body = matches!(*head.method(), Method::POST | Method::PUT | Method::PATCH);
    let declared = head.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = declared.and_then(|value| value.split(';').next()).unwrap_or_default();
    has_body && media_type.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Collects a form body of at most `limit` bytes.
pub(in crate::server) async fn collect<B>(
    body: B,
    limit: usize,
) -> Result<Collected<B::Data>, Rejection>
where
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    match Limited::new(body, limit).collect().await {
        Ok(form) => Ok(form),
        Err(error) if error.is::<LengthLimitError>() => Err(Rejection::too_large()),
        Err(_) => Err(Rejection::malformed(BROKEN)),
    }
}
