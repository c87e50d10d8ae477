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
    /// Splits `token`; nothing where it has another number of parts than three.
    pub(crate) fn parse(token: &'a str) -> Option<Self> {
        let (signing_input, signature) = split_signature(token)?;
        let dot = memchr(b'.', signing_input.as_bytes())?;
        let (header, payload) = (signing_input.get(..dot)?, signing_input.get(dot + 1..)?);
        let is_one = memchr(b'.', payload.as_bytes()).is_none();
        is_one.then_some(Self { signing_input, header, payload, signature })
    }
}

/// What was signed, and the signature; nothing where there is no dot.
///
/// As `rsplit_once`, by vector instructions: it is done at each request.
pub(crate) fn split_signature(token: &str) -> Option<(&str, &str)> {
    let dot = memrchr(b'.', token.as_bytes())?;
    Some((token.get(..dot)?, token.get(dot + 1..)?))
}
