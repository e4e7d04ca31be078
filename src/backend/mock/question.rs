//! What the mock reads of a request.

use serde::Deserialize;
use serde_json::Value;

use super::refusal;
use crate::{
    backend::{BackendError, Headers},
    openai::{ChatRequest, Content, Int, Invalid, Message, Role},
};

/// A request, as scenarios and answers see it.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// The whole body.
    pub(crate) body: Value,
    /// The model that is asked for.
    pub(crate) model: String,
    /// What the user said, in order.
    pub(crate) user: Vec<String>,
    /// What the system said, joined by line ends.
    pub(crate) system: String,
    /// The content of the last message, if it is a tool's result.
    pub(crate) tool_result: Option<String>,
    /// Which answer of the conversation this will be, from 1.
    pub(crate) turn: usize,
    /// The tools that are offered.
    pub(crate) tools: Vec<Function>,
    /// What of them may be called.
    pub(crate) tool_choice: ToolChoice,
    /// One call at most.
    pub(crate) one_call: bool,
    /// What the text of the answer must be.
    pub(crate) format: Format,
    /// Log probabilities are asked for, with so many alternatives.
    pub(crate) logprobs: Option<usize>,
    /// The tier that is asked for.
    pub(crate) service_tier: Option<String>,
    headers: Headers,
    bytes: usize,
}

/// A function that can be called.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: String,
    /// The JSON Schema of its arguments.
    #[serde(default)]
    pub(crate) parameters: Option<Value>,
}

/// Which tools may be called.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum ToolChoice {
    /// The model decides.
    #[default]
    Auto,
    /// None.
    None,
    /// One at least.
    Required,
    /// This one.
    Named(String),
}

/// What the text of an answer must be.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) enum Format {
    /// Anything.
    #[default]
    Text,
    /// A JSON object.
    Object,
    /// JSON of this schema.
    Schema(Value),
}

#[derive(Debug, Default, Deserialize)]
struct Extras {
    #[serde(default)]
    tools: Option<Vec<Tool>>,
    #[serde(default)]
    functions: Option<Vec<Function>>,
    #[serde(default)]
    tool_choice: Option<Value>,
    #[serde(default)]
    parallel_tool_calls: Option<bool>,
    #[serde(default)]
    response_format: Option<ResponseFormat>,
    #[serde(default)]
    logprobs: Option<bool>,
    #[serde(default)]
    top_logprobs: Option<Int<0, 20>>,
    #[serde(default)]
    service_tier: Option<String>,
}

// Custom tools and others have no function.
#[derive(Debug, Deserialize)]
struct Tool {
    #[serde(default)]
    function: Option<Function>,
}

#[derive(Debug, Deserialize)]
struct ResponseFormat {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    json_schema: Option<JsonSchema>,
}

#[derive(Debug, Deserialize)]
struct JsonSchema {
    #[serde(default)]
    schema: Option<Value>,
}

fn refuse(invalid: Invalid) -> BackendError {
    let param = invalid.param.as_deref().unwrap_or_default();
    refusal::invalid(param, &invalid.message)
}

impl Question {
    /// Reads a request.
    ///
    /// # Errors
    /// [`BackendError::Refused`] with status 400, which names the field.
    pub(crate) fn of(request: &ChatRequest, headers: &Headers) -> Result<Self, BackendError> {
        let extras = match request.text {
            // A legacy completion has none of these, and a number for `logprobs`.
            Some(_) => Extras::default(),
            None => Invalid::check(request.body()).map_err(refuse)?,
        };
        Self::with(extras, request, headers)
    }

    /// The same without what the mock alone would have to understand: a cassette answers as
    /// its server did, whatever that thought of the request.
    ///
    /// # Errors
    /// None: there is nothing to refuse.
    pub(crate) fn unread(request: &ChatRequest, headers: &Headers) -> Result<Self, BackendError> {
        Self::with(Extras::default(), request, headers)
    }

