//! A token in JWS: its parts, its header, its claims as JSON, and its signature under a key of
//! each type, of which it has none.
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
use jose::{Compact, Header, SigningKey, VerifyingKey, base64url};
use libfuzzer_sys::fuzz_target;
use scope::{Scope, ScopeSet};
use secret::ClientSecret;
use std::sync::LazyLock;

/// The keys of RFC 7515 A.3 and RFC 8037 A.1, and one that nobody has the other half of.
static KEYS: LazyLock<Vec<VerifyingKey>> = LazyLock::new(|| {
    let rsa = format!(r#"{{"kty":"RSA","n":"{}","e":"AQAB"}}"#, base64url::encode(&[0xab; 256]));
    let jwks = [
        r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        &rsa,
    ];
    jwks.map(|jwk| VerifyingKey::from_jwk(jwk.as_bytes()).expect("a key")).into()
});

fuzz_target!(|input: &str| {
    let _ = SigningKey::from_jwk(input);
    let Some(token) = Compact::parse(input) else { return };
    assert_eq!(format!("{}.{}", token.signing_input, token.signature), input);
    assert_eq!(format!("{}.{}", token.header, token.payload), token.signing_input);
    // A part that is no base64url is taken as it is, so that the readers get something to read.
    let [header, payload, signature] = [token.header, token.payload, token.signature].map(|part| {
        let bytes = base64url::decode(part);
        if let Some(bytes) = &bytes {
            assert_eq!(base64url::encode(bytes), part, "there is one spelling");
        }
        bytes.unwrap_or_else(|| part.into())
    });
    let _ = members::read(&payload, &mut members::Nothing);
    let Some(header) = Header::parse(&header) else { return };
    let Some(algorithm) = header.algorithm else { return };
    for key in KEYS.iter() {
        let verifies = key.verify(algorithm, token.signing_input.as_bytes(), &signature);
        assert!(!verifies, "nobody signed it");
    }
});
