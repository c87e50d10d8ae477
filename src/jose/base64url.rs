//! Base64url of JOSE ([RFC 7515 §2](https://www.rfc-editor.org/rfc/rfc7515#section-2)), without
//! padding and white space, with one spelling for the same bytes.

#[cfg(not(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_feature = "neon")
)))]
use base64::prelude::BASE64_URL_SAFE_NO_PAD as DECODER;
use base64::{DecodeSliceError, Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use std::borrow::Cow;

/// The fastest engine of this processor.
#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon")))]
static DECODER: std::sync::LazyLock<base64::engine::Simd> = std::sync::LazyLock::new(|| {
    base64::engine::Simd::url_safe(base64::engine::general_purpose::NO_PAD)
});

/// Decodes `text`. Returns `None` when it has a bit more or less than the bytes need.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    DECODER.decode(text).ok()
}

/// As [`decode`], into `buffer`. Returns `None` when the bytes do not fit.
pub(crate) fn decode_into<'b>(text: &str, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let len = DECODER.decode_slice(text, buffer).ok()?;
    buffer.get(..len)
}

/// As [`decode`], into `buffer` if the bytes fit.
pub(crate) fn decode_within<'b>(text: &str, buffer: &'b mut [u8]) -> Option<Cow<'b, [u8]>> {
    match DECODER.decode_slice(text, buffer) {
        Ok(len) => buffer.get(..len).map(Cow::Borrowed),
        Err(DecodeSliceError::OutputSliceTooSmall) => decode(text).map(Cow::Owned),
        Err(DecodeSliceError::DecodeError(_)) => None,
    }
}

/// Appends `bytes` to `text`.
pub(crate) fn encode_to(bytes: &[u8], text: &mut String) {
    BASE64_URL_SAFE_NO_PAD.encode_string(bytes, text);
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_spelling() {
        assert_eq!(decode("YQ"), Some(b"a".to_vec()));
        for other in ["YQ==", "YR", "YQ=", "Y Q", "YQ\n", "+/", "Y", "_/"] {
            assert_eq!(decode(other), None, "{other:?}");
        }
        let mut buffer = [0; 8];
        assert_eq!(decode_into("YWJj", &mut buffer), Some(&b"abc"[..]));
        assert_eq!(decode_into(&encode(&[0; 9]), &mut buffer), None);
        for len in 0..20 {
            let bytes: Vec<u8> = (0..len).collect();
            let decoded = decode_within(&encode(&bytes), &mut buffer);
            assert_eq!(decoded.as_deref(), Some(&*bytes), "{len}");
        }
        assert_eq!(decode_within("YQ==", &mut buffer), None);
    }

    /// Long enough for vector instructions and a rest.
    #[test]
    fn every_byte_at_every_place_is_taken_or_not_as_without_vector_instructions() {
        let bytes: Vec<u8> = (0..=u8::MAX).chain(0..20).collect();
        let text = encode(&bytes);
        assert_eq!(decode(&text), Some(bytes));
        for place in 0..text.len() {
            for byte in 0..0x80 {
                let mut other = text.clone().into_bytes();
                other[place] = byte;
                let other = String::from_utf8(other).unwrap();
                let expected = BASE64_URL_SAFE_NO_PAD.decode(&other).ok();
                assert_eq!(decode(&other), expected, "{byte} at {place}");
            }
        }
    }
}
