//! The same requests through this crate and through the crates that do the same work, their cases
//! interleaved in one process.
//!
//! - `cargo run --release -p peers` prints a table of what each layer adds to a request and the
//!   targets, and fails when one is missed; with `-- --print-only` it never does.
//! - `cargo run --release -p peers -- end-to-end` counts requests a second over loopback.
//! - `cargo run --release -p peers -- scale` measures what grows with the number of tokens, callers
//!   and users.
//!
//! Each puts its targets into `docs/performance.md`, the last its tables too.
#![allow(missing_docs, reason = "a bench is no library")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints its tables")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "it may fail"
)]

mod client;
mod document;
mod dpop;
mod end_to_end;
mod plot;
mod scale;
mod server;
#[path = "../../support/mod.rs"]
mod support;
mod table;
mod targets;

use std::{env, process::ExitCode};
use targets::Targets;

fn main() -> ExitCode {
    let args: Vec<_> = env::args().skip(1).collect();
    let (options, commands): (Vec<_>, Vec<_>) =
        args.iter().map(String::as_str).partition(|arg| arg.starts_with("--"));
    if options.iter().any(|option| *option != "--print-only") {
        eprintln!("the only option is --print-only");
        return ExitCode::FAILURE;
    }
    // The peers that start tasks start them here.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let entered = runtime.enter();
    let mut targets = Targets::default();
    let section = match commands[..] {
        [] => {
            client::measure(&runtime, &mut targets);
            server::measure(&runtime, &mut targets);
            dpop::measure(&runtime, &mut targets);
            targets.instructions();
            "peers"
        }
        ["end-to-end"] => {
            end_to_end::measure(&runtime, &mut targets);
            "end-to-end"
        }
        ["scale"] => {
            scale::measure(&mut targets);
            "scale-targets"
        }
        _ => {
            eprintln!("no such command");
            return ExitCode::FAILURE;
        }
    };
    drop(entered);
    let met = targets.report(section);
    if met || options.contains(&"--print-only") { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
