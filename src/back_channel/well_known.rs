//! The URL of the metadata of a protected resource
//! ([RFC 9728 §3.1](https://www.rfc-editor.org/rfc/rfc9728#section-3.1)).

use crate::{ConfigError, Origin, vocabulary::query::with_path_and_query};
use http::Uri;

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// Returns the URL of the metadata of `resource`: the well-known path goes between host and path.
pub(crate) fn resource_metadata(resource: &str) -> Result<Uri, ConfigError> {
    let wrong = || {
        ConfigError::new(
            "the resource is not an absolute https URL without a fragment, such as https://api.example/v1",
        )
    };
    let uri: Uri = resource.parse().map_err(|_| wrong())?;
    let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    let is_secure = Origin::from_uri(&uri).is_some_and(|origin| origin.is_secure());
    if !is_secure || has_user || resource.contains('#') {
        return Err(wrong());
    }
    let path = uri.path().strip_suffix('/').unwrap_or(uri.path());
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    with_path_and_query(&uri, format!("{WELL_KNOWN}{path}{query}")).ok_or_else(wrong)
}
