use super::*;
use proptest::prelude::*;
use std::sync::LazyLock;
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().build().unwrap());

static FIXTURE: LazyLock<Fixture> = LazyLock::new(Fixture::new);

/// Whether a proof for `htu` is good for a request for `path`.
fn is_named(fixture: &Fixture, path: &str, htu: &str) -> bool {
    let mut call = request(BOUND, &fixture.proof().claim("htu", htu));
    *call.uri_mut() = path.parse().unwrap();
    RUNTIME.block_on(send(&fixture.layer(), call)).who == "alice"
}

/// The path with the escapes of unreserved characters read, and the other escapes in upper case.
fn normalized(path: &str) -> String {
    let escape = regex::Regex::new("%([0-9A-Fa-f]{2})").unwrap();
    let replaced = escape.replace_all(path, |found: &regex::Captures<'_>| {
        let octet = u8::from_str_radix(&found[1], 16).unwrap();
        match char::from(octet) {
            octet @ ('A'..='Z' | 'a'..='z' | '0'..='9' | '-' | '.' | '_' | '~') => {
                octet.to_string()
            }
            _ => found[0].to_uppercase(),
        }
    });
    replaced.into_owned()
}

/// Paths that differ in little.
fn path() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "/", "a", "A", "%61", "%41", "%2f", "%2F", "%7E", "~", ".", "..", "%2e", "%25", "%", "//",
        ":", "%3a", "b", "%6", "+", "%20", "%C3%A9", "%c3%a9", "*", "'",
    ]);
    prop::collection::vec(part, 0..5).prop_map(|parts| format!("/{}", parts.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// So that the comparison is an equivalence, and joins no two paths that differ once escapes of
    /// unreserved characters are read.
    #[test]
    fn a_proof_is_good_for_the_paths_that_are_equal_once_they_are_normalized(
        path in path(), other in path(), suffix in "(\\?[a-z=&]{0,5})?(#[a-z]{0,3})?",
    ) {
        let fixture = &*FIXTURE;
        let htu = |path: &str| format!("{URL}{path}{suffix}");
        prop_assert!(is_named(fixture, &path, &htu(&path)), "{path}");
        let is_same = normalized(&path) == normalized(&other);
        prop_assert_eq!(is_named(fixture, &path, &htu(&other)), is_same, "{} {}", path, other);
        prop_assert_eq!(is_named(fixture, &other, &htu(&path)), is_same, "{} {}", path, other);
    }

    #[test]
    fn no_url_of_another_origin_is_good(htu in "(https?://)?[a-z@:./]{0,12}(api.example|evil.example)[a-z@:./]{0,6}/r") {
        let fixture = &*FIXTURE;
        let named = is_named(fixture, "/r", &htu);
        let is_own = ["https://api.example/r", "https://api.example:443/r", "https://api.example:/r"].contains(&&*htu);
        prop_assert!(!named || is_own, "{}", htu);
    }

    #[test]
    fn no_header_panics_or_passes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let fixture = &*FIXTURE;
        let Ok(value) = http::HeaderValue::from_bytes(&bytes) else { return Ok(()) };
        let mut call = by("DPoP", BOUND);
        call.headers_mut().insert("dpop", value);
        prop_assert!(RUNTIME.block_on(send(&fixture.layer(), call)).who.is_empty());
    }

    #[test]
    fn no_signed_text_panics_or_passes(header in ".{0,80}", claims in ".{0,80}") {
        let fixture = &*FIXTURE;
        for (header, claims) in [
            (&*header, &*claims),
            (&*fixture.proof().header.to_string(), &*claims),
            (&*header, &*fixture.proof().claims.to_string()),
        ] {
            let proof = fixture.key.sign(header, claims);
            let reply = RUNTIME.block_on(send(&fixture.layer(), with_proof(by("DPoP", BOUND), &proof)));
            prop_assert!(reply.who.is_empty());
        }
    }

    /// One octet of a good proof is another one.
    #[test]
    fn a_changed_proof_is_refused(at in any::<prop::sample::Index>(), octet in 0x21..0x7fu8) {
        let fixture = &*FIXTURE;
        let good = fixture.proof().text().into_bytes();
        let mut changed = good.clone();
        changed[at.index(good.len())] = octet;
        prop_assume!(changed != good);
        let mut call = by("DPoP", BOUND);
        call.headers_mut().insert("dpop", http::HeaderValue::from_bytes(&changed).unwrap());
        prop_assert!(RUNTIME.block_on(send(&fixture.layer(), call)).who.is_empty());
    }
}
