//! A whole completion, as the document describes it. Replies are made from a log's bytes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ErrorBody, Role, TextCompletionView, Usage};

/// The reply to a request without `stream`. Upstreams may add members of their own.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ChatCompletion {
    /// The completion's id.
    pub id: String,
    /// Always `chat.completion`.
    #[schema(pattern = "^chat\\.completion$")]
    pub object: String,
    /// When the completion was asked for, in seconds since 1970.
    pub created: u64,
    /// The model that answered.
    pub model: String,
    /// The answers.
    pub choices: Vec<Choice>,
    /// The count of tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The tier that served the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// The version of the model that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_fingerprint: Option<String>,
}

/// A completion as far as it has come.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ChatCompletionView {
    /// What has been said.
    #[serde(flatten)]
    pub completion: ChatCompletion,
    /// How far it is.
    pub status: Status,
    /// Where the count of tokens comes from: `reported` by the upstream, `estimated` here, or
    /// `none` once it has ended and nothing was used, or nothing is known.
    #[schema(pattern = "^(reported|estimated|none)$")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_source: Option<String>,
    /// How many upstreams were tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// After which events (counted from 1) another upstream went on, where one was lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continued_after: Option<Vec<u64>>,
    /// Why it failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
}

/// A completion of either API as far as it has come.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(untagged)]
pub enum CompletionView {
    /// A chat completion.
    Chat(ChatCompletionView),
    /// A legacy completion.
    Text(TextCompletionView<'static>),
}

/// How far a completion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nothing has been said yet.
    Queued,
    /// It goes on.
    InProgress,
    /// All has been said.
    Completed,
    /// It broke.
    Failed,
    /// It was stopped.
    Cancelled,
}

/// One answer.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Choice {
    /// Which choice.
    pub index: u32,
    /// What the model says.
    pub message: Answer,
    /// Why it ended.
    #[schema(required)]
    pub finish_reason: Option<String>,
}

/// What the model says.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Answer {
    /// Always `assistant`.
    pub role: Role,
    /// The text; null where the model calls tools instead.
    #[schema(required)]
    pub content: Option<String>,
    /// Why the model declines, where it does.
    #[serde(default)]
    pub refusal: Option<String>,
}
