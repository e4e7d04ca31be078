//! A log's chunks folded into the completion they are the parts of.
//!
//! Works on JSON as it came, so that members we do not know survive.

use serde_json::{Map, Value, json};

use super::{Code, Failure};
use crate::{
    openai::Form,
    sse::Decoder,
    stream::{Event, Kind},
};

/// Members of a delta that name something and are not continued by the next delta.
const FIXED: [&str; 4] = ["role", "id", "type", "index"];

/// A chunk of the log is not what the scan said it was.
#[derive(Debug, thiserror::Error)]
#[error("a chunk that cannot be read ({0})")]
pub(super) struct FoldError(String);

impl FoldError {
    /// What the client is told.
    pub(super) fn failure(&self) -> Failure {
        Failure::new(
            Code::UpstreamMalformed,
            format!("The upstream sent {self}."),
        )
    }
}

/// The completion that these events make; `usage` is put into it where no chunk showed it.
pub(super) fn fold(
    events: &[Event],
    form: Form,
    usage: Option<&Value>,
) -> Result<Value, FoldError> {
    let mut whole = Map::new();
    let mut choices: Vec<Value> = Vec::new();
    for event in events {
        match event.kind {
            Kind::Chunk | Kind::Usage => {
                let chunk = parse(event)?;
                add_chunk(&mut whole, (&mut choices, form), chunk);
            }
            Kind::Whole => return serde_json::from_slice(&event.frame.to_bytes()).map_err(failed),
            Kind::Failure | Kind::Done => {}
        }
    }
    whole.insert("object".to_owned(), form.object().into());
    choices.sort_by_key(index);
    choices.iter_mut().for_each(tidy_calls);
    whole.insert("choices".to_owned(), choices.into());
    if let Some(usage) = usage {
        whole.insert("usage".to_owned(), usage.clone());
    }
    Ok(Value::Object(whole))
}

/// The JSON object of an event.
pub(super) fn parse(event: &Event) -> Result<Map<String, Value>, FoldError> {
    let mut decoder = Decoder::new(event.frame.len());
    decoder.push(event.frame.to_bytes());
    match decoder.next() {
        Some(Ok(event)) => serde_json::from_slice(&event.data).map_err(failed),
        Some(Err(error)) => Err(failed(error)),
        None => Err(FoldError("no event".to_owned())),
    }
}

fn failed(error: impl std::fmt::Display) -> FoldError {
    FoldError(error.to_string())
}

fn add_chunk(
    whole: &mut Map<String, Value>,
    (choices, form): (&mut Vec<Value>, Form),
    chunk: Map<String, Value>,
) {
    for (key, value) in chunk {
        match &key[..] {
            "choices" => {
                for choice in into_items(value) {
                    add_choice(choices, form, choice);
                }
            }
            // What belongs to the stream and not to what it says.
            "sequence_number" | "obfuscation" => {}
            _ if value.is_null() => drop(whole.entry(key).or_insert(value)),
            _ => drop(whole.insert(key, value)),
        }
    }
}

fn add_choice(choices: &mut Vec<Value>, form: Form, choice: Value) {
    let Value::Object(choice) = choice else {
        return;
    };
    let place = index_of(&choice);
    let at = choices.iter().position(|known| index(known) == place);
    let at = at.unwrap_or_else(|| {
        choices.push(empty_choice(form, place));
        choices.len() - 1
    });
    let Some(known) = choices[at].as_object_mut() else {
        return;
    };
    for (key, value) in choice {
        match &key[..] {
            // An upstream may send what is not of this form.
            "delta" => merge(known.entry("message").or_insert(Value::Null), value),
            "logprobs" | "text" => merge(known.entry(key).or_insert(Value::Null), value),
            _ if value.is_null() => drop(known.entry(key).or_insert(value)),
            _ => drop(known.insert(key, value)),
        }
    }
}

fn empty_choice(form: Form, index: u64) -> Value {
    match form {
        Form::Chat => json!({
            "index": index,
            "message": {"role": "assistant", "content": null, "refusal": null},
            "logprobs": null,
            "finish_reason": null,
        }),
        Form::Text => json!({
            "text": "",
            "index": index,
            "logprobs": null,
            "finish_reason": null,
        }),
    }
}

