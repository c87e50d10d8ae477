//! The text forms of cases.

use serde_json::Value;

/// The forms that only a validator of JWTs mints.
const MINTED: &[&str] = &["JWT", "AT", "PROOF"];

/// `text` with `{{repeat:X:N}}` written out and `${NAME}` replaced by the literal of that name in
/// `vars`.
///
/// # Errors
///
/// What is wrong with the text, as `expected …, got …`.
pub(crate) fn expanded(text: &Value, vars: &Value) -> Result<String, String> {
    let text = text.as_str().ok_or_else(|| format!("expected a text, got {text}"))?;
    let text = replaced(text, "{{repeat:", "}}", |form| {
        let parts = form.rsplit_once(':').and_then(|(text, n)| Some((text, n.parse().ok()?)));
        let (repeated, count) =
            parts.ok_or(format!("expected {{{{repeat:X:N}}}}, got {form:?}"))?;
        Ok(Some(repeated.repeat(count)))
    })?;
    replaced(&text, "${", "}", |name| match vars[name]["literal"].as_str() {
        Some(literal) => Ok(Some(literal.to_owned())),
        None if MINTED.iter().any(|minted| name.starts_with(minted)) => {
            Err(format!("expected a literal for ${{{name}}}, got {}", vars[name]))
        }
        None => Ok(None),
    })
}

/// Expands every text in `value`, as far as that can be done.
pub(crate) fn expand_everywhere(value: &mut Value, vars: &Value) {
    match value {
        Value::String(_) => {
            if let Ok(text) = expanded(value, vars) {
                *value = text.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| expand_everywhere(item, vars)),
        Value::Object(members) => {
            members.values_mut().for_each(|member| expand_everywhere(member, vars));
        }
        _ => {}
    }
}

/// `text` with what stands between `start` and `end` replaced, where `replace` knows it.
fn replaced(
    text: &str,
    start: &str,
    end: &str,
    replace: impl Fn(&str) -> Result<Option<String>, String>,
) -> Result<String, String> {
    let mut done = String::new();
    let mut rest = text;
    while let Some((before, form)) = rest.split_once(start) {
        let Some((form, after)) = form.split_once(end) else { break };
        done.push_str(before);
        match replace(form)? {
            Some(replacement) => done.push_str(&replacement),
            None => done.push_str(&format!("{start}{form}{end}")),
        }
        rest = after;
    }
    Ok(done + rest)
}
