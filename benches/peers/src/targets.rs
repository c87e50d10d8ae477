//! The targets, and whether they are met.

use crate::document;

const INSTRUCTIONS: &str = include_str!("../../instructions.txt");

#[derive(Default)]
pub struct Targets(Vec<Target>);

struct Target {
    what: String,
    value: f64,
    bound: Bound,
}

#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Targets {
    pub fn at_most(&mut self, what: impl Into<String>, value: f64, limit: f64) {
        self.0.push(Target { what: what.into(), value, bound: Bound::AtMost(limit) });
    }

    pub fn at_least(&mut self, what: impl Into<String>, value: f64, limit: f64) {
        self.0.push(Target { what: what.into(), value, bound: Bound::AtLeast(limit) });
    }

    /// Those that are counted and not timed, by `cargo bench --bench instructions`.
    pub fn instructions(&mut self) {
        let count = |case: &str| {
            let mut lines = INSTRUCTIONS.lines().filter_map(|line| line.split_once(' '));
            let count = lines.find(|(name, _)| *name == case).and_then(|(_, n)| n.parse().ok());
            count.unwrap_or(f64::NAN)
        };
        let theirs = count("client/tower_http");
        let ours = count("add_bearer/static") / theirs;
        self.at_most("static token, Δ instructions as a ratio to tower-http", ours, 1.01);
        let ours = count("client_credentials/recovery_off") / theirs;
        self.at_most("warm, recovery off, Δ instructions, the same", ours, 1.12);
        for (algorithm, limit) in
            [("RS256", 3300.0), ("ES256", 2500.0), ("EdDSA", 2500.0), ("HS256", 2500.0)]
        {
            let ours = count(&format!("jwt/{algorithm}/seen_before"));
            self.at_most(format!("{algorithm}, seen before, Δ instructions"), ours, limit);
        }
    }

    /// Prints them and puts them into `section` of the document; whether all are met.
    pub fn report(&self, section: &str) -> bool {
        let mut text = "| target | measured | limit | |\n|---|---|---|---|\n".to_owned();
        for Target { what, value, bound } in &self.0 {
            let limit = match bound {
                Bound::AtMost(limit) => format!("≤ {limit}"),
                Bound::AtLeast(limit) => format!("≥ {limit}"),
            };
            let verdict = if bound.holds(*value) { "met" } else { "**missed**" };
            text += &format!("| {what} | {value:.2} | {limit} | {verdict} |\n");
        }
        let missed = self.0.iter().filter(|target| !target.bound.holds(target.value)).count();
        text += &format!("\n{} targets, {missed} missed.", self.0.len());
        println!("\n{text}");
        document::write(section, &text);
        missed == 0
    }
}

impl Bound {
    /// No number fails.
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }
}
