//! Tokens of a client: the endpoint that they come from, the cache that keeps and renews them, and
//! the sign-in of a user.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic is the verdict of a test"
)]

#[path = "../support/certificates.rs"]
mod certificates;
#[path = "../support/counting_server.rs"]
mod counting_server;
#[path = "../support/engine.rs"]
mod engine;
#[path = "../support/leaks.rs"]
mod leaks;
#[path = "../support/scripted_endpoint.rs"]
mod scripted_endpoint;
#[path = "../support/session_cases.rs"]
mod session_cases;
#[path = "../support/store_cases.rs"]
mod store_cases;

mod client_authentication;
mod closures;
mod company_network;
mod crashes;
mod device;
mod discovery;
mod dpop;
mod freshness;
mod grants;
mod life_cycle;
mod mtls;
mod odd_answers;
mod outage;
mod paused_time;
mod pauses;
mod pool;
mod recipes;
mod refresh_race;
mod rotation;
mod schedules;
mod sessions;
mod sign_in;
mod store;
mod store_faults;
mod store_rejections;
mod suspect;
mod token_errors;
mod token_response;
mod workloads;
