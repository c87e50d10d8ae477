//! What the names and values of parameters may be.

use crate::ConfigError;

/// An example for error texts.
pub(in crate::client) const RESOURCE: &str = "https://api.example/v1";

/// Returns `name` if it can be added to `params`, the parameters of an `owner`.
///
/// # Errors
///
/// If `name` is empty, `reserved`, or in `params`.
pub(in crate::client) fn new_param<V>(
    name: String,
    owner: &str,
    reserved: &[&str],
    params: &[(String, V)],
) -> Result<String, ConfigError> {
    if name.is_empty() {
        return Err(ConfigError::new("a parameter without a name cannot be sent"));
    }
    if reserved.contains(&name.as_str()) {
        let text = format!("the parameter {name:?} is set by the {owner} itself; leave it out");
        return Err(ConfigError::new(text));
    }
    match params.iter().any(|(own, _)| *own == name) {
        true => Err(set_twice(&name)),
        false => Ok(name),
    }
}

pub(super) fn set_twice(name: &str) -> ConfigError {
    ConfigError::new(format!("the parameter {name:?} is set twice; set it once"))
}

/// Returns `uri` if it is an absolute URI without a fragment (RFC 3986 §3.1).
///
/// # Errors
///
/// If it is not; the text names `what` it is and an `example`.
pub(in crate::client) fn absolute(
    what: &str,
    example: &str,
    uri: String,
) -> Result<String, ConfigError> {
    let absolute = uri.split_once(':').is_some_and(|(scheme, rest)| {
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        let is_rest = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
        is_scheme && !rest.is_empty() && rest.bytes().all(is_rest)
    });
    match absolute {
        true => Ok(uri),
        false => Err(ConfigError::new(format!(
            "{what} is not an absolute URI without a fragment, such as {example}"
        ))),
    }
}
