//! How large a log may grow.

/// The limits of one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// The largest event.
    pub event_bytes: usize,
    /// The largest log.
    pub log_bytes: usize,
    /// For an endless log: how many events it keeps. The oldest go first.
    pub last_events: Option<usize>,
}

impl Caps {
    /// No limits, for what was held to them elsewhere.
    pub(super) const NONE: Self = Self {
        event_bytes: usize::MAX,
        log_bytes: usize::MAX,
        last_events: None,
    };
}

/// An event that the log's limits do not admit.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum AppendError {
    /// The event alone is too large.
    #[error("an event is larger than {0} bytes")]
    Event(usize),
    /// The log would be too large with it.
    #[error("the stream is larger than {0} bytes")]
    Log(usize),
}
