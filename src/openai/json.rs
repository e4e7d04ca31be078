//! One validating, allocation-free walk over JSON bytes (RFC 8259).
//!
//! It yields byte ranges, never values, so that what is not understood can be passed on
//! exactly as it came. Start at [`Walk::object`].

use std::ops::Range;

use super::plain::plain;

/// How deep values may nest; `serde_json` has the same limit.
pub const MAX_DEPTH: u8 = 128;
/// What [`JsonError::what`] says of values that nest deeper than they may.
pub(super) const TOO_DEEP: &str = "nested too deep";

/// Where and why bytes are not JSON of the expected shape.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("{what} at byte {at}")]
pub struct JsonError {
    /// Offset of the offending byte.
    pub at: usize,
    /// What is wrong there.
    pub what: &'static str,
}

/// What kind of value stands somewhere, told by its first byte and its emptiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true`, `false` or a number.
    Scalar,
    /// A string; `empty` for `""`.
    String {
        /// It holds no character.
        empty: bool,
    },
    /// An object or an array; `empty` for `{}` and `[]`.
    Container {
        /// It holds no member.
        empty: bool,
    },
}

impl Kind {
    /// Neither null nor an empty string, object or array.
    pub fn is_something(self) -> bool {
        match self {
            Self::Null | Self::String { empty: true } | Self::Container { empty: true } => false,
            Self::Scalar | Self::String { .. } | Self::Container { .. } => true,
        }
    }
}

/// One member of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member<'a> {
    /// The key between its quotes, escapes as they came.
    pub key: &'a [u8],
    /// Offset of the key's opening quote.
    pub start: usize,
    /// Offset of the comma before the member, when it is not the first.
    pub comma: Option<usize>,
}

/// A position in JSON bytes.
#[derive(Debug)]
pub struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: u8,
    max_depth: u8,
    // A place, and between which quotes of a string value it lies.
    watch: usize,
    watched: Option<Range<usize>>,
}

