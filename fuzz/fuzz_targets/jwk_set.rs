//! A JWK set: entries are taken or skipped, what is taken is the same when it is read again, and
//! what is reported is a bounded line.
#![no_main]
#![allow(dead_code, unused_imports, reason = "files of the crate, of which a part is used")]

#[path = "../../src/vocabulary/config_error.rs"]
mod config_error;
#[path = "../../src/jose/mod.rs"]
mod jose;
#[path = "../../src/vocabulary/member_values.rs"]
mod member_values;
#[path = "../../src/vocabulary/members.rs"]
mod members;
#[path = "../../src/vocabulary/scope.rs"]
mod scope;
#[path = "../../src/vocabulary/secret.rs"]
mod secret;

/// The room of those files, as they know it.
mod vocabulary {
    pub(crate) use crate::{member_values, members, scope, secret};
}

use config_error::ConfigError;
use jose::{Algorithm, KeySet, VerifyingKey};
use libfuzzer_sys::fuzz_target;
use scope::{Scope, ScopeSet};
use secret::ClientSecret;

fuzz_target!(|input: &[u8]| {
    let Ok(set) = KeySet::from_json(input) else {
        let _ = VerifyingKey::from_jwk(input);
        return;
    };
    assert!(set.len() + set.skipped().len() <= 100);
    for line in set.skipped() {
        assert!(line.len() < 200 && line.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    }
    let again = KeySet::from_json(input).expect("it was read before");
    assert!(set.is_same(&again));
    for algorithm in Algorithm::ASYMMETRIC {
        for key in set.candidates(None, algorithm) {
            assert!(key.supports(algorithm));
            assert!(!key.verify(algorithm, b"message", &[0; 256]));
            assert!(key.kid().is_none_or(|kid| set.knows(kid)));
        }
    }
    for algorithm in [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512] {
        assert_eq!(set.candidates(None, algorithm).count(), 0, "no secret comes out of a set");
    }
});
