//! Who judges the tokens.

use crate::arguments::{Arguments, Introspection, Issuer};
use tower_oauth2::{
    ClientAuthentication, ConfigError, Transport,
    validate::{
        self, Cached, Jwks, JwtValidator, Route, SharedValidator, StaticTokens, TrustedIssuer,
        ValidateToken, first_of, is_jwt,
    },
};

/// The tokens of the command line come first; then a JWT is for its issuer, where there is one, and
/// any other token for introspection.
pub(crate) fn validator(arguments: &Arguments) -> Result<SharedValidator, ConfigError> {
    let tokens = StaticTokens::new();
    for token in &arguments.tokens {
        tokens.insert(token.token.expose(), token.principal.clone())?;
    }
    let jwts = arguments.issuer.as_ref().map(|issuer| jwts(issuer, &arguments.audience));
    let others = arguments.introspection.as_ref().map(|asked| asked_about(asked, arguments));
    Ok(match (jwts.transpose()?, others.transpose()?) {
        (None, None) => tokens.into_shared(),
        (Some(jwts), None) => first_of(tokens, Route::new().when(is_jwt, jwts)).into_shared(),
        (None, Some(others)) => first_of(tokens, others).into_shared(),
        (Some(jwts), Some(others)) => {
            first_of(tokens, Route::new().when(is_jwt, jwts).otherwise(others)).into_shared()
        }
    })
}

fn jwts(issuer: &Issuer, audience: &[String]) -> Result<Cached<JwtValidator>, ConfigError> {
    let keys = match &issuer.jwks {
        Some(url) => Jwks::from_url(url, Transport::https())?,
        None => Jwks::from_issuer(&issuer.identifier, Transport::https())?,
    };
    let trusted = TrustedIssuer::new(issuer.identifier.as_str(), keys)
        .with_audience(audience.iter().map(String::as_str));
    let trusted = if issuer.lenient { trusted.allow_other_profiles() } else { trusted };
    Ok(Cached::new(JwtValidator::new(trusted)?))
}

fn asked_about(
    asked: &Introspection,
    arguments: &Arguments,
) -> Result<Cached<validate::Introspection>, ConfigError> {
    let client = ClientAuthentication::basic(asked.client_id.as_str(), asked.client_secret.clone());
    let introspection = validate::Introspection::new(&asked.url, client, Transport::https())?;
    Ok(Cached::new(match arguments.audience.as_slice() {
        [] => introspection,
        audience => introspection.with_audience(audience.iter().map(String::as_str)),
    }))
}
