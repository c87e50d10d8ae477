//! Instructions a request, counted by callgrind: the same on a busy machine as on an idle one.
//!
//! `cargo bench --bench instructions` prints them and compares them with `instructions.txt`
//! beside this file; `-- --write` writes that file. It fails where one of this crate's own is a fifth
//! above what is kept, as an allocation or a text too many is: the same sources in another directory
//! are compiled to up to a seventh more or less. What tokio's `test-util`, a dev-dependency, adds to a
//! read of a clock is left out: no program has it. What verifies or decodes a token is mostly the
//! libraries', which have other instructions for another processor. It needs valgrind.
#![allow(missing_docs, reason = "a bench is no library")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints its table")]
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a bench may fail"
)]

/// Without the allocator that counts, whose instructions would be counted too.
#[allow(
    clippy::indexing_slicing,
    dead_code,
    unreachable_pub,
    reason = "this bench uses a part of it, and may fail"
)]
mod support {
    mod answer;
    pub mod client;
    pub mod jwt;
    pub mod server;

    pub use answer::{answer, target};
}

use http::{Request, StatusCode};
use std::{
    collections::BTreeMap,
    env, fs,
    hint::black_box,
    mem,
    process::{self, Command, ExitCode},
};
use support::{answer, client, jwt::Subject, server, target};
use tower::{Layer, Service};
use tower_http::auth::AddAuthorizationLayer;
use tower_oauth2::{
    client::AddBearer,
    server::RequireToken,
    validate::{Principal, StaticTokens, ValidateToken},
};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.txt");
/// How far a count that is called the same may be from the file's, as a part of it.
const TOLERANCE: f64 = 0.03;
/// How far above it is a failure.
const TOO_MUCH: f64 = 0.2;
const CALLS: u64 = 1_000;
/// What a call of the allocator counts as, in instructions.
const ALLOCATOR_CALL: f64 = 50.0;

/// The cases, each after the bare service that it is compared with.
const CASES: &[(&str, &str)] = &[
    ("client/tower_http", "client/bare"),
    ("add_bearer/static", "client/bare"),
    ("client_credentials/recovery_off", "client/bare"),
    ("client_credentials/recovery_on", "client/bare"),
    ("require_token/static", "server/bare"),
    ("require_token/none", "server/bare_none"),
    ("require_token/malformed", "server/bare"),
    ("require_token/unknown", "server/bare"),
    ("jwt/RS256/first_sight", "server/bare"),
    ("jwt/RS256/seen_before", "server/bare"),
    ("jwt/RS256/expired", "server/bare"),
    ("jwt/RS256/bad_signature", "server/bare"),
    ("jwt/ES256/first_sight", "server/bare"),
    ("jwt/ES256/seen_before", "server/bare"),
    ("jwt/EdDSA/first_sight", "server/bare"),
    ("jwt/EdDSA/seen_before", "server/bare"),
    ("jwt/HS256/first_sight", "server/bare"),
    ("jwt/HS256/seen_before", "server/bare"),
];

fn main() -> ExitCode {
    let args: Vec<_> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => compare(count_all()),
        ["--write"] => {
            let lines: String =
                count_all().iter().map(|(case, count)| format!("{case} {count:.0}\n")).collect();
            fs::write(FILE, lines).expect("the file can be written");
            ExitCode::SUCCESS
        }
        [case, calls] => {
            call(case, calls.parse().expect("a number of calls"));
            ExitCode::SUCCESS
        }
        _ => ExitCode::FAILURE,
    }
}

/// What each layer adds to its bare service, in instructions a call.
fn count_all() -> BTreeMap<&'static str, f64> {
    CASES.iter().map(|(case, bare)| (*case, added(case, bare))).collect()
}

fn added(case: &str, bare: &str) -> f64 {
    count(case) - count(bare)
}

