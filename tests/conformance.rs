//! Runs cases that are data against the public API: `tests/cases/server.json`, or the file that
//! the variable `CONFORMANCE_CASES` names.
//!
//! One line a failed case, one line a skipped case, and last the counts. A case is skipped only
//! where its `config` or `expect` holds a member that is not known here.
#![allow(clippy::print_stdout, reason = "what it prints is the verdict")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a panic is the verdict of a case")]
#![allow(clippy::indexing_slicing, reason = "an absent JSON member reads as null")]

#[path = "conformance/case.rs"]
mod case;
#[path = "conformance/challenge.rs"]
mod challenge;
#[path = "conformance/compare.rs"]
mod compare;
#[path = "conformance/config.rs"]
mod config;
#[path = "conformance/fixture.rs"]
mod fixture;
#[path = "conformance/observed.rs"]
mod observed;
#[path = "conformance/run.rs"]
mod run;
#[path = "conformance/stack.rs"]
mod stack;
#[path = "conformance/text.rs"]
mod text;
#[path = "conformance/values.rs"]
mod values;

use case::Case;
use std::{env, fs, panic, process::ExitCode};

fn main() -> ExitCode {
    // The test runners that list first and run then find no test to list.
    if env::args().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    let file = env::var_os("CONFORMANCE_CASES").unwrap_or("tests/cases/server.json".into());
    let text = fs::read_to_string(&file).expect("the file of cases can be read");
    let cases: Vec<Case> = serde_json::from_str::<Vec<serde_json::Value>>(&text)
        .expect("the file of cases is an array")
        .into_iter()
        .map(Case::new)
        .collect();
    // A panic is told in the line of its case.
    panic::set_hook(Box::new(|_| {}));
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for case in cases.iter().filter(|case| case.is_for_the_runner()) {
        let unknown = case.unknown_members();
        if !unknown.is_empty() {
            skipped += 1;
            println!("{}: skipped: {}", case.id(), unknown.join(", "));
            continue;
        }
        let wrong = panic::catch_unwind(|| compare::mismatches(case, &cases));
        let wrong = wrong.unwrap_or_else(|panicked| vec![told(&*panicked)]);
        if wrong.is_empty() {
            passed += 1;
        } else {
            failed += 1;
            println!("{}: {}", case.id(), wrong.join("; "));
        }
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A panic as a mismatch.
fn told(panicked: &(dyn std::any::Any + Send)) -> String {
    let text = panicked.downcast_ref::<String>().map(String::as_str);
    let text = text.or(panicked.downcast_ref::<&str>().copied()).unwrap_or("without a message");
    format!("expected an answer, got a panic: {}", text.replace(['\r', '\n'], " "))
}
