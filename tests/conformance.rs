//! Runs cases that are data against the public API: `tests/cases/server.json` and its neighbours in
//! `tests/cases/jwt_more.json`, or the one file that the variable `CONFORMANCE_CASES` names.
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
#[path = "conformance/der.rs"]
mod der;
#[path = "conformance/fixture.rs"]
mod fixture;
#[path = "conformance/issuers.rs"]
mod issuers;
#[path = "conformance/jwt.rs"]
mod jwt;
#[path = "conformance/keys.rs"]
mod keys;
#[path = "conformance/mint.rs"]
mod mint;
#[path = "conformance/observed.rs"]
mod observed;
#[path = "conformance/raw.rs"]
mod raw;
#[path = "conformance/run.rs"]
mod run;
#[path = "conformance/stack.rs"]
mod stack;
#[path = "conformance/text.rs"]
mod text;
#[path = "conformance/values.rs"]
mod values;

use case::Case;
use std::{env, fmt, fs, panic, path::Path, process::ExitCode};

/// The cases, and neighbours of them.
const CASES: &str = "tests/cases/server.json";
const MORE: &str = "tests/cases/jwt_more.json";
/// The cases that are skipped: sender-constrained tokens, whose proofs are not read.
const SKIPPED: &[&str] = &[
    "dpop-002", "dpop-003", "dpop-004", "dpop-006", "dpop-007", "dpop-012", "dpop-013", "dpop-014",
    "mtls-001", "mtls-002",
];

/// No answer of the crate has one, so no case shows that the runner would notice it.
fn notices_a_parameter_that_is_there_twice() {
    let line = br#"Bearer realm="a", error="b", Realm="c", Basic realm="d""#;
    let challenges = challenge::parse(line).unwrap();
    let repeated = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        challenges.iter().any(|one| one.repeated(&names).is_some())
    };
    assert!(repeated(&["scope", "realm"]) && !repeated(&["error", "scope"]));
}

fn main() -> ExitCode {
    // The test runners that list first and run then find no test to list.
    if env::args().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    notices_a_parameter_that_is_there_twice();
    // A panic is told in the line of its case.
    panic::set_hook(Box::new(|_| {}));
    let is_good = match env::var_os("CONFORMANCE_CASES") {
        Some(file) => {
            let counts = run_all(Path::new(&file));
            println!("{counts}");
            counts.failed == 0
        }
        None => {
            let counts = run_all(Path::new(CASES));
            let more = run_all(Path::new(MORE));
            println!("{MORE}: {more}");
            let is_whole = counts.skipped == SKIPPED && more.skipped.is_empty();
            if !is_whole {
                println!("other cases are skipped than {}", SKIPPED.join(", "));
            }
            // Last, what tells of the cases alone.
            println!("{counts}");
            is_whole && counts.failed == 0 && more.failed == 0
        }
    };
    match is_good {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

#[derive(Default)]
struct Counts {
    passed: usize,
    failed: usize,
    /// Their names: they have a member that the runner does not know.
    skipped: Vec<String>,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, failed, skipped } = self;
        write!(f, "{passed} passed, {failed} failed, {} skipped", skipped.len())
    }
}

/// Runs the cases of `file`, and prints a line for each that fails or is skipped.
fn run_all(file: &Path) -> Counts {
    let text = fs::read_to_string(file).expect("the file of cases can be read");
    let cases: Vec<Case> = serde_json::from_str::<Vec<serde_json::Value>>(&text)
        .expect("the file of cases is an array")
        .into_iter()
        .map(Case::new)
        .collect();
    let mut counts = Counts::default();
    for case in cases.iter().filter(|case| case.is_for_the_runner()) {
        let unknown = case.unknown_members();
        if !unknown.is_empty() {
            counts.skipped.push(case.id().to_owned());
            println!("{}: skipped: {}", case.id(), unknown.join(", "));
            continue;
        }
        let wrong = panic::catch_unwind(|| compare::mismatches(case, &cases));
        let wrong = wrong.unwrap_or_else(|panicked| vec![told(&*panicked)]);
        if wrong.is_empty() {
            counts.passed += 1;
        } else {
            counts.failed += 1;
            println!("{}: {}", case.id(), wrong.join("; "));
        }
    }
    counts
}

/// A panic as a mismatch.
fn told(panicked: &(dyn std::any::Any + Send)) -> String {
    let text = panicked.downcast_ref::<String>().map(String::as_str);
    let text = text.or(panicked.downcast_ref::<&str>().copied()).unwrap_or("without a message");
    format!("expected an answer, got a panic: {}", text.replace(['\r', '\n'], " "))
}
