//! What the documents name is there: files, examples, benches and tests.

use std::{collections::BTreeSet, fs, path::Path};

/// Beginnings of paths that are the repository's.
const FOLDERS: [&str; 6] = ["tests/", "examples/", "benches/", "docs/", "fuzz/", "src/"];

#[test]
fn whatever_the_readme_the_guides_and_the_changelog_name_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // A package has not all of them.
    let folders = FOLDERS.iter().filter(|folder| root.join(folder).exists()).collect::<Vec<_>>();
    let mut named = BTreeSet::new();
    for document in documents(root) {
        let text = fs::read_to_string(&document).unwrap();
        let words = text.split(|char: char| char.is_whitespace() || "`()[],;|".contains(char));
        let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
        for (at, word) in words.iter().enumerate() {
            let next = words.get(at + 1).copied().unwrap_or_default();
            let folder = match *word {
                "--example" => "examples",
                "--bench" => "benches",
                "--test" => "tests",
                _ if folders.iter().any(|folder| word.starts_with(**folder)) => {
                    named.insert(word.trim_end_matches(['.', ':']).to_owned());
                    continue;
                }
                _ => continue,
            };
            if !next.bytes().all(|byte| byte.is_ascii_uppercase()) {
                named.insert(format!("{folder}/{}", next.trim_end_matches(['.', ':'])));
            }
        }
    }
    assert!(named.len() > 30, "the documents are read: {named:?}");
    let is_there = |name: &&String| {
        [(*name).clone(), format!("{name}.rs"), format!("{name}/main.rs")]
            .iter()
            .any(|path| root.join(path).exists())
    };
    let missing: Vec<_> = named.iter().filter(|name| !is_there(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

fn documents(root: &Path) -> Vec<std::path::PathBuf> {
    let folders = ["docs/guide", "docs/guide/providers"];
    let guides = folders.iter().flat_map(|folder| fs::read_dir(root.join(folder)).unwrap());
    let mut all: Vec<_> = guides.map(|entry| entry.unwrap().path()).collect();
    all.retain(|path| path.is_file());
    all.extend([root.join("README.md"), root.join("CHANGELOG.md"), root.join("src/guide.rs")]);
    all
}
