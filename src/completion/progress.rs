//! How far an answer has come, and whether its end is a good one.

use tokio::time::Instant;

use crate::{backend::Clocks, openai::Facts};

/// What the chunks of an answer have told so far.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Progress {
    seen: u128,
    finished: u128,
    last_content: Option<Instant>,
    first_content: Option<Instant>,
    last_finish: Option<Instant>,
    choices: u32,
    // It has begun, or choices have finished: the deadline may be nearer than it was.
    has_turned: bool,
}

/// The answer ended, but not every choice had finished.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Incomplete;

impl Progress {
    /// Of an answer with so many choices.
    pub(super) fn new(choices: u32) -> Self {
        Self {
            choices,
            ..Self::default()
        }
    }

    /// Takes note of one more chunk.
    pub(super) fn note(&mut self, facts: &Facts, now: Instant) {
        if facts.has_content || self.last_content.is_none() {
            self.has_turned |= self.last_content.is_none();
            self.last_content = Some(now);
        }
        if facts.has_content {
            self.first_content.get_or_insert(now);
        }
        if facts.finished & !self.finished != 0 {
            self.last_finish = Some(now);
            self.has_turned = true;
        }
        self.seen |= facts.seen;
        self.finished |= facts.finished;
    }

    /// When the first content came.
    pub(super) fn first_content(&self) -> Option<Instant> {
        self.first_content
    }

    /// Whether the deadline may be nearer than before; the second time it is not. What else a chunk does is to move it
    /// off.
    pub(super) fn has_turned(&mut self) -> bool {
        std::mem::take(&mut self.has_turned)
    }

    /// When the next chunk must have come, once one has. Chunks without content are no progress.
    pub(super) fn deadline(&self, clocks: &Clocks) -> Option<Instant> {
        match self.last_finish {
            Some(finish) if self.at_eof().is_ok() => Some(finish + clocks.after_finish),
            Some(_) | None => self.last_content.map(|last| last + clocks.between),
        }
    }

    /// Whether an upstream that says it is done has done all it began.
    pub(super) fn at_done(&self) -> Result<(), Incomplete> {
        if self.seen != 0 && self.seen == self.finished {
            return Ok(());
        }
        Err(Incomplete)
    }

    /// Whether an upstream that says nothing more has done all that was asked for.
    pub(super) fn at_eof(&self) -> Result<(), Incomplete> {
        if self.finished.count_ones() < self.choices {
            return Err(Incomplete);
        }
        self.at_done()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openai::scan;
    use std::time::Duration;

    fn after(choices: u32, chunks: &[&str]) -> Progress {
        let mut progress = Progress::new(choices);
        for chunk in chunks {
            let facts = scan(chunk.as_bytes()).expect("a chunk");
            progress.note(&facts, Instant::now());
        }
        progress
    }

    fn finish(index: u32) -> String {
        format!(r#"{{"choices":[{{"index":{index},"delta":{{}},"finish_reason":"stop"}}]}}"#)
    }

    const TEXT: &str = r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}"#;

    #[tokio::test]
    async fn an_answer_is_complete_when_every_choice_it_began_has_finished() {
        assert_eq!(after(1, &[]).at_done(), Err(Incomplete), "nothing was said");
        assert_eq!(after(1, &[TEXT]).at_done(), Err(Incomplete));
        assert_eq!(after(1, &[TEXT, &finish(0)]).at_done(), Ok(()));
        assert_eq!(after(1, &[TEXT, &finish(1)]).at_done(), Err(Incomplete));
    }

    #[tokio::test]
    async fn without_a_sentinel_all_that_were_asked_for_must_have_finished() {
        let half = after(2, &[TEXT, &finish(0)]);
        assert_eq!(half.at_done(), Ok(()));
        assert_eq!(half.at_eof(), Err(Incomplete));
        assert_eq!(after(2, &[&finish(0), &finish(1)]).at_eof(), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn empty_deltas_do_not_move_the_deadline() {
        let clocks = Clocks::default();
        let empty = r#"{"choices":[{"index":0,"delta":{"content":""},"finish_reason":null}]}"#;
        let mut progress = after(1, &[TEXT]);
        let start = Instant::now();
        tokio::time::advance(Duration::from_secs(60)).await;
        progress.note(&scan(empty.as_bytes()).expect("a chunk"), Instant::now());
        assert_eq!(progress.deadline(&clocks), Some(start + clocks.between));
        progress.note(
            &scan(finish(0).as_bytes()).expect("a chunk"),
            Instant::now(),
        );
        let deadline = progress.deadline(&clocks);
        assert_eq!(deadline, Some(Instant::now() + clocks.after_finish));
    }
}
