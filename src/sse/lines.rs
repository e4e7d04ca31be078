//! Bytes to lines, whatever the line ends and wherever the reads split.

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

use super::DecodeError;

/// The lines of one event stream, comments and blank ones too.
///
/// Feed it with [`push`](Self::push), then call [`next`](Self::next) until it is `None`.
#[derive(Debug)]
pub struct Lines {
    input: Bytes,
    // The start of a line whose end has not come yet.
    partial: BytesMut,
    // A CR ended the last line: an LF directly after it belongs to it.
    skip_lf: bool,
    at_start: bool,
    max_bytes: usize,
}

impl Lines {
    /// Lines of at most `max_bytes`.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            input: Bytes::new(),
            partial: BytesMut::new(),
            skip_lf: false,
            at_start: true,
            max_bytes,
        }
    }

    /// Hands over the next read. The lines of the one before must have been taken.
    pub fn push(&mut self, read: Bytes) {
        debug_assert!(self.input.is_empty(), "lines of the last read are left");
        self.input = read;
    }

    /// The next whole line without its end, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`]; the stream cannot be read on after it.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator would end at None"
    )]
    pub fn next(&mut self) -> Option<Result<Bytes, DecodeError>> {
        if self.input.is_empty() {
            return None;
        }
        if self.skip_lf {
            self.skip_lf = false;
            if self.input[0] == b'\n' {
                let _ = self.input.split_to(1);
            }
        }
        let end = memchr2(b'\r', b'\n', &self.input);
        let length = end.unwrap_or(self.input.len());
        if self.partial.len() + length > self.max_bytes {
            return Some(Err(DecodeError::TooLarge {
                max_bytes: self.max_bytes,
            }));
        }
        let piece = self.input.split_to(length);
        if end.is_none() {
            self.partial.extend_from_slice(&piece);
            return None;
        }
        self.skip_lf = self.input[0] == b'\r';
        let _ = self.input.split_to(1); // the line end itself
        let line = if self.partial.is_empty() {
            piece
        } else {
            self.partial.extend_from_slice(&piece);
            self.partial.split().freeze()
        };
        Some(Ok(self.without_bom(line)))
    }

    /// What has come of a line whose end has not.
    pub fn unfinished(&self) -> &[u8] {
        &self.partial
    }

    fn without_bom(&mut self, mut line: Bytes) -> Bytes {
        if std::mem::take(&mut self.at_start) && line.starts_with(b"\xEF\xBB\xBF") {
            return line.split_off(3);
        }
        line
    }
}
