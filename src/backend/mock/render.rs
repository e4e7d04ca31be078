//! The bytes of the mock's chunks.

use std::rc::Rc;

use serde_json::{Map, Value};

use super::{
    dialect::Dialect,
    random::Random,
    script::{Choice, Piece, PieceKind},
    template::{MARK, Template},
    text,
};
use crate::{
    backend::Call,
    openai::{
        ChatChunk, ChunkChoice, Delta, Form, FunctionDelta, Logprobs, Role, TextChoice,
        TokenLogprob, ToolCallDelta, TopLogprob,
    },
};

const FINGERPRINT: &str = "fp_tokenfall";
const TIER: &str = "default";
/// With `include_obfuscation`, text and padding together are a multiple of this.
const PADDING_STEP: usize = 16;
const PADDING: &str = "0123456789abcdef";
/// Tokens that might have stood where another does.
const OTHERS: [&str; 20] = [
    " the", ",", ".", " a", " of", " to", " and", " in", " is", " it", " that", " for", " on",
    " with", " as", " are", " at", " be", " this", "!",
];

/// How the chunks of one answer look.
pub(super) struct Look {
    /// Which server's they are.
    pub(super) dialect: Dialect,
    /// The tier that is said to have served it.
    pub(super) service_tier: Option<String>,
    /// The version that is said to have answered.
    pub(super) fingerprint: Option<String>,
    /// Log probabilities with so many alternatives.
    pub(super) logprobs: Option<usize>,
}

/// Writes the chunks of one answer.
pub(super) struct Render {
    call: Rc<Call>,
    look: Look,
    random: Random,
    has_usage: bool,
    has_padding: bool,
    // The chunks of a text differ in nothing but that.
    is_alike: bool,
}

impl Render {
    /// For the answer to `call`.
    pub(super) fn new(call: Rc<Call>, look: Look, random: Random) -> Self {
        let options = call.request.params.stream_options.as_ref();
        let has_padding = options.and_then(|o| o.include_obfuscation) == Some(true);
        let is_alike = !has_padding
            && look.logprobs.is_none()
            && look.dialect == Dialect::Openai
            && call.request.form() != Form::Text;
        Self {
            has_usage: call.request.includes_usage(),
            call,
            look,
            random,
            has_padding,
            is_alike,
        }
    }

    /// Which server's chunks they are.
    pub(super) fn dialect(&self) -> Dialect {
        self.look.dialect
    }

    /// The usage chunk was asked for.
    pub(super) fn shows_usage(&self) -> bool {
        self.has_usage
    }

    /// What the chunks of a choice have in common where they differ in a text alone.
    pub(super) fn template(&mut self, choice: (u32, &Choice), kind: PieceKind) -> Option<Template> {
        if !self.is_alike || kind != PieceKind::Text {
            return None;
        }
        let mark = Piece {
            kind,
            text: MARK,
            is_plain: true,
        };
        Template::of(&self.piece(choice, mark, None))
    }

    /// What some servers send before anything else.
    pub(super) fn prelude(&self) -> Option<Vec<u8>> {
        if self.is_text() {
            return None;
        }
        let chunk = self.look.dialect.prelude()?;
        Some(chunk.to_string().into_bytes())
    }

    /// A choice's first chunk: who speaks, or the prompt of a text that is echoed.
    pub(super) fn opening(&self, index: u32, choice: &Choice) -> Option<Vec<u8>> {
        if self.is_text() {
            let has_echo = !choice.echo.is_empty();
            return has_echo.then(|| self.text((index, &choice.echo), None, None));
        }
        Some(self.role(index, choice))
    }

    fn role(&self, index: u32, choice: &Choice) -> Vec<u8> {
        let delta = Delta {
            role: Some(Role::Assistant),
            content: Some(choice.begins_with_text.then_some("")),
            refusal: Some(None),
            ..Delta::default()
        };
        self.choice(self.plain(index, delta), None)
    }

    /// More of a choice.
    pub(super) fn piece(
        &mut self,
        (index, choice): (u32, &Choice),
        piece: Piece<'_>,
        finish_reason: Option<&str>,
    ) -> Vec<u8> {
        let text = piece.text;
        if self.is_text() {
            return self.text((index, text), finish_reason, None);
        }
        let function;
        let call;
        let mut delta = Delta::default();
        match piece.kind {
            PieceKind::Text => delta.content = Some(Some(text)),
            PieceKind::Refusal => delta.refusal = Some(Some(text)),
            PieceKind::Reasoning => match self.look.dialect.reasoning_key() {
                "reasoning" => delta.reasoning = Some(text),
                _ => delta.reasoning_content = Some(text),
            },
            PieceKind::Call(number) => {
                function = FunctionDelta {
                    name: choice.calls.get(number).map(|call| &call.name[..]),
                    arguments: Some(""),
                };
                call = [ToolCallDelta {
                    index: u32::try_from(number).unwrap_or(u32::MAX),
                    id: choice.calls.get(number).map(|call| &call.id[..]),
                    kind: Some("function"),
                    function: Some(function),
                }];
                delta.tool_calls = Some(&call);
            }
            PieceKind::Arguments(number) => {
                function = FunctionDelta {
                    name: None,
                    arguments: Some(text),
                };
                call = [ToolCallDelta {
                    index: u32::try_from(number).unwrap_or(u32::MAX),
                    function: Some(function),
                    ..ToolCallDelta::default()
                }];
                delta.tool_calls = Some(&call);
            }
        }
        let logprobs = self.logprobs(piece);
        let choice = ChunkChoice {
            logprobs,
            finish_reason,
            ..self.plain(index, delta)
        };
        self.choice(choice, None)
    }

