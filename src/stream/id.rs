//! Names of logs and of whom they belong to.

use std::fmt::{self, Write};

/// The longest id that is looked up.
const MAX_LENGTH: usize = 64;

/// The name of a log, the same on every node and in every chunk.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(Box<str>);

/// Not the form of an id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an id has 1 to {MAX_LENGTH} characters of `A-Za-z0-9._-`")]
pub struct IdError;

impl Id {
    /// `prefix` and 16 bytes in hexadecimal. Unguessable when the bytes are random.
    pub fn new(prefix: &str, bytes: [u8; 16]) -> Self {
        let mut id = String::with_capacity(prefix.len() + 2 * bytes.len());
        id.push_str(prefix);
        // Writing to a string does not fail.
        let _ = write!(id, "{:032x}", u128::from_be_bytes(bytes));
        Self(id.into())
    }

    /// An id as a client sends it.
    ///
    /// # Errors
    /// [`IdError`] when it cannot be one.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let is_valid = (1..=MAX_LENGTH).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if !is_valid {
            return Err(IdError);
        }
        Ok(Self(text.into()))
    }

    /// The id as it stands in chunks and URLs.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// To whom a log belongs: a keyed digest of the credentials that made it, never those.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner(pub [u8; 16]);

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Owner(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text() {
        let id = Id::new("chatcmpl-", [0xAB; 16]);
        assert_eq!(id.as_str(), "chatcmpl-abababababababababababababababab");
        assert_eq!(Id::parse(id.as_str()), Ok(id));
    }

    #[test]
    fn ids_at_the_limit_pass_and_others_are_refused() {
        assert!(Id::parse(&"a".repeat(MAX_LENGTH)).is_ok());
        for bad in ["", "a:b", "a/b", "é", &"a".repeat(MAX_LENGTH + 1)] {
            assert_eq!(Id::parse(bad), Err(IdError), "{bad}");
        }
    }
}
