//! What a stream carries: chunks, as the mock writes them and as the document describes them.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Role;

/// One event of a stream. Upstreams may add members of their own.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ChatChunk<'a> {
    /// The completion's id, the same in every chunk.
    pub id: &'a str,
    /// `chat.completion.chunk`, or nothing in the chunk that Azure begins with.
    #[schema(pattern = "^(chat\\.completion\\.chunk)?$")]
    pub object: &'static str,
    /// When the completion was asked for, in seconds since 1970.
    pub created: u64,
    /// The model that answers.
    pub model: &'a str,
    /// The tier that served the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<&'a str>,
    /// The version of the model that answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_fingerprint: Option<&'a str>,
    /// The choices that this chunk adds to; none in the usage chunk.
    pub choices: &'a [ChunkChoice<'a>],
    /// The count of tokens, in the usage chunk; null in the others where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Usage>)]
    pub usage: Option<Option<&'a Value>>,
    /// Padding, where `include_obfuscation` asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub obfuscation: Option<&'a str>,
    /// The event's number, where `include_sequence` asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence_number: Option<u64>,
}

/// What a chunk adds to one choice.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ChunkChoice<'a> {
    /// Which choice.
    pub index: u32,
    /// What is added.
    pub delta: Delta<'a>,
    /// Log probabilities, where they were asked for.
    pub logprobs: Option<Logprobs<'a>>,
    /// Why the choice ended, in its last chunk.
    #[schema(required)]
    pub finish_reason: Option<&'a str>,
}

/// The addition itself.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct Delta<'a> {
    /// Who speaks, in a choice's first chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// More of the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub content: Option<Option<&'a str>>,
    /// More of a refusal; null in a choice's first chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub refusal: Option<Option<&'a str>>,
    /// More of what the model thinks, as most servers call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub reasoning_content: Option<&'a str>,
    /// The same, as others do.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub reasoning: Option<&'a str>,
    /// More of the calls of tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<&'a [ToolCallDelta<'a>]>,
}

/// Log probabilities of what a chunk adds.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Logprobs<'a> {
    /// Of the tokens of a text.
    #[schema(required)]
    pub content: Option<Vec<TokenLogprob<'a>>>,
    /// Of the tokens of a refusal.
    #[schema(required)]
    pub refusal: Option<Vec<TokenLogprob<'a>>>,
}

/// One token and how probable it was.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TokenLogprob<'a> {
    /// The token.
    pub token: &'a str,
    /// The natural logarithm of its probability.
    pub logprob: f64,
    /// Its bytes.
    #[schema(value_type = Option<Vec<u8>>)]
    pub bytes: &'a [u8],
    /// The most probable tokens at this place.
    pub top_logprobs: Vec<TopLogprob<'a>>,
}

/// A token that might have stood there.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TopLogprob<'a> {
    /// The token.
    pub token: &'a str,
    /// The natural logarithm of its probability.
    pub logprob: f64,
    /// Its bytes.
    #[schema(value_type = Option<Vec<u8>>)]
    pub bytes: &'a [u8],
}

/// An addition to one call of a tool: its first names the tool, later ones add arguments.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct ToolCallDelta<'a> {
    /// Which call.
    pub index: u32,
    /// The call's id, in its first addition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    /// Always `function`, in its first addition.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'a str>,
    /// The function that is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionDelta<'a>>,
}

/// An addition to the call of a function.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct FunctionDelta<'a> {
    /// Its name, in the first addition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    /// More of its arguments, which are JSON when all have come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<&'a str>,
}

/// The count of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Usage {
    /// Tokens of the request.
    pub prompt_tokens: u64,
    /// Tokens of the answer, all choices together.
    pub completion_tokens: u64,
    /// Both.
    pub total_tokens: u64,
}

impl Usage {
    /// The counts of a request and its answer.
    pub fn new(prompt_tokens: usize, completion_tokens: usize) -> Self {
        Self {
            prompt_tokens: prompt_tokens as u64,
            completion_tokens: completion_tokens as u64,
            total_tokens: (prompt_tokens + completion_tokens) as u64,
        }
    }
}
