//! A sign-in from the redirect of the browser to its callback.

use super::pkce::CodeVerifier;
use crate::{ClientSecret, ConfigError, vocabulary::secret::REDACTED};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use zeroize::Zeroizing;

/// A sign-in in progress. Its callback must match it.
///
/// [`SignIn::finish`](super::SignIn::finish) consumes it, and accepts it only from a
/// [`SignIn`](super::SignIn) with the same server, client identifier and redirect URI.
///
/// It is secret: anyone who has it and the callback can sign in as the user. Keep it on the server,
/// or in an encrypted cookie as [`to_secret_string`](Self::to_secret_string).
pub struct PendingSignIn {
    /// The identity of the `SignIn` that began it: a digest of server, client and redirect URI.
    pub(super) identity: [u8; 32],
    pub(super) state: Zeroizing<String>,
    pub(super) verifier: Option<CodeVerifier>,
    pub(super) expires_at: SystemTime,
}

/// The version of the serialized form. Change it with the format, and with what `SignIn::identity`
/// hashes.
const VERSION: &str = "2";

impl PendingSignIn {
    /// Serializes it as one string, which [`FromStr`] parses. The expiry is cut to whole seconds.
    #[must_use]
    pub fn to_secret_string(&self) -> ClientSecret {
        let expiry = self.expires_at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let identity = BASE64_URL_SAFE_NO_PAD.encode(self.identity);
        let verifier = self.verifier.as_ref().map_or("", CodeVerifier::expose);
        let state = &*self.state;
        ClientSecret::new(format!("{VERSION}~{expiry}~{identity}.{state}.{verifier}"))
    }

    /// Returns the time from which [`SignIn::finish`](super::SignIn::finish) rejects the callback.
    /// Defaults to ten minutes after the sign-in began
    /// ([`SignIn::with_lifetime`](super::SignIn::with_lifetime)).
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }

    fn parse(text: &str) -> Option<Self> {
        let (public, secret) = text.split_once('.')?;
        let (expiry, identity) =
            public.strip_prefix(VERSION)?.strip_prefix('~')?.split_once('~')?;
        let (state, verifier) = secret.split_once('.').filter(|(state, _)| !state.is_empty())?;
        let verifier = match verifier {
            "" => None,
            verifier => Some(CodeVerifier::new(verifier)?),
        };
        Some(Self {
            identity: BASE64_URL_SAFE_NO_PAD.decode(identity).ok()?.try_into().ok()?,
            state: Zeroizing::new(state.to_owned()),
            verifier,
            expires_at: UNIX_EPOCH.checked_add(Duration::from_secs(expiry.parse().ok()?))?,
        })
    }
}

impl FromStr for PendingSignIn {
    type Err = ConfigError;

    /// Parses the string of [`to_secret_string`](Self::to_secret_string).
    ///
    /// # Errors
    ///
    /// If `text` is not such a string, or is that of a version of this crate with another format.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Self::parse(text).ok_or_else(|| {
            ConfigError::new(
                "to_secret_string of this version did not write this pending sign-in; begin the \
                 sign-in again",
            )
        })
    }
}

