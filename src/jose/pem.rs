//! The one block of a PEM file ([RFC 7468](https://www.rfc-editor.org/rfc/rfc7468)) that is a
//! private key in PKCS#8.

use base64::{Engine, prelude::BASE64_STANDARD};
use zeroize::Zeroizing;

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

/// Other blocks, and the remedy for each.
const OTHERS: [(&str, &str); 5] = [
    (
        "-----BEGIN ENCRYPTED PRIVATE KEY-----",
        "the private key is encrypted: decrypt it, with `openssl pkcs8` for example",
    ),
    ("-----BEGIN RSA PRIVATE KEY-----", CONVERT),
    ("-----BEGIN EC PRIVATE KEY-----", CONVERT),
    ("-----BEGIN PUBLIC KEY-----", "it is a public key, which cannot sign"),
    ("-----BEGIN CERTIFICATE-----", "it is a certificate, which cannot sign"),
];
const CONVERT: &str = "the private key is not in PKCS#8: convert it, with \
    `openssl pkcs8 -topk8 -nocrypt` for example";

/// Returns the DER in the one block of `pem`, with nothing but white space around it.
pub(super) fn private_key(pem: &str) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let pem = pem.trim();
    let Some(block) = pem.strip_prefix(BEGIN) else {
        let other = OTHERS.iter().find(|(begin, _)| pem.starts_with(begin));
        return Err(other.map_or("it does not begin with -----BEGIN PRIVATE KEY-----", |o| o.1));
    };
    let Some(block) = block.strip_suffix(END) else {
        return Err("it does not end with -----END PRIVATE KEY-----");
    };
    // Of full capacity, so that growing leaves no copy behind.
    let mut base64 = Zeroizing::new(String::with_capacity(block.len()));
    base64.extend(block.chars().filter(|char| !char.is_ascii_whitespace()));
    let mut der = Zeroizing::new(vec![0; base64.len()]);
    let len = BASE64_STANDARD.decode_slice(base64.as_bytes(), &mut der);
    let len = len.map_err(|_| "it is not base64, or more than one block")?;
    der.truncate(len);
    Ok(der)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_all_that_may_stand_around_a_block_and_in_it() {
        for good in [
            "-----BEGIN PRIVATE KEY-----\nYWJj\nZA==\n-----END PRIVATE KEY-----\n",
            "\r\n-----BEGIN PRIVATE KEY-----\r\n YWJjZA==\r\n-----END PRIVATE KEY-----",
        ] {
            assert_eq!(private_key(good).as_deref(), Ok(&b"abcd".to_vec()));
        }
        let two = "-----BEGIN PRIVATE KEY-----\nYWJj\n-----END PRIVATE KEY-----\n".repeat(2);
        for (wrong, reason) in [
            ("", "does not begin"),
            ("x-----BEGIN PRIVATE KEY-----\nYWJj\n-----END PRIVATE KEY-----", "does not begin"),
            ("-----BEGIN PRIVATE KEY-----\nYWJj\n-----END", "does not end"),
            ("-----BEGIN PRIVATE KEY-----\nYWJ\n-----END PRIVATE KEY-----", "not base64"),
            (&two, "more than one"),
            ("-----BEGIN RSA PRIVATE KEY-----\nYWJj", "topk8"),
            ("-----BEGIN EC PRIVATE KEY-----\nYWJj", "topk8"),
            ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nYWJj", "decrypt"),
            ("-----BEGIN PUBLIC KEY-----\nYWJj", "public key"),
            ("-----BEGIN CERTIFICATE-----\nYWJj", "certificate"),
        ] {
            let error = private_key(wrong).unwrap_err();
            assert!(error.contains(reason), "{wrong}: {error}");
        }
    }
}
