//! What is printed: a line for each step, and a table at the end.

use crate::system::Answer;
use http::StatusCode;
use std::process::ExitCode;

/// What came of the steps so far.
pub(crate) struct Report {
    all_good: bool,
    rows: Vec<Row>,
}

/// What a system cost.
struct Row {
    system: &'static str,
    calls: usize,
    token_requests: usize,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { all_good: true, rows: Vec::new() }
    }

    pub(crate) fn heading(&self, text: &str) {
        println!("\n{text}");
    }

    /// Prints a step, and keeps in mind whether it did what it should.
    pub(crate) fn step(&mut self, step: &str, good: bool, outcome: &str) {
        self.all_good &= good;
        let mark = if good { "ok" } else { "FAIL" };
        println!("{mark:<4} {step:<24}  {outcome}");
    }

    /// A step whose outcome is an answer: it should have this status and say this.
    pub(crate) fn answer(&mut self, step: &str, answer: &Answer, status: StatusCode, part: &str) {
        self.step(step, answer.is(status, part), &answer.to_string());
    }

    /// Adds a row to the table.
    pub(crate) fn cost(&mut self, system: &'static str, calls: usize, token_requests: usize) {
        self.rows.push(Row { system, calls, token_requests });
    }

    pub(crate) fn print_table(&self) {
        println!("\n{:<24}  {:>5}  {:>14}", "system", "calls", "token requests");
        for Row { system, calls, token_requests } in &self.rows {
            println!("{system:<24}  {calls:>5}  {token_requests:>14}");
        }
    }

    pub(crate) fn verdict(&self) -> ExitCode {
        if self.all_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
