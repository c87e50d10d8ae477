//! Compares what became of a case with what it expects.

use crate::{
    case::Case,
    challenge,
    config::BuildError,
    fixture::Seen,
    run::{Answered, Outcome, run},
    values::{contained, equal, has_members, holds, joined, object, same_set, texts},
};
use http::{Extensions, HeaderMap, header};
use regex::Regex;
use serde_json::{Map, Value, json};
use std::fmt::{Debug, Display};
use tower_oauth2::server::{Anonymous, Authenticated};

/// What is wrong, each as `expected …, got …`.
struct Mismatches(Vec<String>);

impl Mismatches {
    fn check(&mut self, holds: bool, expected: impl Display, got: impl Debug) {
        if !holds {
            self.0.push(format!("expected {expected}, got {got:?}"));
        }
    }
}

/// What is wrong with `case`; nothing where it passes. `cases` are those of the same file.
pub(crate) fn mismatches(case: &Case, cases: &[Case]) -> Vec<String> {
    let expect = case.expect();
    let mut wrong = Mismatches(Vec::new());
    let may_build = expect.get("build_error") != Some(&Value::Bool(true));
    match run(case, case) {
        Err(BuildError::Refused(error)) => {
            wrong.check(!may_build, "a stack", format!("a build error: {error}"));
        }
        Err(BuildError::Case(text)) => wrong.0.push(text),
        Ok(_) if !may_build => wrong.check(false, "a build error", "a stack"),
        Ok(outcome) => match case.config().get("allow_status") {
            Some(allowed) => {
                let status = outcome.response.as_ref().map(|answer| answer.status.as_u16());
                let is_allowed = allowed.as_array().is_some_and(|all| all.contains(&json!(status)));
                wrong.check(is_allowed, format!("one of the statuses {allowed}"), status);
                if let Some(expected) = expect.get("inner_called") {
                    member(&mut wrong, "inner_called", expected, &outcome);
                }
            }
            None => {
                for (name, expected) in expect {
                    if name == "same_response_as" {
                        same_response(&mut wrong, case, expected, &outcome, cases);
                    } else {
                        member(&mut wrong, name, expected, &outcome);
                    }
                }
            }
        },
    }
    wrong.0
}

/// The request of another case gets the same response under the configuration of this one.
fn same_response(
    wrong: &mut Mismatches,
    case: &Case,
    id: &Value,
    outcome: &Outcome,
    cases: &[Case],
) {
    let Some(other) = cases.iter().find(|other| Some(other.id()) == id.as_str()) else {
        return wrong.check(false, format!("the case {id}"), "a file without it");
    };
    let theirs = run(other, case).ok().and_then(|outcome| outcome.response);
    let parts = |answer: &Answered| (answer.status, answer.headers.clone(), answer.body.clone());
    let (ours, theirs) = (outcome.response.as_ref().map(parts), theirs.as_ref().map(parts));
    wrong.check(ours == theirs, format!("the response to {id}, {theirs:?}"), ours);
}

