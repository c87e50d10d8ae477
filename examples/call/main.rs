//! A caller that gets its own token, for any authorization server and API:
//! `cargo run --example call -- --help`.
//!
//! | file | shows |
//! |---|---|
//! | `client.rs` | the layer over hyper; the grants and ways to authenticate of `--help` |
//! | `calls.rs` | calls with it, and what came of them |
//! | `arguments.rs` | the command line |
#![allow(clippy::print_stdout, reason = "it prints what the API answered")]

mod arguments;
mod calls;
#[path = "../support/causes.rs"]
mod causes;
mod client;
#[path = "../support/command_line.rs"]
mod command_line;
#[path = "../support/http_client.rs"]
mod http_client;

use arguments::Arguments;
use causes::with_causes;
use std::process::ExitCode;
use tower::BoxError;

#[tokio::main]
async fn main() -> ExitCode {
    let parsed = arguments::parse(lexopt::Parser::from_env());
    let arguments = match command_line::asked(parsed, "call", arguments::HELP) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    match run(&arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("call: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

/// Whether all went well.
async fn run(arguments: &Arguments) -> Result<bool, BoxError> {
    let (client, cache) = client::client(arguments).await?;
    let tally = calls::call_all(&client, arguments).await?;
    let (calls, retries) = (tally.calls(), tally.retries);
    eprintln!("calls {calls}, token requests {}, retries {retries}", cache.status().fetches());
    Ok(tally.all_succeeded())
}
