//! Which of a model's clocks has run out.

use std::time::Duration;

/// A clock, by the setting that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// For a connection.
    Connect,
    /// From the request to the first chunk.
    FirstChunk,
    /// Between two chunks with content.
    Between,
    /// For the whole answer.
    Total,
}

impl Clock {
    /// The name of its setting.
    pub fn setting(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::FirstChunk => "first_chunk",
            Self::Between => "between",
            Self::Total => "total",
        }
    }

    /// The cause of a failure that metrics tell.
    pub(super) fn cause(self) -> &'static str {
        match self {
            Self::Connect => "connect_timeout",
            Self::FirstChunk => "first_chunk_timeout",
            Self::Between => "between_timeout",
            Self::Total => "total_timeout",
        }
    }

    /// That it has, after `limit` if that is known.
    pub(super) fn message(self, limit: Option<Duration>) -> String {
        let what = match self {
            Self::Connect => "a connection",
            Self::FirstChunk => "the first chunk",
            Self::Between => "the next chunk with content",
            Self::Total => "the whole answer",
        };
        match limit {
            Some(limit) => format!("The upstream took longer than {limit:?} for {what}."),
            None => format!("The upstream took too long for {what}."),
        }
    }
}
