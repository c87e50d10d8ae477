use std::borrow::Cow;

/// How a header names the key of its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyId<'a> {
    /// By its `kid`, which is not empty.
    Kid(Cow<'a, str>),
    /// By a thumbprint of its certificate, where there is no `kid`.
    Thumbprint(Cow<'a, str>),
}

impl KeyId<'_> {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Kid(text) | Self::Thumbprint(text) => text,
        }
    }

    /// Returns a copy that borrows nothing.
    pub(crate) fn to_static(&self) -> KeyId<'static> {
        match self {
            Self::Kid(kid) => KeyId::Kid(Cow::Owned(kid.to_string())),
            Self::Thumbprint(text) => KeyId::Thumbprint(Cow::Owned(text.to_string())),
        }
    }
}
