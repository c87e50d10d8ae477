//! Token responses and their tolerant reader
//! ([RFC 6749 §5](https://www.rfc-editor.org/rfc/rfc6749#section-5)).

use super::{
    answer_body::{encoding, members, text, what_it_is},
    digest::bound,
    grant::Exchange,
    refusal::{is_refusal, refusal},
};
use crate::{
    AccessToken, ClientSecret, Clock, ScopeSet,
    back_channel::{jwt_expiry, retry_after::retry_after, secrets::Secrets},
    client::{Error, Grant},
    observe::tokens,
    vocabulary::{bond::Prove, clock::MAX_LIFETIME},
};
use bytes::Bytes;
use http::{Response, StatusCode};
use serde_core::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// A successful answer of a token endpoint.
///
/// ```
/// use std::time::Duration;
/// use tower_oauth2::{AccessToken, client::TokenResponse};
///
/// let response = TokenResponse::new(AccessToken::new("mF_9.B5f-4.1JqM")?)
///     .with_lifetime(Duration::from_secs(600));
/// assert_eq!(response.lifetime(), Some(Duration::from_secs(600)));
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct TokenResponse {
    access_token: AccessToken,
    lifetime: Option<Duration>,
    expires_at: Option<SystemTime>,
    refresh_token: Option<ClientSecret>,
    scope: Option<ScopeSet>,
    members: Map<String, Value>,
    /// The resources of the sign-in that got this answer.
    resources: Vec<String>,
}

impl TokenResponse {
    /// Creates an answer that has `access_token` and nothing else.
    #[must_use]
    pub fn new(access_token: AccessToken) -> Self {
        Self {
            access_token,
            lifetime: None,
            expires_at: None,
            refresh_token: None,
            scope: None,
            members: Map::new(),
            resources: Vec::new(),
        }
    }

    /// Sets the lifetime of the token from the time of its request (`expires_in`), at most ten years.
    /// Defaults to none.
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime.min(MAX_LIFETIME));
        self
    }

    /// Sets the instant at which the token expires, in place of a lifetime. A fetch that brings an
    /// expired token fails. Defaults to none.
    #[must_use]
    pub fn with_expiry(mut self, expires_at: SystemTime) -> Self {
        self.expires_at = Some(expires_at);
        self
    }

    /// Sets the instant that a JWT names (`exp`), which is not verified. Does not change the answer if
    /// the access token is no JWT, or names none.
    #[must_use]
    pub fn with_jwt_expiry(mut self) -> Self {
        let expiry = jwt_expiry::expiry(self.access_token.expose()).ok().flatten();
        self.expires_at = expiry.or(self.expires_at);
        self
    }

    /// Sets the granted scopes. Defaults to none: they are the requested ones.
    #[must_use]
    pub fn with_scope(mut self, scope: ScopeSet) -> Self {
        self.scope = Some(scope);
        self
    }

    /// Sets the refresh token. Defaults to none.
    #[must_use]
    pub fn with_refresh_token(mut self, refresh_token: impl Into<ClientSecret>) -> Self {
        self.refresh_token = Some(refresh_token.into());
        self
    }

    /// Reads an answer as a [`TokenEndpoint`](crate::client::TokenEndpoint) does, for a closure of
    /// [`TokenCache::from_fn`](crate::client::TokenCache::from_fn). It bears with lifetimes that are
    /// texts, with members of other types than they should be, and with JSON that is a little wrong.
    ///
    /// ```
    /// use tower_oauth2::client::TokenResponse;
    ///
    /// // Azure writes numbers as texts.
    /// let body = br#"{"access_token":"eyJ0","expires_in":"3599","refresh_token":""}"#;
    /// let response = TokenResponse::from_json(body)?;
    /// assert_eq!(response.lifetime().unwrap().as_secs(), 3599);
    /// # Ok::<(), tower_oauth2::client::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If `body` is not an object with an `access_token` that can be sent, or has an `error`.
    pub fn from_json(body: &[u8]) -> Result<Self, Error> {
        let response = Response::new(Bytes::copy_from_slice(body));
        // Its content type is not known here.
        if !body.is_empty() && encoding(&response).is_none() && members(&response).is_none() {
            return Err(Error::invalid_response(response.status(), "the body is no JSON object"));
        }
        read(&response, &Secrets::default(), Taken::default()).map_err(|unusable| unusable.error)
    }

    /// Returns the body of a 2xx, for [`from_json`](Self::from_json) or a reader of one's own.
    ///
    /// # Errors
    ///
    /// If the status is another one: the refusal that a
    /// [`TokenEndpoint`](crate::client::TokenEndpoint) would return, with its `Retry-After`.
    pub fn read_body(response: &Response<Bytes>) -> Result<&Bytes, Error> {
        if response.status().is_success() {
            return Ok(response.body());
        }
        let wait = retry_after(response.headers(), Clock::system().wall());
        Err(refusal(response, &Secrets::default()).answered_with(wait))
    }

    pub(in crate::client) fn with_resources(self, resources: Vec<String>) -> Self {
        Self { resources, ..self }
    }

    /// Returns the resources that its renewals name too.
    pub(in crate::client) fn resources(&self) -> &[String] {
        &self.resources
    }

    /// Returns the access token.
    #[must_use]
    pub fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    /// Returns the lifetime of the token, if the server sent one.
    #[must_use]
    pub fn lifetime(&self) -> Option<Duration> {
        self.lifetime
    }

    /// Returns the lifetime that is left at `now`, or that the server sent.
    pub(in crate::client) fn lifetime_at(&self, now: SystemTime) -> Option<Duration> {
        let left = |at: SystemTime| at.duration_since(now).unwrap_or_default().min(MAX_LIFETIME);
        self.expires_at.map(left).or(self.lifetime)
    }

    /// Returns `true` if an instant is known at which it expires, and has passed.
    pub(in crate::client) fn is_expired(&self, now: SystemTime) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// Returns the refresh token, if there is one.
    #[must_use]
    pub fn refresh_token(&self) -> Option<&ClientSecret> {
        self.refresh_token.as_ref()
    }

    /// Returns the scopes that a renewal leaves granted: those before it, if the server names none
    /// ([RFC 6749 §6](https://www.rfc-editor.org/rfc/rfc6749#section-6)).
    pub(in crate::client) fn granted_after(&self, before: Option<ScopeSet>) -> Option<ScopeSet> {
        self.scope.clone().or(before)
    }

    /// Returns the granted scopes, if the server sent them. Otherwise they are the requested ones
    /// ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)).
    #[must_use]
    pub fn scope(&self) -> Option<&ScopeSet> {
        self.scope.as_ref()
    }

    /// Returns the type of the issued token, which the answer to a token exchange has
    /// ([RFC 8693 §2.2.1](https://www.rfc-editor.org/rfc/rfc8693#section-2.2.1)).
    #[must_use]
    pub fn issued_token_type(&self) -> Option<&str> {
        text(&self.members, "issued_token_type")
    }

    /// Returns the member `name` of the answer, or `None` if it is absent or not a `T`.
    #[must_use]
    pub fn extra<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_value(self.members.get(name)?.clone()).ok()
    }
}

