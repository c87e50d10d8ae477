//! Each Rust snippet of the README and of the guides is a crate of its own here, with the crates and
//! the features that the `cargo add` lines above it name, and no others.
#![allow(clippy::unwrap_used, reason = "a panic is the verdict of a test")]

use std::{collections::BTreeMap, fs, path::Path, process::Command};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn each_snippet_compiles_with_exactly_what_the_lines_above_it_add() {
    let folders = ["docs/guide", "docs/guide/providers"];
    let guides =
        folders.iter().flat_map(|folder| fs::read_dir(Path::new(ROOT).join(folder)).unwrap());
    let mut documents: Vec<_> = guides.map(|entry| entry.unwrap().path()).collect();
    documents.retain(|path| path.is_file());
    documents.push(Path::new(ROOT).join("README.md"));

    // Snippets under the same lines share a package, so that their dependencies are checked once.
    let mut packages = BTreeMap::<_, Vec<_>>::new();
    for document in documents {
        let page = document.file_stem().unwrap().to_str().unwrap();
        for (number, (lines, code)) in (1..).zip(snippets(&fs::read_to_string(&document).unwrap()))
        {
            packages.entry(lines).or_default().push((format!("{page}_{number}"), code));
        }
    }
    assert!(packages.len() > 5, "the documents are read: {:?}", packages.keys());

    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("snippets");
    let failures: Vec<_> = packages
        .iter()
        .enumerate()
        .filter_map(|(number, (lines, snippets))| {
            check(&folder.join(number.to_string()), lines, snippets)
                .err()
                .map(|errors| format!("{lines}{errors}"))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Returns the Rust blocks of a document, each with the text of the block above it.
fn snippets(document: &str) -> Vec<(String, String)> {
    let fenced = document.split("\n```").skip(1).step_by(2);
    let blocks: Vec<_> = fenced.map(|block| block.split_once('\n').unwrap()).collect();
    let with_previous = [("", "")].iter().chain(&blocks).zip(&blocks);
    with_previous
        .filter(|(_, (language, _))| language.is_empty() || language.starts_with("rust"))
        .map(|((_, lines), (_, code))| (format!("{lines}\n"), program(code)))
        .collect()
}

/// Makes a program of a snippet as rustdoc does. A crate that is added and not used is an error.
fn program(code: &str) -> String {
    let result = if code.ends_with("(())") { "-> Result<(), impl std::fmt::Debug>" } else { "" };
    let code: Vec<_> = code.lines().map(|line| line.strip_prefix("# ").unwrap_or(line)).collect();
    format!(
        "#![allow(unused)]\n#![deny(unused_crate_dependencies)]\n\
         fn main() {{}}\nfn snippet() {result} {{\n{}\n}}\n",
        code.join("\n")
    )
}

/// Runs `cargo check` on a package of its own, and returns what it says if it fails.
fn check(package: &Path, lines: &str, snippets: &[(String, String)]) -> Result<(), String> {
    let _ = fs::remove_dir_all(package);
    fs::create_dir_all(package.join("src/bin")).unwrap();
    for (name, program) in snippets {
        fs::write(package.join(format!("src/bin/{name}.rs")), program).unwrap();
    }
    fs::write(package.join("Cargo.toml"), manifest(lines)?).unwrap();
    fs::copy(Path::new(ROOT).join("Cargo.lock"), package.join("Cargo.lock")).unwrap();

    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["check", "--quiet", "--offline", "--manifest-path"])
        .arg(package.join("Cargo.toml"))
        // What this very build has made, C code above all, is used again.
        .env("CARGO_TARGET_DIR", target)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(errors.into_owned()) }
}

/// Returns the manifest that `cargo add` would make, with versions for `Cargo.lock` to choose.
fn manifest(lines: &str) -> Result<String, String> {
    let mut manifest = String::from(
        "[package]\nname = \"snippets\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [profile.dev]\ndebug = false\n\n[dependencies]\n",
    );
    for line in lines.lines() {
        let added = line.strip_prefix("cargo add ").ok_or("no line of `cargo add` is above")?;
        let (crates, features) = added.split_once(" --features ").unwrap_or((added, ""));
        let features: Vec<_> = features.split(',').filter(|feature| !feature.is_empty()).collect();
        for name in crates.split(' ').filter(|word| *word != "--dev") {
            let source = match name {
                "tower-oauth2" => format!("path = {ROOT:?}"),
                _ => format!("version = {:?}", version(name)),
            };
            manifest += &format!("{name} = {{ {source}, features = {features:?} }}\n");
        }
    }
    Ok(manifest)
}

/// Returns the version of a dependency that `Cargo.toml` asks for. A feature may have its name.
fn version(name: &str) -> String {
    let manifest = fs::read_to_string(Path::new(ROOT).join("Cargo.toml")).unwrap();
    let said = manifest.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
    let mut versions = said.filter(|said| !said.starts_with('['));
    let version = versions.next().and_then(|said| said.split('"').nth(1));
    version.unwrap_or_else(|| panic!("Cargo.toml has no version of {name:?}")).to_owned()
}
