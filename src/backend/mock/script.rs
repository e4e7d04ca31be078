//! An answer before it is sent: what each choice says, cut where the request says.

use std::ops::Range;

use smallvec::SmallVec;

use super::splits::{Split, Splits};
use crate::{openai::ChatRequest, tokens::TokensError};

/// A part of what a choice says, with everything filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Block {
    /// What the model thinks.
    Reasoning(String),
    /// What it says.
    Text(String),
    /// What it says in place of an answer.
    Refusal(String),
    /// A tool that it calls.
    Call(Call),
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    /// The call's id.
    pub(super) id: String,
    /// The tool.
    pub(super) name: String,
    /// JSON, if the scenario says so.
    pub(super) arguments: String,
}

/// One choice, cut into what is sent.
#[derive(Debug)]
pub(super) struct Choice {
    // Every step of it.
    parts: SmallVec<[Part; 1]>,
    /// The calls that the steps speak of.
    pub(super) calls: Vec<Call>,
    /// How many tokens were generated, and how many of them were thoughts.
    pub(super) tokens: usize,
    pub(super) reasoning_tokens: usize,
    /// Why it ends.
    pub(super) finish_reason: String,
    /// Its first delta has a text, if only an empty one.
    pub(super) begins_with_text: bool,
    /// What stands before it: the prompt of a legacy completion, where it is echoed.
    pub(super) echo: String,
}

/// One step of a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// Of what it is.
    pub(super) kind: PieceKind,
    /// What is said.
    pub(super) text: &'a str,
    /// It stands in JSON as it is, as far as is known.
    pub(super) is_plain: bool,
}

/// Steps of one kind, one after the other: the first pieces of a text.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// Of what they are.
    pub(super) kind: PieceKind,
    split: Split,
    // The number of its first step, and of that behind its last.
    steps: Range<usize>,
    // Where the text ends, if its last piece goes on.
    until: usize,
}

/// Of what a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PieceKind {
    /// A thought.
    Reasoning,
    /// A text.
    Text,
    /// A refusal.
    Refusal,
    /// The beginning of the call of this number; the text is empty.
    Call(usize),
    /// Its arguments.
    Arguments(usize),
}

impl Choice {
    /// How many steps it has.
    pub(super) fn steps(&self) -> usize {
        self.parts.last().map_or(0, |last| last.steps.end)
    }

    /// The part that the step of this number is of.
    pub(super) fn part(&self, step: usize) -> Option<&Part> {
        let part = self.parts.partition_point(|part| part.steps.end <= step);
        self.parts.get(part)
    }

    /// Cuts blocks into tokens, up to where the request's `stop` and its limit say.
    pub(super) async fn cut(
        blocks: Vec<Block>,
        request: &ChatRequest,
        splits: &Splits,
    ) -> Result<Self, TokensError> {
        let mut cutter = Cutter {
            begins_with_text: !matches!(blocks.first(), Some(Block::Call(_))),
            room: request.max_tokens().unwrap_or(usize::MAX),
            parts: SmallVec::new(),
            calls: Vec::new(),
            tokens: 0,
            reasoning_tokens: 0,
            splits,
        };
        let mut end = None;
        for block in blocks {
            end = match block {
                Block::Reasoning(text) => cutter.add(PieceKind::Reasoning, text, None).await?,
                Block::Refusal(text) => cutter.add(PieceKind::Refusal, text, None).await?,
                Block::Text(text) => {
                    let stop = stop_at(&text, request);
                    cutter.add(PieceKind::Text, text, stop).await?
                }
                Block::Call(call) => cutter.call(call).await?,
            };
            if end.is_some() {
                break;
            }
        }
        let natural = if cutter.calls.is_empty() {
            "stop"
        } else {
            "tool_calls"
        };
        Ok(Self {
            finish_reason: end.unwrap_or(natural).to_owned(),
            parts: cutter.parts,
            calls: cutter.calls,
            tokens: cutter.tokens,
            reasoning_tokens: cutter.reasoning_tokens,
            begins_with_text: cutter.begins_with_text,
            echo: String::new(),
        })
    }
}

impl Part {
    /// The step of this number, if it is of this part.
    pub(super) fn piece(&self, step: usize) -> Option<Piece<'_>> {
        let is_within = self.steps.contains(&step);
        is_within.then(|| Piece {
            kind: self.kind,
            text: self.split.text_of(step - self.steps.start, self.until),
            is_plain: self.split.is_plain,
        })
    }
}

struct Cutter<'a> {
    room: usize,
    parts: SmallVec<[Part; 1]>,
    calls: Vec<Call>,
    tokens: usize,
    reasoning_tokens: usize,
    begins_with_text: bool,
    splits: &'a Splits,
}

impl Cutter<'_> {
    /// Adds a text, or its beginning; then the reason why no more is said.
    async fn add(
        &mut self,
        kind: PieceKind,
        text: String,
        stop: Option<usize>,
    ) -> Result<Option<&'static str>, TokensError> {
        let split = self.splits.split(&text).await?;
        let mut end = stop.is_some().then_some("stop");
        let (mut start, mut count) = (0, 0);
        for piece in split.pieces() {
            if stop.is_some_and(|stop| start >= stop) {
                break;
            }
            if self.tokens + piece.tokens > self.room {
                end = Some("length");
                break;
            }
            self.tokens += piece.tokens;
            if kind == PieceKind::Reasoning {
                self.reasoning_tokens += piece.tokens;
            }
            count += 1;
            start = piece.end;
        }
        self.say(kind, split, (count, stop.unwrap_or(usize::MAX)));
        Ok(end)
    }

    /// Adds so many pieces, as far as they stand before `until`.
    fn say(&mut self, kind: PieceKind, split: Split, (count, until): (usize, usize)) {
        let first = self.parts.last().map_or(0, |last| last.steps.end);
        if count > 0 {
            self.parts.push(Part {
                kind,
                split,
                steps: first..first + count,
                until,
            });
        }
    }

    async fn call(&mut self, call: Call) -> Result<Option<&'static str>, TokensError> {
        let number = self.calls.len();
        let name = self.splits.count(&call.name).await?;
        if self.tokens + name > self.room {
            return Ok(Some("length"));
        }
        self.tokens += name;
        self.say(PieceKind::Call(number), Split::default(), (1, 0));
        let arguments = call.arguments.clone();
        self.calls.push(call);
        self.add(PieceKind::Arguments(number), arguments, None)
            .await
    }
}

/// Where the first of the stop texts begins.
fn stop_at(text: &str, request: &ChatRequest) -> Option<usize> {
    let stops = request.params.stop.as_ref()?.texts();
    let stops = stops.iter().filter(|stop| !stop.is_empty());
    stops.filter_map(|stop| text.find(&stop[..])).min()
}
