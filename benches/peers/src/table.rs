//! One kind of request, and the stacks that answer it.

use crate::support::{Case, ROUNDS, Row, run_for};
use std::time::Duration;

/// How long one round of one case lasts, about.
const ROUND: Duration = Duration::from_millis(1);

/// Whose layer it is.
#[derive(Clone, Copy, PartialEq)]
pub enum Stack {
    /// No layer: what the others are compared with.
    Bare,
    Peer,
    Ours,
    /// Shown, and compared with nothing: the library's own verification, code without a layer.
    Floor,
}

/// What was measured of the stacks that answer one kind of request.
pub struct Answers {
    stacks: Vec<Stack>,
    rows: Vec<Row>,
}

/// What one layer adds to the bare service, in nanoseconds a request.
struct Added {
    median: f64,
    min: f64,
    max: f64,
}

pub fn head() {
    println!(
        "\n| request | stack | Δ ns (min, max) | of the best peer | Δ allocations | future, bytes |"
    );
    println!("|---|---|---|---|---|---|");
}

/// Measures `cases`, the first of which is the bare service, and prints a line each.
pub fn measure(request: &str, cases: Vec<(Stack, Case<'_>)>) -> Answers {
    let (stacks, cases): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    assert!(stacks[0] == Stack::Bare, "{request}: the first case is the bare service");
    let answers = Answers { stacks, rows: run_for(ROUND, cases) };
    answers.print(request);
    answers
}

impl Answers {
    fn print(&self, request: &str) {
        for (index, (stack, row)) in self.stacks.iter().zip(&self.rows).enumerate() {
            let Added { median, min, max } = self.added(index);
            let ratio = match stack {
                Stack::Peer | Stack::Ours => shown(median / self.best_peer()),
                Stack::Bare | Stack::Floor => String::new(),
            };
            let (name, size) = (row.name, row.future_size);
            match stack {
                Stack::Bare => {
                    println!("| {request} | {name} | {:.0} in all | | | {size} |", row.median);
                }
                _ => println!(
                    "| | {} | {median:.0} ({min:.0}, {max:.0}) | {ratio} | {:.0} | {size} |",
                    if *stack == Stack::Ours { format!("**{name}**") } else { name.to_owned() },
                    row.allocations - self.rows[0].allocations,
                ),
            }
        }
    }

    /// Round by round, since a machine that slows down slows both.
    fn added(&self, index: usize) -> Added {
        let rounds = self.rows[index].rounds.iter().zip(&self.rows[0].rounds);
        let mut added: Vec<_> = rounds.map(|(with, without)| with - without).collect();
        added.sort_by(f64::total_cmp);
        Added { median: added[ROUNDS / 2], min: added[0], max: added[ROUNDS - 1] }
    }

    fn best_peer(&self) -> f64 {
        let peers = (0..self.rows.len()).filter(|index| self.stacks[*index] == Stack::Peer);
        peers.map(|index| self.added(index).median).fold(f64::NAN, f64::min)
    }

    fn index(&self, name: &str) -> usize {
        self.rows.iter().position(|row| row.name == name).expect("a case of this name")
    }

    /// Δ time of the case called `name` as a ratio to that of the best peer.
    pub fn of_best_peer(&self, name: &str) -> f64 {
        self.of(name, self.best_peer())
    }

    /// Δ time of the case called `name` as a ratio to that of the case called `other`.
    pub fn of_case(&self, name: &str, other: &str) -> f64 {
        self.of(name, self.added(self.index(other)).median)
    }

    fn of(&self, name: &str, other: f64) -> f64 {
        self.added(self.index(name)).median / other
    }

    pub fn allocations(&self, name: &str) -> f64 {
        self.rows[self.index(name)].allocations - self.rows[0].allocations
    }

    /// By how many bytes the future is larger than that of the bare service.
    pub fn grown(&self, name: &str) -> f64 {
        self.rows[self.index(name)].future_size as f64 - self.rows[0].future_size as f64
    }
}

fn shown(ratio: f64) -> String {
    match ratio {
        ratio if ratio < 0.1 => format!("1/{:.0}", 1.0 / ratio),
        ratio => format!("{ratio:.2}"),
    }
}
