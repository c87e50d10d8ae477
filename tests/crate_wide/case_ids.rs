//! Every case of `tests/cases/client.json` in the areas below has a test, and so has every scenario of
//! `tests/cases/server.json`. The id stands above the test (`// case: rot-02`).

use serde_json::Value;
use std::{collections::BTreeSet, fs, path::Path};

const AREAS: &[&str] = &[
    "backoff",
    "cache-key",
    "cancel",
    "client-auth",
    "clock",
    "error-body",
    "expiry",
    "failure",
    "origin",
    "parse",
    "placement",
    "pool",
    "redact",
    "refresh-race",
    "retry-401",
    "rotation",
    "sign-in",
    "store",
    "tower",
];

/// Adds the ids of the cases that tests in `directory` and below it name.
fn read_directory(directory: &Path, named: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_directory(&path, named);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            named.extend(read(&fs::read_to_string(path).unwrap()));
        }
    }
}

/// Returns the ids in the comments above the tests in `source`.
fn read(source: &str) -> BTreeSet<String> {
    let (mut above, mut named) = (BTreeSet::new(), BTreeSet::new());
    for line in source.lines().map(str::trim) {
        if let Some(cases) = line.strip_prefix("// case: ") {
            above.extend(cases.split(", ").map(str::to_owned));
        } else if line.contains("fn ") {
            named.append(&mut above);
        } else if !line.starts_with("#[") && !line.starts_with("//") {
            above.clear();
        }
    }
    named
}

fn cases(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(file);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Returns the ids of `cases` that no test names.
fn missing<'a>(cases: impl Iterator<Item = &'a Value>) -> Vec<String> {
    let mut ids: Vec<_> = cases.map(|case| case["id"].as_str().unwrap().to_lowercase()).collect();
    let mut named = BTreeSet::new();
    for directory in ["src", "tests"] {
        read_directory(&Path::new(env!("CARGO_MANIFEST_DIR")).join(directory), &mut named);
    }
    ids.retain(|id| !named.contains(id));
    ids
}

#[test]
fn an_id_is_read_above_a_test() {
    let source = "// case: rot-01, rot-02
        #[test]
        /// Why.
        fn one() {}
        // case: rot-04
        const NO_TEST: u8 = 0;
        // case: rot-03
        async fn two() {}";
    let read = read(source);
    assert!(read.iter().eq(&["rot-01", "rot-02", "rot-03"]), "{read:?}");
}

#[test]
fn every_case_has_a_test() {
    let cases = cases("client.json");
    let area = |case: &Value| case["area"].as_str().unwrap().to_owned();
    let missing = missing(cases.iter().filter(|case| AREAS.contains(&area(case).as_str())));
    assert!(missing.is_empty(), "no test for {missing:?}");
    assert!(AREAS.iter().all(|one| cases.iter().any(|case| area(case) == *one)));
}

#[test]
fn every_scenario_has_a_test() {
    let cases = cases("server.json");
    let scenarios: Vec<_> =
        cases.iter().filter(|case| case["expect"]["steps"].is_array()).collect();
    let missing = missing(scenarios.iter().copied());
    assert!(missing.is_empty(), "no test for {missing:?}");
    assert_eq!(scenarios.len(), 37);
}
