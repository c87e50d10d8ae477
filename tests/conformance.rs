//! Runs cases that are data against the public API: `tests/cases/server.json` and its neighbours in
//! `tests/cases/jwt_more.json` and `dpop_more.json`, or the one file that the variable
//! `CONFORMANCE_CASES` names. Those of bound tokens are run once more over remembered verdicts.
//!
//! One line a failed case, one line a skipped case, and last the counts. A case is skipped only
//! where its `config` or `expect` holds a member that is not known here.
#![allow(clippy::print_stdout, reason = "what it prints is the verdict")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a panic is the verdict of a case")]
#![allow(clippy::indexing_slicing, reason = "an absent JSON member reads as null")]

#[path = "conformance/bound.rs"]
mod bound;
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
const MORE: [&str; 2] = ["tests/cases/jwt_more.json", "tests/cases/dpop_more.json"];

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
            counts.failed == 0 && counts.failed_again == 0
        }
        None => {
            let counts = run_all(Path::new(CASES));
            let mut is_good = counts.is_good();
            for more in MORE {
                let counts = run_all(Path::new(more));
                println!("{more}: {counts}");
                is_good &= counts.is_good();
            }
            // Last, what tells of the cases alone.
            println!("{counts}");
            is_good
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
    /// They have a member that the runner does not know.
    skipped: usize,
    /// They fail over remembered verdicts.
    failed_again: usize,
}

impl Counts {
    fn is_good(&self) -> bool {
        (self.failed, self.skipped, self.failed_again) == (0, 0, 0)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, failed, skipped, .. } = self;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
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
            counts.skipped += 1;
            println!("{}: skipped: {}", case.id(), unknown.join(", "));
            continue;
        }
        match passes(case, &cases) {
            true => counts.passed += 1,
            false => counts.failed += 1,
        }
        if case.is_about_bound_tokens() && !passes(&case.over_the_cache(), &cases) {
            counts.failed_again += 1;
        }
    }
    counts
}

/// Whether `case` passes. Prints what is wrong if not.
fn passes(case: &Case, cases: &[Case]) -> bool {
    let wrong = panic::catch_unwind(|| compare::mismatches(case, cases));
    let wrong = wrong.unwrap_or_else(|panicked| vec![told(&*panicked)]);
    if !wrong.is_empty() {
        println!("{}: {}", case.id(), wrong.join("; "));
    }
    wrong.is_empty()
}

/// A panic as a mismatch.
fn told(panicked: &(dyn std::any::Any + Send)) -> String {
    let text = panicked.downcast_ref::<String>().map(String::as_str);
    let text = text.or(panicked.downcast_ref::<&str>().copied()).unwrap_or("without a message");
    format!("expected an answer, got a panic: {}", text.replace(['\r', '\n'], " "))
}