/// Shows names of members and no values, which may be tokens.
impl fmt::Debug for TokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenResponse")
            .field("access_token", &self.access_token)
            .field("lifetime", &self.lifetime)
            .field("refresh_token", &self.refresh_token)
            .field("scope", &self.scope)
            .field("members", &self.members.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// The reason why an answer has no token.
pub(in crate::client) struct Unusable {
    pub(in crate::client) error: Error,
    /// The refresh token of the answer; the one that was sent may be used up.
    pub(in crate::client) refresh_token: Option<ClientSecret>,
}

impl From<Error> for Unusable {
    fn from(error: Error) -> Self {
        Self { error, refresh_token: None }
    }
}

/// Which tokens are taken beside Bearer.
#[derive(Clone, Copy, Default)]
pub(in crate::client) struct Taken<'a> {
    /// Further names for Bearer.
    pub(super) types: &'a [Box<str>],
    /// The key that a token of the type DPoP is bound to.
    pub(super) key: Option<&'a Arc<dyn Prove>>,
}

/// Reads the answer to a request for `grant`.
///
/// # Errors
///
/// As [`read`], and if the answer to a token exchange has no `issued_token_type`.
pub(in crate::client) fn read_for(
    grant: &Grant,
    response: &Response<Bytes>,
    secrets: &Secrets,
    taken: Taken<'_>,
) -> Result<TokenResponse, Unusable> {
    let read = read(response, secrets, taken)?;
    match grant.exchange {
        Some(Exchange { allow_missing_type: false }) if read.issued_token_type().is_none() => {
            Err(Error::of_no_use(response.status(), "missing issued_token_type").into())
        }
        _ => Ok(read),
    }
}

