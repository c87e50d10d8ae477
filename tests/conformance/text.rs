//! The text forms of cases.

use serde_json::Value;
use std::collections::BTreeMap;

/// The forms that only a validator of bound tokens needs.
const BOUND: &[&str] = &["AT", "PROOF"];

/// The texts that `${NAME}` stands for.
#[derive(Clone, Default)]
pub(crate) struct Vars(BTreeMap<String, String>);

impl Vars {
    /// The tokens of `vars`, minted by `mint`. A name stands for one token in the whole case.
    ///
    /// # Errors
    ///
    /// What is wrong with one of them, as `expected …, got …`.
    pub(crate) fn new(
        vars: &Value,
        mint: impl Fn(&Value) -> Result<String, String>,
    ) -> Result<Self, String> {
        let vars = match vars {
            Value::Null => return Ok(Self::default()),
            vars => vars.as_object().ok_or_else(|| format!("expected vars, got {vars}"))?,
        };
        let minted = vars.iter().map(|(name, recipe)| Ok((name.clone(), mint(recipe)?)));
        minted.collect::<Result<_, _>>().map(Self)
    }

    /// Adds the token `name`.
    pub(crate) fn insert(&mut self, name: &str, token: String) {
        self.0.insert(name.to_owned(), token);
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// `text` with `{{repeat:X:N}}` written out and `${NAME}` replaced.
    ///
    /// # Errors
    ///
    /// What is wrong with the text, as `expected …, got …`.
    pub(crate) fn expanded(&self, text: &Value) -> Result<String, String> {
        let text = text.as_str().ok_or_else(|| format!("expected a text, got {text}"))?;
        self.expanded_with(text, |_| Ok(None))
    }

    /// The same, with `other` for the names that no token has.
    pub(crate) fn expanded_with(
        &self,
        text: &str,
        other: impl Fn(&str) -> Result<Option<String>, String>,
    ) -> Result<String, String> {
        replaced(&repeated(text)?, "${", "}", |name| match self.0.get(name) {
            Some(text) => Ok(Some(text.clone())),
            None => match other(name)? {
                None if name == "JWT" || BOUND.iter().any(|bound| name.starts_with(bound)) => {
                    Err(format!("expected a token for ${{{name}}}, got none"))
                }
                other => Ok(other),
            },
        })
    }

    /// Expands every text in `value`, as far as that can be done.
    pub(crate) fn expand_everywhere(&self, value: &mut Value) {
        match value {
            Value::String(_) => {
                if let Ok(text) = self.expanded(value) {
                    *value = text.into();
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.expand_everywhere(item)),
            Value::Object(members) => {
                members.values_mut().for_each(|member| self.expand_everywhere(member));
            }
            _ => {}
        }
    }
}

/// `text` with `{{repeat:X:N}}` written out.
///
/// # Errors
///
/// As `expected …, got …`.
pub(crate) fn repeated(text: &str) -> Result<String, String> {
    replaced(text, "{{repeat:", "}}", |form| {
        let parts = form.rsplit_once(':').and_then(|(text, n)| Some((text, n.parse().ok()?)));
        let (repeated, count) =
            parts.ok_or(format!("expected {{{{repeat:X:N}}}}, got {form:?}"))?;
        Ok(Some(repeated.repeat(count)))
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
