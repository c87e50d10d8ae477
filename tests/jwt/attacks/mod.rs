//! The attacks on JWTs that are known by name, through `RequireToken` and `JwtValidator`. What is
//! refused before its signature was found good has the answer of a wrong signature; none of them
//! asks anybody but an issuer for its keys; after each of them a good token is still good.

mod encodings;
mod headers;
mod issuers;
mod key_sets;
mod payloads;
mod signatures;
