//! The rooms of `src` and the arrows between them, which CONTRIBUTING.md describes.
//!
//! The sources are read as tokens, and each path in them is followed through re-exports to the file
//! that defines what it names. A method call needs no path: those are for a reviewer to see.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic is the verdict of a test"
)]

mod graph;
mod sources;
mod tokens;

use sources::Sources;
use std::path::Path;

/// The rooms in their order: each uses only itself and those before it. `lib.rs` and `guide.rs`
/// are no rooms.
const ROOMS: &[&str] = &[
    "vocabulary",
    "observe",
    "jose",
    "proof",
    "back_channel",
    "validate",
    "client",
    "server",
    "testing",
];

/// The rooms that never use each other.
const STRANGERS: [&str; 2] = ["client", "server"];

/// The order inside of the rooms that are large.
const INSIDE: &[&[&str]] = &[
    &[
        "validate/token_shape",
        "validate/revocation",
        "validate/basis",
        "validate/rejection",
        "validate/times",
        "validate/principal",
        "validate/claims",
        "validate/revocation_list",
        "validate/revocation_watch",
        "validate/validated",
        "validate/validate_token",
        "validate/static_tokens",
        "validate/jwks",
        "validate/jwt",
        "validate/introspection",
        "validate/revocations",
        "validate/cached",
        "validate/chain",
    ],
    &[
        "client/error_code",
        "client/error",
        "client/source",
        "client/token_endpoint",
        "client/token_cache",
        "client/token_pool",
        "client/add_bearer",
        "client/client_credentials",
        "client/reqwest",
        "client/sign_in",
    ],
    &[
        "server/answered",
        "server/metadata",
        "server/require_token",
        "server/policy",
        "server/extractors",
        "server/end_with_token",
        "server/drain",
        "server/render",
        "server/revocation_endpoint",
    ],
];

const MOST_LINES: usize = 300;
const MOST_ENTRIES: usize = 14;

