//! What was counted of all streams.

use std::collections::BTreeMap;

use super::{fault::Fault, histogram::Histogram};

/// The most bytes of an error that are shown.
const MAX_EXAMPLE: usize = 300;
/// The most kinds of errors that are told apart: statuses are the server's to choose.
const MAX_KINDS: usize = 32;
const OTHER: &str = "other";

/// Counts and times of all streams so far.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Streams asked for.
    pub started: u64,
    /// Streams that came whole: all choices finished, then `[DONE]`, then the end of the reply.
    pub completed: u64,
    /// Streams under way.
    pub open: u64,
    /// The most streams that were under way at once.
    pub most_open: u64,
    /// Events but for `[DONE]`.
    pub chunks: u64,
    /// `[DONE]`s.
    pub sentinels: u64,
    /// Bytes of bodies.
    pub bytes: u64,
    /// From the request to the first event.
    pub first_event: Histogram,
    /// From the request to the first event with content.
    pub first_token: Histogram,
    /// Between a chunk of a stream and the one before, from the first with content on.
    pub gap: Histogram,
    /// From the request to `[DONE]`.
    pub total: Histogram,
    /// From the stamp in a chunk until it was read.
    pub transit: Histogram,
    /// What went wrong, by kind.
    pub errors: BTreeMap<String, Errors>,
}

/// Errors of one kind.
#[derive(Debug, Clone)]
pub struct Errors {
    /// How many there were.
    pub count: u64,
    /// The first of them.
    pub example: String,
}

impl Tally {
    /// A stream begins.
    pub(super) fn begin(&mut self) {
        self.started += 1;
        self.open += 1;
        self.most_open = self.most_open.max(self.open);
    }

    /// A stream has ended.
    pub(super) fn end(&mut self, end: Result<(), Fault>) {
        self.open -= 1;
        match end {
            Ok(()) => self.completed += 1,
            Err(fault) => self.fail(&fault),
        }
    }

    /// How many streams did not come whole.
    pub fn failed(&self) -> u64 {
        self.errors.values().map(|errors| errors.count).sum()
    }

    fn fail(&mut self, fault: &Fault) {
        let mut kind = fault.kind();
        if self.errors.len() >= MAX_KINDS && !self.errors.contains_key(&kind) {
            OTHER.clone_into(&mut kind);
        }
        let errors = self.errors.entry(kind).or_insert_with(|| Errors {
            count: 0,
            example: fault.to_string().chars().take(MAX_EXAMPLE).collect(),
        });
        errors.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_errors_are_limited_and_none_is_lost() {
        let mut tally = Tally::default();
        for status in 400..500 {
            tally.begin();
            tally.end(Err(Fault::Status {
                status,
                body: "x".repeat(MAX_EXAMPLE + 1),
            }));
        }
        assert_eq!(tally.errors.len(), MAX_KINDS + 1);
        assert_eq!(tally.failed(), 100);
        assert_eq!(tally.open, 0);
        let example = &tally.errors["status_400"].example;
        assert_eq!(example.len(), MAX_EXAMPLE);
    }
}
