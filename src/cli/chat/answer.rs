//! What the steps of one completion add up to, shown as they come.

use std::{io, ops::ControlFlow, time::Duration};

use tokio::time::Instant;

use super::{raw::Raw, screen::Screen};
use crate::client::{CallDelta, Chunk, Step};

/// The most calls of tools that are told apart.
const MAX_CALLS: usize = 128;

/// One answer.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    screen: &'a mut Screen,
    raw: Option<Raw>,
    /// The text, for the next question.
    pub(super) content: String,
    refusal: String,
    calls: Vec<(String, String)>,
    finish_reason: Option<String>,
    begun: Instant,
    first: Option<Instant>,
    last: Instant,
    chunks: u64,
    tokens: Option<u64>,
    resumes: u32,
    /// Why it could not be shown.
    pub(super) unshown: Option<io::Error>,
}

impl<'a> Answer<'a> {
    /// An answer that is asked for now.
    pub(super) fn new(screen: &'a mut Screen, is_raw: bool) -> Self {
        let begun = Instant::now();
        Self {
            screen,
            raw: is_raw.then(Raw::new),
            content: String::new(),
            refusal: String::new(),
            calls: Vec::new(),
            finish_reason: None,
            begun,
            first: None,
            last: begun,
            chunks: 0,
            tokens: None,
            resumes: 0,
            unshown: None,
        }
    }

    /// Shows a step; whether more is wanted.
    pub(super) fn take(&mut self, step: Step<'_>) -> ControlFlow<()> {
        let shown = match step {
            Step::Read(read) => match &mut self.raw {
                Some(raw) => raw.show(read, self.screen),
                None => Ok(()),
            },
            Step::Chunk(chunk) => self.add(&chunk),
            Step::Lost { why, delay } => {
                let cut = self.raw.as_mut().map(|raw| raw.cut(self.screen));
                let delay = delay.as_secs_f64();
                self.screen
                    .note(&format!("{why}; asking for the rest in {delay} s"));
                cut.unwrap_or(Ok(()))
            }
            Step::Resumed => {
                self.resumes += 1;
                self.screen.note("resumed");
                Ok(())
            }
        };
        match shown {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.unshown = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    /// No more comes: says what is not text.
    ///
    /// # Errors
    /// When nobody takes the end of the text.
    pub(super) fn end(&mut self) -> io::Result<()> {
        if let Some(raw) = &mut self.raw {
            raw.cut(self.screen)?;
        }
        self.screen.end_answer()?;
        if self.raw.is_some() {
            return Ok(());
        }
        for (name, arguments) in &self.calls {
            self.screen.note(&format!("tool call: {name}({arguments})"));
        }
        if !self.refusal.is_empty() {
            self.screen.note(&format!("refused: {}", self.refusal));
        }
        match self.finish_reason.as_deref() {
            Some("length") => self.screen.note("cut short: the most tokens were reached"),
            Some("content_filter") => self.screen.note("cut short by a content filter"),
            Some(_) | None => {}
        }
        Ok(())
    }

    /// How long it took and how fast it came, in one line.
    pub(super) fn stats(&mut self) {
        let (count, unit) = match self.tokens {
            Some(tokens) => (tokens, "tokens"),
            None => (self.chunks, "chunks"),
        };
        let Some(first) = self.first else {
            self.screen.note("no token came");
            return;
        };
        let seconds = |time: Duration| time.as_secs_f64();
        // What came at once has no rate.
        let streamed = seconds(self.last - first);
        let rate = match (count.saturating_sub(1), streamed > 0.0) {
            (following @ 1.., true) => format!(", {:.1} {unit}/s", following as f64 / streamed),
            (_, _) => String::new(),
        };
        let resumes = match self.resumes {
            0 => String::new(),
            1 => ", resumed once".to_owned(),
            times => format!(", resumed {times} times"),
        };
        self.screen.note(&format!(
            "{count} {unit}, the first after {:.3} s, the last after {:.3} s{rate}{resumes}",
            seconds(first - self.begun),
            seconds(self.last - self.begun),
        ));
    }

    fn add(&mut self, chunk: &Chunk) -> io::Result<()> {
        if chunk.has_content() {
            self.last = Instant::now();
            self.first.get_or_insert(self.last);
            self.chunks += 1;
        }
        self.tokens = chunk.completion_tokens.or(self.tokens);
        let finish_reason = chunk.finish_reason.clone();
        self.finish_reason = finish_reason.or(self.finish_reason.take());
        self.refusal.push_str(&chunk.refusal);
        self.content.push_str(&chunk.content);
        for call in &chunk.tool_calls {
            self.add_call(call);
        }
        if self.raw.is_some() {
            return Ok(());
        }
        self.screen.thought(&chunk.reasoning);
        self.screen.answer(&chunk.content)
    }

    fn add_call(&mut self, call: &CallDelta) {
        let index = call.index.min(MAX_CALLS - 1);
        if self.calls.len() <= index {
            self.calls.resize_with(index + 1, Default::default);
        }
        let (name, arguments) = &mut self.calls[index];
        name.push_str(&call.name);
        arguments.push_str(&call.arguments);
    }
}
