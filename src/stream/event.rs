//! What a log is made of.

use crate::sse::Frame;

/// The sort of an event, for readers that name their events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A piece of the generation.
    Chunk,
    /// The count of tokens.
    Usage,
    /// The error the generation ended with.
    Failure,
    /// The terminating sentinel.
    Done,
    /// A whole generation in one entry; such a log has no other event but a failure.
    Whole,
}

/// One event: bytes that are fixed at append and shared by all readers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its sort.
    pub kind: Kind,
    /// Its bytes on the wire.
    pub frame: Frame,
}
