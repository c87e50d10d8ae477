use super::{
    Algorithm, VerifyingKey,
    jwk::{Jwk, JwkSeed},
    key_id::KeyId,
    pem,
};
use crate::vocabulary::members::{self, Members};
use serde_core::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A set has the keys of one issuer, a few of them old and a few for the future.
const MAX_KEYS: usize = 100;
/// The longest `kid` that a report repeats, in characters.
const MAX_KID: usize = 64;

/// The usable keys of a JWK set.
#[derive(Clone, Default)]
pub(crate) struct KeySet {
    keys: Vec<VerifyingKey>,
    skipped: Vec<String>,
    /// The keys have no names, and verify tokens of every name.
    pub(crate) is_nameless: bool,
}

impl KeySet {
    /// Parses `{"keys": […]}`. Entries that cannot be used are [skipped](Self::skipped).
    ///
    /// # Errors
    ///
    /// When it is not such an object, or has more than 100 entries.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, &'static str> {
        let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json); // a byte order mark
        let mut document = Document::default();
        if members::read(json, &mut document).is_err() {
            return Err(match document.is_too_long {
                true => "it has more than 100 keys",
                false => "it is not a JSON object without repeated members and with a list of keys",
            });
        }
        let entries = document.entries.ok_or("it has no member `keys`")?;
        let mut set = Self::default();
        for (place, jwk) in entries.iter().enumerate() {
            match VerifyingKey::new(jwk) {
                Ok(key) => set.add(key),
                Err(reason) => set.skipped.push(report(place, jwk.kid(), reason)),
            }
        }
        Ok(set)
    }

    /// Parses the public keys and certificates in `pem`, which verify tokens of every name.
    ///
    /// # Errors
    ///
    /// When there are none, and when one cannot be used.
    pub(crate) fn from_pem(pem: &str) -> Result<Self, String> {
        let mut set = Self::of([]);
        for (place, jwk) in pem::public_keys(pem).enumerate() {
            let key = jwk.and_then(|jwk| VerifyingKey::new(&jwk));
            set.add(key.map_err(|reason| format!("block {}: {reason}", place + 1))?);
        }
        let found = (set.len() > 0).then_some(set);
        found.ok_or_else(|| "it has no block -----BEGIN PUBLIC KEY-----".to_owned())
    }

    /// Returns the set of `keys`, which verify tokens of every name.
    pub(crate) fn of(keys: impl IntoIterator<Item = VerifyingKey>) -> Self {
        Self { keys: keys.into_iter().collect(), skipped: Vec::new(), is_nameless: true }
    }

    /// Adds `key`, unless it is there.
    fn add(&mut self, key: VerifyingKey) {
        if !self.keys.iter().any(|known| known.is_same(&key)) {
            self.keys.push(key);
        }
    }

    /// Returns the number of usable keys.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Returns one line for each skipped entry: its index, its bounded and escaped `kid`, the
    /// reason.
    pub(crate) fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// Iterates over the keys for `algorithm` that `id` names: those of its `kid`, or those of its
    /// thumbprint if there are any, since many sets tell none. For a token that names no key these are
    /// the one key for `algorithm`, or of several those that have no name either.
    pub(crate) fn candidates(
        &self,
        id: Option<&KeyId<'_>>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &VerifyingKey> {
        let id = id.filter(|id| match id {
            KeyId::Kid(_) => !self.is_nameless,
            KeyId::Thumbprint(_) => self.keys.iter().any(|key| key.is_named(id)),
        });
        let fits = move |key: &&VerifyingKey| key.supports(algorithm);
        let is_one = id.is_none() && self.keys.iter().filter(fits).nth(1).is_none();
        let is_it = move |key: &&VerifyingKey| match id {
            Some(id) => key.is_named(id),
            None => is_one || key.kid().is_none(),
        };
        self.keys.iter().filter(is_it).filter(fits)
    }

    /// Returns `true` if there is a key for `algorithm`, whatever its name.
    pub(crate) fn supports(&self, algorithm: Algorithm) -> bool {
        self.keys.iter().any(|key| key.supports(algorithm))
    }

    /// Returns `true` if there is a key of this `kid`, for any algorithm.
    pub(crate) fn knows(&self, kid: &str) -> bool {
        self.is_nameless || self.keys.iter().any(|key| key.kid() == Some(kid))
    }

    /// Returns `true` if `other` has the same keys for the same use, in the same order.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.keys.len() == other.keys.len()
            && self.keys.iter().zip(&other.keys).all(|(key, other)| key.is_same(other))
    }
}

/// Returns one line of printable ASCII, for any `kid`.
fn report(place: usize, kid: Option<&str>, reason: &str) -> String {
    let Some(kid) = kid else { return format!("key {place}, without a kid: {reason}") };
    let mut escaped = kid.chars().flat_map(char::escape_default);
    let shown: String = escaped.by_ref().take(MAX_KID).collect();
    let more = if escaped.next().is_some() { "..." } else { "" };
    format!("key {place}, kid \"{shown}\"{more}: {reason}")
}

/// The members of a JWK set ([RFC 7517 §5](https://www.rfc-editor.org/rfc/rfc7517#section-5)).
#[derive(Default)]
struct Document<'a> {
    entries: Option<Vec<Jwk<'a>>>,
    is_too_long: bool,
}

impl<'de> Members<'de> for Document<'de> {
    fn member<A: MapAccess<'de>>(&mut self, name: &str, object: &mut A) -> Result<bool, A::Error> {
        if name != "keys" {
            return Ok(false);
        }
        self.entries = Some(object.next_value_seed(Entries(&mut self.is_too_long))?);
        Ok(true)
    }
}

/// The list of keys. Sets the flag when it is too long.
struct Entries<'l>(&'l mut bool);

impl<'de> DeserializeSeed<'de> for Entries<'_> {
    type Value = Vec<Jwk<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = Vec<Jwk<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of keys")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(jwk) = list.next_element_seed(JwkSeed)? {
            if entries.len() == MAX_KEYS {
                *self.0 = true;
                return Err(A::Error::custom("too many keys"));
            }
            entries.push(jwk);
        }
        Ok(entries)
    }
}
