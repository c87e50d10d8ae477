//! Against authorization servers that others wrote, which `tests/interop/run` starts: what their
//! clients, users and keys are is said at the head of each server's script.
//!
//! No test waits for a token to expire: the cache's clock is moved.
#![allow(clippy::unwrap_used, reason = "a panic is the verdict of a test")]

#[path = "interop/assertions.rs"]
mod assertions;
#[path = "interop/browser.rs"]
mod browser;
#[path = "interop/client_credentials.rs"]
mod client_credentials;
#[path = "interop/device.rs"]
mod device;
#[path = "interop/discovery.rs"]
mod discovery;
#[path = "interop/dpop.rs"]
mod dpop;
#[path = "interop/exchange.rs"]
mod exchange;
#[path = "interop/introspection.rs"]
mod introspection;
#[path = "interop/jwts.rs"]
mod jwts;
#[path = "interop/mtls.rs"]
mod mtls;
#[path = "interop/passwords.rs"]
mod passwords;
#[path = "interop/peers.rs"]
mod peers;
#[path = "interop/proxy.rs"]
mod proxy;
#[path = "support/raw.rs"]
mod raw;
#[path = "interop/resource.rs"]
mod resource;
#[path = "interop/sign_in.rs"]
mod sign_in;
#[path = "support/system.rs"]
mod system;
