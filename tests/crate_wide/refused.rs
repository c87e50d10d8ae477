//! The page on refused tokens has a row for each reason that the sources can give.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Where requests are refused.
const ROOMS: [&str; 13] = [
    "src/proof",
    "src/server/end_with_token.rs",
    "src/server/extractors.rs",
    "src/server/policy",
    "src/server/require_token",
    "src/validate/cached",
    "src/validate/chain",
    "src/validate/claims",
    "src/validate/introspection",
    "src/validate/jwks",
    "src/validate/jwt",
    "src/validate/rejection.rs",
    "src/validate/revocations",
];

/// Texts of these files that are no reasons, by their beginnings: errors of the configuration, and parts
/// of headers.
const OTHERS: [&str; 43] = [
    "DPoP tokens need a proof",
    "a refusal has a rejection",
    "a refresh between",
    "a signed answer names the client that asks",
    "an issuer needs an algorithm",
    "an issuer with a shared secret",
    "at most {} s",
    "futures do nothing unless polled",
    "grpc-status, ",
    "introspection sends its parameters",
    "proofs cannot be signed by",
    "proofs need an algorithm",
    "metadata need a resource",
    "more than four keys are for",
    "RequireRole needs a role",
    "RequireScope needs a scope",
    "RequireToken needs a location",
    "the PEM cannot be used",
    "the URL of the key set {why}",
    "the access token is no longer good",
    "the algorithm {other} does not suit",
    "the public URL {url:?}",
    "the secret of the nonces",
    "the system gives no random numbers",
    "the window of proofs",
    "the claim {name:?} cannot be required",
    "the claims are of this type",
    "the error URI {uri:?}",
    "the introspection URL {why}",
    "is for a validator of Issuers",
    "the issuer {:?}",
    "the issuer {name:?}",
    "the template {text:?}",
    "the tenant {other:?}",
    "the issuers {identifier:?}",
    "the list of revocations is full",
    "the role claim {claim:?}",
    "the shared secret cannot be used",
    "there is no shard",
    "there is no shared secret",
    "was added before",
    "{name}: expected {expected}, found {found}",
    "a token of {}",
];

/// The claims and header parameters that a refusal names.
const NAMED: [&str; 20] = [
    "typ",
    "alg",
    "kid",
    "iss",
    "aud",
    "tid",
    "exp",
    "nbf",
    "iat",
    "sub",
    "client_id",
    "jti",
    "scope",
    "cnf",
    "token_type",
    "token_use",
    "at_hash",
    "events",
    "azp",
    "act",
];

fn sources(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| sources(&path)).collect()
}

/// The texts between quotes in the code of a file, without its tests and comments.
fn texts(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]\nmod tests").next().unwrap();
    let code: Vec<_> = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//") && !line.contains("reason = \""))
        .collect();
    let (mut texts, mut text, mut chars) = (Vec::new(), None::<String>, code.join("\n"));
    chars.push('\n');
    let mut chars = chars.chars().peekable();
    while let Some(char) = chars.next() {
        match (char, &mut text) {
            ('\'', None) if chars.peek() == Some(&'"') => drop(chars.next()),
            ('"', None) => text = Some(String::new()),
            ('"', Some(_)) => texts.extend(text.take()),
            ('\\', Some(text)) => match chars.next().unwrap() {
                '\n' => while chars.next_if(|char| char.is_whitespace()).is_some() {},
                escaped => text.push(escaped),
            },
            (char, Some(text)) => text.push(char),
            (_, None) => {}
        }
    }
    texts
}

/// The page as one line.
fn page() -> String {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/guide/refused.md")).unwrap();
    page.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn each_reason_in_the_sources_is_on_the_page_about_refused_tokens() {
    let page = page();
    let mut unused: BTreeSet<_> = OTHERS.into();
    let (mut checked, mut missing) = (0, Vec::new());
    for path in ROOMS.iter().flat_map(|room| sources(&Path::new(ROOT).join(room))) {
        // What a client says of its own proofs is not of a refusal.
        if path.ends_with("tests.rs") || path.ends_with("proof/key.rs") {
            continue;
        }
        for text in texts(&fs::read_to_string(&path).unwrap()) {
            // A reason is several words. What belongs to one token is not on the page.
            if text.trim().split(' ').count() < 3 {
                continue;
            }
            if let Some(other) = OTHERS.iter().find(|other| text.starts_with(**other)) {
                unused.remove(other);
                continue;
            }
            let parts = text.split(['{', '}']).step_by(2).map(str::trim);
            let part = parts
                .max_by_key(|part| part.len())
                .unwrap()
                .trim_end_matches([':', '[', '('])
                .trim();
            if !page.contains(part) {
                missing.push(format!("{}: {part:?} of {text:?}", path.display()));
            }
            checked += 1;
        }
    }
    assert!(missing.is_empty(), "these have no row: {missing:#?}");
    assert!(checked > 80, "{checked} reasons were found");
    assert!(unused.is_empty(), "these are nowhere: {unused:?}");
}

#[test]
fn each_claim_that_a_refusal_names_has_a_row() {
    let page = page();
    for name in NAMED {
        assert!(page.contains(&format!("`{name}: expected")), "{name}");
    }
    let named = ROOMS.iter().flat_map(|room| sources(&Path::new(ROOT).join(room)));
    for source in named.map(|path| fs::read_to_string(path).unwrap()) {
        let code = source.split("#[cfg(test)]\nmod tests").next().unwrap();
        for call in ["told(\"", "mismatch(\"", "refuse(\""] {
            for name in code.split(call).skip(1).map(|rest| rest.split('"').next().unwrap()) {
                assert!(NAMED.contains(&name), "{name}");
            }
        }
    }
}
