//! A place in a log: `<epoch>-<seq>`.

use std::{fmt, str::FromStr};

/// How many events of a log lie at or before a place; the first event is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(pub u64);

/// A place in a log, as clients hold it. What follows it is what they have not read.
///
/// The epoch starts at 1 and grows only when another node takes the log over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// Who wrote the events up to here.
    pub epoch: u32,
    /// The last event that was read; 0 before the first.
    pub seq: Seq,
}

/// Why a cursor cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum CursorError {
    /// Not the form of a cursor.
    #[error("a cursor is `<epoch>-<seq>` or a sequence number, both in digits")]
    Malformed,
    /// Past the end of the log, or of an epoch that the log never had or has lost.
    #[error("no event of this stream has this cursor")]
    Invalid,
}

impl Cursor {
    /// Before the first event.
    pub const START: Self = Self {
        epoch: 1,
        seq: Seq(0),
    };
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.seq.0)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    /// Reads `<epoch>-<seq>`, or a bare `<seq>` of epoch 1.
    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (epoch, seq) = text.split_once('-').unwrap_or(("1", text));
        // `parse` would take a sign.
        let is_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if !is_digits(epoch) || !is_digits(seq) {
            return Err(CursorError::Malformed);
        }
        match (epoch.parse(), seq.parse()) {
            (Ok(epoch @ 1..), Ok(seq)) => Ok(Self {
                epoch,
                seq: Seq(seq),
            }),
            (Ok(_) | Err(_), _) => Err(CursorError::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text() {
        let cursor = Cursor {
            epoch: 3,
            seq: Seq(u64::MAX),
        };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        assert_eq!(
            "17".parse::<Cursor>().map(|c| c.to_string()),
            Ok("1-17".to_owned())
        );
        assert_eq!("1-0".parse(), Ok(Cursor::START));
    }

    #[test]
    fn other_forms_are_malformed() {
        for bad in [
            "",
            "-",
            "1-",
            "-1",
            "+1",
            "1-+1",
            "0-1",
            "a",
            "1-2-3",
            "1 ",
            "18446744073709551616",
            "4294967296-1",
            "٣",
        ] {
            assert_eq!(bad.parse::<Cursor>(), Err(CursorError::Malformed), "{bad}");
        }
    }
}