/// Compares one member of `expect`.
fn member(wrong: &mut Mismatches, name: &str, expected: &Value, outcome: &Outcome) {
    let says = format!("{name} {expected}");
    let calls = outcome.seen.len();
    match name {
        "inner_called" => wrong.check(*expected == (calls > 0), says, calls),
        "validator_called" => {
            let asked = outcome.token_asked.len();
            wrong.check(*expected == (asked > 0), says, asked);
        }
        "token" => {
            let asked = &outcome.token_asked;
            wrong.check(json!([expected]) == json!(asked), says, asked);
        }
        "poll_ready" => {
            wrong.check(expected.as_str() == outcome.readiness, says, outcome.readiness);
        }
        // Whether it is dropped is how it was sent.
        "dropped" => wrong.check(expected.is_boolean(), says, "another value"),
        "shared_refresh_survives" => {
            let asked = outcome.token_asked.len();
            let survives = asked == 1 && status(outcome) == Some(200);
            wrong.check(*expected == survives, says, (asked, status(outcome)));
        }
        "jwks_fetches" => {
            let fetches = outcome.outbound.fetches();
            wrong.check(*expected == fetches, says, fetches);
        }
        "outbound_hosts_exclude" => {
            let hosts = outcome.outbound.hosts();
            let met = texts(expected).into_iter().find(|host| hosts.contains(host));
            wrong.check(met.is_none(), says, met);
        }
        "audit" => wrong.check(is_audited(expected, outcome), says, &outcome.audited),
        "metric" => wrong.check(is_counted(expected, outcome), says, &outcome.counters),
        "span_must_not_contain" | "log_must_not_contain" => {
            for forbidden in texts(expected) {
                let found = outcome.logged.iter().find(|text| text.contains(&forbidden));
                wrong.check(found.is_none(), &says, found);
            }
        }
        "log_escaped" => {
            let raw = |text: &&String| text.contains(['\r', '\n', '\u{1b}']);
            let found = outcome.logged.iter().find(raw);
            wrong.check(*expected == found.is_none(), says, found);
        }
        "extension" | "extension_absent" => {
            let holds = |extensions: &Extensions| {
                texts(expected).iter().all(|one| extension(one, extensions, name == "extension"))
            };
            let found = match outcome.seen.last() {
                Some(seen) => holds(&seen.head.extensions),
                None => outcome.response.as_ref().is_some_and(|answer| holds(&answer.extensions)),
            };
            wrong.check(found, says, "other extensions");
        }
        "claims" | "scopes" => {
            let claims = outcome.seen.last().map(claims).unwrap_or_default();
            let holds = match name {
                // As the principal tells it, or as the token did.
                "claims" => object(expected).iter().all(|(name, value)| {
                    let told = outcome.seen.last().and_then(told);
                    *value == claims[name] || told.is_some_and(|told| *value == told[name])
                }),
                _ => {
                    let scopes = claims["scope"].as_str().unwrap_or_default();
                    let scopes: Vec<_> = scopes.split_whitespace().collect();
                    same_set(expected, &json!(scopes))
                }
            };
            wrong.check(holds, says, claims);
        }
        _ if name.starts_with("inner_") || name == "header_sensitive" => {
            match outcome.seen.last() {
                Some(seen) => inner(wrong, name, expected, seen, outcome),
                None => wrong.check(false, says, "no request at the inner service"),
            }
        }
        _ => match &outcome.response {
            Some(answer) => response(wrong, name, expected, answer),
            None => wrong.check(false, says, "no response"),
        },
    }
}

/// Compares what the inner service got.
fn inner(wrong: &mut Mismatches, name: &str, expected: &Value, seen: &Seen, outcome: &Outcome) {
    let says = format!("{name} {expected}");
    let headers = &seen.head.headers;
    match name {
        "inner_uri" => {
            let uri = seen.head.uri.to_string();
            wrong.check(expected.as_str() == Some(&uri), says, uri);
        }
        "inner_body_intact" => {
            let intact = seen.body == outcome.sent.body;
            wrong.check(*expected == intact, says, &seen.body);
        }
        "inner_header" => same_headers(wrong, &says, expected, headers),
        "inner_headers_absent" => {
            for absent in texts(expected) {
                wrong.check(!headers.contains_key(&absent), &says, joined(headers, &absent));
            }
        }
        "header_sensitive" => {
            let named = match expected {
                Value::Bool(_) => headers.keys().map(ToString::to_string).collect(),
                named => texts(named),
            };
            let token = outcome.token_asked.last().map_or("", String::as_str);
            let lines = named.iter().flat_map(|name| headers.get_all(name));
            // Where no header is named, it is the lines that hold the token.
            let lines: Vec<_> = match expected.is_boolean() {
                true => lines.filter(|line| holds(line.as_bytes(), token.as_bytes())).collect(),
                false => lines.collect(),
            };
            let sensitive = !lines.is_empty() && lines.iter().all(|line| line.is_sensitive());
            wrong.check(sensitive != (*expected == false), says, lines);
        }
        _ => wrong.check(false, says, "a runner that does not know it"),
    }
}

