//! Finds the token of a request: a function over its head.

mod basic;
mod cookie;
mod cross_site;
mod websocket;

use super::form::FormToken;
use crate::{
    ConfigError, RequestHead, TokenLocation,
    validate::Rejection,
    vocabulary::{b64token, location::ACCESS_TOKEN, query, token::MAX_TOKEN_LEN},
};
use cross_site::is_cross_site;
use http::{HeaderName, HeaderValue, Method, Request, header::AUTHORIZATION};
use std::{borrow::Cow, ops::Range};

pub(in crate::server) const TWICE: &str = "a credential header is there more than once";
pub(in crate::server) const SEVERAL: &str = "the access token is there in more than one way";
pub(in crate::server) const SYNTAX: &str = "the access token is malformed";
const TOO_LONG: &str = "the access token is too long";

/// Where a layer reads tokens, and how.
#[derive(Clone, Debug)]
pub(in crate::server) struct Sources {
    locations: Vec<TokenLocation>,
    /// The password that makes a Basic user name a token.
    pub(in crate::server) basic_passwords: Vec<Box<str>>,
    pub(in crate::server) query_on_any_method: bool,
    /// Takes the first of several tokens rather than refuse.
    pub(in crate::server) first_wins: bool,
    /// Takes what browsers add by themselves from other sites too.
    pub(in crate::server) cross_site: bool,
}

/// A token and where it was.
#[derive(Debug)]
pub(in crate::server) struct Found<'a> {
    pub(in crate::server) token: Cow<'a, str>,
    pub(in crate::server) which: Which,
    pub(in crate::server) place: Place,
}

/// One of the places where a layer reads tokens.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct Which(usize);

impl Which {
    pub(in crate::server) const FIRST: Self = Self(0);
}

/// What has to be known to clean up after the token.
#[derive(Clone, Debug)]
pub(in crate::server) enum Place {
    /// The whole of the one line of a header.
    Header,
    /// The pair's bytes in the query.
    Query(Range<usize>),
    Form,
    /// The cookies without it, where there are others. Boxed, as below: mostly it is a header.
    Cookie(Option<Box<HeaderValue>>),
    /// The subprotocols without it.
    WebSocket(Box<HeaderValue>),
}

impl Sources {
    pub(in crate::server) fn new<I>(locations: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item = TokenLocation>,
    {
        let mut sources = Self {
            locations: Vec::new(),
            basic_passwords: vec!["".into()],
            query_on_any_method: false,
            first_wins: false,
            cross_site: false,
        };
        sources.set_locations(locations)?;
        Ok(sources)
    }

    pub(in crate::server) fn set_locations<I>(&mut self, locations: I) -> Result<(), ConfigError>
    where
        I: IntoIterator<Item = TokenLocation>,
    {
        self.locations.clear();
        for location in locations {
            if !self.locations.contains(&location) {
                self.locations.push(location);
            }
        }
        match self.locations.is_empty() {
            true => {
                Err(ConfigError::new("a token is read in at least one place: read_from names none"))
            }
            false => Ok(()),
        }
    }

    pub(in crate::server) fn locations(&self) -> &[TokenLocation] {
        &self.locations
    }

    /// The place that was told apart by `which`.
    pub(in crate::server) fn location(&self, which: Which) -> &TokenLocation {
        self.locations.get(which.0).unwrap_or(&TokenLocation::Bearer)
    }

    pub(in crate::server) fn read_basic(&self) -> bool {
        let basic = |location: &TokenLocation| {
            matches!(location, TokenLocation::BasicUserName | TokenLocation::BasicPassword(_))
        };
        self.locations.iter().any(basic)
    }
}

/// The token of the request, or nothing where none was presented in a way that is read.
///
/// # Errors
///
/// The refusal, where one was presented that is malformed or too long, twice, in two ways, or by
/// another site; and the place, where it is one.
pub(in crate::server) fn extract<'a, 's>(
    head: RequestHead<'a>,
    sources: &'s Sources,
) -> Result<Option<Found<'a>>, (Rejection, Option<&'s TokenLocation>)> {
    let mut found = None;
    for (which, location) in sources.locations.iter().enumerate() {
        let next = read(head, location, sources).map_err(|wrong| (wrong, Some(location)))?;
        let Some((token, place)) = next else { continue };
        if is_ambient(location) && !sources.cross_site && is_cross_site(head) {
            return Err((Rejection::cross_site(), Some(location)));
        }
        let next = Found { token, which: Which(which), place };
        if sources.first_wins {
            return Ok(Some(next));
        }
        // RFC 6750 §2: a client uses one way to present a token, not two.
        if found.replace(next).is_some() {
            return Err((Rejection::malformed(SEVERAL), None));
        }
    }
    Ok(found)
}

