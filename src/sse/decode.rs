//! Bytes to events, whatever the line ends and wherever the reads split.
//!
//! A line that lies within one read is handed on as a slice of that read; bytes are
//! copied only when a line or an event spans several.

use bytes::{Bytes, BytesMut};

use super::Lines;

/// One dispatched event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// The `data` lines, joined with LF.
    pub data: Bytes,
    /// The `event` field; empty means `message`.
    pub name: Bytes,
    /// The last `id` seen on the stream, this event's or an earlier one's.
    pub last_id: Bytes,
    /// A reconnection time in milliseconds, when one stood in this event's block.
    pub retry: Option<u64>,
}

/// Why a stream cannot be decoded further.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum DecodeError {
    /// An event (or a line of it) outgrew the limit.
    #[error("an event is larger than {max_bytes} bytes")]
    TooLarge {
        /// The limit it outgrew.
        max_bytes: usize,
    },
}

/// An incremental decoder of one event stream.
///
/// Feed it with [`push`](Self::push), then call [`next`](Self::next) until it is `None`. What
/// is unfinished at the end of the stream is discarded, as section 9.2.6 demands.
#[derive(Debug)]
pub struct Decoder {
    lines: Lines,
    max_bytes: usize,
    block: Block,
    last_id: Bytes,
}

/// The fields of the event being read.
#[derive(Debug, Default)]
struct Block {
    // The first data line as it came; `more` takes over when a second one follows.
    first: Option<Bytes>,
    // What most events do not have.
    others: Option<Box<Others>>,
}

#[derive(Debug, Default)]
struct Others {
    more: BytesMut,
    name: Bytes,
    retry: Option<u64>,
}

impl Decoder {
    /// A decoder that refuses events of more than `max_bytes`.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            lines: Lines::new(max_bytes),
            max_bytes,
            block: Block::default(),
            last_id: Bytes::new(),
        }
    }

    /// Hands over the next read. The events of the one before must have been taken.
    pub fn push(&mut self, read: Bytes) {
        self.lines.push(read);
    }

    /// The next complete event of what was pushed, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`]; the stream cannot be read on after it.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator would end at None"
    )]
    pub fn next(&mut self) -> Option<Result<Event, DecodeError>> {
        loop {
            let line = match self.lines.next()? {
                Ok(line) => line,
                Err(error) => return Some(Err(error)),
            };
            if line.is_empty() {
                if let Some(event) = self.dispatch() {
                    return Some(Ok(event));
                }
            } else if let Err(error) = self.field(&line) {
                return Some(Err(error));
            }
        }
    }

    fn field(&mut self, line: &Bytes) -> Result<(), DecodeError> {
        let colon = memchr::memchr(b':', line);
        let name = &line[..colon.unwrap_or(line.len())];
        let value = match colon {
            Some(at) if line.get(at + 1) == Some(&b' ') => line.slice(at + 2..),
            Some(at) => line.slice(at + 1..),
            None => Bytes::new(),
        };
        match name {
            b"data" => return self.data(value),
            b"event" => self.block.others().name = value,
            // A copy, for it outlives what was read.
            b"id" if !value.contains(&0) => self.last_id = Bytes::copy_from_slice(&value),
            b"retry" => {
                let others = self.block.others();
                others.retry = digits(&value).or(others.retry);
            }
            _ => {} // a comment (an empty name), or a field to be ignored
        }
        Ok(())
    }

    fn data(&mut self, value: Bytes) -> Result<(), DecodeError> {
        let Some(first) = &self.block.first else {
            self.block.first = Some(value);
            return Ok(());
        };
        let first = first.clone();
        let more = &mut self.block.others().more;
        if more.is_empty() {
            more.extend_from_slice(&first);
        }
        more.extend_from_slice(b"\n");
        more.extend_from_slice(&value);
        if more.len() > self.max_bytes {
            return Err(DecodeError::TooLarge {
                max_bytes: self.max_bytes,
            });
        }
        Ok(())
    }

    fn dispatch(&mut self) -> Option<Event> {
        let first = self.block.first.take();
        let others = self
            .block
            .others
            .take()
            .map(|others| *others)
            .unwrap_or_default();
        let data = first?;
        Some(Event {
            data: if others.more.is_empty() {
                data
            } else {
                others.more.freeze()
            },
            name: others.name,
            last_id: self.last_id.clone(),
            retry: others.retry,
        })
    }
}

impl Block {
    fn others(&mut self) -> &mut Others {
        self.others.get_or_insert_default()
    }
}

/// A number of ASCII digits alone, as section 9.2.6 wants `retry` to be.
fn digits(value: &[u8]) -> Option<u64> {
    let is_digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    is_digits
        .then(|| std::str::from_utf8(value).ok()?.parse().ok())
        .flatten()
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
