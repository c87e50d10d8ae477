//! The metadata of a protected resource, for clients.

use crate::{
    Challenge, DiscoveryError, DiscoveryErrorKind, Origin, ScopeSet, Transport,
    back_channel::{
        metadata::{MAX_DOCUMENT, get, object},
        scrub,
        well_known::resource_metadata,
    },
    vocabulary::origin::fetchable,
};
use http::{HeaderMap, StatusCode, Uri};
use serde_core::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::fmt;

/// How many issuers an error names.
const MAX_ISSUERS: usize = 16;

/// A protected resource, and the allowed authorization server whose tokens it accepts
/// ([RFC 9728](https://www.rfc-editor.org/rfc/rfc9728)).
///
/// 1. Only the resource itself gets a request, at the origin that was called. It contains no secret.
/// 2. The document must be that of the resource that was called.
/// 3. The error names an issuer that is not allowed, which is never contacted: a hostile API could
///    name an issuer of its own, which would then get the client's secret.
///
/// # Example: a token for a resource that refused a call
///
/// ```
/// use http::{HeaderMap, Uri};
/// use tower_oauth2::{
///     ClientAuthentication, Transport,
///     client::{ClientCredentialsRefresh, ProtectedResource, TokenEndpoint},
/// };
///
/// /// A layer for the API at `called`, which answered 401 with these headers.
/// async fn layer_for(
///     called: &Uri,
///     headers: &HeaderMap,
/// ) -> Result<ClientCredentialsRefresh, Box<dyn std::error::Error>> {
///     let transport = Transport::https();
///     let allowed = ["https://as.example"];
///     let resource =
///         ProtectedResource::from_challenge(called, headers, allowed, &transport).await?;
///     let client = ClientAuthentication::basic("id", "secret");
///     let endpoint = TokenEndpoint::from_issuer(resource.issuer(), client, transport)?;
///     let origin = resource.origin().to_string();
///     let layer = ClientCredentialsRefresh::new(endpoint, origin.as_str())?;
///     Ok(layer.with_resource(resource.resource())?)
/// }
/// ```
#[derive(Clone)]
pub struct ProtectedResource {
    resource: Box<str>,
    origin: Origin,
    issuer: Box<str>,
    members: Map<String, Value>,
}

/// What the `resource` of a document must be.
enum Rule<'a> {
    /// This text.
    Identifier(&'a str),
    /// This URI or one above it, of the same origin.
    Covers(&'a Uri),
}

impl ProtectedResource {
    /// Fetches the document of the resource with the identifier `resource` from its well-known URL
    /// (RFC 9728 §3.1). It reads at most 256 KiB, and follows no redirects.
    ///
    /// # Errors
    ///
    /// If `resource` is not an absolute `https` URL without a fragment (`http` is accepted to the
    /// machine itself), if its document cannot be fetched or is that of another resource
    /// ([RFC 9728 §3.3](https://www.rfc-editor.org/rfc/rfc9728#section-3.3)), or if it names none of
    /// `allowed_issuers`.
    ///
    /// # Panics
    ///
    /// As [`Transport::send`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future drops the exchange.
    pub async fn discover<I: IntoIterator<Item: AsRef<str>>>(
        resource: &str,
        allowed_issuers: I,
        transport: &Transport,
    ) -> Result<Self, DiscoveryError> {
        let url = resource_metadata(resource).map_err(|error| unfit(error.to_string()))?;
        let allowed = listed(allowed_issuers);
        Self::fetch(url, &Rule::Identifier(resource), &allowed, transport).await
    }

    /// Fetches the document that a challenge names (`resource_metadata`), after a call to `called` was
    /// refused with `headers`. Otherwise it does as [`discover`](Self::discover).
    ///
    /// The document must be at the origin that was called. Its `resource` must be `called` or above
    /// it at the same origin. RFC 9728 §3.3 requires the exact URL of the call, which an API of more
    /// than one path cannot give; a server that controls the origin can answer there anyway.
    ///
    /// # Errors
    ///
    /// As [`discover`](Self::discover), and if no challenge names a document.
    ///
    /// # Panics
    ///
    /// As [`Transport::send`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future drops the exchange.
    pub async fn from_challenge<I: IntoIterator<Item: AsRef<str>>>(
        called: &Uri,
        headers: &HeaderMap,
        allowed_issuers: I,
        transport: &Transport,
    ) -> Result<Self, DiscoveryError> {
        let url = document_of(called, headers, transport)?;
        let allowed = listed(allowed_issuers);
        Self::fetch(url, &Rule::Covers(called), &allowed, transport).await
    }

    async fn fetch(
        url: Uri,
        rule: &Rule<'_>,
        allowed: &[Box<str>],
        transport: &Transport,
    ) -> Result<Self, DiscoveryError> {
        let transport = transport.clone().at_most(MAX_DOCUMENT);
        let owner = rule.owner();
        let response = get(&transport, url, &owner).await?;
        if response.status() != StatusCode::OK {
            return Err(DiscoveryError::refused(&response, &transport, &owner));
        }
        Self::read(response.body(), rule, allowed)
    }

    fn read(body: &[u8], rule: &Rule<'_>, allowed: &[Box<str>]) -> Result<Self, DiscoveryError> {
        let members = object(body)?;
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        let Some(resource) = text("resource") else {
            let text = "the metadata have no resource";
            return Err(DiscoveryError::new(DiscoveryErrorKind::InvalidResponse, text));
        };
        let origin = rule.admits(resource).ok_or_else(|| {
            let text = "the metadata belong to another resource than the requested one";
            DiscoveryError::new(DiscoveryErrorKind::OtherResource, text)
        })?;
        let named = members.get("authorization_servers").and_then(Value::as_array);
        let named: Vec<&str> = named.into_iter().flatten().filter_map(Value::as_str).collect();
        let issuer = named.iter().find(|named| allowed.iter().any(|own| **own == ***named));
        let Some(issuer) = issuer else {
            let named = named.into_iter().take(MAX_ISSUERS);
            return Err(DiscoveryError::unknown_issuers(named));
        };
        let (resource, issuer) = (resource.into(), (*issuer).into());
        Ok(Self { resource, origin, issuer, members })
    }

    /// Returns its identifier, for which a client requests tokens
    /// ([RFC 8707](https://www.rfc-editor.org/rfc/rfc8707)).
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// Returns its origin.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Returns the first of its authorization servers that is allowed.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the scopes that requests may need, if the document lists them.
    #[must_use]
    pub fn scopes(&self) -> Option<ScopeSet> {
        let scopes = self.members.get("scopes_supported")?.as_array()?;
        let scopes: Option<Vec<_>> = scopes.iter().map(Value::as_str).collect();
        ScopeSet::new(scopes?).ok()
    }

    /// Returns the member `name` of the document, or `None` if it is absent or not a `T`.
    #[must_use]
    pub fn extra<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_value(self.members.get(name)?.clone()).ok()
    }
}

