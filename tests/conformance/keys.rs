//! The keys that tokens of cases are signed with, each made once a process. They share nothing
//! with the crate's but the library.

use crate::der;
use aws_lc_rs::{
    encoding::{AsBigEndian, AsDer, EcPrivateKeyBin, PublicKeyX509Der},
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair},
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use serde_json::{Map, Value, json};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock},
};

/// A key that signs.
pub(crate) struct Key {
    /// What the key is for where a header does not say, or says what it cannot do.
    algorithm: String,
    pair: Pair,
}

enum Pair {
    /// With the name of the curve.
    Ec(EcdsaKeyPair, &'static str),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
    Secret(Vec<u8>),
}

impl Key {
    /// The key of this name for `algorithm`: the same one whenever it is asked for.
    ///
    /// # Errors
    ///
    /// When no such key can be made.
    pub(crate) fn of(name: &str, algorithm: &str) -> Result<Arc<Self>, String> {
        type Keys = Mutex<HashMap<(String, String), Arc<Key>>>;
        static KEYS: OnceLock<Keys> = OnceLock::new();
        let mut keys = KEYS.get_or_init(Keys::default).lock().unwrap();
        let id = (name.to_owned(), algorithm.to_owned());
        if let Some(key) = keys.get(&id) {
            return Ok(key.clone());
        }
        let key = Arc::new(Self { algorithm: algorithm.to_owned(), pair: Pair::new(algorithm)? });
        keys.insert(id, key.clone());
        Ok(key)
    }

    /// The members of the JWK that hold the key, which are public but for a shared secret's.
    pub(crate) fn members(&self) -> Map<String, Value> {
        let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let members = match &self.pair {
            Pair::Ec(pair, curve) => {
                // 0x04, then both coordinates.
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                json!({"kty": "EC", "crv": curve, "x": text(x), "y": text(y)})
            }
            Pair::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": text(pair.public_key().as_ref())})
            }
            Pair::Rsa(pair) => {
                let [n, e] = der::two_integers(pair.public_key().as_ref());
                json!({"kty": "RSA", "n": text(n), "e": text(e)})
            }
            Pair::Secret(secret) => json!({"kty": "oct", "k": text(secret)}),
        };
        members.as_object().unwrap().clone()
    }

    /// The private member of the JWK of a key on a curve.
    pub(crate) fn private(&self) -> String {
        let Pair::Ec(pair, _) = &self.pair else { return String::new() };
        let private = AsBigEndian::<EcPrivateKeyBin<'_>>::as_be_bytes(&pair.private_key()).unwrap();
        BASE64_URL_SAFE_NO_PAD.encode(private.as_ref())
    }

    /// The entry of a key set.
    pub(crate) fn jwk(&self, kid: &str) -> Value {
        let mut jwk = self.members();
        for (name, value) in [("kid", kid), ("alg", &self.algorithm), ("use", "sig")] {
            jwk.insert(name.to_owned(), value.into());
        }
        jwk.into()
    }

    /// The public key as it is found in files.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub(crate) fn spki_pem(&self) -> Result<String, String> {
        let der: PublicKeyX509Der<'_> = match &self.pair {
            Pair::Ec(pair, _) => pair.public_key().as_der(),
            Pair::Ed25519(pair) => pair.public_key().as_der(),
            Pair::Rsa(pair) => pair.public_key().as_der(),
            Pair::Secret(_) => return Err("expected a public key, got a shared secret".into()),
        }
        .unwrap();
        let text = BASE64_STANDARD.encode(der.as_ref());
        let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
        let lines = lines.join("\n");
        Ok(format!("-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n"))
    }

    /// Signs with `algorithm`, or with what the key is for where that is no algorithm of its kind.
    pub(crate) fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ec(pair, _) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let encoding = rsa(algorithm).or_else(|| rsa(&self.algorithm)).unwrap();
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, message, &mut signature).unwrap();
                signature
            }
            Pair::Secret(secret) => {
                let known = if hash(algorithm).is_some() { algorithm } else { &self.algorithm };
                authenticated(known, secret, message)
            }
        }
    }
}

/// The HMAC of `message`, with SHA-256 where `algorithm` names no other.
pub(crate) fn authenticated(algorithm: &str, secret: &[u8], message: &[u8]) -> Vec<u8> {
    let hash = hash(algorithm).unwrap_or(hmac::HMAC_SHA256);
    hmac::sign(&hmac::Key::new(hash, secret), message).as_ref().to_vec()
}

impl Pair {
    fn new(algorithm: &str) -> Result<Self, String> {
        let ec = match algorithm {
            "ES256" => Some((&signature::ECDSA_P256_SHA256_FIXED_SIGNING, "P-256")),
            "ES384" => Some((&signature::ECDSA_P384_SHA384_FIXED_SIGNING, "P-384")),
            "ES512" => Some((&signature::ECDSA_P521_SHA512_FIXED_SIGNING, "P-521")),
            "ES256K" => Some((&signature::ECDSA_P256K1_SHA256_FIXED_SIGNING, "secp256k1")),
            _ => None,
        };
        Ok(match ec {
            Some((ec, curve)) => Self::Ec(EcdsaKeyPair::generate(ec).unwrap(), curve),
            None if matches!(algorithm, "EdDSA" | "Ed25519") => {
                Self::Ed25519(Ed25519KeyPair::generate().unwrap())
            }
            None if rsa(algorithm).is_some() => {
                Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
            }
            None if hash(algorithm).is_some() => {
                let mut secret = vec![0; 64];
                aws_lc_rs::rand::fill(&mut secret).unwrap();
                Self::Secret(secret)
            }
            None => return Err(format!("expected an algorithm, got {algorithm:?}")),
        })
    }
}

fn rsa(algorithm: &str) -> Option<&'static dyn signature::RsaEncoding> {
    Some(match algorithm {
        "RS256" => &signature::RSA_PKCS1_SHA256,
        "RS384" => &signature::RSA_PKCS1_SHA384,
        "RS512" => &signature::RSA_PKCS1_SHA512,
        "PS256" => &signature::RSA_PSS_SHA256,
        "PS384" => &signature::RSA_PSS_SHA384,
        "PS512" => &signature::RSA_PSS_SHA512,
        _ => return None,
    })
}

fn hash(algorithm: &str) -> Option<hmac::Algorithm> {
    Some(match algorithm {
        "HS256" => hmac::HMAC_SHA256,
        "HS384" => hmac::HMAC_SHA384,
        "HS512" => hmac::HMAC_SHA512,
        _ => return None,
    })
}
