//! Whole systems, client and server: five real APIs, HTTP stacks on loopback, and the authorization
//! server for tests.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic is the verdict of a test"
)]

#[path = "../support/calls_api.rs"]
mod calls_api;
#[path = "../support/certificates.rs"]
mod certificates;
#[path = "../support/leaks.rs"]
mod leaks;
#[path = "../support/peers.rs"]
mod peers;
#[path = "../support/raw.rs"]
mod raw;
#[path = "../support/sign_in.rs"]
mod sign_in;
#[path = "../support/system.rs"]
mod system;

mod authorization_server;
mod bound_tokens;
mod health;
mod r1_relatel;
mod r2_firmafon;
mod r3_firmafon_earlier;
mod r4_login_platform;
mod r5_jwt;
mod r5_relatics;
mod stacks;