impl fmt::Debug for PendingSignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingSignIn")
            .field("state", &format_args!("{REDACTED}"))
            .field("verifier", &format_args!("{REDACTED}"))
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ClientAuthentication, Transport,
        client::{SignIn, TokenEndpoint},
    };
    use proptest::prelude::*;

    fn sign_in() -> SignIn {
        let unused = tower::service_fn(async |_| {
            Err::<http::Response<http_body_util::Full<bytes::Bytes>>, _>("no request is sent here")
        });
        let client = ClientAuthentication::public("id");
        let endpoint =
            TokenEndpoint::new("https://as.example/token", client, Transport::new(unused));
        SignIn::new(endpoint.unwrap(), "id", "https://as.example/authorize", "https://app.example/")
            .unwrap()
    }

    fn assert_same(one: &PendingSignIn, other: &PendingSignIn) {
        assert_eq!(one.identity, other.identity);
        assert_eq!(one.state, other.state);
        assert_eq!(one.expires_at, other.expires_at);
        let verifier =
            |pending: &PendingSignIn| pending.verifier.as_ref().map(|it| it.expose().to_owned());
        assert_eq!(verifier(one), verifier(other));
    }

    fn round_trip(pending: &PendingSignIn) -> PendingSignIn {
        pending.to_secret_string().expose().parse().unwrap()
    }

    // case: code-02
    #[test]
    fn the_challenge_is_that_of_rfc_7636_appendix_b() {
        let verifier = CodeVerifier::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        let (url, _) = sign_in().begin_with(verifier).unwrap();
        let challenge = "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM\
                         &code_challenge_method=S256";
        assert!(url.query().unwrap().ends_with(challenge), "{url}");
    }

    #[test]
    fn a_pending_sign_in_that_was_begun_is_the_same_after_a_round_trip() {
        for sign_in in [sign_in(), sign_in().without_pkce()] {
            let (_, mut pending) = sign_in.begin().unwrap();
            let read = round_trip(&pending);
            assert!(pending.expires_at.duration_since(read.expires_at).unwrap().as_secs() == 0);
            pending.expires_at = read.expires_at;
            assert_same(&pending, &read);
        }
    }

    #[test]
    fn a_malformed_pending_sign_in_is_an_error() {
        let (verifier, digest) = ("v".repeat(43), "A".repeat(43));
        let beyond = format!("{}~{digest}.state.{verifier}", u64::MAX);
        let good = format!("1~{digest}.state.{verifier}");
        assert!(format!("2~{good}").parse::<PendingSignIn>().is_ok());
        for version in ["", "1~", "22~", "3~", "~"] {
            assert!(format!("{version}{good}").parse::<PendingSignIn>().is_err(), "{version}");
        }
        for bad in ["", "1", "1~.state.", "1~AA.state.", &digest, &beyond] {
            assert!(format!("2~{bad}").parse::<PendingSignIn>().is_err(), "{bad}");
        }
        for bad in ["1~D", "1~D.state", "1~D..", "-1~D.state.", "x~D.state.", "1~D.state.short"] {
            let bad = format!("2~{}", bad.replace('D', &digest));
            assert!(bad.parse::<PendingSignIn>().is_err(), "{bad}");
        }
        for odd in ["v".repeat(129), format!("{verifier} "), "\u{e9}".repeat(43)] {
            let odd = format!("2~1~{digest}.state.{odd}");
            assert!(odd.parse::<PendingSignIn>().is_err(), "{odd}");
        }
    }

    proptest! {
        #[test]
        fn a_pending_sign_in_is_the_same_after_a_round_trip(
            identity in any::<[u8; 32]>(),
            state in "[A-Za-z0-9_-]{1,43}",
            verifier in prop::option::of("[A-Za-z0-9._~-]{43,128}"),
            expiry in 0..=u64::from(u32::MAX) << 8,
        ) {
            let pending = PendingSignIn {
                identity,
                state: Zeroizing::new(state),
                verifier: verifier.map(|text| CodeVerifier::new(&text).unwrap()),
                expires_at: UNIX_EPOCH + Duration::from_secs(expiry),
            };
            assert_same(&pending, &round_trip(&pending));
        }

        #[test]
        fn any_pending_sign_in_that_can_be_read_is_the_same_after_a_round_trip(
            text in "2~([0-9+]{1,20}|\\PC{0,4})~?([A-Za-z0-9_-]{42}A|\\PC{0,9})\\.?\\PC{0,9}\\.?([A-Za-z0-9._~-]{43}|\\PC{0,9})",
        ) {
            if let Ok(pending) = text.parse::<PendingSignIn>() {
                assert_same(&pending, &round_trip(&pending));
            }
        }
    }
}
