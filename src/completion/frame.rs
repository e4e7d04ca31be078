//! The bytes of a log's events: `data: …` and a blank line, written once.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use memchr::memchr2;
use tokio::time::Instant;

use super::{Failure, pump::millis};
use crate::{
    backend::Chunk,
    openai::{Likeness, scan},
    sse::{DATA, FRAME_END, Frame, Pattern, data_frame},
    stream::{Event, Id, Kind, Seq},
};

/// How much room is taken at once for the frames of an answer, at first and at most. They are cut from
/// it, so that an event costs no allocation of its own.
const ROOM: (usize, usize) = (1024, 8 * 1024);
/// What a frame has beside the chunk's JSON: `data: `, line ends, and the completion's own id and number.
const AROUND: usize = 96;

/// The terminating sentinel's frame.
const DONE: &[u8] = b"data: [DONE]\n\n";

/// Writes the events of one completion. What most chunks ask for comes first, and close together.
#[repr(C)]
pub(super) struct Framer {
    // What chunks that are like one another have in common as events.
    pattern: Option<(Likeness, Arc<Pattern>)>,
    // That of events which the backend has written with the completion's id.
    own: Option<Arc<Pattern>>,
    /// The milliseconds since then stand before every chunk and error, as an `id:`. For logs that
    /// no client reads.
    pub(super) since: Option<Instant>,
    /// `sequence_number` stands in every chunk and error.
    pub(super) has_sequence: bool,
    /// The completion's id, in every chunk.
    pub(super) id: Id,
    // Where the next frames are written.
    room: BytesMut,
    taken: usize,
}

impl Framer {
    /// Of the completion with this id.
    pub(super) fn new(id: Id, has_sequence: bool) -> Self {
        Self {
            id,
            has_sequence,
            since: None,
            pattern: None,
            own: None,
            room: BytesMut::new(),
            taken: 0,
        }
    }

    /// A chunk's event.
    pub(super) fn chunk(&mut self, chunk: &Chunk, seq: Seq) -> Event {
        let kind = if chunk.facts.is_usage_only() {
            Kind::Usage
        } else {
            Kind::Chunk
        };
        let frame = self.shared(chunk, seq);
        Event { kind, frame }
    }

    /// A chunk's frame: as the backend has written it, or of a pattern where it is like the one before.
    fn shared(&mut self, chunk: &Chunk, seq: Seq) -> Frame {
        if self.has_sequence || self.since.is_some() {
            return self.frame(chunk, seq).into();
        }
        if let Some(event) = chunk.event()
            && self.has_own_id(chunk, event)
        {
            return event.clone();
        }
        let Some(likeness) = chunk.likeness() else {
            return self.frame(chunk, seq).into();
        };
        let json = chunk.json();
        let place = likeness.text.range();
        let text = &json[place.clone()];
        if let Some((of, pattern)) = &self.pattern
            && of.is_of(likeness)
        {
            return pattern.fill(text);
        }
        let frame = self.frame(chunk, seq);
        let at = DATA.len() + chunk.facts.rewritten(place.start, self.id.as_str().len());
        let end = at + text.len();
        // It is laid out over several lines otherwise.
        self.pattern = (memchr2(b'\r', b'\n', &json).is_none())
            .then(|| Pattern::new(frame.clone(), at..end))
            .map(|pattern| (likeness.clone(), pattern));
        frame.into()
    }

    /// Whether an event that the backend has written says the completion's id.
    fn has_own_id(&mut self, chunk: &Chunk, event: &Frame) -> bool {
        let pattern = event.pattern();
        if let (Some(own), Some(pattern)) = (&self.own, pattern)
            && Arc::ptr_eq(own, pattern)
        {
            return true;
        }
        let has_own = chunk.is_event_of(self.id.as_str());
        if has_own {
            self.own = pattern.cloned();
        }
        has_own
    }

    /// A whole completion's only event: JSON without a frame around it.
    pub(super) fn whole(&self, chunk: &Chunk) -> Event {
        let mut json = BytesMut::with_capacity(chunk.json().len() + 64);
        chunk
            .facts
            .rewrite(&chunk.json(), self.id.as_str(), None, &mut json);
        Event {
            kind: Kind::Whole,
            frame: json.freeze().into(),
        }
    }

    /// The error's event.
    pub(super) fn failure(&mut self, failure: &Failure, seq: Seq) -> Event {
        let json = failure.event();
        let frame = match scan(&json) {
            Ok(facts) => self.frame(&Chunk::new(json, facts), seq),
            // An upstream's envelope was scanned before, and ours is JSON.
            Err(_) => data_frame(&json),
        };
        Event {
            kind: Kind::Failure,
            frame: frame.into(),
        }
    }

    /// The sentinel's event.
    pub(super) fn done() -> Event {
        Event {
            kind: Kind::Done,
            frame: Bytes::from_static(DONE).into(),
        }
    }

    fn frame(&mut self, chunk: &Chunk, seq: Seq) -> Bytes {
        let sequence = self.has_sequence.then_some(seq.0);
        self.make_room(chunk.json().len() + AROUND);
        let frame = &mut self.room;
        if let Some(since) = self.since {
            frame.put_slice(format!("id: {}\n", millis(since.elapsed())).as_bytes());
        }
        let start = frame.len();
        frame.put_slice(DATA);
        chunk
            .facts
            .rewrite(&chunk.json(), self.id.as_str(), sequence, frame);
        // JSON may be laid out over several lines; then each is a `data:` line of its own.
        if memchr2(b'\r', b'\n', &frame[start..]).is_some() {
            let lines = data_frame(&frame[start + DATA.len()..]);
            frame.truncate(start);
            frame.put_slice(&lines);
        } else {
            frame.put_slice(FRAME_END);
        }
        frame.split().freeze()
    }

    fn make_room(&mut self, bytes: usize) {
        if self.room.capacity() < bytes {
            self.taken = (self.taken * 2).clamp(ROOM.0, ROOM.1);
            self.room = BytesMut::with_capacity(self.taken.max(bytes));
        }
    }
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
