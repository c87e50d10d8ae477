use crate::ConfigError;
use std::{collections::HashSet, fmt, str::FromStr};

/// One scope: a `scope-token` of [RFC 6749 §3.3], case-sensitive.
///
/// [RFC 6749 §3.3]: https://www.rfc-editor.org/rfc/rfc6749#section-3.3
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(Box<str>);

impl Scope {
    /// Parses one scope.
    ///
    /// # Errors
    ///
    /// When `scope` is empty or holds a space, `"`, `\`, or a character that is not visible
    /// ASCII.
    pub fn new(scope: impl Into<Box<str>>) -> Result<Self, ConfigError> {
        let scope = scope.into();
        if scope.is_empty() {
            return Err(ConfigError::new("a scope is empty"));
        }
        if scope.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\') {
            Ok(Self(scope))
        } else {
            Err(ConfigError::new("a scope holds a character outside of RFC 6749 section 3.3"))
        }
    }

    /// The scope as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Scope {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Scope {
    type Err = ConfigError;

    fn from_str(scope: &str) -> Result<Self, ConfigError> {
        Self::new(scope)
    }
}

/// Scopes, each once, in the order in which they were given. Two sets are equal when they hold
/// the same scopes, in whatever order.
///
/// ```
/// use tower_oauth2::ScopeSet;
///
/// let granted: ScopeSet = "read write read".parse()?;
/// assert_eq!(granted.to_string(), "read write");
/// assert!(granted.contains("read") && !granted.contains("admin"));
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ScopeSet(Vec<Scope>);

impl ScopeSet {
    /// The set without a scope.
    #[must_use]
    pub const fn empty() -> Self {
        Self(Vec::new())
    }

    /// Parses each of `scopes` as one [`Scope`].
    ///
    /// # Errors
    ///
    /// As [`Scope::new`].
    pub fn new<I>(scopes: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        scopes.into_iter().map(|scope| Scope::new(scope.as_ref())).collect()
    }

    /// Adds `scope`, unless it is there.
    pub fn insert(&mut self, scope: Scope) {
        if !self.0.contains(&scope) {
            self.0.push(scope);
        }
    }

    /// Whether `scope` is one of them.
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.0.iter().any(|own| own.as_str() == scope)
    }

    /// Whether all of `other` are among them.
    #[must_use]
    pub fn contains_all(&self, other: &Self) -> bool {
        other.iter().all(|scope| self.contains(scope.as_str()))
    }

    /// The scopes in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq for ScopeSet {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.contains_all(other)
    }
}

impl Eq for ScopeSet {}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        // Not one by one against all before: a peer may send a hundred thousand of them.
        let mut seen = HashSet::new();
        Self(scopes.into_iter().filter(|scope| seen.insert(scope.clone())).collect())
    }
}

/// Parses scopes separated by spaces; more than one space is tolerated, since servers send it.
impl FromStr for ScopeSet {
    type Err = ConfigError;

    fn from_str(scopes: &str) -> Result<Self, ConfigError> {
        Self::new(scopes.split(' ').filter(|scope| !scope.is_empty()))
    }
}

/// The wire form: separated by one space.
impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_what_the_grammar_says() {
        for good in ["read", "https://api.example/x", "a!#[]~", "DataExchange"] {
            assert_eq!(Scope::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a\"b", "a\\b", "a\tb", "\u{e9}", "a\u{7f}"] {
            assert!(Scope::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn sets_compare_without_order_and_print_in_order() {
        let one: ScopeSet = "b  a b".parse().unwrap();
        assert_eq!(one, ScopeSet::new(["a", "b"]).unwrap());
        assert_ne!(one, ScopeSet::new(["a", "c"]).unwrap());
        assert_eq!(one.to_string(), "b a");
        assert!(" ".parse::<ScopeSet>().unwrap().is_empty());
    }

    /// One against all before takes more than a minute.
    #[test]
    fn as_many_scopes_as_a_token_response_can_hold_are_read_at_once() {
        let all: Vec<_> = (0..150_000).map(|scope| scope.to_string()).collect();
        let set: ScopeSet = format!("{} 7 8", all.join(" ")).parse().unwrap();
        assert_eq!(set.len(), all.len());
        assert_eq!(set.iter().last().unwrap().as_str(), "149999");
    }
}
