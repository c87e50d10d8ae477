//! Reads the members of a `config`.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};
use std::time::{Duration, SystemTime};
use tower_oauth2::{ConfigError, TokenLocation};

/// Why no stack is built.
pub(crate) enum BuildError {
    /// The crate refuses the configuration.
    Refused(String),
    /// The case says what no case can say: `expected …, got …`.
    Case(String),
}

impl From<ConfigError> for BuildError {
    fn from(error: ConfigError) -> Self {
        Self::Refused(error.to_string())
    }
}

/// A `config`, member by member.
pub(crate) struct Config<'a>(pub(crate) &'a Map<String, Value>);

impl<'a> Config<'a> {
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name)
    }

    /// A member of which `read` knows the form.
    pub(crate) fn read<T>(
        &self,
        name: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, BuildError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| unknown(name, value))
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<&'a str>, BuildError> {
        self.read(name, Value::as_str)
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, BuildError> {
        self.read(name, Value::as_u64)
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, BuildError> {
        self.read(name, Value::as_bool)
    }

    /// Whether a member that has one value has it.
    pub(crate) fn is(&self, name: &str, only: &str) -> Result<bool, BuildError> {
        let is = self.read(name, |value| (value.as_str() == Some(only)).then_some(true))?;
        Ok(is.unwrap_or_default())
    }

    /// A list of texts; a text alone is a list of its words.
    pub(crate) fn texts(&self, name: &str) -> Result<Option<Vec<String>>, BuildError> {
        self.read(name, |value| match value {
            Value::String(text) => Some(text.split_whitespace().map(Into::into).collect()),
            Value::Array(items) => items.iter().map(|one| one.as_str().map(Into::into)).collect(),
            _ => None,
        })
    }

    /// A number of seconds, which may have a fraction.
    pub(crate) fn seconds(&self, name: &str) -> Result<Option<Duration>, BuildError> {
        self.read(name, |value| Duration::try_from_secs_f64(value.as_f64()?).ok())
    }

    /// The time of the case.
    pub(crate) fn now(&self) -> Result<SystemTime, BuildError> {
        let now = self.text("now")?.unwrap_or("2026-01-01T00:00:00Z");
        let wrong = || unknown("now", &now.into());
        let digits: Option<Vec<u64>> = now
            .strip_suffix('Z')
            .map(|now| now.split(['-', 'T', ':']).map(|part| part.parse().ok()))
            .and_then(Iterator::collect);
        let Some([year, month, day, hour, minute, second]) =
            digits.as_deref().and_then(|digits| <[u64; 6]>::try_from(digits).ok())
        else {
            return Err(wrong());
        };
        // Days since the epoch of the proleptic Gregorian calendar, the year beginning in March.
        let year = if month <= 2 { year - 1 } else { year };
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let days = 365 * year + year / 4 - year / 100 + year / 400 + day_of_year - 719_468;
        let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
        Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    pub(crate) fn headers(&self, name: &str) -> Result<HeaderMap, BuildError> {
        let mut headers = HeaderMap::new();
        for (name, value) in self.read(name, Value::as_object)?.into_iter().flatten() {
            let header = HeaderName::from_bytes(name.as_bytes()).ok();
            let text = value.as_str().and_then(|text| HeaderValue::from_str(text).ok());
            let (Some(header), Some(text)) = (header, text) else {
                return Err(unknown(name, value));
            };
            headers.append(header, text);
        }
        Ok(headers)
    }

    pub(crate) fn sources(&self) -> Result<Vec<TokenLocation>, BuildError> {
        match self.read("sources", Value::as_array)? {
            None => Ok(vec![TokenLocation::Bearer]),
            Some(sources) => sources.iter().map(source).collect(),
        }
    }
}

pub(crate) fn unknown(name: &str, value: &Value) -> BuildError {
    BuildError::Case(format!("expected a known value of config.{name}, got {value}"))
}

fn source(source: &Value) -> Result<TokenLocation, BuildError> {
    match source.as_str() {
        Some("header") => return Ok(TokenLocation::Bearer),
        Some("query") => return Ok(TokenLocation::Query),
        Some("basic_username") => return Ok(TokenLocation::BasicUserName),
        Some("form") => return Ok(TokenLocation::Form),
        Some(_) => return Err(unknown("sources", source)),
        None => {}
    }
    let mut members: Vec<_> = source.as_object().into_iter().flatten().collect();
    // `header` before `scheme`, which is a part of it.
    members.sort_by_key(|(name, _)| name.as_str() == "scheme");
    let made = match members[..] {
        [(kind, Value::String(name))] => match kind.as_str() {
            "header" => TokenLocation::header(name),
            "query" => TokenLocation::query_parameter(name),
            "basic_password" => TokenLocation::basic_password(name),
            "cookie" => TokenLocation::cookie(name),
            "websocket_protocol" => TokenLocation::websocket_protocol(name),
            "websocket_protocol_pair" => TokenLocation::websocket_protocol_pair(name),
            _ => return Err(unknown("sources", source)),
        },
        [(kind, Value::String(name)), (second, scheme)]
            if kind == "header" && second == "scheme" =>
        {
            match scheme {
                Value::Null => TokenLocation::header(name),
                Value::String(scheme) => TokenLocation::header_with_scheme(name, scheme),
                _ => return Err(unknown("sources", source)),
            }
        }
        _ => return Err(unknown("sources", source)),
    };
    Ok(made?)
}
