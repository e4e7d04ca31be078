//! What a backend's stream is made of.

use bytes::Bytes;

use crate::{
    openai::{Facts, Span},
    sse::{DATA, FRAME_END},
};

/// A chunk (or a whole completion) as it came, and what was read of it.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// What the bookkeeping needs of it.
    pub facts: Facts,
    // A JSON object, or an event that has one as its only line of data.
    bytes: Bytes,
    is_event: bool,
}

impl Chunk {
    /// A JSON object of which this was read.
    pub fn new(json: Bytes, facts: Facts) -> Self {
        Self {
            facts,
            bytes: json,
            is_event: false,
        }
    }

    /// An event of the stream, as [`data_frame`](crate::sse::data_frame) writes it, of whose JSON this was read. Its
    /// id is the call's.
    pub fn of_event(event: Bytes, facts: Facts) -> Self {
        Self {
            facts,
            bytes: event,
            is_event: true,
        }
    }

    /// The JSON object.
    pub fn json(&self) -> &[u8] {
        match self.is_event {
            true => &self.bytes[DATA.len()..self.bytes.len() - FRAME_END.len()],
            false => &self.bytes,
        }
    }

    /// A part of the JSON object.
    pub fn part(&self, span: Span) -> Bytes {
        self.bytes.slice_ref(&self.json()[span.range()])
    }

    /// The JSON object alone.
    pub fn into_json(self) -> Bytes {
        match self.is_event {
            true => self.bytes.slice_ref(self.json()),
            false => self.bytes,
        }
    }

    /// The event, where the backend has written that.
    pub fn into_event(self) -> Result<Bytes, Self> {
        match self.is_event {
            true => Ok(self.bytes),
            false => Err(self),
        }
    }
}