    /// A choice's last chunk, with the usage where that stands beside it.
    pub(super) fn finish(&self, index: u32, reason: &str, usage: Option<&Value>) -> Vec<u8> {
        if self.is_text() {
            return self.text((index, ""), Some(reason), usage);
        }
        let choice = ChunkChoice {
            finish_reason: Some(reason),
            ..self.plain(index, Delta::default())
        };
        self.choice(choice, usage)
    }

    /// The usage chunk.
    pub(super) fn usage(&self, usage: &Value) -> Vec<u8> {
        if self.is_text() {
            return text::chunk(&self.call, &[], Some(Some(usage)));
        }
        self.write(&[], Some(Some(usage)), None)
    }

    /// A legacy completion is written, which has one form in every dialect.
    fn is_text(&self) -> bool {
        self.call.request.form() == Form::Text
    }

    fn text(
        &self,
        (index, text): (u32, &str),
        finish_reason: Option<&str>,
        usage: Option<&Value>,
    ) -> Vec<u8> {
        let choice = TextChoice {
            text,
            index,
            logprobs: None,
            finish_reason,
        };
        text::chunk(&self.call, &[choice], self.usage_beside(usage))
    }

    fn plain<'b>(&self, index: u32, delta: Delta<'b>) -> ChunkChoice<'b> {
        ChunkChoice {
            index,
            delta,
            logprobs: None,
            finish_reason: None,
        }
    }

    /// How probable a token was; only texts and refusals say so.
    fn logprobs<'b>(&mut self, piece: Piece<'b>) -> Option<Logprobs<'b>> {
        let alternatives = self.look.logprobs?;
        let token = piece.text;
        let is_text = piece.kind == PieceKind::Text;
        if !is_text && piece.kind != PieceKind::Refusal {
            return None;
        }
        let mut logprob = -self.small(500);
        let chosen = (token, logprob);
        let mut top = Vec::new();
        let others = OTHERS.iter().filter(|other| **other != token);
        for (place, token) in std::iter::once(&token)
            .chain(others)
            .take(alternatives)
            .enumerate()
        {
            if place > 0 {
                logprob -= 0.5 + self.small(1500);
            }
            top.push(TopLogprob {
                token,
                logprob,
                bytes: token.as_bytes(),
            });
        }
        let entry = vec![TokenLogprob {
            token,
            logprob: chosen.1,
            bytes: token.as_bytes(),
            top_logprobs: top,
        }];
        let (content, refusal) = match is_text {
            true => (Some(entry), None),
            false => (None, Some(entry)),
        };
        Some(Logprobs { content, refusal })
    }

    /// So many thousandths at most.
    fn small(&mut self, most: u32) -> f64 {
        let drawn = self.random.below(most as usize + 1);
        f64::from(u32::try_from(drawn).unwrap_or_default()) / 1000.0
    }

    fn choice(&self, choice: ChunkChoice<'_>, usage: Option<&Value>) -> Vec<u8> {
        let length = choice.delta.content.flatten().map_or(0, str::len);
        let padding = &PADDING[length % PADDING_STEP..];
        let usage = self.usage_beside(usage);
        self.write(&[choice], usage, self.has_padding.then_some(padding))
    }

    /// What a chunk with choices says of the usage.
    fn usage_beside<'b>(&self, usage: Option<&'b Value>) -> Option<Option<&'b Value>> {
        match usage {
            Some(usage) => Some(Some(usage)),
            None => (self.has_usage && !self.look.dialect.merges_usage()).then_some(None),
        }
    }

    fn write(
        &self,
        choices: &[ChunkChoice<'_>],
        usage: Option<Option<&Value>>,
        obfuscation: Option<&str>,
    ) -> Vec<u8> {
        let chunk = ChatChunk {
            id: &self.call.id,
            object: "chat.completion.chunk",
            created: self.call.created,
            model: &self.call.request.params.model,
            service_tier: self.look.service_tier.as_deref().or(Some(TIER)),
            system_fingerprint: self.look.fingerprint.as_deref().or(Some(FINGERPRINT)),
            choices,
            usage,
            obfuscation,
            sequence_number: None,
        };
        // Strings and numbers always serialize.
        let json = serde_json::to_vec(&chunk).unwrap_or_default();
        if self.look.dialect == Dialect::Openai {
            return json;
        }
        let members: Map<String, Value> = serde_json::from_slice(&json).unwrap_or_default();
        serde_json::to_vec(&self.look.dialect.reshape(members)).unwrap_or_default()
    }
}
