use crate::{ConfigError, Origin};
use http::Uri;

/// The origins that a token is for. The layer sends it to no other.
///
/// The layer checks the URI of every call, and so each hop of a redirect that a layer above follows.
/// A URI without a host (tonic without `with_origin`, a bare connection) can only go where the
/// connection goes, and passes. The layer does not look at a `Host` header: remove the one that a
/// gateway copied from its own caller, since a server behind the same address may go by it.
///
/// Each origin is `https`, or `http` to the machine itself:
///
/// ```
/// use tower_oauth2::client::Origins;
///
/// Origins::try_from("https://api.example")?;
/// Origins::try_from(["https://api.example", "http://127.0.0.1:8080"])?;
/// assert!(Origins::try_from("http://api.example").is_err());
/// assert!(Origins::try_from("/api").is_err());
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Origins {
    listed: Box<[Origin]>,
    any_https: bool,
}

impl Origins {
    /// Lists `origins`.
    ///
    /// # Errors
    ///
    /// If the list is empty, an origin is not an absolute URL or has a path, or an origin is plain
    /// `http` to another machine.
    pub fn new<I: IntoIterator<Item: AsRef<str>>>(origins: I) -> Result<Self, ConfigError> {
        Self::allow_plain_http(origins)?.secure()
    }

    /// Refuses origins to which the token would travel unencrypted.
    fn secure(self) -> Result<Self, ConfigError> {
        match self.listed.iter().find(|origin| !origin.is_secure()) {
            Some(origin) => Err(ConfigError::new(format!(
                "{origin} is plain http to another machine; Origins::allow_plain_http takes it"
            ))),
            None => Ok(self),
        }
    }

    /// Lists `origins`, which may be plain `http` to other machines. The network between can then
    /// read the token.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), except for plain `http`.
    pub fn allow_plain_http<I>(origins: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let listed: Box<[Origin]> =
            origins.into_iter().map(|origin| origin.as_ref().parse()).collect::<Result<_, _>>()?;
        if listed.is_empty() {
            return Err(ConfigError::new(
                "no origin is listed; a token is for at least one, such as https://api.example",
            ));
        }
        Ok(Self { listed, any_https: false })
    }

    /// Contains every `https` origin, and the machine itself. Under a layer or client that follows
    /// redirects, the token goes to any target of a redirect.
    #[must_use]
    pub fn dangerous_any_https_origin() -> Self {
        Self { listed: Box::default(), any_https: true }
    }

    /// Refuses an origin that is in two of `all`, and what contains any origin.
    pub(super) fn disjoint<'a>(all: impl IntoIterator<Item = &'a Self>) -> Result<(), ConfigError> {
        let mut seen: Vec<&Origin> = Vec::new();
        for origins in all {
            if origins.any_https {
                return Err(ConfigError::new("a row for any origin leaves none to the others"));
            }
            if let Some(twice) = origins.listed.iter().find(|origin| seen.contains(origin)) {
                return Err(ConfigError::new(format!("the origin {twice} is in two rows")));
            }
            seen.extend(&origins.listed);
        }
        let none = || ConfigError::new("there is no row; each has origins and a source");
        seen.first().map(drop).ok_or_else(none)
    }

    /// Returns `true` if a request to `uri` may have the token.
    #[must_use]
    #[inline]
    pub fn contains(&self, uri: &Uri) -> bool {
        // The usual case: one origin, spelled as in the URI.
        self.listed.first().is_some_and(|origin| origin.is_spelled(uri)) || self.contains_other(uri)
    }

    /// Returns the listed origin of `uri`.
    pub(super) fn of(&self, uri: &Uri) -> Option<&Origin> {
        self.listed.iter().find(|origin| origin.matches(uri))
    }

    /// Returns the origin, if there is one alone.
    pub(super) fn only(&self) -> Option<&Origin> {
        if let [only] = &*self.listed { Some(only) } else { None }
    }

    fn contains_other(&self, uri: &Uri) -> bool {
        uri.authority().is_none()
            || self.of(uri).is_some()
            || (self.any_https && Origin::from_uri(uri).is_some_and(|origin| origin.is_secure()))
    }
}

impl TryFrom<Origin> for Origins {
    type Error = ConfigError;

    fn try_from(origin: Origin) -> Result<Self, ConfigError> {
        Self { listed: Box::new([origin]), any_https: false }.secure()
    }
}

impl TryFrom<&str> for Origins {
    type Error = ConfigError;

    fn try_from(origin: &str) -> Result<Self, ConfigError> {
        Self::new([origin])
    }
}

impl TryFrom<String> for Origins {
    type Error = ConfigError;

    fn try_from(origin: String) -> Result<Self, ConfigError> {
        Self::new([origin])
    }
}

impl TryFrom<Vec<String>> for Origins {
    type Error = ConfigError;

    fn try_from(origins: Vec<String>) -> Result<Self, ConfigError> {
        Self::new(origins)
    }
}

impl TryFrom<&[&str]> for Origins {
    type Error = ConfigError;

    fn try_from(origins: &[&str]) -> Result<Self, ConfigError> {
        Self::new(origins)
    }
}

impl<const N: usize> TryFrom<[&str; N]> for Origins {
    type Error = ConfigError;

    fn try_from(origins: [&str; N]) -> Result<Self, ConfigError> {
        Self::new(origins)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(origins: &Origins, uri: &str) -> bool {
        origins.contains(&uri.parse().unwrap())
    }

    // case: orig-04
    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let origins = Origins::try_from("https://api.example.com").unwrap();
        assert!(!contains(&origins, "https://api.example.com:8443/x"));
        assert!(!contains(&origins, "http://api.example.com/x"));
        assert!(contains(&origins, "https://api.example.com:443/x"));
        assert!(contains(&origins, "/x"), "a bare connection's own origin");
    }

    // case: orig-03
    #[test]
    fn any_https_origin_is_never_plain_http_to_another_machine() {
        let origins = Origins::dangerous_any_https_origin();
        assert!(contains(&origins, "https://other.example/"));
        assert!(contains(&origins, "http://127.0.0.1:8080/"));
        assert!(!contains(&origins, "http://api.example.com/"));
    }

    #[test]
    fn an_insecure_missing_or_relative_origin_is_refused_when_built() {
        assert!(Origins::try_from("http://api.example").is_err());
        assert!(Origins::allow_plain_http(["http://api.example"]).is_ok());
        assert!(Origins::new::<[&str; 0]>([]).is_err());
        assert!(Origins::try_from(["https://api.example", "relative"]).is_err());
    }
}
