//! What an answer without a token says, in the shapes of RFC 6749 §5.2 and of vendors.

use super::answer_body::{line, members, what_it_is};
use crate::{
    back_channel::{scrub, secrets::Secrets},
    client::{Error, error_code},
};
use bytes::Bytes;
use http::{Response, header};
use serde_json::{Map, Value};

/// The names of a code, best first.
const CODES: &[&str] = &[
    "error",
    "errorCode",
    "error_code",
    "errorcode",
    "errcode",
    "errorType",
    "error_type",
    "code",
    "__type",
    "category",
    "status",
];

/// The names of a code that say by themselves that there is an error.
const ERRORS: &[&str] = &["errorCode", "error_code", "errcode", "errors", "fault"];

/// The names of a message, best first.
const MESSAGES: &[&str] = &[
    "error_description",
    "errorSummary",
    "error_message",
    "errorMessage",
    "error_msg",
    "message",
    "msg",
    "errmsg",
    "faultstring",
    "detail",
    "reason",
    "title",
    "description",
    "errors",
];

/// Members that hold the others.
const WRAPPERS: &[&str] = &["error", "errors", "fault", "detail"];

/// How deep codes and messages are looked for.
const MAX_DEPTH: usize = 3;

/// Returns the error of an answer that is not a 2xx, or a 2xx that says so, without `secrets`.
pub(in crate::client) fn refusal(response: &Response<Bytes>, secrets: &Secrets) -> Error {
    if response.status().is_redirection() {
        return redirected(response, secrets);
    }
    let (code, message) = match members(response) {
        Some(members) => said(&members),
        None if response.body().is_empty() => (None, None),
        None => match line(response) {
            Some(code) if error_code::is_known(code) => (Some(code.to_owned()), None),
            Some(message) => (None, Some(message.to_owned())),
            None => (None, Some(what_it_is(response, secrets))),
        },
    };
    Error::refused(response.status(), code.as_deref(), message.as_deref(), secrets)
}

/// Returns `true` if the members of a 2xx say that it is a refusal. Next to a token, only `error`
/// does.
pub(super) fn is_refusal(members: &Map<String, Value>) -> bool {
    let has = |name: &&str| members.get(*name).is_some_and(says_something);
    has(&"error") || !has(&"access_token") && ERRORS.iter().any(has)
}

/// Returns `false` for the values by which servers say that there is no error.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(is_error) => *is_error,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(values) => !values.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

/// Returns the code and the message. A message that spells the code of a dead refresh token is that
/// code, where the other one is not known.
fn said(members: &Map<String, Value>) -> (Option<String>, Option<String>) {
    let read = |value: &Value| first(value).as_str().filter(|it| !it.is_empty()).map(str::to_owned);
    let number =
        |value: &Value| (value.is_number() && says_something(value)).then(|| value.to_string());
    let numbers = CODES.strip_suffix(&["status"]).unwrap_or_default();
    let code = find(members, CODES, read, MAX_DEPTH);
    let code = code.or_else(|| find(members, numbers, number, MAX_DEPTH));
    let message = find(members, MESSAGES, read, MAX_DEPTH);
    match (code, message) {
        (code, Some(message))
            if error_code::is_dead_refresh_token(&message)
                && !code.as_deref().is_some_and(error_code::is_known) =>
        {
            (Some(message), None)
        }
        said => said,
    }
}

/// Returns the first of `names` that `read` can read, in `members` or in what they wrap.
fn find(
    members: &Map<String, Value>,
    names: &[&str],
    read: impl Fn(&Value) -> Option<String> + Copy,
    depth: usize,
) -> Option<String> {
    let here = names.iter().find_map(|name| members.get(*name).and_then(read));
    let deeper = || {
        let wrapped = WRAPPERS.iter().filter_map(|name| first(members.get(*name)?).as_object());
        wrapped.into_iter().find_map(|inner| find(inner, names, read, depth - 1))
    };
    here.or_else(|| if depth > 1 { deeper() } else { None })
}

/// Returns the first of a list, and any other value as it is.
fn first(value: &Value) -> &Value {
    value.as_array().and_then(|values| values.first()).unwrap_or(value)
}

/// Returns the error of a redirect, which is never followed: it would forward the secret.
fn redirected(response: &Response<Bytes>, secrets: &Secrets) -> Error {
    let to = response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
    let text = match to {
        Some(to) => {
            // Before it is cut, because a secret may contain `?` or `#`.
            let to = secrets.redact(to);
            let to = scrub::without_users(to.split(['?', '#']).next().unwrap_or_default());
            format!("it redirects to {to}, which is not followed")
        }
        None => "it redirects, which is not followed".into(),
    };
    Error::refused(response.status(), None, Some(&text), secrets)
}
