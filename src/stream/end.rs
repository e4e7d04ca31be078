//! How a log ended. It is part of the log, so that no stream ends ambiguously.

use std::borrow::Cow;

/// The one end of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Everything was generated.
    Completed,
    /// It broke; the label is the code of the error frame that precedes the end.
    Failed(Cow<'static, str>),
    /// Somebody asked for it to stop.
    Cancelled,
}

impl End {
    /// A word for logs and metrics.
    pub fn label(&self) -> &str {
        match self {
            Self::Completed => "completed",
            Self::Failed(code) => code,
            Self::Cancelled => "cancelled",
        }
    }
}