fn sources() -> Sources {
    Sources::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

/// The place of a file in an order, if it has one: `client/error` is `client/error.rs` or all of
/// `client/error/`.
fn place(order: &[&str], file: &str) -> Option<usize> {
    let file = file.trim_end_matches(".rs");
    order.iter().position(|room| file == *room || file.starts_with(&format!("{room}/")))
}

#[test]
fn every_file_is_in_a_room() {
    let sources = sources();
    let lost = sources
        .files()
        .filter(|file| place(ROOMS, file).is_none() && !["lib.rs", "guide.rs"].contains(file));
    assert_eq!(lost.collect::<Vec<_>>(), [""; 0]);
    let entries = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    assert!(entries.count() <= MOST_ENTRIES, "src has more than {MOST_ENTRIES} entries");
}

#[test]
fn arrows_run_one_way() {
    let graph = sources().arrows();
    let mut up = Vec::new();
    for (from, to, named) in graph.edges() {
        for order in INSIDE.iter().copied().chain([ROOMS]) {
            if let (Some(a), Some(b)) = (place(order, from), place(order, to))
                && (b > a
                    || a != b && STRANGERS.contains(&order[a]) && STRANGERS.contains(&order[b]))
            {
                up.push(format!("{from}:{named} uses {to}"));
            }
        }
    }
    assert!(up.is_empty(), "{} arrows run up:\n{}", up.len(), up.join("\n"));
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let circles = sources().arrows().without_own_mod().circles();
    assert!(circles.is_empty(), "{} circles of files:\n{}", circles.len(), print(&circles));
}

#[test]
fn no_folders_use_each_other_in_a_circle() {
    let circles = sources().arrows().of_siblings().circles();
    assert!(circles.is_empty(), "{} circles of folders:\n{}", circles.len(), print(&circles));
}

#[test]
fn no_file_is_too_long() {
    let sources = sources();
    let long: Vec<_> = sources.lines().filter(|(_, lines)| *lines > MOST_LINES).collect();
    assert!(long.is_empty(), "more than {MOST_LINES} lines of code: {long:?}");
}

/// Prints what CONTRIBUTING.md and reviewers ask for: `cargo test --test architecture -- --ignored
/// --nocapture counts`.
#[test]
#[ignore = "prints figures and judges nothing"]
#[allow(clippy::print_stdout, reason = "its output is its use")]
fn counts() {
    let sources = sources();
    let mut lines: Vec<_> = sources.lines().map(|(_, lines)| lines).collect();
    lines.sort_unstable();
    let (files, sum) = (lines.len(), lines.iter().sum::<usize>());
    let arrows = sources.arrows().edges().count();
    println!("{files} files, {sum} lines of code, median {}, {arrows} arrows", lines[files / 2]);
}

fn print(circles: &[Vec<String>]) -> String {
    circles.iter().map(|circle| circle.join(" ")).collect::<Vec<_>>().join("\n")
}

/// What the test sees, tried on small trees: each case is what a hole in its sight would let pass.
mod sight {
    use super::*;

    fn arrows(files: &[(&str, &str)]) -> Vec<(String, String)> {
        let folder = std::env::temp_dir().join(format!("arrows-{}", fastrand(files)));
        for (name, text) in files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let graph = Sources::read(&folder).arrows();
        std::fs::remove_dir_all(folder).unwrap();
        graph.edges().map(|(from, to, _)| (from.to_owned(), to.to_owned())).collect()
    }

    /// A number of its own for each tree, so that tests do not share a folder.
    fn fastrand(files: &[(&str, &str)]) -> u64 {
        use std::hash::{BuildHasher, RandomState};
        RandomState::new().hash_one(files)
    }

    const LIB: (&str, &str) = ("lib.rs", "mod a; mod b;");
    const B: (&str, &str) = ("b.rs", "pub struct Thing; pub fn make() {}");

    fn sees(a: &str) -> bool {
        arrows(&[LIB, ("a.rs", a), B]).contains(&("a.rs".into(), "b.rs".into()))
    }

    #[test]
    fn every_way_to_name_another_file_is_an_arrow() {
        for a in [
            "use crate::b::Thing;",
            "use crate::{b::{self, Thing as Other}};",
            "use super::b;",
            "use crate::b::*;",
            "fn f() { crate::b::make() }",
            "fn f(thing: &super::b::Thing) {}",
            "mod inner { use super::super::b::Thing; }",
            "fn f() { let text = r#\"\\\"#; crate::b::make() }",
            "fn f<'a>(c: char) { if c == '\"' { crate::b::make() } }",
            "use crate::b as other; fn f() { other::make() }",
        ] {
            assert!(sees(a), "{a}");
        }
    }

    #[test]
    fn comments_strings_and_tests_make_no_arrow() {
        for a in [
            "// use crate::b::Thing;\n/* crate::b::make() /* */ */",
            "const TEXT: &str = \"crate::b::make()\";",
            "#[cfg(test)] mod tests { use crate::b::Thing; }",
            "#[cfg(test)] use crate::b::Thing;",
            "fn f() { std::b::make() }",
        ] {
            assert!(!sees(a), "{a}");
        }
    }

    #[test]
    fn a_name_is_followed_through_re_exports_to_the_file_that_defines_it() {
        let seen = arrows(&[
            ("lib.rs", "mod a; mod rooms; pub use rooms::Thing;"),
            ("a.rs", "use crate::Thing;"),
            ("rooms/mod.rs", "mod b; pub use b::Thing;"),
            ("rooms/b.rs", "pub struct Thing;"),
        ]);
        assert!(seen.contains(&("a.rs".into(), "rooms/b.rs".into())), "{seen:?}");
    }

    #[test]
    fn a_twin_under_another_path_is_read_too() {
        let seen = arrows(&[
            ("lib.rs", "mod b; #[cfg(no)] mod a; #[cfg(not(no))] #[path = \"no_a.rs\"] mod a;"),
            ("a.rs", ""),
            ("no_a.rs", "use crate::b::Thing;"),
            B,
        ]);
        assert!(seen.contains(&("no_a.rs".into(), "b.rs".into())), "{seen:?}");
    }
}
