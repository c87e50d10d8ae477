use crate::ConfigError;
use std::{
    collections::HashSet,
    fmt,
    hash::{Hash, Hasher},
    str::{FromStr, SplitAsciiWhitespace},
};

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
    /// When `scope` is empty or has a space, `"`, `\`, or a character that is not visible ASCII.
    pub fn new(scope: impl Into<Box<str>>) -> Result<Self, ConfigError> {
        let scope = scope.into();
        check(&scope)?;
        Ok(Self(scope))
    }

    /// Returns the scope as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// # Errors
///
/// When `scope` is not a `scope-token`.
fn check(scope: &str) -> Result<(), ConfigError> {
    if scope.is_empty() {
        return Err(ConfigError::new("a scope is empty: leave it out"));
    }
    match scope.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\') {
        true => Ok(()),
        false => Err(ConfigError::new(
            "a scope is visible ASCII without \" and \\ (RFC 6749 section 3.3): use a ScopeSet for several",
        )),
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

/// A set of scopes, in the order in which they were added. Sets of the same scopes are equal in
/// any order.
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
pub struct ScopeSet {
    /// The wire form. As one text, a set is one allocation however many scopes it has.
    text: String,
}

/// Up to this many scopes, each is compared with all before it.
const FEW: usize = 16;

impl ScopeSet {
    /// Returns the empty set.
    #[must_use]
    pub const fn empty() -> Self {
        Self { text: String::new() }
    }

    /// Parses each of `scopes` as one [`Scope`].
    ///
    /// # Errors
    ///
    /// As [`Scope::new`].
    pub fn new<I: IntoIterator<Item: AsRef<str>>>(scopes: I) -> Result<Self, ConfigError> {
        let mut set = Builder::default();
        for scope in scopes {
            check(scope.as_ref())?;
            set.add(scope.as_ref());
        }
        Ok(set.set)
    }

    /// Adds `scope`, unless the set has it.
    pub fn insert(&mut self, scope: &Scope) {
        if !self.contains(scope.as_str()) {
            self.push(scope.as_str());
        }
    }

    /// Returns the scopes for which `kept` returns `true`.
    pub(crate) fn filtered(&self, kept: impl Fn(&str) -> bool) -> Self {
        let mut set = Self::empty();
        self.iter().filter(|scope| kept(scope)).for_each(|scope| set.push(scope));
        set
    }

    /// Returns the union, the scopes of `other` last.
    pub(crate) fn joined(self, other: Self) -> Self {
        if self.is_empty() {
            return other;
        }
        let mut set = Builder::of(self);
        other.iter().for_each(|scope| set.add(scope));
        set.set
    }

    fn push(&mut self, scope: &str) {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(scope);
    }

    /// Returns `true` if the set has `scope`.
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.iter().any(|own| own == scope)
    }

    /// Returns `true` if the set has all scopes of `other`.
    #[must_use]
    pub fn contains_all(&self, other: &Self) -> bool {
        other.iter().all(|scope| self.contains(scope))
    }

    /// Iterates over the scopes in their order, each a `scope-token`.
    pub fn iter(&self) -> SplitAsciiWhitespace<'_> {
        self.text.split_ascii_whitespace()
    }

    fn sorted(&self) -> Vec<&str> {
        let mut scopes: Vec<_> = self.iter().collect();
        scopes.sort_unstable();
        scopes
    }

    /// Returns the wire form: the scopes separated by one space.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the number of scopes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Returns `true` if the set has no scope.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

/// Builds a set without comparing each scope with all before it: a peer may send a hundred
/// thousand.
#[derive(Default)]
struct Builder {
    set: ScopeSet,
    count: usize,
    many: HashSet<Box<str>>,
}

impl Builder {
    fn of(set: ScopeSet) -> Self {
        Self { count: set.len(), set, many: HashSet::new() }
    }

    fn add(&mut self, scope: &str) {
        if self.count < FEW {
            if self.set.contains(scope) {
                return;
            }
        } else {
            if self.many.is_empty() {
                self.many = self.set.iter().map(Into::into).collect();
            }
            if !self.many.insert(scope.into()) {
                return;
            }
        }
        self.count += 1;
        self.set.push(scope);
    }
}

impl PartialEq for ScopeSet {
    fn eq(&self, other: &Self) -> bool {
        // Each scope is there once, with one space between two: equal sets have texts of one
        // length.
        self.text == other.text
            || (self.text.len() == other.text.len() && self.sorted() == other.sorted())
    }
}

impl Eq for ScopeSet {}

impl Hash for ScopeSet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.sorted().hash(state);
    }
}

impl<'s> IntoIterator for &'s ScopeSet {
    type Item = &'s str;
    type IntoIter = SplitAsciiWhitespace<'s>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        let mut set = Builder::default();
        scopes.into_iter().for_each(|scope| set.add(scope.as_str()));
        set.set
    }
}

/// Parses scopes separated by spaces. More than one space is accepted, since servers send them.
impl FromStr for ScopeSet {
    type Err = ConfigError;

    fn from_str(scopes: &str) -> Result<Self, ConfigError> {
        let mut set = Builder::default();
        set.set.text.reserve_exact(scopes.len());
        for scope in scopes.split(' ').filter(|scope| !scope.is_empty()) {
            check(scope)?;
            set.add(scope);
        }
        Ok(set.set)
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

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
        assert_eq!(set.iter().last().unwrap(), "149999");
    }

    #[test]
    fn equal_sets_hash_alike_in_whatever_order_and_any_set_can_be_iterated() {
        let hash = |set: &ScopeSet| BuildHasherDefault::<DefaultHasher>::default().hash_one(set);
        let (one, other): (ScopeSet, ScopeSet) =
            ("read write".parse().unwrap(), "write read".parse().unwrap());
        assert_eq!((hash(&one), one.len()), (hash(&other), 2));
        assert_ne!(one, "read writ".parse().unwrap());
        assert_ne!(one, "read wrote".parse().unwrap());
        let mut all = Vec::new();
        for scope in &other {
            all.push(scope);
        }
        assert_eq!(all, ["write", "read"]);
        assert_eq!((&ScopeSet::empty()).into_iter().next(), None);
    }

    /// Each against all of the other takes more than a minute.
    #[test]
    fn sets_as_large_as_a_token_response_can_hold_are_compared_at_once() {
        let all: Vec<_> = (0..150_000).map(|scope| scope.to_string()).collect();
        let forwards = ScopeSet::new(&all).unwrap();
        assert_eq!(forwards, ScopeSet::new(all.iter().rev()).unwrap());
    }
}