/// Whether browsers add what is there by themselves, whoever makes them send a request.
fn is_ambient(location: &TokenLocation) -> bool {
    matches!(
        location,
        TokenLocation::Cookie(_) | TokenLocation::BasicUserName | TokenLocation::BasicPassword(_)
    )
}

/// The header that has the token of a request, where the one place to look is `Authorization:
/// Bearer` and nothing about the headers is unusual: that is for [`extract`] to tell.
pub(in crate::server) fn bearer_header<'r, B>(
    request: &'r mut Request<B>,
    sources: &Sources,
) -> Option<&'r mut HeaderValue> {
    let headers = request.headers_mut();
    // With as many values as names, none is there twice.
    let usual = headers.len() == headers.keys_len();
    match *sources.locations {
        [TokenLocation::Bearer] if usual => headers.get_mut(AUTHORIZATION),
        _ => None,
    }
}

/// What follows the scheme `Bearer`, where it is no longer than a token; nobody has looked at it.
pub(in crate::server) fn bearer_credentials(value: &HeaderValue) -> Option<&[u8]> {
    let credentials = after_scheme(value.as_bytes().trim_ascii(), "Bearer")?;
    (credentials.len() <= MAX_TOKEN_LEN).then_some(credentials)
}

/// The token in one place.
pub(in crate::server) fn read<'a>(
    head: RequestHead<'a>,
    location: &TokenLocation,
    sources: &Sources,
) -> Result<Option<(Cow<'a, str>, Place)>, Rejection> {
    Ok(Some(match location {
        TokenLocation::Bearer
        | TokenLocation::BasicUserName
        | TokenLocation::BasicPassword(_)
        | TokenLocation::Header(_) => {
            let Some(value) = only_value(head, header_name(location))? else { return Ok(None) };
            let Some(token) = read_header(value, location, sources)? else { return Ok(None) };
            (token, Place::Header)
        }
        TokenLocation::Query | TokenLocation::QueryParameter(_) => {
            let Some(name) = parameter(head, location, sources) else { return Ok(None) };
            let query = head.uri().query().unwrap_or_default();
            let Some((token, pair)) = read_query(query, name)? else { return Ok(None) };
            (token, Place::Query(pair))
        }
        TokenLocation::Form => {
            let Some(token) = FormToken::of(head)? else { return Ok(None) };
            (Cow::Borrowed(token_in(token.as_bytes())?), Place::Form)
        }
        TokenLocation::Cookie(name) => match cookie::read(head, name.as_str())? {
            Some(found) => found,
            None => return Ok(None),
        },
        TokenLocation::WebSocketProtocol(prefix) => {
            match websocket::read_prefixed(head, prefix.as_str())? {
                Some(found) => found,
                None => return Ok(None),
            }
        }
        TokenLocation::WebSocketProtocolPair(name) => {
            match websocket::read_pair(head, name.as_str())? {
                Some(found) => found,
                None => return Ok(None),
            }
        }
    }))
}

/// The parameter of a location that is one, where the query of this request is read.
pub(in crate::server) fn parameter<'l>(
    head: RequestHead<'_>,
    location: &'l TokenLocation,
    sources: &Sources,
) -> Option<&'l str> {
    let name = match location {
        TokenLocation::Query => ACCESS_TOKEN,
        TokenLocation::QueryParameter(name) => name.as_str(),
        _ => return None,
    };
    // A CONNECT that has a query is the WebSocket of RFC 8441, which is a GET over HTTP/1.
    let usual = matches!(*head.method(), Method::GET | Method::HEAD | Method::CONNECT);
    let is_read = sources.query_on_any_method || usual;
    is_read.then_some(name)
}

