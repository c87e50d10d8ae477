//! The attacks on JWTs that are known by name, through `RequireToken` and `JwtValidator`.
//!
//! 1. A token that is refused before its signature is verified gets the answer of a wrong signature.
//! 2. Only an issuer is asked for its keys.
//! 3. A good token is accepted after each attack.

mod encodings;
mod headers;
mod issuers;
mod key_sets;
mod payloads;
mod settings;
mod signatures;
