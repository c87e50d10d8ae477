//! Every case of `tests/cases/client.json` in the areas that are built has a test named after it,
//! and so has every scenario of `tests/cases/server.json`.

use serde_json::Value;
use std::{fs, path::Path};

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

/// The names of the test functions in `directory`, and below it.
fn test_names(directory: &Path, names: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            test_names(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(path).unwrap();
            let functions = text.split("fn ").skip(1);
            names.extend(functions.filter_map(|rest| rest.split_once('(')).map(|(n, _)| n.into()));
        }
    }
}

/// The names of all test functions.
fn all_names() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names = Vec::new();
    test_names(&root.join("src"), &mut names);
    test_names(&root.join("tests"), &mut names);
    names
}

fn cases(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(file);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The ids of `cases` that no test is named after.
fn missing<'a>(cases: impl Iterator<Item = &'a Value>) -> Vec<String> {
    let names = all_names();
    cases
        .map(|case| case["id"].as_str().unwrap().to_lowercase())
        .filter(|id| {
            let end = format!("_{}", id.replace('-', "_"));
            !names.iter().any(|name| name.ends_with(&end))
        })
        .collect()
}

#[test]
fn every_case_has_a_test_whose_name_ends_in_its_id() {
    let cases = cases("client.json");
    let area = |case: &Value| case["area"].as_str().unwrap().to_owned();
    let missing = missing(cases.iter().filter(|case| AREAS.contains(&area(case).as_str())));
    assert!(missing.is_empty(), "no test for {missing:?}");
    assert!(AREAS.iter().all(|one| cases.iter().any(|case| area(case) == *one)));
}

#[test]
fn every_scenario_has_a_test_whose_name_ends_in_its_id() {
    let cases = cases("server.json");
    let scenarios: Vec<_> =
        cases.iter().filter(|case| case["expect"]["steps"].is_array()).collect();
    let missing = missing(scenarios.iter().copied());
    assert!(missing.is_empty(), "no test for {missing:?}");
    assert_eq!(scenarios.len(), 37);
}
