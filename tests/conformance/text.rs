//! The text forms of cases.

use serde_json::Value;

/// The forms that only a validator of JWTs mints.
const MINTED: &[&str] = &["JWT", "AT", "PROOF"];

/// `text` with `{{repeat:X:N}}` written out and `${NAME}` replaced by the literal of that name in
/// `vars`.
///
/// # Errors
///
/// What is wrong with the text.
pub(crate) fn expanded(text: &Value, vars: &Value) -> Result<String, String> {
    let text = text.as_str().ok_or("texts in the request")?;
    let text = replaced(text, "{{repeat:", "}}", |form| {
        let (repeated, count) = form.rsplit_once(':').ok_or("{{repeat:X:N}}")?;
        let count: usize = count.parse().map_err(|_| "{{repeat:X:N}}, N a number")?;
        Ok(Some(repeated.repeat(count)))
    })?;
    replaced(&text, "${", "}", |name| match vars[name]["literal"].as_str() {
        Some(literal) => Ok(Some(literal.to_owned())),
        None if MINTED.iter().any(|minted| name.starts_with(minted)) => {
            Err(format!("a literal, since nothing mints ${{{name}}}"))
        }
        None => Ok(None),
    })
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
