use crate::{Clock, ConfigError};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use std::{fmt, str::FromStr};

/// The longest name that is read.
const MAX_LEN: usize = 64;

/// Names of 96 random bits.
macro_rules! random_name {
    ($(#[$docs:meta])* $name:ident) => {
        $(#[$docs])*
        #[derive(Clone, PartialEq, Eq, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Returns the name as text: 16 letters, digits, `-` and `_`.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Returns a new name, or `None` if the system has no random numbers.
            pub(in crate::client::token_cache) fn random(clock: &Clock) -> Option<Self> {
                let bits = clock.secret()?;
                let bits = bits.first_chunk::<12>()?;
                Some(Self(BASE64_URL_SAFE_NO_PAD.encode(bits).into()))
            }
        }

        impl FromStr for $name {
            type Err = ConfigError;

            /// # Errors
            ///
            /// If `text` is empty, longer than 64 bytes, or has other characters than a name has.
            fn from_str(text: &str) -> Result<Self, ConfigError> {
                let is_of_name =
                    |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
                match (1..=MAX_LEN).contains(&text.len()) && text.bytes().all(is_of_name) {
                    true => Ok(Self(text.into())),
                    false => Err(ConfigError::new(
                        "a name in a store is 1 to 64 letters, digits, `-` and `_`: parse what \
                         `as_str` returned",
                    )),
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.0).finish()
            }
        }
    };
}

random_name! {
    /// Names one fetch, which holds the lease on a key.
    Holder
}

random_name! {
    /// Names one value of a key. It is no counter, which would begin anew in a store that lost its data.
    Version
}
