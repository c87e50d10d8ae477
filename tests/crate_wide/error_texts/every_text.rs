//! Walks the sources: the text of every `ConfigError` is one that a row of these files has.

use std::{fs, path::Path};

/// What nobody can cause, or only by breaking the system or the environment of the process.
const UNREACHABLE: [&str; 10] = [
    "a key of the store is not one of AES-256",
    "a shared secret proves nothing",
    "no key could be generated",
    "the credential does not fit into a header",
    "the header is no JSON",
    "the key cannot sign",
    "the key has no thumbprint",
    "the resource has no origin",
    "the system gives no random numbers",
    "{name} is no proxy address, such as http://proxy.example:3128",
];

/// Calls without a text of their own: what is behind them is in the rows all the same.
const PASSED_ON: [&str; 5] = ["message", "error.to_string()", "text", "reason", "unused"];

#[test]
fn every_text_of_a_configuration_error_is_pinned() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pinned: String = files(&root.join("tests/crate_wide/error_texts"))
        .into_iter()
        .filter(|(name, _)| !name.ends_with("every_text.rs"))
        .map(|(_, source)| joined(&source))
        .collect();
    let mut texts = 0;
    for (name, source) in files(&root.join("src")) {
        let source = joined(&source);
        for (at, _) in source.match_indices("ConfigError::new(") {
            let call = source.get(at + "ConfigError::new(".len()..).unwrap();
            let Some(text) = literal(call) else {
                let passed = PASSED_ON.iter().any(|passed| call.trim_start().starts_with(passed));
                assert!(passed, "{name}: {}", call.lines().next().unwrap());
                continue;
            };
            texts += 1;
            if UNREACHABLE.contains(&text) {
                continue;
            }
            for part in text.split(['{', '}']).step_by(2).map(str::trim) {
                assert!(pinned.contains(part), "{name}: no row has {text:?}");
            }
        }
    }
    assert!(texts > 60, "the walk finds the calls: {texts}");
}

/// The literal that a call begins with, in `format!` or without.
fn literal(call: &str) -> Option<&str> {
    let call = call.trim_start();
    let call = call.strip_prefix("format!(").unwrap_or(call).trim_start();
    let text = call.strip_prefix('"')?;
    let ends = text.char_indices().find(|(at, char)| {
        *char == '"' && !text.get(..*at).is_some_and(|before| before.ends_with('\\'))
    });
    text.get(..ends?.0)
}

/// Literals of several lines on one.
fn joined(source: &str) -> String {
    let mut parts = source.split("\\\n");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |whole, part| whole + part.trim_start())
}

fn files(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
    found
}
