//! What a chunk says, of any server: members that are missing, null or unknown are passed over.

use serde::Deserialize;
use serde_json::Value;

/// A chunk of a chat completion, of which the first choice is read.
#[derive(Debug, Clone, Default)]
pub struct Chunk {
    /// More of the text.
    pub content: String,
    /// More of what the model thinks.
    pub reasoning: String,
    /// More of a refusal.
    pub refusal: String,
    /// More of calls of tools.
    pub tool_calls: Vec<CallDelta>,
    /// Why the answer ended, in its last chunk.
    pub finish_reason: Option<String>,
    /// How many tokens the answer has, where the server tells.
    pub completion_tokens: Option<u64>,
    /// What went wrong, in an error event.
    pub error: Option<String>,
}

/// More of one call: its first addition names the tool, later ones add arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallDelta {
    /// Which call.
    pub index: usize,
    /// The function that is called.
    pub name: String,
    /// More of its arguments.
    pub arguments: String,
}

impl Chunk {
    /// Reads an event's data.
    ///
    /// # Errors
    /// Where it is not the JSON of a chunk or an error.
    pub fn parse(data: &[u8]) -> Result<Self, serde_json::Error> {
        let wire: Wire = serde_json::from_slice(data)?;
        let mut chunk = Self {
            completion_tokens: wire.usage.and_then(|usage| usage.completion_tokens),
            error: wire.error.as_ref().map(error_text),
            ..Self::default()
        };
        let choices = wire.choices.unwrap_or_default();
        if let Some(choice) = choices.into_iter().find(|choice| choice.index == 0) {
            chunk.add(choice);
        }
        Ok(chunk)
    }

    /// Whether it holds more than bookkeeping.
    pub fn has_content(&self) -> bool {
        let texts = [&self.content, &self.reasoning, &self.refusal];
        texts.iter().any(|text| !text.is_empty()) || !self.tool_calls.is_empty()
    }

    fn add(&mut self, choice: WireChoice) {
        let delta = choice.delta.unwrap_or_default();
        self.content = delta.content.unwrap_or_default();
        let reasoning = delta.reasoning_content.or(delta.reasoning);
        self.reasoning = reasoning.unwrap_or_default();
        self.refusal = delta.refusal.unwrap_or_default();
        let calls = delta.tool_calls.unwrap_or_default();
        self.tool_calls = calls.into_iter().map(CallDelta::from).collect();
        self.finish_reason = choice.finish_reason.filter(|reason| !reason.is_empty());
        if self.error.is_none() {
            let has_failed = self.finish_reason.as_deref() == Some("error");
            let unnamed = has_failed.then(|| "the server gave no reason".to_owned());
            self.error = choice.error.as_ref().map(error_text).or(unnamed);
        }
    }
}

/// The message of an error body `{"error": …}`, if it is one.
pub(super) fn error_message(body: &[u8]) -> Option<String> {
    let wire: Wire = serde_json::from_slice(body).ok()?;
    wire.error.as_ref().map(error_text)
}

/// An error as most servers have it, or as some do: a text alone.
fn error_text(error: &Value) -> String {
    let member = |name| {
        let value = error.get(name).and_then(Value::as_str);
        value.filter(|text| !text.is_empty())
    };
    match (member("message").or(error.as_str()), member("code")) {
        (Some(message), Some(code)) => format!("{message} ({code})"),
        (Some(message), None) => message.to_owned(),
        (None, _) => error.to_string(),
    }
}

#[derive(Deserialize)]
struct Wire {
    choices: Option<Vec<WireChoice>>,
    usage: Option<WireUsage>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct WireUsage {
    completion_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct WireChoice {
    #[serde(default)]
    index: u32,
    delta: Option<WireDelta>,
    finish_reason: Option<String>,
    error: Option<Value>,
}

#[derive(Default, Deserialize)]
struct WireDelta {
    content: Option<String>,
    reasoning_content: Option<String>,
    reasoning: Option<String>,
    refusal: Option<String>,
    tool_calls: Option<Vec<WireCall>>,
}

#[derive(Deserialize)]
struct WireCall {
    #[serde(default)]
    index: usize,
    function: Option<WireFunction>,
}

#[derive(Default, Deserialize)]
struct WireFunction {
    name: Option<String>,
    arguments: Option<String>,
}

impl From<WireCall> for CallDelta {
    fn from(call: WireCall) -> Self {
        let function = call.function.unwrap_or_default();
        Self {
            index: call.index,
            name: function.name.unwrap_or_default(),
            arguments: function.arguments.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(json: &str) -> Chunk {
        Chunk::parse(json.as_bytes()).expect("a chunk")
    }

    #[test]
    fn the_names_that_servers_have_for_reasoning_are_one() {
        for name in ["reasoning", "reasoning_content"] {
            let json = format!(r#"{{"choices":[{{"index":0,"delta":{{"{name}":"hm"}}}}]}}"#);
            assert_eq!(chunk(&json).reasoning, "hm");
        }
        let both = r#"{"choices":[{"delta":{"reasoning":null,"reasoning_content":"hm"}}]}"#;
        assert_eq!(chunk(both).reasoning, "hm");
    }

    #[test]
    fn nulls_and_other_choices_say_nothing() {
        let nothing = chunk(
            r#"{"choices":[{"index":0,"delta":{"content":null,"tool_calls":null},"finish_reason":null}],"usage":null,"error":null}"#,
        );
        assert!(!nothing.has_content() && nothing.finish_reason.is_none());
        assert_eq!(nothing.error, None);
        let other =
            chunk(r#"{"choices":[{"index":1,"delta":{"content":"a"},"finish_reason":"stop"}]}"#);
        assert!(!other.has_content() && other.finish_reason.is_none());
        let usage = chunk(r#"{"choices":[],"usage":{"completion_tokens":7}}"#);
        assert_eq!(usage.completion_tokens, Some(7));
        assert!(chunk(r#"{"choices":null}"#).finish_reason.is_none());
    }

    #[test]
    fn errors_are_read_in_every_form() {
        let forms = [
            (r#"{"error":{"message":"no","code":"gone"}}"#, "no (gone)"),
            (r#"{"error":{"message":"no","code":503}}"#, "no"),
            (r#"{"error":"no"}"#, "no"),
            (r#"{"error":{"why":1}}"#, r#"{"why":1}"#),
            (
                r#"{"choices":[{"index":0,"error":{"message":"no"}}]}"#,
                "no",
            ),
            (
                r#"{"choices":[{"index":0,"delta":{},"finish_reason":"error"}]}"#,
                "the server gave no reason",
            ),
        ];
        for (json, expected) in forms {
            assert_eq!(chunk(json).error.as_deref(), Some(expected), "{json}");
        }
        assert!(Chunk::parse(b"{").is_err());
    }
}
