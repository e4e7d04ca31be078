//! Why an answer is not whole.

use std::time::Duration;

use super::ClientError;
use crate::sse::DecodeError;

/// What went wrong with one completion.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// No connection, or it broke.
    #[error(transparent)]
    Broken(#[from] ClientError),
    /// The server answered with a status that is no success.
    #[error("{status}: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the server says, as far as it can be read.
        message: String,
    },
    /// A success that is no stream.
    #[error("the server answered with {0}, not with a stream of events")]
    NotEvents(String),
    /// The connection ended within the stream.
    #[error("the connection ended before the answer did")]
    Truncated,
    /// Nothing came for too long.
    #[error("nothing came for {0:?}")]
    Silent(Duration),
    /// An event that nobody would keep in memory.
    #[error(transparent)]
    TooLarge(#[from] DecodeError),
    /// An event that is no chunk.
    #[error("an event is not the JSON of a chunk: {0}")]
    Malformed(#[from] serde_json::Error),
    /// An event came before its turn.
    #[error("events are missing before {0}")]
    Hole(String),
    /// The server said itself that it failed.
    #[error("the answer ended with an error: {0}")]
    Failed(String),
    /// `[DONE]` came too early.
    #[error("the answer ended without a finish reason")]
    Unfinished,
    /// The connection was lost, and nobody keeps the rest.
    #[error("{0}; this server cannot resume, so the rest of the answer is lost")]
    Lost(Box<Fault>),
    /// The connection was lost, and the server has not the rest.
    #[error("{why}; the rest of the answer could not be had: {then}")]
    NotResumed {
        /// How the connection was lost.
        why: Box<Fault>,
        /// What became of the last attempt to come back.
        then: Box<Fault>,
    },
}

impl Fault {
    /// Whether another connection may show what this one did not.
    pub(super) fn is_of_connection(&self) -> bool {
        match self {
            Self::Broken(_)
            | Self::Truncated
            | Self::Silent(_)
            | Self::Malformed(_)
            | Self::Hole(_) => true,
            Self::Refused { .. }
            | Self::NotEvents(_)
            | Self::TooLarge(_)
            | Self::Failed(_)
            | Self::Unfinished
            | Self::Lost(_)
            | Self::NotResumed { .. } => false,
        }
    }

    /// Whether the same request may be answered in a while.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Refused { status, .. } => matches!(status, 408 | 429 | 500 | 502 | 503 | 504),
            Self::Broken(_)
            | Self::NotEvents(_)
            | Self::Truncated
            | Self::Silent(_)
            | Self::TooLarge(_)
            | Self::Malformed(_)
            | Self::Hole(_)
            | Self::Failed(_)
            | Self::Unfinished
            | Self::Lost(_)
            | Self::NotResumed { .. } => self.is_of_connection(),
        }
    }
}