impl<'a> Walk<'a> {
    /// Starts before the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self::within(bytes, MAX_DEPTH)
    }

    /// The same, for values that may nest so deep.
    pub fn within(bytes: &'a [u8], max_depth: u8) -> Self {
        Self {
            bytes,
            at: 0,
            depth: 0,
            max_depth,
            watch: usize::MAX,
            watched: None,
        }
    }

    /// The same, and takes note of the string value that `at` lies in.
    pub(super) fn watching(mut self, at: Option<usize>) -> Self {
        self.watch = at.unwrap_or(usize::MAX);
        self
    }

    /// Between the quotes of which string value the place lies, if it does.
    pub(super) fn watched(self) -> Option<Range<usize>> {
        self.watched
    }

    /// Forgets a note of what lies in this range.
    pub(super) fn overlook(&mut self, range: &Range<usize>) {
        if range.contains(&self.watch) {
            self.watched = None;
        }
    }

    /// The offset reached.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The bytes of a range that an earlier call returned.
    pub fn slice(&self, range: &Range<usize>) -> &'a [u8] {
        &self.bytes[range.clone()]
    }

    /// Checks that nothing but white space follows.
    ///
    /// # Errors
    /// [`JsonError`] at the first other byte.
    pub fn end(&mut self) -> Result<(), JsonError> {
        self.skip_space();
        if self.at == self.bytes.len() {
            return Ok(());
        }
        Err(self.error("trailing characters"))
    }

    /// Walks an object; `member` must consume each member's value, by [`value`](Self::value) or deeper.
    ///
    /// # Errors
    /// [`JsonError`] when no valid object stands here, or from `member`.
    pub fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Member<'a>) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.open(b'{', "expected an object")?;
        if self.closes(b'}') {
            return Ok(());
        }
        let mut comma = None;
        loop {
            self.skip_space();
            let start = self.at;
            let key = self.string()?;
            self.expect(b':', "expected `:`")?;
            let key = &self.bytes[key];
            member(self, Member { key, start, comma })?;
            if self.closes(b'}') {
                return Ok(());
            }
            comma = Some(self.at);
            self.expect(b',', "expected `,` or `}`")?;
        }
    }

    /// Walks an array; `item` must consume each item.
    ///
    /// # Errors
    /// [`JsonError`] when no valid array stands here, or from `item`.
    pub fn array(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.open(b'[', "expected an array")?;
        if self.closes(b']') {
            return Ok(());
        }
        loop {
            item(self)?;
            if self.closes(b']') {
                return Ok(());
            }
            self.expect(b',', "expected `,` or `]`")?;
        }
    }

    /// Consumes any one value: its kind and its bytes' range.
    ///
    /// # Errors
    /// [`JsonError`] when none stands here.
    pub fn value(&mut self) -> Result<(Kind, Range<usize>), JsonError> {
        self.skip_space();
        let start = self.at;
        let kind = match self.bytes.get(start) {
            Some(b'"') => {
                let string = self.string()?;
                let empty = string.is_empty();
                // Up to the closing quote: a longer string differs there.
                if (string.start..=string.end).contains(&self.watch) {
                    self.watched = Some(string);
                }
                Kind::String { empty }
            }
            Some(b'{') => {
                let mut empty = true;
                self.object(|walk, _| {
                    empty = false;
                    walk.skip()
                })?;
                Kind::Container { empty }
            }
            Some(b'[') => {
                let mut empty = true;
                self.array(|walk| {
                    empty = false;
                    walk.skip()
                })?;
                Kind::Container { empty }
            }
            Some(b'n') => self.word(b"null").map(|()| Kind::Null)?,
            Some(b't') => self.word(b"true").map(|()| Kind::Scalar)?,
            Some(b'f') => self.word(b"false").map(|()| Kind::Scalar)?,
            Some(b'-' | b'0'..=b'9') => self.number().map(|()| Kind::Scalar)?,
            Some(_) | None => return Err(self.error("expected a value")),
        };
        Ok((kind, start..self.at))
    }

    /// Consumes any one value.
    ///
    /// # Errors
    /// [`JsonError`] when none stands here.
    pub fn skip(&mut self) -> Result<(), JsonError> {
        self.value().map(drop)
    }

    /// The kind of the value that stands next, without consuming it. A container's emptiness
    /// is not looked at: it counts as filled.
    pub fn peek(&mut self) -> Option<Kind> {
        self.skip_space();
        Some(match self.bytes.get(self.at)? {
            b'"' => Kind::String {
                empty: self.bytes.get(self.at + 1) == Some(&b'"'),
            },
            b'{' | b'[' => Kind::Container { empty: false },
            b'n' => Kind::Null,
            _ => Kind::Scalar,
        })
    }

    /// Whether an array stands next.
    pub fn is_array(&mut self) -> bool {
        self.skip_space();
        self.bytes.get(self.at) == Some(&b'[')
    }

    /// Consumes a string; the range is what stands between the quotes, which is valid UTF-8.
    ///
    /// # Errors
    /// [`JsonError`] on a bad escape, a raw control character, bad UTF-8 or a missing quote.
    pub fn string(&mut self) -> Result<Range<usize>, JsonError> {
        self.skip_space();
        if self.bytes.get(self.at) != Some(&b'"') {
            return Err(self.error("expected a string"));
        }
        self.at += 1;
        let start = self.at;
        let mut is_ascii = true;
        loop {
            self.at += plain(&self.bytes[self.at..]);
            let Some(&byte) = self.bytes.get(self.at) else {
                return Err(self.error("unfinished string"));
            };
            match byte {
                b'"' => break,
                b'\\' => self.escape()?,
                0..=0x1F => return Err(self.error("control character in a string")),
                0x20..=0x7F => self.at += 1,
                0x80..=0xFF => {
                    is_ascii = false;
                    while self.bytes.get(self.at).is_some_and(|byte| !byte.is_ascii()) {
                        self.at += 1;
                    }
                }
            }
        }
        let range = start..self.at;
        if !is_ascii && let Err(error) = std::str::from_utf8(&self.bytes[range.clone()]) {
            self.at = start + error.valid_up_to();
            return Err(self.error("invalid UTF-8"));
        }
        self.at += 1;
        Ok(range)
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        let digits = match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 0,
            Some(b'u') => 4,
            Some(_) | None => return Err(self.error("invalid escape")),
        };
        let end = self.at + 2 + digits;
        match self.bytes.get(self.at + 2..end) {
            Some(hex) if hex.iter().all(u8::is_ascii_hexdigit) => self.at = end,
            Some(_) | None => return Err(self.error("invalid escape")),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), JsonError> {
        self.take(b"-");
        if !self.take(b"0") {
            self.digits()?;
        }
        if self.take(b".") {
            self.digits()?;
        }
        if self.take(b"eE") {
            self.take(b"+-");
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        if !self.take(b"0123456789") {
            return Err(self.error("invalid number"));
        }
        while let Some(b'0'..=b'9') = self.bytes.get(self.at) {
            self.at += 1;
        }
        Ok(())
    }

    /// Consumes one byte if it is one of `any`.
    fn take(&mut self, any: &[u8]) -> bool {
        let is_one = self.bytes.get(self.at).is_some_and(|b| any.contains(b));
        self.at += usize::from(is_one);
        is_one
    }

    fn word(&mut self, word: &[u8]) -> Result<(), JsonError> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(self.error("expected a value"));
        }
        self.at += word.len();
        Ok(())
    }

    fn open(&mut self, bracket: u8, what: &'static str) -> Result<(), JsonError> {
        self.expect(bracket, what)?;
        self.depth += 1;
        if self.depth > self.max_depth {
            return Err(self.error(TOO_DEEP));
        }
        Ok(())
    }

    fn closes(&mut self, bracket: u8) -> bool {
        self.skip_space();
        let is_closed = self.take(&[bracket]);
        self.depth -= u8::from(is_closed);
        is_closed
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), JsonError> {
        self.skip_space();
        if self.take(&[byte]) {
            return Ok(());
        }
        Err(self.error(what))
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn error(&self, what: &'static str) -> JsonError {
        JsonError { at: self.at, what }
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