/// Reads the answer to a token request of any grant.
///
/// # Errors
///
/// If the answer is not a 2xx with an `access_token` that can be sent. The error has no `secrets`.
fn read(
    response: &Response<Bytes>,
    secrets: &Secrets,
    taken: Taken<'_>,
) -> Result<TokenResponse, Unusable> {
    let status = response.status();
    if !status.is_success() {
        return Err(refusal(response, secrets).into());
    }
    let Some(mut members) = members(response) else {
        let what = what_it_is(response, secrets);
        let text = format!("{what}, and is neither a JSON object nor a declared form");
        return Err(Error::invalid_response(status, text).into());
    };
    if is_refusal(&members) {
        return Err(refusal(response, secrets).into());
    }
    let refresh_token = members.remove("refresh_token").and_then(refresh_token);
    match access_token(status, &mut members, secrets, taken) {
        Ok(access_token) => {
            let mut read = TokenResponse::new(access_token);
            read.lifetime = members.get("expires_in").and_then(lifetime);
            read.scope = members.get("scope").and_then(scope);
            Ok(TokenResponse { refresh_token, members, ..read })
        }
        Err(error) => Err(Unusable { error, refresh_token }),
    }
}

/// Takes the access token out of `members`.
fn access_token(
    status: StatusCode,
    members: &mut Map<String, Value>,
    secrets: &Secrets,
    Taken { types, key }: Taken<'_>,
) -> Result<AccessToken, Error> {
    let invalid = |text: &str| Error::invalid_response(status, text);
    // RFC 6749 §5.1 requires `token_type`; servers that leave it out mean Bearer.
    let kind = match members.get("token_type") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(kind)) => kind.trim().to_owned(),
        Some(odd) => odd.to_string(),
    };
    let is = |known: &str| kind.eq_ignore_ascii_case(known);
    let bond = key.filter(|_| is("dpop"));
    let is_bearer = ["", "bearer", "bearertoken"].into_iter().any(is)
        || types.iter().any(|known| is(known) && !is("dpop") && !is("mac"));
    if is_bearer && key.is_some_and(|key| !key.allows_bearer()) {
        let text = "the token is not bound to the proof key: its type is not DPoP; \
                    ProofKey::allow_bearer takes it";
        return Err(Error::of_no_use(status, text));
    }
    if bond.is_none() && !is_bearer {
        let text = format!("the token type {} is not supported", secrets.scrub(&kind));
        return Err(Error::of_no_use(status, text));
    }
    let Some(Value::String(token)) = members.remove("access_token") else {
        return Err(invalid("missing access_token"));
    };
    if token.is_empty() {
        return Err(invalid("missing access_token"));
    }
    let token = AccessToken::new(token).and_then(|token| match bond {
        Some(key) => bound(&token, key),
        None => Ok(token),
    });
    token.map_err(|error| invalid(&error.to_string()))
}

fn refresh_token(value: Value) -> Option<ClientSecret> {
    match value {
        Value::Null => None,
        Value::String(token) if token.is_empty() => None,
        // With a character replaced it is another one.
        Value::String(token) if !token.contains(char::REPLACEMENT_CHARACTER) => {
            Some(ClientSecret::new(token))
        }
        _ => {
            tokens::odd_member("refresh_token", "is not a text, and is ignored");
            None
        }
    }
}

