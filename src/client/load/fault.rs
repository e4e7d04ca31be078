//! Why a stream does not count as one that came whole.

use std::{io, time::Duration};

use crate::{http1::NotHttp, sse::DecodeError};

/// What was wrong with one stream.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("no connection: {0}")]
    Connect(io::Error),
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    #[error("nothing came for {0:?}")]
    Silent(Duration),
    #[error(transparent)]
    NotHttp(#[from] NotHttp),
    #[error("status {status}: {body}")]
    Status { status: u16, body: String },
    #[error("the content type is `{0}`, not text/event-stream")]
    NotEvents(String),
    #[error(transparent)]
    TooLarge(#[from] DecodeError),
    #[error("an event that is no chunk: {0}")]
    Malformed(String),
    #[error("it ended with an error event: {0}")]
    Failed(String),
    #[error("the reply ended before `[DONE]`")]
    Truncated,
    #[error("`[DONE]` came before every choice had a finish_reason")]
    Unfinished,
    #[error("an event came after `[DONE]`")]
    AfterDone,
}

impl Fault {
    /// What it is counted under.
    pub(super) fn kind(&self) -> String {
        let kind = match self {
            Self::Connect(_) => "connect",
            Self::Broken(_) => "broken",
            Self::Silent(_) => "timeout",
            Self::NotHttp(_) => "not_http",
            Self::Status { status, .. } => return format!("status_{status}"),
            Self::NotEvents(_) => "not_event_stream",
            Self::TooLarge(_) => "too_large",
            Self::Malformed(_) => "malformed",
            Self::Failed(_) => "error_event",
            Self::Truncated => "truncated",
            Self::Unfinished => "unfinished",
            Self::AfterDone => "after_done",
        };
        kind.to_owned()
    }
}
