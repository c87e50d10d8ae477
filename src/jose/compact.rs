use memchr::{memchr, memrchr};

/// The three parts of a compact JWS, not decoded.
#[derive(Clone, Copy)]
pub(crate) struct Compact<'a> {
    pub(crate) signing_input: &'a str,
    pub(crate) header: &'a str,
    pub(crate) payload: &'a str,
    pub(crate) signature: &'a str,
}

impl<'a> Compact<'a> {
    /// Splits `token`. Returns `None` unless it has three parts.
    pub(crate) fn parse(token: &'a str) -> Option<Self> {
        let (signed, signature) = token.split_at_checked(signature_at(token.as_bytes())?)?;
        let signing_input = signed.strip_suffix('.')?;
        let dot = memchr(b'.', signing_input.as_bytes())?;
        let (header, payload) = (signing_input.get(..dot)?, signing_input.get(dot + 1..)?);
        let is_one = memchr(b'.', payload.as_bytes()).is_none();
        is_one.then_some(Self { signing_input, header, payload, signature })
    }
}

/// Returns the index of the signature, or `None` when there is no dot.
///
/// It runs at each request, so it uses vector instructions.
pub(crate) fn signature_at(token: &[u8]) -> Option<usize> {
    memrchr(b'.', token).map(|dot| dot + 1)
}
