//! The bytes of the mock's chunks.

use crate::{
    backend::Call,
    openai::{ChatChunk, ChunkChoice, Delta, Role, Usage},
};

const FINGERPRINT: &str = "fp_tokenfall";
const TIER: &str = "default";
/// With `include_obfuscation`, text and padding together are a multiple of this.
const PADDING_STEP: usize = 16;
const PADDING: &str = "0123456789abcdef";

/// Writes the chunks of one answer.
pub(super) struct Render<'a> {
    call: &'a Call,
    has_usage: bool,
    has_padding: bool,
}

impl<'a> Render<'a> {
    /// For the answer to `call`.
    pub(super) fn new(call: &'a Call) -> Self {
        let options = call.request.params.stream_options.as_ref();
        Self {
            call,
            has_usage: call.request.includes_usage(),
            has_padding: options.and_then(|o| o.include_obfuscation) == Some(true),
        }
    }

    /// A choice's first chunk.
    pub(super) fn role(&mut self, index: u32) -> Vec<u8> {
        let delta = Delta {
            role: Some(Role::Assistant),
            content: Some(""),
            refusal: Some(None),
            ..Delta::default()
        };
        self.choice(index, delta, None)
    }

    /// More of a choice's text.
    pub(super) fn content(&mut self, index: u32, text: &str) -> Vec<u8> {
        let delta = Delta {
            content: Some(text),
            ..Delta::default()
        };
        self.choice(index, delta, None)
    }

    /// A choice's last chunk.
    pub(super) fn finish(&mut self, index: u32, reason: &str) -> Vec<u8> {
        self.choice(index, Delta::default(), Some(reason))
    }

    /// The usage chunk.
    pub(super) fn usage(&mut self, usage: Usage) -> Vec<u8> {
        self.write(&[], Some(Some(usage)), None)
    }

    fn choice(&mut self, index: u32, delta: Delta<'_>, finish_reason: Option<&str>) -> Vec<u8> {
        let length = delta.content.map_or(0, str::len);
        let padding = &PADDING[length % PADDING_STEP..];
        let choice = ChunkChoice {
            index,
            delta,
            logprobs: None,
            finish_reason,
        };
        let usage = self.has_usage.then_some(None);
        self.write(&[choice], usage, self.has_padding.then_some(padding))
    }

    fn write(
        &self,
        choices: &[ChunkChoice<'_>],
        usage: Option<Option<Usage>>,
        obfuscation: Option<&str>,
    ) -> Vec<u8> {
        let chunk = ChatChunk {
            id: &self.call.id,
            object: "chat.completion.chunk",
            created: self.call.created,
            model: &self.call.request.params.model,
            service_tier: Some(TIER),
            system_fingerprint: Some(FINGERPRINT),
            choices,
            usage,
            obfuscation,
            sequence_number: None,
        };
        // Strings and numbers always serialize.
        serde_json::to_vec(&chunk).unwrap_or_default()
    }
}
