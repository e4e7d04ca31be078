//! An event's bytes: written out, or as what it has beside a pattern.
//!
//! The chunks of an answer differ in a text of some bytes. A log that keeps each of them whole is mostly
//! repetition, and memory that is touched for the first time costs more than all else that is done with a
//! chunk.

use std::{ops::Range, sync::Arc};

use bytes::{BufMut, Bytes, BytesMut};

/// The longest text that a frame has in itself, in bytes; as much as fits beside a pattern.
const MOST: usize = 30;

/// An event's bytes on the wire.
#[derive(Debug, Clone)]
pub struct Frame(Form);

#[derive(Debug, Clone)]
enum Form {
    Written(Bytes),
    Filled(Arc<Pattern>, Text),
}

#[derive(Debug, Clone, Copy)]
struct Text {
    length: u8,
    bytes: [u8; MOST],
}

/// What frames have in common: all but a text.
#[derive(Debug)]
pub struct Pattern {
    frame: Bytes,
    // In place of this.
    hole: Range<usize>,
}

impl Pattern {
    /// Frames that are like this one but for what stands in the hole, which lies within it.
    pub fn new(frame: Bytes, hole: Range<usize>) -> Arc<Self> {
        Arc::new(Self { frame, hole })
    }

    fn before(&self) -> &[u8] {
        &self.frame[..self.hole.start]
    }

    fn after(&self) -> &[u8] {
        &self.frame[self.hole.end..]
    }

    fn len(&self) -> usize {
        self.frame.len() - self.hole.len()
    }

    /// The frame with this text between.
    pub fn fill(self: &Arc<Self>, text: &[u8]) -> Frame {
        match Text::of(text) {
            Some(text) => Frame(Form::Filled(Arc::clone(self), text)),
            None => Bytes::from([self.before(), text, self.after()].concat()).into(),
        }
    }
}

impl Text {
    fn of(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; MOST];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        let length = u8::try_from(text.len()).ok()?;
        Some(Self { length, bytes })
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl Frame {
    /// How many bytes there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Written(bytes) => bytes.len(),
            Form::Filled(pattern, text) => pattern.len() + usize::from(text.length),
        }
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of them are in memory for this frame alone, beside one of that pattern which came before or after
    /// it.
    pub fn held_beside(&self, other: Option<&Arc<Pattern>>) -> usize {
        let pattern = match &self.0 {
            Form::Written(bytes) => return bytes.len(),
            Form::Filled(pattern, _) => pattern,
        };
        match other.is_some_and(|other| Arc::ptr_eq(other, pattern)) {
            true => 0,
            false => pattern.len(),
        }
    }

    /// What it is made of, if it is not written out.
    pub fn pattern(&self) -> Option<&Arc<Pattern>> {
        match &self.0 {
            Form::Written(_) => None,
            Form::Filled(pattern, _) => Some(pattern),
        }
    }

    /// Appends them.
    pub fn write_to(&self, out: &mut BytesMut) {
        match &self.0 {
            Form::Written(bytes) => out.put_slice(bytes),
            Form::Filled(pattern, text) => {
                out.put_slice(pattern.before());
                out.put_slice(text.as_slice());
                out.put_slice(pattern.after());
            }
        }
    }

    /// Those up to where frames of its pattern differ.
    pub fn beginning(&self) -> &[u8] {
        match &self.0 {
            Form::Written(bytes) => bytes,
            Form::Filled(pattern, _) => pattern.before(),
        }
    }

    /// All of them in one piece, without a copy where they are.
    pub fn to_bytes(&self) -> Bytes {
        match &self.0 {
            Form::Written(bytes) => bytes.clone(),
            Form::Filled(..) => {
                let mut bytes = BytesMut::with_capacity(self.len());
                self.write_to(&mut bytes);
                bytes.freeze()
            }
        }
    }
}

impl From<Bytes> for Frame {
    fn from(bytes: Bytes) -> Self {
        Self(Form::Written(bytes))
    }
}

/// How they are held makes no difference.
impl PartialEq for Frame {
    fn eq(&self, other: &Self) -> bool {
        self.to_bytes() == other.to_bytes()
    }
}

impl Eq for Frame {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_of_a_pattern_is_what_would_have_been_written() {
        let pattern = Pattern::new(Bytes::from_static(b"data: \"x\"\n\n"), 7..8);
        for length in [0, 1, MOST - 1, MOST, MOST + 1, 1000] {
            let text = "x".repeat(length);
            let written = Bytes::from(format!("data: \"{text}\"\n\n"));
            let filled = pattern.fill(text.as_bytes());
            assert_eq!(filled.len(), written.len());
            assert_eq!(filled.to_bytes(), written);
            let mut out = BytesMut::from("before ");
            filled.write_to(&mut out);
            assert_eq!(out[7..], written);
            assert!(written.starts_with(filled.beginning()));
            assert_eq!(filled, Frame::from(written));
        }
    }

    #[test]
    fn a_pattern_is_held_once() {
        let pattern = Pattern::new("before after".into(), 6..7);
        let (first, second) = (pattern.fill(b"1"), pattern.fill(b"22"));
        assert_eq!(first.held_beside(None), 11);
        assert_eq!(second.held_beside(first.pattern()), 0);
        let other = Pattern::new("beforeafter".into(), 6..6).fill(b"1");
        assert_eq!(other.held_beside(first.pattern()), 11);
        let written = Frame::from(Bytes::from_static(b"written"));
        assert_eq!(written.held_beside(first.pattern()), 7);
        assert_eq!(first.held_beside(written.pattern()), 11);
    }

    #[test]
    fn a_short_text_costs_nothing_but_its_place() {
        assert!(size_of::<Frame>() <= 40);
        let pattern = Pattern::new(Bytes::new(), 0..0);
        let is_filled = |length| matches!(pattern.fill(&vec![b'x'; length]).0, Form::Filled(..));
        assert!(is_filled(MOST));
        assert!(!is_filled(MOST + 1));
    }
}
