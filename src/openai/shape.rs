//! The facts of one chunk after the other, read anew only where more than one text has changed.
//!
//! The chunks of an answer are alike: same members, same id, and one string that differs. Once two of
//! them have shown which, the next is compared with the last, its string is checked, and its facts are
//! those of the last. Whatever else changes is scanned as if nothing were known, so that
//! [`Scanner::scan`] says of every chunk what [`scan`] does.

use std::{ops::Range, rc::Rc};

use super::{
    json::{JsonError, Walk},
    scan::{Facts, scan, scan_watching},
};

/// After so many chunks in a row that were not like the one before, nobody compares any more.
const PATIENCE: u8 = 16;
/// The largest chunk that others are compared with, in bytes: it is kept for as long as the answer lasts.
const MAX_KEPT: usize = 4096;

/// A chunk is like others, all but for a text.
#[derive(Debug, Clone)]
pub struct Likeness {
    // The same for all that are like one another.
    of: Rc<()>,
    /// Where the text stands, between its quotes, in bytes.
    pub text: Range<usize>,
}

impl Likeness {
    fn new(text: Range<usize>) -> Self {
        let of = Rc::default();
        Self { of, text }
    }

    /// Both chunks have the same bytes before their text, and the same after it.
    pub fn is_of(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.of, &other.of)
    }
}

/// Reads the chunks of one answer.
#[derive(Debug, Default)]
pub struct Scanner {
    // The chunk that was last scanned; nothing where it is not kept.
    json: Vec<u8>,
    facts: Facts,
    // Between the quotes of the string in which that chunk differed from the one before it.
    hole: Option<Range<usize>>,
    // That of the chunk that was read last; chunks like it share it.
    likeness: Option<Likeness>,
    misses: u8,
}

impl Scanner {
    /// The facts of the next chunk.
    ///
    /// # Errors
    /// [`JsonError`], as [`scan`] has it.
    pub fn scan(&mut self, json: &[u8]) -> Result<Facts, JsonError> {
        if let Some((facts, text)) = self.alike(json) {
            self.misses = 0;
            if let (Some(likeness), Some(text)) = (&mut self.likeness, text) {
                likeness.text = text;
            }
            return Ok(facts);
        }
        self.likeness = None;
        if self.misses >= PATIENCE {
            return scan(json);
        }
        self.misses += 1;
        let mut differs = self.json.iter().zip(json);
        let (facts, hole) = scan_watching(json, differs.position(|(a, b)| a != b))?;
        self.hole = hole.filter(|hole| !hole.is_empty() && json.len() <= MAX_KEPT);
        self.likeness = self.hole.clone().map(Likeness::new);
        self.json.clear();
        if json.len() <= MAX_KEPT {
            self.json.extend_from_slice(json);
        }
        self.facts = facts;
        Ok(facts)
    }

    /// What the chunk that was read last is like, if others may be like it.
    pub fn likeness(&self) -> Option<&Likeness> {
        self.likeness.as_ref()
    }

    /// The facts of a chunk that is the last one but for its string, and where that stands.
    fn alike(&self, json: &[u8]) -> Option<(Facts, Option<Range<usize>>)> {
        if !json.is_empty() && json == self.json {
            return Some((self.facts, self.hole.clone()));
        }
        let hole = self.hole.as_ref()?;
        let (before, after) = (&self.json[..hole.start], &self.json[hole.end..]);
        let end = json.len().checked_sub(after.len())?;
        // An empty string says nothing, which is another fact.
        if end <= hole.start || !json.ends_with(after) || !json.starts_with(before) {
            return None;
        }
        let quote = hole.start - 1;
        let string = Walk::new(&json[quote..]).string().ok()?;
        let text = hole.start..end;
        (quote + string.end == end).then(|| (self.facts.moved(hole, end), Some(text)))
    }
}

#[cfg(test)]
#[path = "shape_tests.rs"]
mod tests;
