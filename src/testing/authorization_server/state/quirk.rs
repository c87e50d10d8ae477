/// A way in which an authorization server departs from the defaults of an
/// [`AuthorizationServer`](crate::testing::AuthorizationServer), which has none of them until
/// [`enable`](crate::testing::AuthorizationServer::enable).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Quirk {
    /// An answer with a token has no `token_type`.
    NoTokenType,
    /// An answer with a token is `{"access_token":"…"}` and nothing else, as Relatel's is. No refresh
    /// token is issued, and extra members have no effect. The lifetime of the token is unchanged.
    BareAnswers,
    /// The grants `authorization_code` and `password` bring no refresh token.
    NoRefreshTokens,
    /// A refresh brings no new refresh token, and the old one stays valid. By default a refresh
    /// replaces it, and using the old one again revokes every token of the grant.
    NoRotation,
    /// The id and the secret in a Basic header are not form-decoded, which [RFC 6749 §2.3.1] asks
    /// for.
    ///
    /// [RFC 6749 §2.3.1]: https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
    RawBasic,
    /// The user denies consent: `…/authorize` redirects with `error=access_denied`.
    DeniedConsent,
    /// `…/authorize` does not return `state`. By default it returns it byte for byte.
    NoState,
    /// The answer of `…/device_authorization` has no `interval`, which means 5 s.
    NoInterval,
    /// A token request without a DPoP proof is refused (feature `jwt`). By default a request with a
    /// proof gets a token that is bound to its key, and one without a proof gets a Bearer token.
    DpopRequired,
    /// A DPoP proof needs a nonce, which every answer of `…/token` brings ([RFC 9449 §8]).
    ///
    /// [RFC 9449 §8]: https://www.rfc-editor.org/rfc/rfc9449#section-8
    DpopNonces,
}
