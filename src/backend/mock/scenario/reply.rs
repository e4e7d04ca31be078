//! What a scenario answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{Context, Template, TemplateError, schema::schema_of, template};
use crate::{
    backend::frame::{RawFrame, WrittenFrame},
    openai::object,
};

/// An answer: exactly one of `text`, `blocks`, `error` and `raw`, and what is told beside it.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Written")]
pub struct Reply {
    /// The answer itself.
    pub body: Body,
    /// Why it ends; `stop` or `tool_calls` by what was said.
    pub finish_reason: Option<String>,
    /// Members of `usage`, in place of what is counted and beside it.
    pub usage: Map<String, Value>,
    /// The tier that is said to have served it.
    pub service_tier: Option<String>,
    /// The version of the model that is said to have answered.
    pub system_fingerprint: Option<String>,
    /// Log probabilities although nobody asked.
    pub logprobs: bool,
}

/// The sorts of answers.
#[derive(Debug, Clone)]
pub enum Body {
    /// What the model says, in order.
    Blocks(Vec<Block>),
    /// A refusal with an HTTP status.
    Error(ErrorReply),
    /// Bytes as they are.
    Raw(Vec<RawFrame>),
}

/// The same as it is written.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Written {
    /// What the model says.
    #[serde(default)]
    text: Option<Template>,
    /// What the model says in several ways, in order.
    #[serde(default)]
    #[schema(min_items = 1)]
    blocks: Option<Vec<Block>>,
    /// An HTTP error in place of an answer.
    #[serde(default, deserialize_with = "object::optional")]
    error: Option<ErrorReply>,
    /// The bytes of the answer's body, sent as they are; the log has them so too.
    #[serde(default)]
    raw: Option<Vec<RawFrame>>,
    /// Why it ends; `stop` or `tool_calls` by what was said.
    #[serde(default)]
    finish_reason: Option<String>,
    /// Members of `usage`, in place of what is counted and beside it.
    #[serde(default)]
    #[schema(value_type = Object)]
    usage: Map<String, Value>,
    /// The tier that is said to have served it.
    #[serde(default)]
    service_tier: Option<String>,
    /// The version of the model that is said to have answered.
    #[serde(default)]
    system_fingerprint: Option<String>,
    /// Log probabilities although nobody asked.
    #[serde(default)]
    logprobs: bool,
}

/// A part of an answer: exactly one of its members.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "WrittenBlock")]
pub enum Block {
    /// What the model thinks.
    Reasoning(Template),
    /// What it says.
    Text(Template),
    /// What it says in place of an answer.
    Refusal(Template),
    /// The tools that it calls, at the same time.
    ToolCalls(Vec<ToolCall>),
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WrittenBlock {
    /// What the model thinks.
    #[serde(default)]
    reasoning: Option<Template>,
    /// What it says.
    #[serde(default)]
    text: Option<Template>,
    /// What it says in place of an answer.
    #[serde(default)]
    refusal: Option<Template>,
    /// The tools that it calls, at the same time.
    #[serde(default)]
    #[schema(min_items = 1)]
    tool_calls: Option<Vec<ToolCall>>,
}

/// One call of a tool.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolCall {
    /// The tool's name.
    #[schema(min_length = 1)]
    pub name: String,
    /// Its arguments: an object, or a text that is sent as it is. Without them they are drawn
    /// from the tool's parameters. Placeholders in texts are filled.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    pub arguments: Option<Arguments>,
    /// The call's id; drawn if none is given.
    #[serde(default)]
    pub id: Option<String>,
}

/// Arguments of a call, in whose texts placeholders are filled.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Value")]
pub struct Arguments(Value);

impl Arguments {
    /// The arguments as they are sent.
    ///
    /// # Errors
    /// [`TemplateError`] when something that a text refers to is not there.
    pub fn render(&self, context: &Context<'_>) -> Result<String, TemplateError> {
        match filled(&self.0, context)? {
            Value::String(text) => Ok(text),
            json @ (Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_)) => Ok(json.to_string()),
        }
    }
}

impl TryFrom<Value> for Arguments {
    type Error = TemplateError;

    fn try_from(value: Value) -> Result<Self, TemplateError> {
        check(&value)?;
        Ok(Self(value))
    }
}

fn check(value: &Value) -> Result<(), TemplateError> {
    match value {
        Value::String(text) => Template::try_from(text.clone()).map(drop),
        Value::Array(items) => items.iter().try_for_each(check),
        Value::Object(members) => members.values().try_for_each(check),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

fn filled(value: &Value, context: &Context<'_>) -> Result<Value, TemplateError> {
    Ok(match value {
        Value::String(text) => template::render(text, context)?.into(),
        Value::Array(items) => {
            let items = items.iter().map(|item| filled(item, context));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Value::Object(members) => {
            let members = members.iter();
            let members = members.map(|(name, value)| Ok((name.clone(), filled(value, context)?)));
            Value::Object(members.collect::<Result<_, TemplateError>>()?)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    })
}

/// An HTTP error. What is not said is as OpenAI says it for this status.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorReply {
    /// The status.
    #[serde(deserialize_with = "error_status")]
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// The envelope's message.
    #[serde(default)]
    pub message: Option<Template>,
    /// The envelope's type.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// The envelope's param.
    #[serde(default)]
    pub param: Option<String>,
    /// The envelope's code.
    #[serde(default)]
    pub code: Option<String>,
    /// Headers, such as `retry-after`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

impl TryFrom<WrittenBlock> for Block {
    type Error = String;

    fn try_from(written: WrittenBlock) -> Result<Self, String> {
        let mut given = [
            written.reasoning.map(Self::Reasoning),
            written.text.map(Self::Text),
            written.refusal.map(Self::Refusal),
            written.tool_calls.map(Self::ToolCalls),
        ]
        .into_iter()
        .flatten();
        let (Some(block), None) = (given.next(), given.next()) else {
            let allowed = "`reasoning`, `text`, `refusal` and `tool_calls`";
            return Err(format!("expected exactly one of {allowed}"));
        };
        match &block {
            Self::ToolCalls(calls) if calls.is_empty() => {
                Err("tool_calls: expected at least one call".to_owned())
            }
            Self::ToolCalls(_) | Self::Reasoning(_) | Self::Text(_) | Self::Refusal(_) => Ok(block),
        }
    }
}

impl TryFrom<Written> for Reply {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let mut given = [
            written
                .text
                .map(|text| Body::Blocks(vec![Block::Text(text)])),
            written.blocks.map(Body::Blocks),
            written.error.map(Body::Error),
            written.raw.map(Body::Raw),
        ]
        .into_iter()
        .flatten();
        let (Some(body), None) = (given.next(), given.next()) else {
            let allowed = "`text`, `blocks`, `error` and `raw`";
            return Err(format!("expected exactly one of {allowed}"));
        };
        Ok(Self {
            body,
            finish_reason: written.finish_reason,
            usage: written.usage,
            service_tier: written.service_tier,
            system_fingerprint: written.system_fingerprint,
            logprobs: written.logprobs,
        })
    }
}

fn error_status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    match u16::deserialize(deserializer)? {
        status @ 400..=599 => Ok(status),
        status => Err(de::Error::custom(format!(
            "expected a status from 400 to 599, got {status}"
        ))),
    }
}

schema_of!(Reply, Written);
schema_of!(Block, WrittenBlock);
schema_of!(RawFrame, WrittenFrame);
