//! A `WWW-Authenticate` value: parsed, written and parsed again it is the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_oauth2::Challenge;

fuzz_target!(|input: &[u8]| {
    let Ok(read) = Challenge::parse(input) else { return };
    let written: Vec<_> = read.iter().map(Challenge::to_header_value).collect();
    let lines: Vec<&[u8]> = written.iter().map(|value| value.as_bytes()).collect();
    let joined = lines.join(&b", "[..]);
    // Escapes may make a value longer than what is read.
    if joined.len() <= 16 * 1024 {
        assert_eq!(Challenge::parse(&joined).expect("what we write can be read"), read);
    }
    for challenge in &read {
        let _ = challenge.scope();
    }
});
