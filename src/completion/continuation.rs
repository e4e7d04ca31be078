//! An answer that is lost in the middle, and another upstream that goes on with it.
//!
//! What was said is taken from the log, so it is exactly what readers have. See
//! [`Pump::relay`](super::pump::Pump) for when this is done.

use bytes::{Bytes, BytesMut};
use serde_json::Value;

use super::fold::fold;
use crate::{
    backend::Chunk,
    openai::{ChatRequest, Form, scan},
    stream::Event,
};

/// How often one answer may be gone on with.
pub(super) const MAX_SEAMS: usize = 4;

/// Members of a message that may hold something beside the text that is gone on with. What a model
/// has thought is not shown to the next one, as no model is shown its own.
const BESIDE: [&str; 4] = ["role", "content", "reasoning_content", "reasoning"];

/// How far an answer has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Nothing but roles: it can be begun anew.
    Nothing,
    /// A text that another upstream can go on from.
    Text(String),
    /// All of it.
    All,
}

/// How far the answer to this request has come; `None` where nobody else can go on with it.
pub(super) fn said(request: &ChatRequest, events: &[Event]) -> Option<Said> {
    let folded = fold(events, request.form(), None).ok()?;
    let choices = folded.get("choices")?.as_array()?;
    let is_finished = |choice: &Value| choice.get("finish_reason").is_some_and(Value::is_string);
    if choices.len() == request.choices() as usize && choices.iter().all(is_finished) {
        return Some(Said::All);
    }
    if request.choices() != 1 {
        return None;
    }
    match text(request, choices.first()) {
        Some(text) if text.is_empty() => Some(Said::Nothing),
        Some(text) if request.can_be_continued() => Some(Said::Text(text)),
        Some(_) | None => None,
    }
}

/// The text of a choice that has nothing else.
fn text(request: &ChatRequest, choice: Option<&Value>) -> Option<String> {
    let Some(choice) = choice else {
        return Some(String::new());
    };
    let text = match request.form() {
        Form::Text => choice.get("text")?,
        Form::Chat => {
            let message = choice.get("message")?.as_object()?;
            let is_plain =
                |(key, value): (&String, &Value)| BESIDE.contains(&key.as_str()) || is_blank(value);
            message.iter().all(is_plain).then_some(())?;
            let has_thought = ["reasoning_content", "reasoning"]
                .iter()
                .any(|key| message.contains_key(*key));
            let text = message.get("content")?;
            // What was thought was for a text that has not begun.
            (!has_thought || !is_blank(text)).then_some(())?;
            text
        }
    };
    Some(text.as_str().unwrap_or_default().to_owned())
}

fn is_blank(value: &Value) -> bool {
    value.is_null() || value == "" || value.as_array().is_some_and(Vec::is_empty)
}

/// A chunk without the role that a new answer begins with: this one has begun.
pub(super) fn without_role(chunk: &Chunk) -> Chunk {
    let without = || {
        let mut json: Value = serde_json::from_slice(&chunk.json()).ok()?;
        for choice in json.get_mut("choices")?.as_array_mut()? {
            if let Some(delta) = choice.get_mut("delta").and_then(Value::as_object_mut) {
                delta.shift_remove("role")?;
            }
        }
        read(json.to_string().into())
    };
    without().unwrap_or_else(|| chunk.clone())
}

/// A chunk with another count of tokens than its own.
pub(super) fn with_usage(chunk: &Chunk, usage: &Value) -> Chunk {
    let with = || {
        let own = chunk.facts.usage?.range();
        let mut json = BytesMut::from(&chunk.json()[..own.start]);
        json.extend_from_slice(usage.to_string().as_bytes());
        json.extend_from_slice(&chunk.json()[own.end..]);
        read(json.freeze())
    };
    with().unwrap_or_else(|| chunk.clone())
}

fn read(json: Bytes) -> Option<Chunk> {
    let facts = scan(&json).ok()?;
    Some(Chunk::new(json, facts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{sse::data_frame, stream::Kind};

    fn said_of(deltas: &[&str]) -> Option<Said> {
        let body = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"a"}]}"#;
        let request = ChatRequest::parse(body.into()).expect("a valid request");
        let events = deltas.iter().map(|delta| Event {
            kind: Kind::Chunk,
            frame: data_frame(
                format!(r#"{{"choices":[{{"index":0,"delta":{delta}}}]}}"#).as_bytes(),
            )
            .into(),
        });
        said(&request, &events.collect::<Vec<_>>())
    }

    fn chunk(json: &str) -> Chunk {
        read(json.to_owned().into()).expect("a chunk")
    }

    #[test]
    fn only_text_can_be_gone_on_with() {
        let role = r#"{"role":"assistant","content":"","refusal":null,"tool_calls":[]}"#;
        let text = r#"{"content":"é🌊"}"#;
        let said = |text: &str| Some(Said::Text(text.to_owned()));
        assert_eq!(said_of(&[role, text, text]), said("é🌊é🌊"));
        assert_eq!(said_of(&[]), Some(Said::Nothing));
        assert_eq!(said_of(&[role]), Some(Said::Nothing));
        let thought = r#"{"reasoning_content":"hm"}"#;
        assert_eq!(said_of(&[role, thought, text]), said("é🌊"));
        assert_eq!(said_of(&[role, thought]), None, "nothing but a thought");
        for other in [
            r#"{"tool_calls":[{"index":0,"id":"t","function":{"name":"f","arguments":""}}]}"#,
            r#"{"refusal":"no"}"#,
            r#"{"audio":{"data":"x"}}"#,
        ] {
            assert_eq!(said_of(&[role, text, other]), None, "{other}");
        }
    }

    #[test]
    fn the_first_chunk_after_a_seam_has_no_role() {
        let given = r#"{"id":"a","x":1.50,"choices":[{"index":0,"delta":{"role":"assistant","content":"b"}}]}"#;
        let expected = r#"{"id":"a","x":1.5,"choices":[{"index":0,"delta":{"content":"b"}}]}"#;
        assert_eq!(without_role(&chunk(given)).into_json(), expected);
        // What has none keeps its bytes.
        let given = r#"{"x":1.50,"choices":[{"index":0,"delta":{"content":"b"}}]}"#;
        assert_eq!(without_role(&chunk(given)).into_json(), given);
    }

    #[test]
    fn a_usage_chunk_tells_the_sum() {
        let given = chunk(r#"{"choices":[], "usage":{"total_tokens":1} ,"y":1.50}"#);
        let sum = serde_json::json!({"total_tokens": 3});
        let chunk = with_usage(&given, &sum);
        assert_eq!(
            &chunk.json()[..],
            br#"{"choices":[], "usage":{"total_tokens":3} ,"y":1.50}"#
        );
        assert!(chunk.facts.is_usage_only());
    }
}
