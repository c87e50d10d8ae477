//! One case, and which of its members are known here.

use crate::{
    config::{BuildError, Config},
    issuers,
    mint::Mint,
    text::Vars,
};
use serde_json::{Map, Value};
use std::time::SystemTime;

/// The members of `config` that are known. Those of validators that do not exist yet are not.
const CONFIG: &[&str] = &[
    "accept_tokens",
    "algorithms",
    "allow_status",
    "audience",
    "authorization_servers",
    "basic_passwords",
    "cookie_csrf",
    "cors_preflight",
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
        let vars = vars(&case["vars"], &config);
        for value in config.values_mut().chain(expect.values_mut()) {
            if let Ok(vars) = &vars {
                vars.expand_everywhere(value);
            }
        }
        let id = case["id"].as_str().unwrap_or("a case without id").to_owned();
        Self { id, request, vars, config, expect }
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
        let mut headers = Vec::new();
        let pairs = match self.request.get("headers") {
            None => &Vec::new(),
            Some(pairs) => pairs.as_array().ok_or(format!("expected headers, got {pairs}"))?,
        };
        for pair in pairs {
            let name = pair[0].as_str().ok_or(format!("expected a header, got {pair}"))?;
            headers.push((name.to_owned(), vars.expanded(&pair[1])?));
        }
        let (method, uri) = (text("method", "GET")?, text("uri", "/")?);
        Ok(Request { method, uri, headers, body: text("body", "")? })
    }
}

/// The tokens of a case, minted for what its `config` says.
fn vars(vars: &Value, config: &Map<String, Value>) -> Result<Vars, String> {
    let now = match Config(config).now() {
        Ok(now) => now.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs(),
        Err(BuildError::Case(wrong) | BuildError::Refused(wrong)) => return Err(wrong),
    };
    let issuers = issuers::issuers(config)?;
    Vars::new(vars, |recipe| Mint { issuers: &issuers, now }.token(recipe))
}
