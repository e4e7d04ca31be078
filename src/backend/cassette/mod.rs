//! Cassettes: exchanges with a model server, kept as files that people can read and diff.
//!
//! A [`Tape`] takes down what an upstream sends, [`Cassettes`] is the folder, `write` and
//! `read` are the form of a file. What of a request counts, and what of it is never kept, is
//! [`Request`]'s and `redact`'s; why a request has no cassette is told by `diff`.

mod diff;
mod keep;
mod library;
mod read;
mod recording;
mod redact;
mod request;
pub mod shape;
mod tape;
mod write;

#[cfg(test)]
mod format_tests;

use bytes::{Bytes, BytesMut};
use serde::Deserialize;

pub use diff::Difference;
pub use keep::KeepError;
pub use library::{Cassettes, Kept};
pub use recording::Recording;
pub use request::Request;
pub use tape::Tape;

use super::{Headers, frame::RawFrame};

/// The most frames of one cassette. A frame is what was read at once.
pub const MAX_FRAMES: usize = 20_000;
/// The most bytes of one reply's body.
pub const MAX_BODY: usize = 16 * 1024 * 1024;
/// The largest file, in bytes: request and reply, the latter in base64 at worst.
const MAX_FILE: u64 = 64 * 1024 * 1024;
/// What all cassettes of a folder may have together, in bytes of bodies.
pub const MAX_TOTAL: usize = 512 * 1024 * 1024;

/// What a request gets that no cassette has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnMiss {
    /// A 404 that says what differs from the nearest.
    Error,
    /// An answer of the mock's.
    Mock,
    /// The model's own, which is kept from then on.
    Record,
}

/// One exchange.
#[derive(Debug, Clone, PartialEq)]
pub struct Cassette {
    /// What was asked.
    pub request: Request,
    /// What came back.
    pub response: Response,
}

/// What came back, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status: 200 to 299, or 400 to 599.
    pub status: u16,
    /// Those headers that are kept, in order of their names.
    pub headers: Headers,
    /// The body as it was read.
    pub frames: Vec<RawFrame>,
}

impl Response {
    /// The whole body.
    pub fn body(&self) -> Bytes {
        let mut body = BytesMut::new();
        for frame in &self.frames {
            body.extend_from_slice(&frame.bytes);
        }
        body.freeze()
    }

    /// What the body says to be.
    pub fn content_type(&self) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(name, _)| name == "content-type");
        found.map(|(_, value)| &value[..])
    }

    fn bytes(&self) -> usize {
        self.frames.iter().map(|frame| frame.bytes.len()).sum()
    }
}
