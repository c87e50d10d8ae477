//! An authorization server on loopback, to try `protect` and `call` with:
//! `cargo run --example authorization_server -- --help`. It is the one of the crate's `testing`.
//!
//! | file | shows |
//! |---|---|
//! | `main.rs` | clients, a user, JWTs and assertions of `testing::AuthorizationServer` |
//! | `arguments.rs` | the command line |
//! | `signer.jwk` | the key of the client `signer` |
#![allow(clippy::print_stdout, reason = "it says where it listens")]

mod arguments;
#[path = "../support/causes.rs"]
mod causes;
#[path = "../support/command_line.rs"]
mod command_line;
#[path = "../support/serve.rs"]
mod serve;

use arguments::Arguments;
use axum::{body::Body, extract::Request};
use causes::with_causes;
use serde_json::json;
use serve::{listen, serve};
use std::{process::ExitCode, time::SystemTime};
use tower::{BoxError, ServiceExt, service_fn};
use tower_oauth2::{
    Algorithm, SigningKey,
    testing::{AuthorizationServer, JwtFormat, Quirk, RegisteredClient},
};

const SECRET: &str = "app-secret-that-everybody-can-see";
const SIGNER: &str = include_str!("signer.jwk");
/// Whose assertions about users are believed; nobody is there.
const OTHER_ISSUER: &str = "https://other.example";

#[tokio::main]
async fn main() -> ExitCode {
    let parsed = arguments::parse(lexopt::Parser::from_env());
    let arguments = match command_line::asked(parsed, "authorization_server", arguments::HELP) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("authorization_server: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), BoxError> {
    let listener = listen(arguments.listen).await?;
    let issuer = format!("http://{}", listener.local_addr()?);
    let server = server(arguments, &issuer)?;
    let service = service_fn(move |request: Request| {
        let server = server.clone();
        async move {
            // The query may hold a secret.
            let asked = format!("{} {}", request.method(), request.uri().path());
            let response = server.oneshot(request).await?;
            eprintln!("{asked} {}", response.status().as_u16());
            Ok(response.map(Body::new))
        }
    });
    tell(arguments, &issuer);
    Ok(serve(listener, service).await?)
}

fn server(arguments: &Arguments, issuer: &str) -> Result<AuthorizationServer, BoxError> {
    let server = AuthorizationServer::new();
    server.set_issuer(issuer);
    server.set_access_token_lifetime(Some(arguments.lifetime));
    let signer = SigningKey::from_jwk(SIGNER)?;
    let public = signer.public_jwk().ok_or("the key has no public half")?;
    server.register_client(RegisteredClient::confidential("app", SECRET));
    server.register_client(RegisteredClient::private_key_jwt("signer", &public)?);
    server.register_user("alice", "wonderland", "read write".parse()?);
    if let Some(audience) = &arguments.audience {
        let key = SigningKey::generate(Algorithm::Es256)?.with_key_id("first");
        server.issue_jwts(JwtFormat::rfc9068(issuer, [audience.as_str()]), key);
        server.set_introspection_member("aud", &json!(audience).to_string())?;
    }
    if arguments.dpop {
        server.enable(Quirk::DpopRequired);
        server.enable(Quirk::DpopNonces);
    }
    if let Some(file) = &arguments.assertion {
        let key = SigningKey::generate(Algorithm::Es256)?;
        server.trust_issuer(OTHER_ISSUER, &key.public_jwk().ok_or("no public half")?)?;
        std::fs::write(file, assertion(key, issuer)?)?;
    }
    Ok(server)
}

/// What the other issuer says of alice.
fn assertion(key: SigningKey, audience: &str) -> Result<String, BoxError> {
    let other = AuthorizationServer::new();
    other.rotate_key(key);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let claims = json!({
        "iss": OTHER_ISSUER, "aud": audience, "sub": "alice", "jti": "1",
        "iat": now, "exp": now + 600,
    });
    Ok(other.mint("JWT", &claims.to_string())?)
}

/// How the others are started with it.
fn tell(arguments: &Arguments, issuer: &str) {
    let judges = match &arguments.audience {
        Some(audience) => format!("--issuer {issuer} --audience {audience}"),
        None => {
            format!("--introspect {issuer}/introspect --client-id app --client-secret {SECRET}")
        }
    };
    let [reads, proves] = match arguments.dpop {
        true => [" --dpop http://127.0.0.1:8080", " --dpop"],
        false => ["", ""],
    };
    eprintln!(
        "an API that takes its tokens, and a call of it:\n  \
         cargo run --example protect -- --listen 127.0.0.1:8080 {judges}{reads}\n  \
         cargo run --example call -- --token-url {issuer}/token --client-id app \
         --client-secret {SECRET}{proves} http://127.0.0.1:8080/"
    );
}
