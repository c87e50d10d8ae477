//! The tokens of a request, each found by the shortest way.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
    prelude::BASE64_URL_SAFE_NO_PAD,
};
use http::{HeaderMap, Method, Request};
use percent_encoding::{percent_decode, percent_decode_str};
use std::sync::{Arc, Mutex};
use tower_oauth2::{
    Answer, RequestHead, TokenLocation,
    validate::{Principal, Rejection, ValidateToken, Validated, Verdict},
};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Finds tokens that begin with `t` good, checks what it is given, and remembers the last one.
#[derive(Clone, Default)]
pub struct Judge {
    last: Arc<Mutex<Option<String>>>,
}

impl Judge {
    /// Returns the token that was judged since the last call.
    pub fn take(&self) -> Option<String> {
        self.last.lock().expect("a token").take()
    }
}

impl ValidateToken for Judge {
    type Claims = ();
    type Future = std::future::Ready<Verdict<()>>;

    fn validate(&self, token: &str, _: RequestHead<'_>) -> Answer<Self::Future> {
        assert!(is_token(token) && token.len() <= 16 * 1024);
        let before = self.last.lock().expect("a token").replace(token.to_owned());
        assert_eq!(before, None, "one request is judged once");
        Answer::Ready(match token.starts_with('t') {
            true => Ok(Arc::new(Validated::from(Principal::new("alice")))),
            false => Err(Rejection::invalid(token.to_owned())),
        })
    }
}

/// Returns `true` for the texts that tokens are in RFC 6750.
pub fn is_token(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    !body.is_empty() && body.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b))
}

/// The pairs of a form or a query, decoded, with `+` as a space where it is a form.
pub fn pairs(text: impl AsRef<[u8]>, is_form: bool) -> Vec<(String, String)> {
    let decoded = |text: &[u8]| {
        let spaced = |byte: &u8| if is_form && *byte == b'+' { b' ' } else { *byte };
        let text: Vec<u8> = text.iter().map(spaced).collect();
        String::from_utf8_lossy(&percent_decode(&text).collect::<Vec<u8>>()).into_owned()
    };
    let pairs = text.as_ref().split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| match pair.iter().position(|byte| *byte == b'=') {
            Some(end) => (decoded(&pair[..end]), decoded(&pair[end + 1..])),
            None => (decoded(pair), String::new()),
        })
        .collect()
}

/// The query without the pairs of this name; all else is as it was.
pub fn query_without(query: &str, name: &str) -> String {
    let is_named = |pair: &&str| {
        let own = pair.split('=').next().unwrap_or_default();
        percent_decode_str(own).eq(name.bytes())
    };
    query.split('&').filter(|pair| !is_named(pair)).collect::<Vec<_>>().join("&")
}

/// The pairs of all cookie headers but those of this name.
pub fn cookies_without(headers: &HeaderMap, name: &str) -> Vec<Vec<u8>> {
    cookies(headers).filter(|pair| !is_cookie(pair, name)).map(<[u8]>::to_vec).collect()
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all("cookie").iter().map(|line| line.as_bytes());
    let pairs = lines.flat_map(|line| line.split(|byte| *byte == b';'));
    pairs.map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty())
}

fn is_cookie(pair: &[u8], name: &str) -> bool {
    pair.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"="))
}

/// Returns `true` if a list header of this name has the item.
pub fn lists(headers: &HeaderMap, name: &str, item: &str) -> bool {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|own| own.trim().eq_ignore_ascii_case(item))
}

pub fn is_upgrade<B>(request: &Request<B>) -> bool {
    let lists = |name, item| lists(request.headers(), name, item);
    request.method() == Method::CONNECT
        || (request.method() == Method::GET
            && lists("connection", "upgrade")
            && lists("upgrade", "websocket"))
}

/// The subprotocols that a WebSocket offers.
fn subprotocols<B>(request: &Request<B>) -> Vec<String> {
    if !is_upgrade(request) {
        return Vec::new();
    }
    let lines = request.headers().get_all("sec-websocket-protocol").iter();
    let text = lines.map(|line| String::from_utf8_lossy(line.as_bytes()));
    let items = text
        .flat_map(|text| text.split(',').map(|item| item.trim().to_owned()).collect::<Vec<_>>());
    items.filter(|item| !item.is_empty()).collect()
}

/// What stands behind the scheme in a header of this name, or all of it.
fn credentials(headers: &HeaderMap, name: &str, scheme: Option<&str>) -> Vec<String> {
    let mut found = Vec::new();
    for value in headers.get_all(name) {
        let value = String::from_utf8_lossy(value.as_bytes().trim_ascii()).into_owned();
        let (own, rest) = value.split_once([' ', '\t']).unwrap_or((&value, ""));
        match scheme {
            Some(scheme) if own.eq_ignore_ascii_case(scheme) => {
                found.push(rest.trim_start_matches(' ').to_owned());
            }
            None if !value.is_empty() => found.push(value),
            _ => {}
        }
    }
    found
}

fn basic(headers: &HeaderMap) -> Vec<(String, String)> {
    let all = credentials(headers, "authorization", Some("basic")).into_iter();
    let decoded = all.filter_map(|text| String::from_utf8(BASE64.decode(text).ok()?).ok());
    decoded
        .filter_map(|text| text.split_once(':').map(|(user, pass)| (user.into(), pass.into())))
        .collect()
}

/// The tokens in one place, as they are to be judged.
pub fn presented<B>(
    request: &Request<B>,
    location: &TokenLocation,
    is_query_read: bool,
) -> Vec<String> {
    let headers = request.headers();
    let query = || {
        let query = if is_query_read { request.uri().query().unwrap_or_default() } else { "" };
        pairs(query, false).into_iter()
    };
    let named = |name: &str| {
        query().filter(|(own, _)| own == name).map(|(_, value)| value).collect::<Vec<_>>()
    };
    match location {
        TokenLocation::Bearer => credentials(headers, "authorization", Some("bearer")),
        TokenLocation::Header(header) => {
            credentials(headers, header.name().as_str(), header.scheme())
        }
        TokenLocation::Query => named("access_token"),
        TokenLocation::QueryParameter(name) => named(name.as_str()),
        TokenLocation::BasicUserName => {
            let users = basic(headers).into_iter().filter(|(_, pass)| pass.is_empty());
            users.map(|(user, _)| user).collect()
        }
        TokenLocation::BasicPassword(own) => {
            let users = basic(headers).into_iter().filter(|(user, _)| user == own.as_str());
            users.map(|(_, pass)| pass).collect()
        }
        TokenLocation::Cookie(name) => {
            let own = cookies(headers).filter(|pair| is_cookie(pair, name.as_str()));
            own.map(|pair| String::from_utf8_lossy(&pair[name.as_str().len() + 1..]).into())
                .collect()
        }
        TokenLocation::WebSocketProtocol(prefix) => {
            let items = subprotocols(request).into_iter();
            let own =
                items.filter_map(|item| item.strip_prefix(prefix.as_str()).map(str::to_owned));
            let decoded = |text: String| BASE64_URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
            own.map(|text| String::from_utf8_lossy(&decoded(text)).into_owned()).collect()
        }
        TokenLocation::WebSocketProtocolPair(name) => {
            let items = subprotocols(request);
            let is_name = |item: &&String| item.as_str() == name.as_str();
            let behind = items.iter().skip(1).map(String::clone).chain([String::new()]);
            let own = items.iter().zip(behind).filter(|(item, _)| is_name(item));
            own.map(|(_, token)| token).collect()
        }
        _ => Vec::new(),
    }
}
