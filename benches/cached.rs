//! What a hit of `Cached` costs, and what a flood of bad tokens does to the good ones.
//!
//! `cargo bench --bench cached`
#![allow(missing_docs, reason = "a bench is no library")]
#![allow(clippy::print_stdout, reason = "a bench prints its table")]
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a bench may fail")]

mod support;

use std::{
    fs,
    hash::{BuildHasher, RandomState},
    hint::black_box,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};
use support::{
    Case, answer,
    judge::{Judge, Judged},
    run, target,
};
use tower_oauth2::validate::{Cached, Verdict};

/// A token of 800 bytes, its signature that of ES256.
fn signed(number: usize) -> String {
    let random = RandomState::new();
    let signature: String = (0..6).map(|part| format!("{:016x}", random.hash_one(part))).collect();
    format!("good-{number:08}.{}.{}", "x".repeat(699), &signature[..86])
}

/// A token of 43 bytes, unguessable and unknown.
fn random(numbers: &RandomState, number: usize) -> String {
    let half = |of: u8| numbers.hash_one((of, number));
    format!("{:016x}{:016x}{:011x}", half(0), half(1), half(2) >> 20)
}

/// A cache that holds `tokens`.
fn filled(tokens: &[String]) -> Judged<Cached<Judge>> {
    let cache = Cached::new(Judge::new()).with_ttl(Duration::from_secs(3600));
    let cache = cache.with_capacity(tokens.len() * 5 / 4);
    let mut judged = Judged(cache);
    assert!(tokens.iter().all(|token| answer(&mut judged, token.as_str()).is_ok()));
    judged
}

fn hits() {
    let tokens: Vec<String> = (0..100_000).map(signed).collect();
    let opaque = random(&RandomState::new(), 0);
    let opaque = [format!("good{}", &opaque[4..])];
    let (few, many) = (&tokens[..1_000], &tokens[..]);
    // Each in turn, at a stride that leaves no pattern to guess.
    let walk = |tokens: &'static [String]| {
        let next = AtomicUsize::new(0);
        move || tokens[next.fetch_add(7_919, Relaxed) % tokens.len()].as_str()
    };
    let few: &'static [String] = few.to_vec().leak();
    let many: &'static [String] = many.to_vec().leak();
    let opaque: &'static [String] = opaque.to_vec().leak();
    let is_good = |verdict: &Verdict<()>| verdict.is_ok();
    let rows = run(
        "cached, the validator alone",
        vec![
            Case::new("bare validator, 1e3 tokens", Judged(Judge::new()), walk(few), is_good),
            Case::new("cached/signed, 1e3 tokens", filled(few), walk(few), is_good),
            Case::new("bare validator, 1e5 tokens", Judged(Judge::new()), walk(many), is_good),
            Case::new("cached/signed, 1e5 tokens", filled(many), walk(many), is_good),
            Case::new("bare validator, opaque", Judged(Judge::new()), walk(opaque), is_good),
            Case::new("cached/opaque", filled(opaque), walk(opaque), is_good),
        ],
    );
    println!();
    let added = |row: usize| rows[row].median - rows[row - 1].median;
    target("ns of a hit on a token of 800 bytes, 1e3 of them", added(1), 150.0);
    target("allocations of a hit", rows[1].allocations + rows[3].allocations, 0.0);
}

/// The resident memory of this process, in MiB.
fn resident() -> f64 {
    let pages = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = pages.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0.0);
    pages * 4096.0 / 1024.0 / 1024.0
}

/// A round of `good` through `cache`: the share of it that was not asked for again.
fn hit_rate(cache: &mut Judged<Cached<Judge>>, good: &[String]) -> f64 {
    let asked = cache.0.get_ref().asked.load(Relaxed);
    assert!(good.iter().all(|token| answer(cache, token.as_str()).is_ok()));
    let missed = cache.0.get_ref().asked.load(Relaxed) - asked;
    1.0 - missed as f64 / good.len() as f64
}

/// 1,000,000 tokens that nobody knows, and after every 10,000 of them the good ones once.
fn flood() {
    const BAD: usize = 1_000_000;
    let good: Vec<String> = (0..8_000).map(signed).collect();
    let mut cache = Judged(Cached::new(Judge::new()).with_ttl(Duration::from_secs(3600)));
    hit_rate(&mut cache, &good);
    let numbers = RandomState::new();
    println!("\n| random tokens | hit rate of 8,000 good ones | kept good | resident, MiB |");
    println!("|---|---|---|---|");
    let (before, filled) = (hit_rate(&mut cache, &good), resident());
    println!("| 0 | {before:.4} | {} | {filled:.1} |", cache.0.len());
    let mut during: f64 = 1.0;
    for number in 0..BAD {
        assert!(black_box(answer(&mut cache, random(&numbers, number).as_str())).is_err());
        if number % 10_000 == 0 {
            during = during.min(hit_rate(&mut cache, &good));
        }
        if number == BAD / 10 {
            println!("| {number} | {during:.4} | {} | {:.1} |", cache.0.len(), resident());
        }
    }
    let (after, flooded) = (hit_rate(&mut cache, &good), resident());
    println!("| {BAD} | {after:.4}, at least {during:.4} | {} | {flooded:.1} |", cache.0.len());
    println!("\n{:?}\n", cache.0);
    target("misses among the good ones", 1.0 - during.min(after), 1.0 - before);
    target("MiB that the flood took", flooded - filled, 2.0);
}

fn main() {
    // First, while there is no other memory to be had.
    flood();
    // With a runtime a refusal takes a place among those under way, too.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let entered = runtime.enter();
    flood();
    drop(entered);
    hits();
}
