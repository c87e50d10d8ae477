//! One case, and which of its members are known here.

use crate::{
    bound::{self, Proofs, TOKENS},
    config::{BuildError, Config},
    issuers,
    mint::Mint,
    text::Vars,
};
use serde_json::{Map, Value};
use std::{cell::RefCell, time::SystemTime};

/// The members of `config` that are known.
const CONFIG: &[&str] = &[
    "accept_tokens",
    "algorithms",
    "allow_status",
    "audience",
    "authorization_servers",
    "basic_passwords",
    "client_cert",
    "cookie_csrf",
    "cors_preflight",
    "dpop",
    "dpop_nonce",
    "dpop_replay",
    "error_details",
    "error_uri",
    "expose_challenge",
    "form_limit",
    "hostile_error_text",
    "inner",
    "inner_response_headers",
    "inner_status",
    "issuer",
    "issuers",
    "jwks",
    "leeway_s",
    "max_auth_age",
    "max_lifetime_s",
    "max_stale_s",
    "max_token_age_s",
    "mode",
    "multiple",
    "now",
    "origin",
    "outer_inserts_claims",
    "profile",
    "query_methods",
    "realm",
    "require_acr",
    "require_scopes",
    "resource",
    "scope_claims",
    "scope_hint",
    "sources",
    "strip",
    "validator",
    "validator_timeout_ms",
];

/// The members of `expect` that are known.
const EXPECT: &[&str] = &[
    "audit",
    "body_empty",
    "build_error",
    "claims",
    "content_type",
    "dropped",
    "each_param_at_most_once",
    "extension",
    "extension_absent",
    "grpc_message_ascii",
    "grpc_status",
    "header_sensitive",
    "inner_body_intact",
    "inner_called",
    "inner_header",
    "inner_headers_absent",
    "inner_uri",
    "json",
    "json_absent",
    "json_contains",
    "jwks_fetches",
    "log_escaped",
    "log_must_not_contain",
    "metric",
    "outbound_hosts_exclude",
    "poll_ready",
    "response_headers",
    "response_headers_contains",
    "response_headers_present",
    "retry_after",
    "same_response_as",
    "scopes",
    "shared_refresh_survives",
    "span_must_not_contain",
    "status",
    "token",
    "validator_called",
    "www_authenticate_absent",
    "www_authenticate_contains",
    "www_authenticate_exact",
    "www_authenticate_fields",
    "www_authenticate_parses",
    "www_authenticate_regex",
    "www_authenticate_valid",
];

/// What a request may consist of; another member is a failure of the case.
const REQUEST: &[&str] = &["body", "headers", "method", "uri"];

#[derive(Clone)]
pub(crate) struct Case {
    id: String,
    request: Map<String, Value>,
    vars: Result<Vars, String>,
    config: Map<String, Value>,
    expect: Map<String, Value>,
}