/// Compares the response.
fn response(wrong: &mut Mismatches, name: &str, expected: &Value, answer: &Answered) {
    let says = format!("{name} {expected}");
    let headers = &answer.headers;
    match name {
        "status" => {
            let status = answer.status.as_u16();
            wrong.check(*expected == status, says, status);
        }
        "response_headers" => same_headers(wrong, &says, expected, headers),
        "response_headers_contains" => {
            for (name, parts) in object(expected) {
                let value = joined(headers, name).unwrap_or_default().to_lowercase();
                let has = texts(parts).iter().all(|part| value.contains(&part.to_lowercase()));
                wrong.check(has && headers.contains_key(name), &says, value);
            }
        }
        "response_headers_present" => {
            for present in texts(expected) {
                wrong.check(headers.contains_key(&present), &says, headers);
            }
        }
        "grpc_status" => {
            let status = joined(headers, "grpc-status");
            let number = status.as_deref().and_then(|status| status.parse::<u64>().ok());
            wrong.check(number.is_some() && number == expected.as_u64(), says, status);
        }
        "grpc_message_ascii" => {
            let message = headers.get("grpc-message");
            let ascii = |byte: &u8| matches!(byte, 0x20..=0x7e);
            let is_ascii = message.is_some_and(|message| message.as_bytes().iter().all(ascii));
            wrong.check(*expected == is_ascii, says, message);
        }
        "content_type" => {
            let value = joined(headers, header::CONTENT_TYPE.as_str());
            let value = value.map(|value| value.split(';').next().unwrap_or("").trim().to_owned());
            wrong.check(value.as_deref() == expected.as_str(), says, value);
        }
        "body_empty" => wrong.check(*expected == answer.body.is_empty(), says, &answer.body),
        "retry_after" => {
            let after = joined(headers, header::RETRY_AFTER.as_str());
            let seconds = after.as_deref().and_then(|after| after.parse::<u64>().ok());
            let holds = match expected {
                Value::Bool(expected) => *expected == seconds.is_some(),
                number => number.as_u64().is_some() && number.as_u64() == seconds,
            };
            wrong.check(holds, says, after);
        }
        "json" | "json_contains" | "json_absent" => {
            let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let holds = match name {
                "json" => has_members(expected, &body, equal),
                "json_contains" => has_members(expected, &body, contained),
                _ => body.is_object() && texts(expected).iter().all(|one| body.get(one).is_none()),
            };
            wrong.check(holds, says, &answer.body);
        }
        _ => challenges(wrong, name, expected, headers),
    }
}

/// Compares the lines of `WWW-Authenticate`.
fn challenges(wrong: &mut Mismatches, name: &str, expected: &Value, headers: &HeaderMap) {
    let says = format!("{name} {expected}");
    let lines: Vec<_> = headers.get_all(header::WWW_AUTHENTICATE).iter().collect();
    let text = joined(headers, header::WWW_AUTHENTICATE.as_str()).unwrap_or_default();
    let parsed = lines.iter().map(|line| challenge::parse(line.as_bytes()));
    let parsed: Result<Vec<_>, _> = parsed.collect();
    let parsed = parsed.map(|lines| lines.into_iter().flatten().collect::<Vec<_>>());
    match name {
        "www_authenticate_contains" => {
            for part in texts(expected) {
                wrong.check(text.contains(&part), &says, &text);
            }
        }
        "www_authenticate_absent" => {
            for part in texts(expected) {
                wrong.check(!text.contains(&part), &says, &text);
            }
        }
        "www_authenticate_exact" => {
            wrong.check(lines.len() == 1 && expected.as_str() == Some(&text), says, lines);
        }
        "www_authenticate_regex" => {
            for pattern in texts(expected) {
                let matches = Regex::new(&pattern).is_ok_and(|regex| regex.is_match(&text));
                wrong.check(matches, &says, &text);
            }
        }
        "www_authenticate_fields" => wrong.check(*expected == lines.len(), says, lines),
        "www_authenticate_parses" => {
            let parses = parsed.as_ref().is_ok_and(|all| !all.is_empty());
            wrong.check(*expected == parses, says, (&text, parsed.err()));
        }
        "www_authenticate_valid" => {
            let invalid = parsed.as_ref().map(|all| all.iter().find_map(|one| one.invalid()));
            wrong.check(*expected == (invalid == Ok(None)), says, (&text, invalid));
        }
        "each_param_at_most_once" => {
            let names = texts(expected);
            let repeated =
                parsed.as_ref().map(|all| all.iter().find_map(|one| one.repeated(&names)));
            wrong.check(repeated == Ok(None), says, (&text, repeated));
        }
        _ => wrong.check(false, says, "a runner that does not know it"),
    }
}

