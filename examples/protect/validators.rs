//! Who judges the tokens.

use crate::arguments::{Arguments, Introspection, Issuer};
use tower_oauth2::{
    ClientAuthentication, ConfigError, Transport,
    validate::{
        self, Cached, Jwks, JwtValidator, Route, SharedValidator, StaticTokens, TrustedIssuer,
        ValidateToken, first_of, is_jwt,
    },
};

/// The tokens of the command line come first; then a JWT is for its issuer, where there are any, and
/// any other token for introspection.
pub(crate) fn validator(arguments: &Arguments) -> Result<SharedValidator, ConfigError> {
    let tokens = StaticTokens::new();
    for token in &arguments.tokens {
        tokens.insert(token.token.expose(), token.principal.clone())?;
    }
    let issuers = arguments.issuers.split_first();
    let jwts = issuers.map(|(first, others)| jwts(first, others, arguments));
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

/// One validator for all issuers: each token names its own.
fn jwts(
    first: &Issuer,
    others: &[Issuer],
    arguments: &Arguments,
) -> Result<Cached<JwtValidator>, ConfigError> {
    let mut validator = JwtValidator::new(trusted(first, arguments)?)?;
    for issuer in others {
        validator = validator.with_issuer(trusted(issuer, arguments)?)?;
    }
    Ok(Cached::new(validator))
}

fn trusted(issuer: &Issuer, arguments: &Arguments) -> Result<TrustedIssuer, ConfigError> {
    let keys = match &issuer.jwks {
        Some(url) => Jwks::from_url(url, transport(arguments))?,
        None => Jwks::from_issuer(&issuer.identifier, transport(arguments))?,
    };
    let holder = &arguments.holder;
    let mut trusted = TrustedIssuer::new(issuer.identifier.as_str(), keys)
        .with_audience(issuer.audience.iter().map(String::as_str))
        .with_role_claims(holder.role_claims.iter().map(String::as_str))?;
    if !holder.client_ids.is_empty() {
        trusted = trusted.with_client_ids(holder.client_ids.iter().map(String::as_str));
    }
    Ok(if issuer.lenient { trusted.allow_other_profiles() } else { trusted })
}

fn asked_about(
    asked: &Introspection,
    arguments: &Arguments,
) -> Result<Cached<validate::Introspection>, ConfigError> {
    let client = ClientAuthentication::basic(asked.client_id.as_str(), asked.client_secret.clone());
    let holder = &arguments.holder;
    let mut introspection = validate::Introspection::new(&asked.url, client, transport(arguments))?
        .with_role_claims(holder.role_claims.iter().map(String::as_str))?;
    if !holder.client_ids.is_empty() {
        introspection = introspection.with_client_ids(holder.client_ids.iter().map(String::as_str));
    }
    if !asked.audience.is_empty() {
        introspection = introspection.with_audience(asked.audience.iter().map(String::as_str));
    }
    Ok(Cached::new(introspection))
}

fn transport(arguments: &Arguments) -> Transport {
    let transport = Transport::https();
    if arguments.plain_http { transport.allow_plain_http() } else { transport }
}