    fn with(
        extras: Extras,
        request: &ChatRequest,
        headers: &Headers,
    ) -> Result<Self, BackendError> {
        let params = &request.params;
        let text = |message: &Message| {
            let content = message.content.as_ref().map(Content::text);
            content.unwrap_or_default().into_owned()
        };
        let said_by = |roles: &[Role]| -> Vec<String> {
            let messages = params.messages.iter();
            messages
                .filter(|m| roles.contains(&m.role))
                .map(text)
                .collect()
        };
        let last = params.messages.last();
        let is_result = |m: &&Message| matches!(m.role, Role::Tool | Role::Function);
        let mut tools: Vec<Function> = extras.functions.unwrap_or_default();
        let offered = extras.tools.into_iter().flatten();
        tools.extend(offered.filter_map(|tool| tool.function));
        let format = match extras.response_format {
            Some(format) => format.read().map_err(refuse)?,
            None => Format::Text,
        };
        let has_logprobs = extras.logprobs == Some(true);
        let top = extras.top_logprobs.map_or(0, Int::get);
        Ok(Self {
            // It was parsed before.
            body: serde_json::from_slice(request.body()).unwrap_or_default(),
            model: params.model.clone(),
            user: match &request.text {
                Some(text) => text.texts().to_vec(),
                None => said_by(&[Role::User]),
            },
            system: said_by(&[Role::System, Role::Developer]).join("\n"),
            tool_result: last.filter(is_result).map(text),
            turn: 1 + said_by(&[Role::Assistant]).len(),
            tools,
            tool_choice: ToolChoice::of(extras.tool_choice.as_ref()).map_err(refuse)?,
            one_call: extras.parallel_tool_calls == Some(false),
            format,
            logprobs: has_logprobs.then(|| usize::try_from(top).unwrap_or_default()),
            service_tier: extras.service_tier,
            headers: headers.clone(),
            bytes: request.body().len(),
        })
    }

    /// The last thing that the user said, if anything.
    pub(crate) fn last_user(&self) -> &[String] {
        self.user.last().map_or(&[], std::slice::from_ref)
    }

    /// The body is of this size at most.
    pub(crate) fn is_small(&self, bytes: usize) -> bool {
        self.bytes <= bytes
    }

    /// The headers that may be seen.
    pub(crate) fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The values of a header.
    pub(crate) fn header(&self, name: &str) -> Vec<String> {
        let named = self
            .headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.clone()).collect()
    }
}

impl ToolChoice {
    fn of(value: Option<&Value>) -> Result<Self, Invalid> {
        let name = |choice: &Value| {
            let function = choice.get("function").or(choice.get("custom"))?;
            function.get("name")?.as_str().map(str::to_owned)
        };
        match value {
            None | Some(Value::Null) => Ok(Self::Auto),
            Some(Value::String(text)) if text == "auto" => Ok(Self::Auto),
            Some(Value::String(text)) if text == "none" => Ok(Self::None),
            Some(Value::String(text)) if text == "required" => Ok(Self::Required),
            // `allowed_tools` leaves the choice to the model, or requires one.
            Some(choice) if choice["type"] == "allowed_tools" => {
                match choice["allowed_tools"]["mode"] == "required" {
                    true => Ok(Self::Required),
                    false => Ok(Self::Auto),
                }
            }
            Some(choice) => name(choice).map(Self::Named).ok_or_else(|| Invalid {
                message: "tool_choice: expected `none`, `auto`, `required` or the name of a tool"
                    .to_owned(),
                param: Some("tool_choice".to_owned()),
            }),
        }
    }
}

impl ResponseFormat {
    fn read(self) -> Result<Format, Invalid> {
        let refuse = |field: &str, message: &str| {
            Err(Invalid {
                message: format!("response_format.{field}: {message}"),
                param: Some(format!("response_format.{field}")),
            })
        };
        match &self.kind[..] {
            "text" => Ok(Format::Text),
            "json_object" => Ok(Format::Object),
            "json_schema" => match self.json_schema {
                Some(JsonSchema {
                    schema: Some(schema),
                }) => Ok(Format::Schema(schema)),
                // A schema is optional; without one any object is right.
                Some(JsonSchema { schema: None }) => Ok(Format::Object),
                None => refuse("json_schema", "missing, but required"),
            },
            _ => refuse("type", "expected `text`, `json_object` or `json_schema`"),
        }
    }
}
