//! The issuers that a `config` names, and their keys.

use crate::keys::Key;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// What a stack or a token uses where the case says nothing of issuers.
const ISSUER: &str = "https://as.example";
const AUDIENCE: &str = "https://api.example";
const KEYS: [&str; 2] = ["k1:ES256", "r1:RS256"];

pub(crate) struct Issuer {
    pub(crate) identifier: String,
    /// Where its key set is.
    pub(crate) address: String,
    /// Its `audience` and `algorithms`, where they are not those of the `config`.
    own: Map<String, Value>,
    keys: Vec<Spec>,
}

/// `kid:alg`.
pub(crate) struct Spec {
    kid: String,
    pub(crate) algorithm: String,
}

impl Issuer {
    fn new(identifier: &str, keys: &Value) -> Result<Self, String> {
        let wrong = || format!("expected keys as kid:alg, got {keys}");
        let keys = keys.as_array().ok_or_else(wrong)?.iter().map(|key| {
            let (kid, algorithm) = key.as_str()?.rsplit_once(':')?;
            Some(Spec { kid: kid.into(), algorithm: algorithm.into() })
        });
        let keys = keys.collect::<Option<_>>().ok_or_else(wrong)?;
        let address = format!("{}/jwks", identifier.trim_end_matches('/'));
        Ok(Self { identifier: identifier.into(), address, own: Map::new(), keys })
    }

    pub(crate) fn keys_named(&self, kid: &str) -> impl Iterator<Item = &Spec> {
        self.keys.iter().filter(move |spec| spec.kid == kid)
    }

    /// The key that `spec` tells of. Issuers share none, whatever its name.
    pub(crate) fn key(&self, spec: &Spec) -> Result<Arc<Key>, String> {
        Key::of(&format!("{} at {}", spec.kid, self.address), &spec.algorithm)
    }

    /// The key set as it is served.
    pub(crate) fn key_set(&self) -> Result<Value, String> {
        let keys = self.keys.iter().map(|spec| Ok(self.key(spec)?.jwk(&spec.kid)));
        let keys = keys.collect::<Result<Vec<_>, String>>()?;
        Ok(json!({ "keys": keys }))
    }
}

/// The `audience` and `algorithms` of one of the issuers.
pub(crate) fn settings(config: &Map<String, Value>, issuer: &Issuer) -> Map<String, Value> {
    let mut settings = config.clone();
    if says_nothing(config) {
        settings.insert("audience".into(), json!([AUDIENCE]));
    }
    settings.extend(issuer.own.clone());
    settings
}

/// The issuers of `config`: `issuer` with `jwks`, or `issuers`, each of which has a key set of its
/// own at an address of its own.
///
/// `issuers` is an object of lists of keys or of objects, or a list of objects with `issuer`, or of
/// texts. Such an object has `jwks` and may have `audience` and `algorithms`.
pub(crate) fn issuers(config: &Map<String, Value>) -> Result<Vec<Issuer>, String> {
    let default = json!(KEYS);
    let shared = config.get("jwks");
    let mut issuers = match config.get("issuers") {
        None if says_nothing(config) => vec![Issuer::new(ISSUER, &default)?],
        None => match (config.get("issuer").and_then(Value::as_str), shared) {
            (Some(identifier), Some(keys)) => {
                let issuer = Issuer::new(identifier, keys)?;
                return Ok(vec![Issuer { address: format!("{ISSUER}/jwks"), ..issuer }]);
            }
            _ => return Ok(Vec::new()),
        },
        Some(Value::Object(named)) => {
            named.iter().map(|(name, one)| issuer(name, one)).collect::<Result<_, _>>()?
        }
        Some(Value::Array(list)) => {
            let one = |one: &Value| match (one, one["issuer"].as_str()) {
                (Value::String(name), _) => Issuer::new(name, shared.unwrap_or(&default)),
                (_, Some(name)) => issuer(name, one),
                _ => Err(format!("expected an issuer, got {one}")),
            };
            list.iter().map(one).collect::<Result<_, _>>()?
        }
        Some(other) => return Err(format!("expected issuers, got {other}")),
    };
    for at in 1..issuers.len() {
        if issuers[..at].iter().any(|before| before.address == issuers[at].address) {
            issuers[at].address += &format!("-{at}");
        }
    }
    Ok(issuers)
}

/// One of several issuers.
fn issuer(name: &str, description: &Value) -> Result<Issuer, String> {
    let Some(members) = description.as_object() else { return Issuer::new(name, description) };
    let known = ["issuer", "jwks", "audience", "algorithms"];
    if let Some(other) = members.keys().find(|member| !known.contains(&member.as_str())) {
        return Err(format!("expected an issuer, got one with {other:?}"));
    }
    let own = members.clone().into_iter();
    let own = own.filter(|(member, _)| matches!(member.as_str(), "audience" | "algorithms"));
    Ok(Issuer { own: own.collect(), ..Issuer::new(name, &description["jwks"])? })
}

fn says_nothing(config: &Map<String, Value>) -> bool {
    !["issuer", "issuers", "jwks", "audience"].iter().any(|name| config.contains_key(*name))
}
