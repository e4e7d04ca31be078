//! A `pattern`: whether a text fits, and a text that does.

use fancy_regex::{Regex, RegexBuilder};
use regex_syntax::{
    ParserBuilder,
    hir::{Class, Hir, HirKind},
};

use super::{Cause, MAX_TEXT, Random, ecma::translate, writing};

/// How large a pattern may be with its repetitions written out, in characters and ranges.
const MAX_WEIGHT: usize = 200_000;
/// How often a match may try again, with lookaround.
const MAX_BACKTRACKS: usize = 5_000;
/// What a match with lookaround costs, in steps: it may try as often as that.
const LOOK_COST: usize = 100;
/// How deep groups may be nested.
const MAX_NESTING: u32 = 64;

/// A pattern that can be checked and written.
pub(super) struct Pattern {
    /// How large it is with its repetitions written out.
    pub(super) weight: usize,
    /// Whether it looks ahead or behind.
    has_look: bool,
    regex: Regex,
    hir: Hir,
}

impl Pattern {
    /// Reads a pattern in ECMAScript's syntax.
    pub(super) fn parse(source: &str) -> Result<Self, Cause> {
        if source.len() > MAX_TEXT {
            return Err(Cause::Unsupported("the pattern is too long".to_owned()));
        }
        let translation = translate(source);
        let unsupported = || Cause::Unsupported(format!("the pattern {source:?} is not supported"));
        let hir = read(&translation.plain).ok_or_else(unsupported)?;
        // What looks around costs as much as what does not.
        let has_look = translation.full != translation.plain;
        let mut all = translation.full.clone();
        for look in ["(?=", "(?!", "(?<=", "(?<!"] {
            all = all.replace(look, "(?:");
        }
        let all = read(&all).ok_or_else(unsupported)?;
        // Before it is compiled, which takes time and memory by this measure.
        let weight = weight(&all);
        if weight > MAX_WEIGHT {
            let why = format!("the pattern {source:?} is too large");
            return Err(Cause::Unsupported(why));
        }
        let mut builder = RegexBuilder::new(&translation.full);
        let regex = builder.backtrack_limit(MAX_BACKTRACKS).build();
        let regex = regex.map_err(|_| unsupported())?;
        Ok(Self {
            weight,
            has_look,
            regex,
            hir,
        })
    }

    /// What a match of a text may cost, in steps.
    pub(super) fn cost(&self, text: &str) -> usize {
        let look = if self.has_look { LOOK_COST } else { 0 };
        let large = self.weight.saturating_mul(text.len()) >> 16;
        large.saturating_add(1 + text.len() / 64 + look)
    }

    /// What it may cost to write a text, in steps.
    pub(super) fn cost_of_writing(&self) -> usize {
        1 + self.weight.min(MAX_TEXT) / 64
    }

    /// Whether a text fits. One that takes too long to match does not.
    pub(super) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text).unwrap_or(false)
    }

    /// A text of about `length` characters that may fit, and has to be checked.
    pub(super) fn write(&self, length: usize, random: &mut Random) -> Option<String> {
        writing::write(&self.hir, length, random)
    }
}

fn read(pattern: &str) -> Option<Hir> {
    let mut parser = ParserBuilder::new().nest_limit(MAX_NESTING).build();
    parser.parse(pattern).ok()
}

/// The size of a pattern with its repetitions written out.
fn weight(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(Class::Unicode(class)) => class.ranges().len(),
        HirKind::Class(Class::Bytes(class)) => class.ranges().len(),
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min).max(1) as usize;
            weight(&repetition.sub).saturating_mul(times)
        }
        HirKind::Capture(capture) => weight(&capture.sub).saturating_add(1),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            let parts = parts.iter().map(weight);
            parts.fold(1, usize::saturating_add)
        }
    }
}
