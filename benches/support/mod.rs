//! Measures cases side by side in one run: their rounds are interleaved, so that a machine which
//! slows down slows all of them, and only ratios are meant to be compared.
#![allow(clippy::print_stdout, reason = "a bench prints its table")]
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a bench may fail"
)]
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each bench uses a part of it")]

mod answer;
pub mod client;
pub mod jwt;
pub mod server;

pub use answer::{answer, target};
use std::{hint::black_box, time::Instant};
use tower::Service;

const ROUNDS: usize = 41;
const BATCH: u32 = 20_000;

/// One row of the table.
pub struct Case<'a> {
    name: &'static str,
    operation: Box<dyn FnMut() + 'a>,
    future_size: usize,
}

impl<'a> Case<'a> {
    /// Sends what `request` makes through `service`, and has `check` judge every answer.
    pub fn new<S, Q>(
        name: &'static str,
        mut service: S,
        request: impl Fn() -> Q + 'a,
        check: impl Fn(&S::Response) -> bool + 'a,
    ) -> Self
    where
        S: Service<Q> + 'a,
        S::Error: std::fmt::Debug,
    {
        let future_size = size_of::<S::Future>();
        let operation = Box::new(move || {
            let response = black_box(answer(&mut service, request()));
            assert!(check(&response), "{name}: another answer than expected");
        });
        Self { name, operation, future_size }
    }
}

/// What was measured of one case.
pub struct Row {
    pub name: &'static str,
    pub median: f64,
    pub min: f64,
    pub max: f64,
    pub allocations: f64,
    pub future_size: usize,
}

/// Runs `cases`, the first of which is the bare service, and prints one line each.
pub fn run(title: &str, cases: Vec<Case<'_>>) -> Vec<Row> {
    run_batches(title, BATCH, cases)
}

/// As [`run`], with `batch` calls a round.
pub fn run_batches(title: &str, batch: u32, mut cases: Vec<Case<'_>>) -> Vec<Row> {
    let mut times = vec![Vec::with_capacity(ROUNDS); cases.len()];
    for _ in 0..ROUNDS {
        for (case, times) in cases.iter_mut().zip(&mut times) {
            let start = Instant::now();
            for _ in 0..batch {
                (case.operation)();
            }
            times.push(start.elapsed().as_secs_f64() * 1e9 / f64::from(batch));
        }
    }
    let rows: Vec<Row> = cases
        .iter_mut()
        .zip(times)
        .map(|(case, mut times)| {
            times.sort_by(f64::total_cmp);
            let counted = allocation_counter::measure(|| (0..100).for_each(|_| (case.operation)()));
            Row {
                name: case.name,
                median: times[ROUNDS / 2],
                min: times[0],
                max: times[ROUNDS - 1],
                allocations: counted.count_total as f64 / 100.0,
                future_size: case.future_size,
            }
        })
        .collect();
    print(title, &rows);
    rows
}

fn print(title: &str, rows: &[Row]) {
    let bare = &rows[0];
    println!("\n{title}\n");
    println!("| case | ns (min, max) | Δ ns | Δ allocations | future, bytes |");
    println!("|---|---|---|---|---|");
    for row in rows {
        println!(
            "| {} | {:.0} ({:.0}, {:.0}) | {:.0} | {:.2} | {} |",
            row.name,
            row.median,
            row.min,
            row.max,
            row.median - bare.median,
            row.allocations - bare.allocations,
            row.future_size,
        );
    }
}

/// How much longer two threads take with services that share, from `shared`, than with services
/// that share nothing, from `own`. Both are measured in turn, since two threads of one machine are
/// not always as fast as one.
pub fn sharing<S, Q>(own: impl Fn() -> S, shared: impl Fn() -> S, request: fn() -> Q) -> f64
where
    S: Service<Q> + Send,
    S::Error: std::fmt::Debug,
    Q: 'static,
{
    let mut ratios: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let apart = busy(vec![own(), own()], request);
            busy(vec![shared(), shared()], request) / apart
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ROUNDS / 2]
}

/// Seconds until each of `services`, on a thread of its own, has answered its calls.
fn busy<S, Q>(services: Vec<S>, request: fn() -> Q) -> f64
where
    S: Service<Q> + Send,
    S::Error: std::fmt::Debug,
{
    let start = std::sync::Barrier::new(services.len());
    std::thread::scope(|scope| {
        let threads: Vec<_> = services
            .into_iter()
            .map(|mut service| {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    let begun = Instant::now();
                    for _ in 0..BATCH {
                        black_box(answer(&mut service, request()));
                    }
                    begun.elapsed().as_secs_f64()
                })
            })
            .collect();
        let times = threads.into_iter().map(|thread| thread.join().expect("no panic"));
        times.fold(0.0, f64::max)
    })
}