fn status(outcome: &Outcome) -> Option<u16> {
    outcome.response.as_ref().map(|answer| answer.status.as_u16())
}

/// The whole values of headers; null is one that is not there.
fn same_headers(wrong: &mut Mismatches, says: &str, expected: &Value, headers: &HeaderMap) {
    for (name, value) in object(expected) {
        let got = joined(headers, name);
        wrong.check(got.as_deref() == value.as_str(), says, (name, got));
    }
}

/// Whether an extension is there, or not there, by what it means.
fn extension(meaning: &str, extensions: &Extensions, wanted: bool) -> bool {
    let there = match meaning {
        "Claims" => extensions.get::<Authenticated>().is_some(),
        "Anonymous" => extensions.get::<Anonymous>().is_some(),
        other => panic!("no extension means {other:?}"),
    };
    there == wanted
}

/// The principal that the inner service got, as JSON.
fn claims(seen: &Seen) -> Value {
    let Some(authenticated) = seen.head.extensions.get::<Authenticated>() else {
        return Value::Null;
    };
    let principal = authenticated.principal();
    let seconds = |time: std::time::SystemTime| {
        time.duration_since(std::time::UNIX_EPOCH).map(|since| since.as_secs()).ok()
    };
    let audience: Vec<_> = principal.audience().collect();
    let claims = [
        ("sub", json!(principal.subject())),
        ("client_id", json!(principal.client_id())),
        ("scope", json!(principal.scopes().to_string())),
        ("iss", json!(principal.issuer())),
        ("aud", json!(audience)),
        ("jti", json!(principal.token_id())),
        ("iat", json!(principal.issued_at().and_then(seconds))),
        ("exp", json!(principal.expires_at().and_then(seconds))),
        ("acr", json!(principal.acr())),
        ("auth_time", json!(principal.authenticated_at().and_then(seconds))),
    ];
    let there = claims.into_iter().filter(|(_, value)| !value.is_null());
    there.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>().into()
}

/// The claims of the token itself.
fn told(seen: &Seen) -> Option<&Value> {
    seen.head.extensions.get::<Authenticated>()?.claims::<Value>()
}

/// Whether there is one event with these members.
fn is_audited(expected: &Value, outcome: &Outcome) -> bool {
    let tokens = &outcome.token_asked;
    let same = |expected: &Value, got: &Value| match expected.get("$present") {
        Some(present) => {
            let text = got.as_str().unwrap_or_default();
            let tells = tokens.iter().any(|token| text.contains(token.as_str()));
            *present == !text.is_empty() && !tells
        }
        None => expected == got,
    };
    let events = outcome.audited.iter().filter(|event| has_members(expected, event, same));
    events.count() == 1
}

/// Whether one increment has these labels.
fn is_counted(expected: &Value, outcome: &Outcome) -> bool {
    let expected = object(expected);
    let has_labels = |labels: &std::collections::BTreeMap<String, String>| {
        expected.iter().all(|(name, value)| labels.get(name).map(String::as_str) == value.as_str())
    };
    let counters = outcome.counters.iter().filter(|(labels, _)| has_labels(labels));
    counters.map(|(_, count)| count).sum::<u64>() == 1
}