/// A request, its text forms expanded.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) uri: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Case {
    pub(crate) fn new(mut case: Value) -> Self {
        let mut object = |name: &str| match case[name].take() {
            Value::Object(object) => object,
            _ => Map::new(),
        };
        let (request, mut config, mut expect) =
            (object("request"), object("config"), object("expect"));
        let vars = vars(&case["vars"], &config, &request);
        for value in config.values_mut().chain(expect.values_mut()) {
            if let Ok(vars) = &vars {
                vars.expand_everywhere(value);
            }
        }
        let id = case["id"].as_str().unwrap_or("a case without id").to_owned();
        Self { id, request, vars, config, expect }
    }

    /// The same case, its verdicts remembered before: nothing is expected of the validator.
    pub(crate) fn over_the_cache(&self) -> Self {
        let mut case = self.clone();
        case.id += " over the cache";
        case.config.insert("validator".into(), "cached(jwt)".into());
        for name in ["validator_called", "token", "jwks_fetches"] {
            case.expect.remove(name);
        }
        case
    }

    /// Whether the case is about tokens that are bound.
    pub(crate) fn is_about_bound_tokens(&self) -> bool {
        let is_named = self.id.starts_with("dpop-") || self.id.starts_with("mtls-");
        is_named && self.config.get("validator").and_then(Value::as_str) == Some("jwt")
    }

    /// The bound tokens of the case.
    pub(crate) fn bound_tokens(&self) -> impl Iterator<Item = &str> {
        let vars = self.vars.as_ref().ok();
        TOKENS.iter().filter_map(move |name| vars?.get(name))
    }

    /// Whether the same request was sent, and accepted, just before.
    pub(crate) fn is_sent_before(&self) -> bool {
        self.request.get("headers").is_some_and(|all| all.to_string().contains("{PROOF:jti=seen}"))
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn config(&self) -> &Map<String, Value> {
        &self.config
    }

    pub(crate) fn expect(&self) -> &Map<String, Value> {
        &self.expect
    }

    /// A scenario in words is a test of its own.
    pub(crate) fn is_for_the_runner(&self) -> bool {
        !self.expect.contains_key("steps")
    }

    /// Why the case is skipped: the members that are not known here.
    pub(crate) fn unknown_members(&self) -> Vec<String> {
        let unknown = |part: &str, members: &Map<String, Value>, known: &[&str]| {
            let names = members.keys().filter(|name| !known.contains(&name.as_str()));
            names.map(|name| format!("no {part}.{name}")).collect::<Vec<_>>()
        };
        let mut reasons = unknown("config", &self.config, CONFIG);
        reasons.extend(unknown("expect", &self.expect, EXPECT));
        reasons
    }

    /// The request to send.
    ///
    /// # Errors
    ///
    /// What is wrong with the case, as `expected …, got …`.
    pub(crate) fn request(&self) -> Result<Request, String> {
        if let Some(name) = self.request.keys().find(|name| !REQUEST.contains(&name.as_str())) {
            return Err(format!("expected a request, got one with {name:?}"));
        }
        let vars = self.vars.as_ref().map_err(Clone::clone)?;
        let text = |name: &str, default: &str| match self.request.get(name) {
            None | Some(Value::Null) => Ok(default.to_owned()),
            Some(value) => vars.expanded(value),
        };
        let (method, uri) = (text("method", "GET")?, text("uri", "/")?);
        let pairs = match self.request.get("headers") {
            None => &Vec::new(),
            Some(pairs) => pairs.as_array().ok_or(format!("expected headers, got {pairs}"))?,
        };
        let headers_with = |proof: &dyn Fn(&str) -> Result<Option<String>, String>| {
            let headers = pairs.iter().map(|pair| match (&pair[0], &pair[1]) {
                (Value::String(name), Value::String(value)) => {
                    Ok((name.clone(), vars.expanded_with(value, proof)?))
                }
                _ => Err(format!("expected a header, got {pair}")),
            });
            headers.collect::<Result<Vec<_>, String>>()
        };
        // A proof is about the other headers.
        let first = headers_with(&|name| Ok(name.starts_with("PROOF").then(String::new)))?;
        let token = bound::token_of(&first, &uri);
        let config = &self.config;
        let made = RefCell::default();
        let proofs = Proofs { config, method: &method, uri: &uri, token, made };
        let headers = headers_with(&|name| proofs.proof(name))?;
        Ok(Request { method, uri, headers, body: text("body", "")? })
    }
}

/// The tokens of a case, minted for what its `config` says.
fn vars(
    vars: &Value,
    config: &Map<String, Value>,
    request: &Map<String, Value>,
) -> Result<Vars, String> {
    let now = match Config(config).now() {
        Ok(now) => now.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs(),
        Err(BuildError::Case(wrong) | BuildError::Refused(wrong)) => return Err(wrong),
    };
    let issuers = issuers::issuers(config)?;
    let mint = Mint { issuers: &issuers, now };
    let mut vars = Vars::new(vars, |recipe| mint.token(recipe))?;
    let request = Value::Object(request.clone()).to_string();
    if request.contains("${AT") {
        for name in TOKENS.iter().filter(|name| **name != "AT") {
            vars.insert(name, mint.token(&bound::recipe(name))?);
        }
        // Two names of one token.
        let bound = vars.get("AT_BOUND").unwrap_or_default().to_owned();
        vars.insert("AT", bound);
    }
    Ok(vars)
}