/// Adds a delta: texts and lists grow, objects merge, items of a list that carry an `index`
/// find the one of the same index.
fn merge(into: &mut Value, delta: Value) {
    match (into, delta) {
        (_, Value::Null) => {}
        (Value::String(text), Value::String(more)) => text.push_str(&more),
        (Value::Object(known), Value::Object(more)) => {
            for (key, value) in more {
                if FIXED.contains(&&key[..]) {
                    known.insert(key, value);
                } else {
                    merge(known.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (Value::Array(known), Value::Array(more)) => {
            for item in more {
                merge_item(known, item);
            }
        }
        // An array that arrives first is merged too: its items may share an index.
        (into @ Value::Null, Value::Array(more)) => {
            *into = Value::Array(Vec::new());
            merge(into, Value::Array(more));
        }
        (into, value) => *into = value,
    }
}

fn merge_item(known: &mut Vec<Value>, item: Value) {
    let same = item.get("index").and_then(|index| {
        known
            .iter()
            .position(|known| known.get("index") == Some(index))
    });
    match same {
        Some(at) => merge(&mut known[at], item),
        None => known.push(item),
    }
}

/// Calls of tools are told apart by their index in deltas alone.
fn tidy_calls(choice: &mut Value) {
    let calls = choice
        .pointer_mut("/message/tool_calls")
        .and_then(Value::as_array_mut);
    for call in calls.into_iter().flatten().filter_map(Value::as_object_mut) {
        call.shift_remove("index");
    }
}

fn into_items(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            Vec::new()
        }
    }
}

fn index(choice: &Value) -> u64 {
    choice.as_object().map_or(0, index_of)
}

fn index_of(choice: &Map<String, Value>) -> u64 {
    choice
        .get("index")
        .and_then(Value::as_u64)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sse::data_frame;

    fn chunk(json: &str) -> Event {
        Event {
            kind: Kind::Chunk,
            frame: data_frame(json.as_bytes()).into(),
        }
    }

    #[test]
    fn texts_and_tool_calls_grow_and_unknown_members_stay() {
        let events = [
            r#"{"id":"a","object":"chat.completion.chunk","created":1,"choices":[{"index":1,"delta":{"role":"assistant","content":""},"finish_reason":null}],"vendor":1.50}"#,
            r#"{"id":"a","choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"t","type":"function","function":{"name":"f","arguments":""}}]}}]}"#,
            r#"{"id":"a","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\""}}]}}]}"#,
            r#"{"id":"a","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}}]}"#,
            r#"{"id":"a","choices":[{"index":1,"delta":{"content":"é🌊"},"logprobs":{"content":[{"token":"é"}]}}]}"#,
            r#"{"id":"a","choices":[{"index":1,"delta":{"content":"!"},"logprobs":{"content":[{"token":"!"}]}}],"sequence_number":4}"#,
            r#"{"id":"a","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"},{"index":1,"delta":{},"finish_reason":"stop"}]}"#,
        ]
        .map(chunk);
        let folded =
            fold(&events, Form::Chat, Some(&json!({"total_tokens": 3}))).expect("valid chunks");
        let expected = json!({
            "id": "a", "object": "chat.completion", "created": 1, "vendor": 1.50,
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": null, "refusal": null, "tool_calls": [
                    {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}}]},
                 "logprobs": null, "finish_reason": "tool_calls"},
                {"index": 1, "message": {"role": "assistant", "content": "é🌊!", "refusal": null},
                 "logprobs": {"content": [{"token": "é"}, {"token": "!"}]}, "finish_reason": "stop"},
            ],
            "usage": {"total_tokens": 3},
        });
        assert_eq!(folded, expected);
    }

    #[test]
    fn the_texts_of_a_legacy_completion_grow_by_their_choice() {
        let events = [
            r#"{"id":"a","object":"text_completion","choices":[{"text":"é","index":1,"logprobs":{"tokens":["é"]},"finish_reason":null}],"usage":null}"#,
            r#"{"id":"a","choices":[{"text":"x","index":0,"logprobs":null,"finish_reason":"length"}]}"#,
            r#"{"id":"a","choices":[{"text":"🌊","index":1,"logprobs":{"tokens":["🌊"]},"finish_reason":"stop"}]}"#,
        ]
        .map(chunk);
        let folded = fold(&events, Form::Text, None).expect("valid chunks");
        let expected = json!({
            "id": "a", "object": "text_completion", "usage": null,
            "choices": [
                {"text": "x", "index": 0, "logprobs": null, "finish_reason": "length"},
                {"text": "é🌊", "index": 1, "logprobs": {"tokens": ["é", "🌊"]}, "finish_reason": "stop"},
            ],
        });
        assert_eq!(folded, expected);
    }

    #[test]
    fn what_is_no_json_is_an_error_and_not_a_panic() {
        for bad in [
            "{",
            "[]",
            "{\"choices\":[{\"delta\":{\"content\":\"\\ud800\"}}]}",
        ] {
            assert!(fold(&[chunk(bad)], Form::Chat, None).is_err(), "{bad}");
        }
        let odd = r#"{"choices":[5,{"index":"x","delta":7}]}"#;
        assert!(fold(&[chunk(odd)], Form::Text, None).is_ok());
    }
}
