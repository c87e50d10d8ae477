use super::{Algorithm, VerifyingKey};

/// A JWK set, of which the entries that can be used here are kept.
#[derive(Clone, Default)]
pub(crate) struct KeySet {
    keys: Vec<VerifyingKey>,
    skipped: Vec<String>,
}

impl KeySet {
    /// Parses `{"keys": […]}`. Entries that cannot be used are skipped, and said so.
    ///
    /// # Errors
    ///
    /// When it is no such object, or holds more than 100 entries.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, &'static str> {
        let _ = json;
        unimplemented!()
    }

    /// The set of one key.
    pub(crate) fn of(key: VerifyingKey) -> Self {
        Self { keys: vec![key], skipped: Vec::new() }
    }

    /// How many keys can be used.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// One line for each entry that was skipped: its place, its bounded and escaped `kid`, why.
    pub(crate) fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// The keys of this `kid` that may be used with `algorithm`. A token without a `kid` may be
    /// by any key of the set that may be used with it.
    pub(crate) fn candidates(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &VerifyingKey> {
        self.keys.iter().filter(move |key| {
            kid.is_none_or(|kid| key.kid() == Some(kid)) && key.supports(algorithm)
        })
    }

    /// Whether there is a key of this `kid` at all, whatever it may be used with.
    pub(crate) fn knows(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid() == Some(kid))
    }

    /// Whether `other` holds the same keys for the same use, in the same order.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let _ = other;
        unimplemented!()
    }
}
