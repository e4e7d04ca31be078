//! What a stream carries: chunks, as the mock writes them and as the document describes them.

use serde::Serialize;
use utoipa::ToSchema;

use super::Role;

/// One event of a stream. Upstreams may add members of their own.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ChatChunk<'a> {
    /// The completion's id, the same in every chunk.
    pub id: &'a str,
    /// Always `chat.completion.chunk`.
    #[schema(pattern = "^chat\\.completion\\.chunk$")]
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
    pub usage: Option<Option<Usage>>,
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
    #[schema(value_type = Option<Object>)]
    pub logprobs: Option<()>,
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
    pub content: Option<&'a str>,
    /// More of a refusal; null in a choice's first chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub refusal: Option<Option<&'a str>>,
    /// More of the calls of tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<&'a [ToolCallDelta<'a>]>,
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
