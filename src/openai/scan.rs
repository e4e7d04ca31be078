//! The facts of a chunk, and the only rewrites its bytes ever get.
//!
//! An upstream's chunk is never parsed into our types and written again: one pass finds
//! what the stream's bookkeeping needs, and [`Facts::rewrite`] replaces the top-level `id`
//! and cuts a top-level `"error": null`. Start at [`scan`].

use std::{num::NonZeroU32, ops::Range};

use bytes::{BufMut, BytesMut};

use super::json::{JsonError, Kind, Walk};

/// What the pump needs to know of one chunk (or of one whole completion).
///
/// Choices are bits by their `index`, so that a chunk's facts never allocate; they are small, for they move with each
/// chunk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    /// Choices that appear in the chunk.
    pub seen: u128,
    /// Choices that carry a `finish_reason` other than null and `""`.
    pub finished: u128,
    /// A choice carries an `error`, or finished for the reason `error`.
    pub choice_failed: bool,
    /// A choice finished before it had said all: for the reason `length` or `content_filter`.
    pub is_cut_short: bool,
    /// A delta holds more than a role: text, reasoning, a refusal, a tool call.
    pub has_content: bool,
    /// The value of `usage`, when it is an object.
    pub usage: Option<Span>,
    /// The value of a top-level `error` that is not null.
    pub error: Option<Span>,
    /// The value of the top-level `id`, to be replaced.
    pub id: Option<Span>,
    /// A top-level `"error": null` with its comma, to be cut out.
    pub null_error: Option<Span>,
    /// The object's closing brace.
    pub brace: usize,
    /// How many members the object has.
    pub members: u32,
}

/// Where something stands that is not empty, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: NonZeroU32,
}

impl Span {
    /// The same as a range, for slices.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end.get() as usize
    }

    /// None of what is empty; what is scanned is not larger than that.
    fn of(range: &Range<usize>) -> Option<Self> {
        let start = u32::try_from(range.start).ok()?;
        let end = NonZeroU32::new(u32::try_from(range.end).ok()?)?;
        Some(Self { start, end })
    }
}

impl Facts {
    /// A chunk of usage alone: an empty (or no) list of choices beside it.
    pub fn is_usage_only(&self) -> bool {
        self.usage.is_some() && self.seen == 0 && self.error.is_none()
    }

    /// Those of the same bytes with another string in place of what was in `hole`, that ends at `end`.
    pub(super) fn moved(&self, hole: &Range<usize>, end: usize) -> Self {
        let move_to = |at: usize| {
            if at >= hole.end {
                at - hole.end + end
            } else {
                at
            }
        };
        let moved = |span: Option<Span>| {
            let range = span?.range();
            Span::of(&(move_to(range.start)..move_to(range.end)))
        };
        Self {
            usage: moved(self.usage),
            error: moved(self.error),
            id: moved(self.id),
            null_error: moved(self.null_error),
            brace: move_to(self.brace),
            ..*self
        }
    }

    /// Where [`rewrite`](Self::rewrite) puts what stands at `at`, for an id of so many bytes and without a number.
    pub fn rewritten(&self, at: usize, id_length: usize) -> usize {
        let length_before = |span: Option<Span>| {
            let span = span.map(Span::range).filter(|span| span.end <= at)?;
            Some(span.len())
        };
        let cut = length_before(self.null_error).unwrap_or_default();
        match length_before(self.id) {
            // With its quotes.
            Some(length) => at - cut - length + id_length + 2,
            None => at - cut,
        }
    }

    /// Appends `json` to `out` with `id` as its top-level id, `"error": null` cut out and, if
    /// asked for, `"sequence_number"` as its last member.
    ///
    /// `json` must be the bytes these facts were read from.
    pub fn rewrite(&self, json: &[u8], id: &str, sequence: Option<u64>, out: &mut BytesMut) {
        let mut edits = [(self.id, Edit::Id), (self.null_error, Edit::Cut)];
        let start = |edit: &(Option<Span>, Edit)| edit.0.map(|span| span.start);
        if start(&edits[0]) > start(&edits[1]) {
            edits.swap(0, 1);
        }
        let mut from = 0;
        for (span, edit) in edits {
            let Some(span) = span else { continue };
            let range = span.range();
            out.put_slice(&json[from..range.start]);
            if let Edit::Id = edit {
                out.put_u8(b'"');
                out.put_slice(id.as_bytes());
                out.put_u8(b'"');
            }
            from = range.end;
        }
        if let Some(number) = sequence {
            out.put_slice(&json[from..self.brace]);
            from = self.brace;
            let left = self.members - u32::from(self.null_error.is_some());
            let comma = if left == 0 { "" } else { "," };
            out.put_slice(format!("{comma}\"sequence_number\":{number}").as_bytes());
        }
        out.put_slice(&json[from..]);
    }
}

#[derive(Clone, Copy)]
enum Edit {
    Id,
    Cut,
}

