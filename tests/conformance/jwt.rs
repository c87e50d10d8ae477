//! The validator of JWTs, and the service that its key sets come from.

use crate::{
    config::{BuildError, Config, unknown},
    issuers::{self, Issuer},
    stack::Log,
};
use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri, header};
use http_body_util::Full;
use serde_json::Value;
use std::{collections::HashMap, convert::Infallible, future::ready, sync::Arc};
use tower::service_fn;
use tower_oauth2::{
    Algorithm, Clock, ConfigError, Transport,
    validate::{Jwks, JwtValidator, TrustedIssuer},
};

/// The requests of a stack to others than its inner service.
#[derive(Clone, Default)]
pub(crate) struct Outbound {
    requests: Log<Uri>,
    key_sets: Vec<String>,
}

impl Outbound {
    /// How many of them were for a key set.
    pub(crate) fn fetches(&self) -> usize {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|uri| self.key_sets.contains(&uri.to_string())).count()
    }

    pub(crate) fn hosts(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter_map(|uri| uri.host().map(Into::into)).collect()
    }
}

/// The validator that `config` describes.
pub(crate) fn validator(
    config: &Config<'_>,
    clock: &Clock,
) -> Result<(JwtValidator<Value>, Outbound), BuildError> {
    let issuers = issuers::issuers(config.0).map_err(BuildError::Case)?;
    let key_sets = issuers.iter().map(|issuer| issuer.address.clone()).collect();
    let outbound = Outbound { requests: Log::default(), key_sets };
    let transport = transport(&issuers, clock, &outbound.requests)?;
    let mut validator: Option<JwtValidator> = None;
    for issuer in &issuers {
        let trusted = trusted(config, issuer, &transport, clock)?;
        validator = Some(match validator {
            None => JwtValidator::new(trusted)?,
            Some(validator) => validator.with_issuer(trusted)?,
        });
    }
    // No constructor takes none.
    let mut validator = validator
        .ok_or_else(|| BuildError::Refused("there is no validator without an issuer".into()))?
        .with_clock(clock.clone());
    if let Some(leeway) = config.seconds("leeway_s")? {
        validator = validator.with_leeway(leeway)?;
    }
    if let Some(claims) = config.texts("scope_claims")? {
        validator = validator.with_scope_claims(claims);
    }
    if let Some(age) = config.seconds("max_token_age_s")? {
        validator = validator.with_max_token_age(age);
    }
    if let Some(lifetime) = config.seconds("max_lifetime_s")? {
        validator = validator.with_max_lifetime(lifetime);
    }
    Ok((validator.with_claims(), outbound))
}

fn trusted(
    config: &Config<'_>,
    issuer: &Issuer,
    transport: &Transport,
    clock: &Clock,
) -> Result<TrustedIssuer, BuildError> {
    let mut keys = Jwks::from_url(&issuer.address, transport.clone())?.with_clock(clock.clone());
    if let Some(stale) = config.seconds("max_stale_s")? {
        keys = keys.with_max_stale(stale);
    }
    let mut trusted = TrustedIssuer::new(issuer.identifier.as_str(), keys);
    trusted = match config.text("profile")? {
        None | Some("strict") => trusted,
        Some("lenient") => trusted.allow_other_profiles(),
        Some(other) => return Err(unknown("profile", &other.into())),
    };
    let settings = issuers::settings(config.0, issuer);
    let settings = Config(&settings);
    if let Some(audience) = settings.texts("audience")? {
        trusted = trusted.with_audience(audience);
    }
    if let Some(names) = settings.texts("algorithms")? {
        let algorithms: Result<Vec<Algorithm>, ConfigError> =
            names.iter().map(|name| name.parse()).collect();
        trusted = trusted.with_algorithms(algorithms?)?;
    }
    Ok(trusted)
}

/// Serves the key set of each issuer at its address, and nothing else.
fn transport(
    issuers: &[Issuer],
    clock: &Clock,
    requests: &Log<Uri>,
) -> Result<Transport, BuildError> {
    let sets = issuers.iter().map(|issuer| Ok((issuer.address.clone(), issuer.key_set()?)));
    let sets: HashMap<_, _> = sets.collect::<Result<_, String>>().map_err(BuildError::Case)?;
    let (sets, sent) = (Arc::new(sets), requests.clone());
    let serve = move |request: Request<Full<Bytes>>| {
        sent.lock().unwrap().push(request.uri().clone());
        let mut response = Response::new(Full::<Bytes>::default());
        match sets.get(&request.uri().to_string()) {
            Some(set) => *response.body_mut() = Full::from(set.to_string()),
            None => *response.status_mut() = StatusCode::NOT_FOUND,
        }
        let json = header::HeaderValue::from_static("application/jwk-set+json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        ready(Ok::<_, Infallible>(response))
    };
    Ok(Transport::new(service_fn(serve)).with_clock(clock.clone()))
}
