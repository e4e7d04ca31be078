//! Texts that fit a pattern, written by walking through it.

use regex_syntax::hir::{Class, Hir, HirKind, Repetition};

use super::{MAX_TEXT, Random};

/// How often a repetition without an end is repeated more than it has to be.
const MORE: usize = 8;

/// What is left while a text is written.
struct Writing<'r> {
    text: String,
    /// How many characters may be added to the shortest text.
    extra: usize,
    /// Whether the first repetition that can takes all of `extra`.
    is_greedy: bool,
    /// How many nodes may still be visited.
    visits: usize,
    random: &'r mut Random,
}

/// How long a text is wished for, given its limits.
pub(super) fn length(least: usize, most: usize, random: &mut Random) -> usize {
    let most = most.min(least.max(4).saturating_add(MORE));
    random.between(least, most.max(least))
}

/// A text of about `length` characters that may fit: lookaround and anchors in odd places are
/// not minded.
pub(super) fn write(hir: &Hir, length: usize, random: &mut Random) -> Option<String> {
    let shortest = hir.properties().minimum_len()?;
    let mut writing = Writing {
        text: String::new(),
        extra: length.saturating_sub(shortest),
        is_greedy: random.coin(),
        visits: MAX_TEXT,
        random,
    };
    writing.node(hir)?;
    Some(writing.text)
}

impl Writing<'_> {
    fn node(&mut self, hir: &Hir) -> Option<()> {
        self.visits = self.visits.checked_sub(1)?;
        match hir.kind() {
            // What an assertion asks for is checked at the end.
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => {
                let text = std::str::from_utf8(&literal.0).ok()?;
                self.visits = self.visits.checked_sub(text.len())?;
                self.text.push_str(text);
            }
            HirKind::Class(class) => self.class(class)?,
            HirKind::Repetition(repetition) => self.repetition(repetition)?,
            HirKind::Capture(capture) => self.node(&capture.sub)?,
            HirKind::Concat(parts) => {
                for part in parts {
                    self.node(part)?;
                }
            }
            HirKind::Alternation(branches) => {
                let branch = self.random.pick(branches)?;
                self.node(branch)?;
            }
        }
        Some(())
    }

    fn repetition(&mut self, repetition: &Repetition) -> Option<()> {
        let least = repetition.min as usize;
        let size = repetition.sub.properties().minimum_len()?;
        // A part that may be empty is repeated a little, whatever the length.
        let room = self.extra.checked_div(size).unwrap_or(1);
        let most = repetition.max.map_or(usize::MAX, |max| max as usize);
        let room = room.min(most.saturating_sub(least));
        let more = if self.is_greedy {
            room
        } else {
            self.random.below(room.saturating_add(1))
        };
        self.extra -= (more * size).min(self.extra);
        for _ in 0..least.saturating_add(more) {
            self.node(&repetition.sub)?;
        }
        Some(())
    }

    /// A character of a class, a printable one of ASCII if it has any.
    fn class(&mut self, class: &Class) -> Option<()> {
        let ranges: Vec<(u32, u32)> = match class {
            Class::Unicode(class) => {
                let ranges = class.ranges().iter();
                ranges
                    .map(|range| (range.start().into(), range.end().into()))
                    .collect()
            }
            Class::Bytes(class) => {
                let ranges = class.ranges().iter();
                ranges
                    .map(|range| (range.start().into(), range.end().into()))
                    .collect()
            }
        };
        let within = |low: u32, high: u32| -> Vec<(u32, u32)> {
            let cut = ranges.iter().map(|(a, b)| (*a.max(&low), *b.min(&high)));
            cut.filter(|(a, b)| a <= b).collect()
        };
        // A class that leaves things out, such as `[^"]` or `.`, is best met by letters.
        let is_wide = ranges.last().is_some_and(|(_, high)| *high > 0x7f);
        let mut found = Vec::new();
        if is_wide {
            found = [
                within('a'.into(), 'z'.into()),
                within('0'.into(), '9'.into()),
            ]
            .concat();
        }
        for (low, high) in [(0x21, 0x7e), (0x20, 0x20), (0, u32::MAX)] {
            if found.is_empty() {
                found = within(low, high);
            }
        }
        let (low, high) = *self.random.pick(&found)?;
        let picked = self.random.between(low as usize, high as usize);
        let picked = u32::try_from(picked).ok()?;
        // Only the surrogates lie between characters.
        self.text
            .push(char::from_u32(picked).or(char::from_u32(low))?);
        Some(())
    }
}
