//! What a token has to say to be good, told again, simply.

use crate::{Json, NOW};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use tower_oauth2::validate::Confirmation;

pub const ISSUER: &str = "https://as.example";
const LEEWAY: f64 = 30.0;
/// The end of the year 9999.
const LAST: f64 = 253_402_300_799.0;

pub fn encoded(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The date of a member: `None` where it is none of the years 1970 to 9999.
fn date(claims: &Json, name: &str) -> Option<Option<f64>> {
    if claims.lacks(name) {
        return Some(None);
    }
    let seconds = claims.number(name)?;
    (0.0..=LAST).contains(&seconds).then_some(Some(seconds))
}

/// Returns `true` if it has not expired and is good already.
pub fn is_in_time(claims: &Json) -> bool {
    let now = f64::from(NOW);
    let (Some(exp), Some(nbf), Some(iat)) =
        (date(claims, "exp"), date(claims, "nbf"), date(claims, "iat"))
    else {
        return false;
    };
    exp.is_none_or(|exp| now < exp + LEEWAY)
        && [nbf, iat].into_iter().flatten().all(|start| start <= now + LEEWAY)
}

/// Returns `true` if it is bound to nothing, or to the thumbprints of a key and of a certificate.
fn is_bound_to_thumbprints(claims: &Json) -> bool {
    let Some(cnf) = claims.get("cnf").filter(|cnf| **cnf != Json::Null) else {
        return !is_one_of(claims.text("token_type"), &["dpop", "pop", "mac"]);
    };
    let thumbprints = ["jkt", "x5t#S256"];
    let has_key = cnf.filled("jkt").is_some();
    thumbprints.iter().any(|name| cnf.filled(name).is_some())
        && thumbprints.iter().all(|name| cnf.get(name).is_none() || cnf.filled(name).is_some())
        && ["jwk", "jwe", "jku", "kid"].iter().all(|name| cnf.get(name).is_none())
        && !is_one_of(claims.text("token_type"), &["pop", "mac"])
        && (has_key || !is_one_of(claims.text("token_type"), &["dpop"]))
}

/// Returns `true` if `confirmation` is what the claims say.
pub fn is_confirmation(confirmation: Option<&Confirmation>, claims: &Json) -> bool {
    let cnf = claims.get("cnf").filter(|cnf| **cnf != Json::Null);
    confirmation.is_some() == cnf.is_some()
        && confirmation.and_then(Confirmation::key_thumbprint)
            == cnf.and_then(|cnf| cnf.filled("jkt"))
        && confirmation.and_then(Confirmation::certificate_thumbprint)
            == cnf.and_then(|cnf| cnf.filled("x5t#S256"))
}

fn is_one_of(text: Option<&str>, names: &[&str]) -> bool {
    text.is_some_and(|text| names.iter().any(|name| name.eq_ignore_ascii_case(text)))
}

/// Returns `true` if the answer about a token lets it in at a resource `a` that trusts [`ISSUER`].
pub fn is_active(answer: &Json) -> bool {
    is_active_for_any(answer) && answer.names("aud", "a")
}

/// As [`is_active`], whomever it is for.
pub fn is_active_for_any(answer: &Json) -> bool {
    answer.get("active") == Some(&Json::Bool(true))
        && is_in_time(answer)
        && is_bound_to_thumbprints(answer)
        && matches!(answer.get("iss"), None | Some(Json::Null) | Some(Json::Text(_)))
        && answer.text("iss").is_none_or(|issuer| issuer == ISSUER)
        && (answer.lacks("token_type")
            || is_one_of(answer.text("token_type"), &["bearer", "access_token", "dpop"]))
        && (answer.lacks("token_use")
            || is_one_of(answer.text("token_use"), &["access", "access_token"]))
        && !is_of_another_kind(answer)
}

/// Returns `true` if a JWT of this header is an access token: always, or for a lenient reader.
pub fn is_access_token(header: &Json, is_lenient: bool) -> bool {
    let typ = header.get("typ").map(|_| header.text("typ").unwrap_or_default());
    let Some(typ) = typ.map(str::to_ascii_lowercase) else { return is_lenient };
    let bare = typ.strip_prefix("application/").unwrap_or(&typ);
    bare == "at+jwt" || (is_lenient && bare == "jwt")
}

/// Returns `true` if the claims are those of an access token of RFC 9068 for `audience`.
pub fn is_for(claims: &Json, issuer: &str, audience: &str) -> bool {
    claims.text("iss") == Some(issuer)
        && claims.names("aud", audience)
        && claims.number("exp").is_some()
        && is_in_time(claims)
        && is_bound_to_thumbprints(claims)
}

/// Returns `true` if it has what RFC 9068 requires besides.
pub fn is_complete(claims: &Json) -> bool {
    ["sub", "client_id", "jti"].iter().all(|name| claims.filled(name).is_some())
        && claims.number("iat").is_some()
        && (claims.lacks("scope") || claims.text("scope").is_some())
}

/// Returns `true` if it says that it is another kind of token.
pub fn is_of_another_kind(claims: &Json) -> bool {
    is_one_of(claims.text("typ"), &["id", "refresh", "offline", "logout"])
        || is_one_of(claims.text("token_use"), &["id", "id_token", "refresh", "refresh_token"])
        || ["at_hash", "c_hash"].iter().any(|name| !claims.lacks(name))
        || claims.get("events").is_some_and(|events| *events != Json::Null)
}
