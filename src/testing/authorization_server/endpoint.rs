use http::Method;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Endpoint {
    Authorize,
    Device,
    Token,
    LogIn,
    Introspect,
    Revoke,
    Keys,
    Metadata,
}

/// Stands between the host and the path of an issuer (RFC 8414 §3.1).
const WELL_KNOWN: &str = "/.well-known/oauth-authorization-server";

impl Endpoint {
    /// Returns the endpoint that the last segment of `path` names.
    pub(super) fn from_path(path: &str) -> Option<Self> {
        if path.starts_with(WELL_KNOWN) {
            return Some(Self::Metadata);
        }
        match path.rsplit('/').next()? {
            "authorize" => Some(Self::Authorize),
            "device_authorization" => Some(Self::Device),
            "token" => Some(Self::Token),
            "authorization" => Some(Self::LogIn),
            "introspect" => Some(Self::Introspect),
            "revoke" => Some(Self::Revoke),
            "jwks" | "certs" => Some(Self::Keys),
            "openid-configuration" => Some(Self::Metadata),
            _ => None,
        }
    }

    /// Returns the one method that the endpoint answers.
    pub(super) fn method(self) -> Method {
        match self {
            Self::Authorize | Self::Keys | Self::Metadata => Method::GET,
            Self::Device | Self::Token | Self::LogIn | Self::Introspect | Self::Revoke => {
                Method::POST
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_segment_of_the_path_names_the_endpoint() {
        for (path, endpoint) in [
            ("/token", Some(Endpoint::Token)),
            ("/auth/realms/myenvironment/protocol/openid-connect/token", Some(Endpoint::Token)),
            ("/api/v2/authorize", Some(Endpoint::Authorize)),
            ("/authorization", Some(Endpoint::LogIn)),
            ("/oauth/device_authorization", Some(Endpoint::Device)),
            ("/introspect", Some(Endpoint::Introspect)),
            ("/revoke", Some(Endpoint::Revoke)),
            ("/realms/x/protocol/openid-connect/certs", Some(Endpoint::Keys)),
            ("/realms/x/.well-known/openid-configuration", Some(Endpoint::Metadata)),
            ("/.well-known/oauth-authorization-server/realms/x", Some(Endpoint::Metadata)),
            ("/revoke/", None),
            ("/tokens", None),
            ("/", None),
            ("*", None),
        ] {
            assert_eq!(Endpoint::from_path(path), endpoint, "{path}");
        }
    }
}
