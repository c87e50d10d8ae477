//! The layers of this crate at work, over real connections on loopback: one API and one token
//! first; then five systems, each with an authorization server in the process, from the first
//! token to a token that was destroyed; last a token that is stolen. Each step is printed with what
//! came of it.
//!
//! ```console
//! cargo run --example quickstart
//! ```
//!
//! | file | shows |
//! |---|---|
//! | `first_steps.rs` | the server's layer, the client's layer, and what is refused |
//! | `telephony.rs` | R1 to R3: a user signs in, and again once the token was destroyed |
//! | `log_in_platform.rs` | R4: a user name and a password for a token |
//! | `relatics.rs` | R5: a client with a token of its own, in one layer |
//! | `refetched.rs` | what R4 and R5 share: a token that can be had again |
//! | `stolen.rs` | a token that is bound to a key, in the hands of a thief |
//! | `system.rs`, `report.rs` | the servers on loopback; the printed lines and the table |
#![allow(clippy::print_stdout, reason = "what came of each step is the purpose of this program")]

mod first_steps;
mod log_in_platform;
mod refetched;
mod relatics;
mod report;
mod stolen;
mod system;
mod telephony;

use report::Report;
use std::{error::Error, process::ExitCode};

type BoxError = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    let mut report = Report::new();
    first_steps::run(&mut report).await?;
    telephony::relatel(&mut report).await?;
    telephony::firmafon(&mut report).await?;
    telephony::earlier_firmafon(&mut report).await?;
    log_in_platform::run(&mut report).await?;
    relatics::run(&mut report).await?;
    stolen::run(&mut report).await?;
    report.print_table();
    Ok(report.verdict())
}