/// The header of a location that is one.
pub(in crate::server) fn header_name(location: &TokenLocation) -> &HeaderName {
    match location {
        TokenLocation::Header(header) => header.name(),
        _ => &AUTHORIZATION,
    }
}

/// Whether the request has credentials of a scheme for access tokens that is not read: they are
/// never nobody's.
pub(in crate::server) fn has_unread_token(head: RequestHead<'_>) -> bool {
    head.headers()
        .get_all(AUTHORIZATION)
        .iter()
        .any(|value| after_scheme(value.as_bytes().trim_ascii(), "DPoP").is_some())
}

/// The value of the header `name`, which may be there once, without the space around it.
fn only_value<'a>(head: RequestHead<'a>, name: &HeaderName) -> Result<Option<&'a [u8]>, Rejection> {
    let mut values = head.headers().get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match values.next() {
        Some(_) => Err(Rejection::malformed(TWICE)),
        None => Ok(Some(value.as_bytes().trim_ascii())),
    }
}

/// The token of a header value, or nothing where it is empty or of another scheme.
fn read_header<'a>(
    value: &'a [u8],
    location: &TokenLocation,
    sources: &Sources,
) -> Result<Option<Cow<'a, str>>, Rejection> {
    if value.is_empty() {
        return Ok(None);
    }
    let scheme = match location {
        TokenLocation::BasicUserName | TokenLocation::BasicPassword(_) => "Basic",
        TokenLocation::Header(header) => match header.scheme() {
            Some(scheme) => scheme,
            None => return token_in(value).map(|token| Some(Cow::Borrowed(token))),
        },
        _ => "Bearer",
    };
    let Some(credentials) = after_scheme(value, scheme) else { return Ok(None) };
    match location {
        TokenLocation::BasicUserName => {
            Ok(basic::user_name(credentials, &sources.basic_passwords)?.map(Cow::Owned))
        }
        TokenLocation::BasicPassword(user) => {
            Ok(basic::password(credentials, user.as_str(), sources)?.map(Cow::Owned))
        }
        _ => token_in(credentials).map(|token| Some(Cow::Borrowed(token))),
    }
}

/// What follows `scheme` and its spaces, where the value is of that scheme (RFC 9110 §11.4).
fn after_scheme<'a>(value: &'a [u8], scheme: &str) -> Option<&'a [u8]> {
    let (own, rest) = value.split_at_checked(scheme.len())?;
    // Mostly they are the same to the letter, which is told sooner.
    if own != scheme.as_bytes() && !own.eq_ignore_ascii_case(scheme.as_bytes()) {
        return None;
    }
    match rest.first() {
        None | Some(b' ' | b'\t') => {
            let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
            rest.get(spaces..)
        }
        Some(_) => None,
    }
}

/// `value`, which is to be a token and nothing else.
fn token_in(value: &[u8]) -> Result<&str, Rejection> {
    if !b64token::is_valid(value) {
        return Err(Rejection::malformed(SYNTAX));
    }
    let token = str::from_utf8(value).map_err(|_| Rejection::malformed(SYNTAX))?;
    if b64token::is_too_long(token) {
        return Err(Rejection::invalid(TOO_LONG));
    }
    Ok(token)
}

/// The token in the parameter `name`, and the bytes of its pair.
#[expect(clippy::type_complexity, reason = "a pair, named by its one caller")]
fn read_query<'a>(
    query: &'a str,
    name: &str,
) -> Result<Option<(Cow<'a, str>, Range<usize>)>, Rejection> {
    let mut found = None;
    let mut start = 0;
    for pair in query::pairs(query) {
        let range = start..start + pair.raw().len();
        start = range.end + 1;
        if pair.is_named(name) && found.replace((pair, range)).is_some() {
            return Err(Rejection::malformed(SEVERAL));
        }
    }
    let Some((pair, range)) = found else { return Ok(None) };
    // A raw `+` is a space to one decoder and a plus to the next: refused, never guessed.
    let value = pair.value().filter(|value| !value.contains('+'));
    let value = value.and_then(query::decode).ok_or(Rejection::malformed(SYNTAX))?;
    token_in(value.as_bytes())?;
    Ok(Some((value, range)))
}

#[cfg(test)]
mod tests;
