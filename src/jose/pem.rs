//! PEM files ([RFC 7468](https://www.rfc-editor.org/rfc/rfc7468)): one private key in PKCS#8, or
//! public keys and certificates.

use super::{
    jwk::Jwk,
    public_der::{certificate, public_key, rsa_public_key},
};
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

const PRIVATE: &str =
    "it is a private key: give the public one, as `openssl pkey -pubout` writes it";

/// Returns the PEM of a private key in PKCS#8.
pub(super) fn of_private_key(der: &[u8]) -> String {
    let base64 = Zeroizing::new(BASE64_STANDARD.encode(der));
    // Of its final size, since a buffer that grows leaves copies behind.
    let mut pem = String::with_capacity(base64.len() + base64.len() / 64 + 64);
    pem.push_str(BEGIN);
    for (index, char) in base64.chars().enumerate() {
        if index % 64 == 0 {
            pem.push('\n');
        }
        pem.push(char);
    }
    pem.extend(["\n", END, "\n"]);
    pem
}

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
    decoded(block)
}

/// Returns the keys of all blocks of `pem`, with any text around them, or what is wrong with one.
pub(super) fn public_keys(
    mut pem: &str,
) -> impl Iterator<Item = Result<Jwk<'static>, &'static str>> {
    std::iter::from_fn(move || {
        let (_, block) = pem.split_once("-----BEGIN ")?;
        let (label, block) = block.split_once("-----").unwrap_or((block, ""));
        let end = block.split_once("-----END ");
        let end = end.filter(|(_, end)| end.split("-----").next() == Some(label));
        pem = end.map_or("", |(_, rest)| rest);
        Some(public_block(label, end.map(|(block, _)| block)))
    })
}

fn public_block(label: &str, block: Option<&str>) -> Result<Jwk<'static>, &'static str> {
    let read = match label {
        "PUBLIC KEY" => public_key,
        "RSA PUBLIC KEY" => rsa_public_key,
        "CERTIFICATE" => certificate,
        _ if label.contains("PRIVATE KEY") => return Err(PRIVATE),
        _ => return Err("it is not a PUBLIC KEY, an RSA PUBLIC KEY or a CERTIFICATE"),
    };
    read(&decoded(block.ok_or("it has no end of its name")?)?)
}

pub(super) fn decoded(block: &str) -> Result<Zeroizing<Vec<u8>>, &'static str> {
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
