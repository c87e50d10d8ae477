//! Of the whole folder, and what those of its files share.

mod headers;
mod keys;
mod properties;
mod sets;
mod signatures;
mod vectors;

use super::{key_pair::KeyPair, *};
use serde_json::{Value, json};

impl SigningKey {
    /// The key that checks what this one signs; a shared secret without its name.
    pub(crate) fn verifying_key(&self) -> Result<VerifyingKey, &'static str> {
        match (&*self.pair, self.public_jwk()) {
            (KeyPair::Shared(key), _) => Ok(VerifyingKey::of_shared(self.algorithm(), key.clone())),
            (_, Some(jwk)) => VerifyingKey::from_jwk(jwk.as_bytes()),
            (_, None) => Err("it has no public half"),
        }
    }
}

const SYMMETRIC: [Algorithm; 3] = [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512];

fn algorithms() -> impl Iterator<Item = Algorithm> {
    Algorithm::all()
}

fn is_rsa(algorithm: Algorithm) -> bool {
    algorithm.as_str().starts_with(['R', 'P'])
}

/// The private key of RFC 7515 A.2, to sign with `algorithm`.
fn rsa_private(algorithm: Algorithm) -> Value {
    let mut jwk: Value = serde_json::from_str(vectors::RSA).unwrap();
    jwk["alg"] = algorithm.as_str().into();
    jwk
}

/// A key for `algorithm`: the one of RFC 7515 A.2 where a new one would take long.
fn key(algorithm: Algorithm) -> SigningKey {
    match is_rsa(algorithm) {
        true => SigningKey::from_jwk(&rsa_private(algorithm).to_string()).unwrap(),
        false => SigningKey::generate(algorithm).unwrap(),
    }
}

/// The public half of a key for `algorithm`, without its `alg`.
fn public(algorithm: Algorithm) -> Value {
    let mut jwk: Value = serde_json::from_str(&key(algorithm).public_jwk().unwrap()).unwrap();
    jwk.as_object_mut().unwrap().remove("alg");
    jwk
}

/// `jwk` with `name` set to `value`.
fn with(mut jwk: Value, name: &str, value: impl Into<Value>) -> Value {
    jwk[name] = value.into();
    jwk
}

fn parse(jwk: &Value) -> Result<VerifyingKey, &'static str> {
    VerifyingKey::from_jwk(jwk.to_string().as_bytes())
}

/// Whether the signature of `token` is one by `key` and the algorithm that its header names.
fn verifies(key: &VerifyingKey, token: &str) -> bool {
    let token = Compact::parse(token).unwrap();
    let header = base64url::decode(token.header).unwrap();
    let algorithm = Header::parse(&header).unwrap().algorithm.unwrap();
    let signature = base64url::decode(token.signature).unwrap();
    key.verify(algorithm, token.signing_input.as_bytes(), &signature)
}
