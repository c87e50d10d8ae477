use super::token::AccessToken;
use http::{Extensions, HeaderMap, Method, Request, Uri, Version};
use std::fmt;

/// The borrowed head of a request that gets a token, or presents one.
///
/// A [`TokenSource`](crate::client::TokenSource) may choose a token by it, by the user in the
/// extensions for example, and a [`ValidateToken`](crate::validate::ValidateToken) may bind a token
/// to it.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    method: &'a Method,
    uri: &'a Uri,
    version: Version,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
    call: Call<'a>,
}

/// What becomes of a call whose token is rejected.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "client"), allow(dead_code, reason = "a server makes no calls"))]
enum Call<'a> {
    /// The caller gets the refusal.
    Single,
    /// It is made once more with another token.
    Repeatable,
    /// It is about to be made once more: the resource rejected this token.
    Rejected(&'a AccessToken),
}

impl<'a> RequestHead<'a> {
    /// Borrows the head of `request`.
    pub fn from_request<B>(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            version: request.version(),
            headers: request.headers(),
            extensions: request.extensions(),
            call: Call::Single,
        }
    }

    pub(crate) fn new(
        method: &'a Method,
        uri: &'a Uri,
        version: Version,
        headers: &'a HeaderMap,
        extensions: &'a Extensions,
    ) -> Self {
        Self { method, uri, version, headers, extensions, call: Call::Single }
    }

    /// The same for a call that is made once more if its token is rejected, if it is one.
    #[cfg(feature = "client")]
    pub(crate) fn repeatable_if(self, is_repeatable: bool) -> Self {
        Self { call: if is_repeatable { Call::Repeatable } else { self.call }, ..self }
    }

    /// The same for a call whose `token` was rejected.
    #[cfg(feature = "client")]
    pub(crate) fn rejected_with(self, token: &'a AccessToken) -> Self {
        Self { call: Call::Rejected(token), ..self }
    }

    /// Returns `true` if the layer makes the call once more when the resource rejects its token.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        matches!(self.call, Call::Repeatable)
    }

    /// Returns the token of the first attempt if the resource rejected it: the layer now asks for
    /// another.
    #[must_use]
    pub fn rejected_token(&self) -> Option<&'a AccessToken> {
        if let Call::Rejected(token) = self.call { Some(token) } else { None }
    }

    /// Returns the method.
    #[must_use]
    pub fn method(&self) -> &'a Method {
        self.method
    }

    /// Returns the URI. Its query may hold a token: do not log it.
    #[must_use]
    pub fn uri(&self) -> &'a Uri {
        self.uri
    }

    /// Returns the version of HTTP.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Returns the headers, credentials among them.
    #[must_use]
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// Returns the extensions, which outer layers may have added to.
    #[must_use]
    pub fn extensions(&self) -> &'a Extensions {
        self.extensions
    }
}

/// Shows the method and the path alone: headers and query may hold credentials.
impl fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", self.method)
            .field("path", &self.uri.path())
            .finish_non_exhaustive()
    }
}