/// Reads the facts of a chunk or of a whole completion, and checks that it is a JSON object.
///
/// # Errors
/// [`JsonError`] where it is not: bad JSON, a choice without an index in 0 to 127, or a
/// top-level key of interest that stands there twice.
pub fn scan(json: &[u8]) -> Result<Facts, JsonError> {
    scan_watching(json, None).map(|(facts, _)| facts)
}

/// The same, and between which quotes `at` lies, if that is a string that decides nothing but by being
/// empty or not.
pub(super) fn scan_watching(
    json: &[u8],
    at: Option<usize>,
) -> Result<(Facts, Option<Range<usize>>), JsonError> {
    if u32::try_from(json.len()).is_err() {
        let what = "4 GiB or more";
        return Err(JsonError { at: 0, what });
    }
    let mut facts = Facts::default();
    // A null error, and whether the comma behind it belongs to it.
    let mut null_error: Option<Range<usize>> = None;
    let mut walk = Walk::new(json).watching(at);
    let mut known = Known::default();
    let mut cuts_next_comma = false;
    walk.object(|walk, member| {
        if let (true, Some(comma), Some(cut)) = (cuts_next_comma, member.comma, &mut null_error) {
            cut.end = comma + 1;
            cuts_next_comma = false;
        }
        facts.members += 1;
        known.check(member.key, member.start)?;
        match member.key {
            b"id" => facts.id = Span::of(&walk.value()?.1),
            b"usage" => {
                let (kind, range) = walk.value()?;
                if let Kind::Container { .. } = kind {
                    facts.usage = Span::of(&range);
                }
            }
            b"error" => {
                let (kind, range) = walk.value()?;
                if kind == Kind::Null {
                    null_error = Some(member.comma.unwrap_or(member.start)..range.end);
                    cuts_next_comma = member.comma.is_none();
                } else {
                    facts.error = Span::of(&range);
                }
            }
            b"choices" if matches!(walk.peek(), Some(Kind::Container { .. })) => {
                walk.array(|walk| choice(walk, &mut facts))?;
            }
            _ => walk.skip()?,
        }
        Ok(())
    })?;
    facts.null_error = null_error.as_ref().and_then(Span::of);
    facts.brace = walk.at() - 1;
    walk.end()?;
    Ok((facts, walk.watched()))
}

/// Which of the keys that decide something have been met.
#[derive(Default)]
struct Known([bool; 4]);

impl Known {
    fn check(&mut self, key: &[u8], at: usize) -> Result<(), JsonError> {
        let slot = match key {
            b"id" => 0,
            b"error" => 1,
            b"choices" => 2,
            b"usage" => 3,
            _ => return Ok(()),
        };
        // Parsers differ in which of two they take, so nobody may guess.
        if std::mem::replace(&mut self.0[slot], true) {
            let what = "a key that stands twice";
            return Err(JsonError { at, what });
        }
        Ok(())
    }
}

fn choice(walk: &mut Walk<'_>, facts: &mut Facts) -> Result<(), JsonError> {
    let start = walk.at();
    let mut index = None;
    let mut is_finished = false;
    walk.object(|walk, member| {
        match member.key {
            b"index" => index = Some(index_bit(walk)?),
            b"finish_reason" => is_finished = finish(walk, facts)?,
            b"error" => facts.choice_failed |= walk.value()?.0.is_something(),
            b"delta" | b"message" if matches!(walk.peek(), Some(Kind::Container { .. })) => {
                walk.object(|walk, member| delta_member(walk, member.key, facts))?;
            }
            b"text" => facts.has_content |= walk.value()?.0.is_something(),
            _ => walk.skip()?,
        }
        Ok(())
    })?;
    let Some(bit) = index else {
        let what = "a choice without an index";
        return Err(JsonError { at: start, what });
    };
    facts.seen |= bit;
    if is_finished {
        facts.finished |= bit;
    }
    Ok(())
}

/// Any non-empty member of a delta but the role is content (PROTOCOL: failover).
fn delta_member(walk: &mut Walk<'_>, key: &[u8], facts: &mut Facts) -> Result<(), JsonError> {
    let (kind, _) = walk.value()?;
    facts.has_content |= key != b"role" && kind.is_something();
    Ok(())
}

fn index_bit(walk: &mut Walk<'_>) -> Result<u128, JsonError> {
    let (_, range) = walk.value()?;
    let index = std::str::from_utf8(walk.slice(&range));
    let index = index.ok().and_then(|digits| digits.parse::<u32>().ok());
    index
        .and_then(|index| 1_u128.checked_shl(index))
        .ok_or(JsonError {
            at: range.start,
            what: "a choice index outside 0 to 127",
        })
}

fn finish(walk: &mut Walk<'_>, facts: &mut Facts) -> Result<bool, JsonError> {
    let (kind, range) = walk.value()?;
    walk.overlook(&range);
    let reason = walk.slice(&range);
    facts.choice_failed |= reason == b"\"error\"";
    facts.is_cut_short |= matches!(reason, b"\"length\"" | b"\"content_filter\"");
    Ok(kind.is_something())
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
