//! Files that use files.

use std::collections::{BTreeMap, BTreeSet};

/// Of a file: the files that it uses, and where it names one of them first.
#[derive(Debug, Default)]
pub(crate) struct Graph(BTreeMap<String, BTreeMap<String, String>>);

impl Graph {
    pub(crate) fn add(&mut self, from: &str, to: &str, named: String) {
        if from != to {
            self.0.entry(from.into()).or_default().entry(to.into()).or_insert(named);
        }
    }

    pub(crate) fn edges(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.0.iter().flat_map(|(from, uses)| {
            uses.iter().map(move |(to, named)| (from.as_str(), to.as_str(), named.as_str()))
        })
    }

    /// Leaves out the arrows between the files of a folder and its own `mod.rs`, and those from
    /// and to `lib.rs`: both declare and re-export.
    pub(crate) fn without_own_mod(&self) -> Self {
        let own = |file: &str, parent: &str| match parent.strip_suffix("mod.rs") {
            Some(folder) => file.starts_with(folder),
            None => parent == "lib.rs",
        };
        let mut kept = Self::default();
        for (from, to, named) in self.edges() {
            if !own(from, to) && !own(to, from) {
                kept.add(from, to, named.into());
            }
        }
        kept
    }

    /// The same arrows between folders, each drawn where the two part: from `a/b/c.rs` to
    /// `a/d/e.rs` is `a/b` to `a/d`.
    pub(crate) fn of_siblings(&self) -> Self {
        let mut folders = Self::default();
        for (from, to, named) in self.without_own_mod().edges() {
            let (a, b): (Vec<_>, Vec<_>) = (from.split('/').collect(), to.split('/').collect());
            let common = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
            let at = |parts: &[&str]| parts[..=common].join("/");
            folders.add(&at(&a), &at(&b), named.into());
        }
        folders
    }

    /// Groups of files that reach each other.
    pub(crate) fn circles(&self) -> Vec<Vec<String>> {
        let mut left: BTreeSet<&str> = self.0.keys().map(String::as_str).collect();
        let mut circles = Vec::new();
        while let Some(first) = left.pop_first() {
            let reached = self.reached(first);
            let circle: Vec<_> =
                reached.iter().filter(|file| self.reached(file).contains(first)).collect();
            if !circle.is_empty() {
                left.retain(|file| !circle.contains(&file));
                circles.push(circle.iter().map(|file| (***file).to_owned()).collect());
            }
        }
        circles
    }

    fn reached<'a>(&'a self, from: &str) -> BTreeSet<&'a str> {
        let mut reached = BTreeSet::new();
        let mut next: Vec<_> = self.0.get(from).into_iter().collect();
        while let Some(uses) = next.pop() {
            for to in uses.keys() {
                if reached.insert(to.as_str()) {
                    next.extend(self.0.get(to));
                }
            }
        }
        reached
    }
}
