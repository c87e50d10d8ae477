//! The body of an answer: its members, in every form in which servers write them, or what it is
//! instead.

use crate::back_channel::{json, secrets::Secrets};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, Response,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use serde_json::{Map, Value};

/// The longest plain text that counts as a message, in bytes.
const MAX_MESSAGE: usize = 200;

/// Returns the members of the body: JSON of any content type, or a form where one, or plain text,
/// is declared.
pub(super) fn members(response: &Response<Bytes>) -> Option<Map<String, Value>> {
    let body = response.body();
    if let Some(members) = json::object(body).or_else(|| json::object(&repaired(body))) {
        return Some(members);
    }
    let media_type = media_type(response.headers())?;
    let form = form(body);
    match media_type.to_ascii_lowercase().as_str() {
        "application/x-www-form-urlencoded" => Some(form),
        // Unless it is prose.
        "text/plain" if form.contains_key("access_token") || form.contains_key("error") => {
            Some(form)
        }
        _ => None,
    }
}

fn form(body: &[u8]) -> Map<String, Value> {
    let body = json::without_bom(body);
    let pairs = form_urlencoded::parse(body.trim_ascii_end());
    pairs.map(|(name, value)| (name.into_owned(), Value::String(value.into_owned()))).collect()
}

/// Replaces what makes JSON invalid: bytes that are not UTF-8, and raw control characters, which
/// servers leave in descriptions. In a text, each becomes a U+FFFD.
fn repaired(body: &[u8]) -> Vec<u8> {
    let (mut quoted, mut escaped) = (false, false);
    let repair = |char| {
        let replaced = if quoted { char::REPLACEMENT_CHARACTER } else { ' ' };
        quoted ^= char == '"' && !escaped;
        escaped = char == '\\' && !escaped;
        if char < ' ' { replaced } else { char }
    };
    String::from_utf8_lossy(body).chars().map(repair).collect::<String>().into_bytes()
}

/// Returns the text of a member, or `None` if it is empty.
pub(super) fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// Says what a body without members is instead.
pub(super) fn what_it_is(response: &Response<Bytes>, secrets: &Secrets) -> String {
    let headers = response.headers();
    match (encoding(response), media_type(headers)) {
        _ if response.body().is_empty() => "the answer is empty".into(),
        (Some(encoding), _) => {
            let encoding = secrets.scrub(&encoding);
            format!("the answer is encoded as {encoding}, which the request did not ask for")
        }
        (None, Some(media_type)) => format!("the answer is {}", secrets.scrub(&media_type)),
        (None, None) => "the answer has no content type".into(),
    }
}

/// Returns a body that is a line of plain text.
pub(super) fn line(response: &Response<Bytes>) -> Option<&str> {
    let is_plain = media_type(response.headers())?.eq_ignore_ascii_case("text/plain");
    let text = str::from_utf8(json::without_bom(response.body())).ok()?.trim();
    let is_line = is_plain && encoding(response).is_none() && !text.contains('\n');
    Some(text).filter(|text| is_line && !text.is_empty() && text.len() <= MAX_MESSAGE)
}

pub(super) fn encoding(response: &Response<Bytes>) -> Option<String> {
    let declared = header(response.headers(), CONTENT_ENCODING);
    let declared = declared.filter(|encoding| !encoding.eq_ignore_ascii_case("identity"));
    declared.or_else(|| response.body().starts_with(b"\x1f\x8b").then(|| "gzip".to_owned()))
}

fn media_type(headers: &HeaderMap) -> Option<String> {
    let declared = header(headers, CONTENT_TYPE)?;
    let media_type = declared.split(';').next().map(str::trim).unwrap_or_default();
    Some(media_type.to_owned()).filter(|media_type| !media_type.is_empty())
}

fn header(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let value = String::from_utf8_lossy(headers.get(name)?.as_bytes()).trim().to_owned();
    Some(value).filter(|value| !value.is_empty())
}