impl Rule<'_> {
    /// Returns the resource without its query.
    fn owner(&self) -> String {
        let whole = match self {
            Self::Identifier(identifier) => (*identifier).to_owned(),
            Self::Covers(called) => called.to_string(),
        };
        scrub::without_users(whole.split('?').next().unwrap_or_default())
    }

    /// Returns the origin of `resource` if this rule accepts it.
    fn admits(&self, resource: &str) -> Option<Origin> {
        let uri: Uri = resource.parse().ok()?;
        let origin = Origin::from_uri(&uri)?;
        match self {
            Self::Identifier(identifier) => (*identifier == resource).then_some(origin),
            Self::Covers(called) => {
                let above = uri.path().strip_suffix('/').unwrap_or(uri.path());
                let rest = called.path().strip_prefix(above)?;
                let covers = rest.is_empty() || rest.starts_with('/');
                let query = uri.query().is_none() || uri.query() == called.query();
                let plain = !resource.contains(['#', '@']);
                (covers && query && plain && origin.matches(called)).then_some(origin)
            }
        }
    }
}

/// Returns the URL that a challenge in `headers` names.
fn document_of(
    called: &Uri,
    headers: &HeaderMap,
    transport: &Transport,
) -> Result<Uri, DiscoveryError> {
    let challenges = Challenge::from_headers(headers);
    let url = challenges.iter().find_map(|challenge| challenge.param("resource_metadata"));
    let url = url.ok_or_else(|| unfit("no challenge names the metadata of the resource"))?;
    let url = fetchable(url, transport.allows_plain_http())
        .map_err(|why| unfit(format!("the URL of the resource's metadata {why}")))?;
    match Origin::from_uri(&url).is_some_and(|origin| origin.matches(called)) {
        true => Ok(url),
        false => Err(unfit("the URL of the resource's metadata is of another origin")),
    }
}

fn unfit(text: impl Into<Box<str>>) -> DiscoveryError {
    DiscoveryError::new(DiscoveryErrorKind::Resource, text)
}

fn listed<I: IntoIterator<Item: AsRef<str>>>(issuers: I) -> Vec<Box<str>> {
    issuers.into_iter().map(|issuer| issuer.as_ref().into()).collect()
}

impl fmt::Debug for ProtectedResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProtectedResource")
            .field("resource", &self.resource)
            .field("issuer", &self.issuer)
            .field("members", &self.members.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_resource_covers_the_paths_below_it_at_its_origin() {
        let admits = |resource: &str, called: &str| {
            Rule::Covers(&called.parse().unwrap()).admits(resource).is_some()
        };
        for (resource, called) in [
            ("https://api.example", "https://api.example/calls?x=1"),
            ("https://api.example/", "https://api.example"),
            ("https://api.example/v1", "https://API.example:443/v1/calls"),
            ("https://api.example/v1/", "https://api.example/v1/calls"),
            ("https://api.example/v1/calls", "https://api.example/v1/calls"),
            ("https://api.example/v1?t=1", "https://api.example/v1?t=1"),
        ] {
            assert!(admits(resource, called), "{resource} {called}");
        }
        for (resource, called) in [
            ("https://api.example/v1", "https://api.example/v10"),
            ("https://api.example/v1/calls", "https://api.example/v1"),
            ("https://api.example:8443", "https://api.example/"),
            ("http://api.example", "https://api.example/"),
            ("https://api.example.evil", "https://api.example/"),
            ("https://x@api.example", "https://api.example/"),
            ("https://api.example/#f", "https://api.example/"),
            ("https://api.example/v1?t=1", "https://api.example/v1?t=2"),
            ("api.example", "https://api.example/"),
            ("", "https://api.example/"),
        ] {
            assert!(!admits(resource, called), "{resource} {called}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_has_an_allowed_issuer_and_the_resource_that_was_called(
            body in prop_oneof![
                "[ -~]{0,40}",
                r#"\{"resource":("https://a"|"https://b"|1),"authorization_servers":(\[("i"|"j"|1)(,"i")?\]|"i"|\[\])\}"#,
            ],
        ) {
            let rule = Rule::Identifier("https://a");
            match ProtectedResource::read(body.as_bytes(), &rule, &["i".into()]) {
                Ok(read) => prop_assert_eq!((read.resource(), read.issuer()), ("https://a", "i")),
                Err(error) => prop_assert!(!error.issuers().iter().any(|named| &**named == "i")),
            }
        }
    }
}
