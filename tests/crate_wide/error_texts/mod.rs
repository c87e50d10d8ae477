//! What errors say: what was wrong, where, and what to change. A text is part of what a user reads
//! at night, so each is pinned here; `every_text` walks the sources for one that is not.

mod client;
mod discovery;
mod dpop;
mod every_text;
mod fetches;
mod key_sets;
mod keys;
mod server;
mod shared;
mod testing;

use tower_oauth2::{
    ClientAuthentication, Transport, client::TokenEndpoint, testing::AuthorizationServer,
    validate::Jwks,
};

/// What was done, what it said, and what it has to say.
type Row = (&'static str, String, &'static str);

#[track_caller]
fn assert_said(rows: impl IntoIterator<Item = Row>) {
    for (done, said, expected) in rows {
        assert_eq!(said, expected, "{done}");
        assert!(!said.ends_with('.') && !said.is_empty(), "{done}");
    }
}

fn text<T, E: std::fmt::Display>(result: Result<T, E>) -> String {
    result.err().map(|error| error.to_string()).unwrap_or_default()
}

fn basic() -> ClientAuthentication {
    ClientAuthentication::basic("id", "secret")
}

fn endpoint() -> TokenEndpoint {
    TokenEndpoint::new("https://as.example/token", basic(), Transport::https()).unwrap()
}

/// An endpoint of a server that knows no client.
fn endpoint_of(server: &AuthorizationServer) -> TokenEndpoint {
    let transport = Transport::new(server.clone());
    TokenEndpoint::new("https://as.example/token", basic(), transport).unwrap()
}

fn keys() -> Jwks {
    Jwks::from_url("https://as.example/jwks", Transport::https()).unwrap()
}
