//! The attacks on JWTs that are known by name, through `RequireToken` and `JwtValidator`. What is
//! refused before its signature was found good has the answer of a wrong signature; none of them
//! asks anybody but an issuer for its keys; after each of them a good token is still good.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is the verdict of a test")]
#![allow(clippy::indexing_slicing, reason = "as above")]

#[path = "attacks/api.rs"]
mod api;
#[path = "conformance/der.rs"]
mod der;
#[path = "attacks/encodings.rs"]
mod encodings;
#[path = "attacks/headers.rs"]
mod headers;
#[path = "attacks/issuers.rs"]
mod issuers;
#[path = "attacks/key_sets.rs"]
mod key_sets;
#[path = "conformance/keys.rs"]
mod keys;
#[path = "attacks/payloads.rs"]
mod payloads;
#[allow(dead_code, reason = "the runner of the cases uses the rest")]
#[path = "conformance/raw.rs"]
mod raw;
#[path = "attacks/signatures.rs"]
mod signatures;