fn compared(count: f64, kept: f64) -> &'static str {
    match (count - kept) / kept {
        other if other.abs() <= TOLERANCE => "same",
        more if more > TOO_MUCH => "TOO MUCH",
        more if more > 0.0 => "more",
        _ => "less",
    }
}

/// Whether the count is there to be kept: not a peer's, nor one that a library decides.
fn is_kept(case: &str) -> bool {
    let others = ["tower_http", "first_sight", "expired", "bad_signature"];
    !others.iter().any(|other| case.ends_with(other))
}

/// The instructions of one call: those of twice as many calls less those of as many.
fn count(case: &str) -> f64 {
    (total(case, 2 * CALLS) - total(case, CALLS)) / CALLS as f64
}

fn total(case: &str, calls: u64) -> f64 {
    let profile = env::temp_dir().join(format!("instructions.{}", process::id()));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--compress-strings=no", "--compress-pos=no"])
        // The calls alone: to make a key takes another time each time.
        .arg("--toggle-collect=instructions::repeat*")
        .arg("--toggle-collect=tower_oauth2::vocabulary::pausable::moved*")
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(env::current_exe().expect("this program's path"))
        .args([case, &calls.to_string()])
        .output()
        .expect("valgrind is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = fs::read_to_string(&profile).expect("callgrind wrote its profile");
    fs::remove_file(profile).expect("the profile can be removed");
    sum(&text)
}

/// Adds up the instructions of a profile. A call of the allocator counts as [`ALLOCATOR_CALL`]: how
/// long it looks for room depends on what was freed before, and differs from one build to the next.
fn sum(profile: &str) -> f64 {
    let (mut total, mut in_allocator, mut in_test_clock, mut is_call) = (0.0, false, false, false);
    let mut callee = "";
    for line in profile.lines() {
        if let Some(function) = line.strip_prefix("fn=") {
            in_allocator = is_of_allocator(function);
            in_test_clock = function.starts_with("tokio::time::");
        } else if let Some(function) = line.strip_prefix("cfn=") {
            callee = function;
        } else if let Some(calls) = line.strip_prefix("calls=") {
            let calls = calls.split(' ').next().expect("a number of calls");
            let calls: f64 = calls.parse().expect("a number of calls");
            let enters = !in_allocator && is_of_allocator(callee);
            total += if enters { calls * ALLOCATOR_CALL } else { 0.0 };
            is_call = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit()) {
            // The line after `calls=` is what the called function took.
            let cost = line.split(' ').nth(1).expect("a cost");
            let cost: f64 = cost.parse().expect("a cost");
            let is_counted = !in_allocator && !in_test_clock && !mem::take(&mut is_call);
            total += if is_counted { cost } else { 0.0 };
            is_call = false;
        }
    }
    total
}

fn is_of_allocator(function: &str) -> bool {
    let names = ["malloc", "_int_malloc", "free", "_int_free", "realloc", "_int_realloc", "calloc"];
    let rest =
        ["unlink_chunk", "malloc_consolidate", "sysmalloc", "systrim", "tcache_", "_int_free_"];
    let function = function.split('\'').next().unwrap_or_default();
    names.contains(&function) || rest.iter().any(|start| function.starts_with(start))
}

fn compare(mut counts: BTreeMap<&str, f64>) -> ExitCode {
    let kept = fs::read_to_string(FILE).unwrap_or_default();
    let kept: BTreeMap<_, f64> = kept
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(case, count)| Some((case, count.parse().ok()?)))
        .collect();
    // Keys are new in each process, and what a verification frees decides how long malloc looks for
    // room: what differs is counted once more.
    for (case, bare) in CASES {
        if compared(counts[case], kept.get(case).copied().unwrap_or_default()) != "same" {
            counts.insert(case, added(case, bare));
        }
    }
    println!("| case | Δ instructions a call | kept | |\n|---|---|---|---|");
    let mut good = true;
    for (case, count) in &counts {
        let kept = kept.get(case).copied().unwrap_or_default();
        let verdict = compared(*count, kept);
        good &= verdict != "TOO MUCH" || !is_kept(case);
        println!("| {case} | {count:.0} | {kept:.0} | {verdict} |");
    }
    println!();
    for (case, limit) in [("add_bearer/static", 1.01), ("client_credentials/recovery_off", 1.12)] {
        let ratio = counts[case] / counts["client/tower_http"];
        target(&format!("{case}, instructions as a ratio to tower-http"), ratio, limit);
    }
    for (algorithm, limit) in
        [("RS256", 3300.0), ("ES256", 2500.0), ("EdDSA", 2500.0), ("HS256", 2500.0)]
    {
        let case = format!("jwt/{algorithm}/seen_before");
        target(&format!("{case}, instructions"), counts[case.as_str()], limit);
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn call(case: &str, calls: u64) {
    if let Some(case) = case.strip_prefix("jwt/") {
        return call_jwt(case, calls);
    }
    let token = client::token();
    let good = server::bearer(&token);
    let (malformed, unknown) = (server::bearer("two words"), server::bearer("unknown"));
    let tokens = StaticTokens::new();
    tokens.insert(&token, Principal::new("alice")).unwrap();
    let require = RequireToken::new("api", tokens).unwrap();
    let add = AddBearer::bearer(token.as_str(), client::ORIGIN).unwrap();
    let theirs = AddAuthorizationLayer::bearer(&token);
    match case {
        "client/bare" => repeat(client::Inner, client::request, calls),
        "client/tower_http" => repeat(theirs.layer(client::Inner), client::request, calls),
        "add_bearer/static" => repeat(add.layer(client::Inner), client::request, calls),
        "client_credentials/recovery_off" => {
            let layer = client::warm().without_recovery();
            repeat(layer.layer(client::Inner), client::request, calls);
        }
        "client_credentials/recovery_on" => {
            repeat(client::warm().layer(client::Inner), client::request, calls);
        }
        "server/bare" => repeat(server::Inner, || server::request(Some(&good)), calls),
        "server/bare_none" => repeat(server::Inner, || server::request(None), calls),
        "require_token/static" => {
            repeat(require.layer(server::Inner), || server::request(Some(&good)), calls);
        }
        "require_token/none" => {
            repeat(require.layer(server::Inner), || server::request(None), calls);
        }
        "require_token/malformed" => {
            repeat(require.layer(server::Inner), || server::request(Some(&malformed)), calls);
        }
        "require_token/unknown" => {
            repeat(require.layer(server::Inner), || server::request(Some(&unknown)), calls);
        }
        _ => panic!("no such case"),
    }
}

fn call_jwt(case: &str, calls: u64) {
    let (algorithm, what) = case.split_once('/').expect("an algorithm and a case");
    let subject = Subject::new(algorithm.parse().unwrap());
    let token = match what {
        "expired" => &subject.expired,
        "bad_signature" => &subject.forged,
        _ => &subject.good,
    };
    let request = || server::request(Some(token));
    match what {
        "seen_before" => warm(subject.cached(), &subject, request, calls),
        _ => warm(subject.validator(), &subject, request, calls),
    }
}

/// After a good token: to verify it takes another time with each key, and its header is known.
fn warm<V: ValidateToken>(
    validator: V,
    subject: &Subject,
    request: impl Fn() -> Request<()>,
    calls: u64,
) {
    let require = RequireToken::new("api", validator).unwrap();
    let mut service = require.layer(server::Inner);
    let response = answer(&mut service, server::request(Some(&subject.good)));
    assert_eq!(response.status(), StatusCode::OK);
    repeat(service, request, calls);
}

#[inline(never)]
fn repeat<S, Q>(mut service: S, request: impl Fn() -> Q, calls: u64)
where
    S: Service<Q>,
    S::Error: std::fmt::Debug,
{
    for _ in 0..calls {
        black_box(answer(&mut service, request()));
    }
}