/// Reads `expires_in` as servers write it: an integer, a float or a text. Drops fractions, and
/// ignores what is negative or not a number.
pub(super) fn lifetime(value: &Value) -> Option<Duration> {
    let odd = |why| {
        tokens::odd_member("expires_in", why);
        None
    };
    let seconds = match value {
        Value::Null => return None,
        Value::Number(number) => number.as_f64(),
        Value::String(text) if text.trim().is_empty() => return None,
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let Some(seconds) = seconds.filter(|seconds: &f64| seconds.is_finite()) else {
        return odd("is not a number, and is ignored");
    };
    if seconds < 0.0 {
        return odd("is negative, and is ignored");
    }
    let lifetime = Duration::try_from_secs_f64(seconds.trunc()).unwrap_or(Duration::MAX);
    if lifetime > MAX_LIFETIME {
        odd("is longer than ten years, and is cut");
    }
    Some(lifetime.min(MAX_LIFETIME))
}

/// Reads `scope` as a text or an array of texts, and ignores anything else.
fn scope(value: &Value) -> Option<ScopeSet> {
    let scopes = match value {
        Value::Null => return None,
        Value::String(text) => text.parse().ok(),
        Value::Array(scopes) => {
            let scopes: Option<Vec<_>> = scopes.iter().map(Value::as_str).collect();
            scopes.and_then(|scopes| ScopeSet::new(scopes).ok())
        }
        _ => None,
    };
    if scopes.is_none() {
        tokens::odd_member("scope", "is not a list of scopes, and is ignored");
    }
    scopes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::back_channel::scrub;
    use http::{HeaderValue, header};
    use proptest::prelude::*;

    fn response(status: u16, content_type: &[u8], body: Vec<u8>) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = status.try_into().unwrap();
        if let Ok(value) = HeaderValue::from_bytes(content_type) {
            response.headers_mut().insert(header::CONTENT_TYPE, value);
        }
        response
    }

    /// JSON of every type, most of it numbers of every size.
    fn value() -> impl Strategy<Value = String> {
        let number = "-?[0-9]{1,25}(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,4})?";
        prop_oneof![
            4 => number,
            2 => number.prop_map(|text| format!("\"{text}\"")),
            2 => "[ -!#-\\[\\]-~]{0,9}".prop_map(|text| format!("\"{text}\"")),
            1 => prop::sample::select(vec![
                "null", "true", "{}", r#"["a","b c"]"#, "[1]", r#""NaN""#, r#""\ud800""#, r#""\n""#,
            ]).prop_map(String::from),
        ]
    }

    /// Objects of the members that are read, with any values.
    fn object() -> impl Strategy<Value = Vec<u8>> {
        let names = "(access_token|token_type|expires_in|scope|refresh_token|error|x)";
        let token = r#""access_token":"T""#;
        let members = prop::collection::vec((names, value()), 0..6);
        (any::<bool>(), any::<bool>(), members).prop_map(move |(bom, good, members)| {
            let members = members.iter().map(|(name, value)| format!("\"{name}\":{value}"));
            let all: Vec<_> = members.chain(good.then(|| token.to_owned())).collect();
            format!("{}{{{}}}", if bom { "\u{feff}" } else { "" }, all.join(",")).into_bytes()
        })
    }

    fn form() -> impl Strategy<Value = Vec<u8>> {
        "(access_token=[a-z%0-9]{0,4}&)?(expires_in=-?[0-9e.]{0,30}&)?(error=[a-z]{0,3})?"
            .prop_map(String::into_bytes)
    }

    proptest! {
        #[test]
        fn any_answer_is_a_bounded_error_or_a_token_of_a_bounded_lifetime(
            status in prop_oneof![2 => Just(200), 1 => 100..=999_u16],
            content_type in prop_oneof![
                Just(b"application/x-www-form-urlencoded;a=b".to_vec()),
                prop::collection::vec(any::<u8>(), 0..40),
            ],
            body in prop_oneof![
                4 => object(),
                2 => form(),
                1 => prop::collection::vec(any::<u8>(), 0..80),
            ],
        ) {
            match read(&response(status, &content_type, body), &Secrets::default(), Taken::default()) {
                Ok(response) => {
                    prop_assert!((200..300).contains(&status));
                    prop_assert!(!response.access_token().expose().is_empty());
                    prop_assert!(response.lifetime().is_none_or(|life| life <= MAX_LIFETIME));
                }
                Err(Unusable { error, .. }) => {
                    prop_assert_eq!(error.status().map(|status| status.as_u16()), Some(status));
                    prop_assert!(error.to_string().len() <= 3 * scrub::MAX_TEXT);
                }
            }
        }
    }

    #[test]
    fn a_number_of_any_size_is_a_lifetime_from_zero_to_the_cap_or_none() {
        let seconds = |text: &str| lifetime(&serde_json::from_str(text).unwrap());
        for (text, lifetime) in [
            ("315360000", Some(MAX_LIFETIME)),
            ("315360001", Some(MAX_LIFETIME)),
            ("1e300", Some(MAX_LIFETIME)),
            ("\"18446744073709551616\"", Some(MAX_LIFETIME)),
            ("-1", None),
            ("-1e300", None),
            ("\"-60\"", None),
            ("-0", Some(Duration::ZERO)),
            ("0.9", Some(Duration::ZERO)),
            ("\" 60 \"", Some(Duration::from_secs(60))),
            ("\"1e999\"", None),
            ("\"NaN\"", None),
            ("\"soon\"", None),
            ("true", None),
        ] {
            assert_eq!(seconds(text), lifetime, "{text}");
        }
    }

    #[test]
    fn an_empty_text_counts_as_absent() {
        let body = br#"{"access_token":"T","token_type":"","error":"","refresh_token":""}"#;
        let read = TokenResponse::from_json(body).unwrap();
        assert!(read.refresh_token().is_none());
        let empty = br#"{"error":"","error_description":""}"#;
        let taken = Taken::default();
        let refused = super::read(&response(400, b"", empty.to_vec()), &Secrets::default(), taken);
        let Err(Unusable { error, .. }) = refused else { panic!("it is no token") };
        assert_eq!(error.code(), None);
        assert!(error.to_string().ends_with("(400 Bad Request)"), "{error}");
    }
}
