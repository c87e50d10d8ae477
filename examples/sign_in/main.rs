//! Users sign in with a browser, and an API is called in their name:
//! `cargo run --example sign_in`, then open what it prints.
//!
//! | file | shows |
//! |---|---|
//! | `app.rs` | log in, come back, call, log out; a token for each session |
//! | `cookies.rs` | what the browser keeps, sealed where it is secret |
//! | `demo.rs` | an authorization server and an API in the process |
//! | `arguments.rs` | the command line: another authorization server |
#![allow(clippy::print_stdout, reason = "it says where it listens")]

mod app;
mod arguments;
#[path = "../support/causes.rs"]
mod causes;
#[path = "../support/command_line.rs"]
mod command_line;
mod cookies;
mod demo;
#[path = "../support/http_client.rs"]
mod http_client;
#[path = "../support/serve.rs"]
mod serve;

use arguments::Arguments;
use causes::with_causes;
use std::process::ExitCode;
use tower::BoxError;

#[tokio::main]
async fn main() -> ExitCode {
    let parsed = arguments::parse(lexopt::Parser::from_env());
    let arguments = match command_line::asked(parsed, "sign_in", arguments::HELP) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sign_in: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), BoxError> {
    let listener = serve::listen(arguments.listen).await?;
    let redirect_uri = format!("http://{}/callback", listener.local_addr()?);
    // The server of the demonstration lives as long as its handle.
    let (provider, _demo) = match arguments.provider {
        Some(provider) => (provider, None),
        None => {
            let (provider, bound) = demo::start(&redirect_uri).await?;
            (provider, Some(bound))
        }
    };
    let app = app::app(provider, &redirect_uri).await?;
    Ok(serve::serve(listener, app).await?)
}
