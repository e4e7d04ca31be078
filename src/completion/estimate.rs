//! How many tokens an answer has used whose upstream does not say.
//!
//! The texts are counted with one tokenizer, whatever the model, and images not at all: the
//! figure is of the right size and no more, so it is always marked as an estimate.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value};
use tokio::task::spawn_blocking;

use super::fold::parse;
use crate::{
    openai::ChatRequest,
    stream::{Event, Kind, Log},
    tokens::Tokens,
};

/// What OpenAI's chat models have around each message and before the answer
/// (cookbook, "How to count tokens with tiktoken").
const PER_MESSAGE: u64 = 3;
const BEFORE_ANSWER: u64 = 3;

/// Of a longer text so much is counted, and taken for the rest: some 16,000 tokens.
const SAMPLE_BYTES: usize = 64 * 1024;

/// What was counted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Counted {
    /// Tokens of the request.
    pub(super) prompt: u64,
    /// Tokens of all choices together.
    pub(super) answer: u64,
}

/// Texts to be counted, and tokens that are no text.
#[derive(Debug, Default)]
struct Texts {
    texts: Vec<String>,
    beside: u64,
}

/// What the request and the log up to now are in tokens; `None` where the tokenizer fails.
pub(super) async fn count(tokens: &Tokens, request: &ChatRequest, log: &Log) -> Option<Counted> {
    let (events, _) = log.snapshot();
    let body = request.body().clone();
    // A large prompt or answer takes its time, and others are served on this thread.
    let (prompt, answer) = spawn_blocking(move || (of_prompt(&body), of_answer(&events)))
        .await
        .ok()?;
    Some(Counted {
        prompt: prompt.count(tokens).await?,
        answer: answer.count(tokens).await?,
    })
}

impl Texts {
    async fn count(mut self, tokens: &Tokens) -> Option<u64> {
        let lengths: Vec<_> = self.texts.iter().map(String::len).collect();
        for text in &mut self.texts {
            let mut end = SAMPLE_BYTES.min(text.len());
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
        }
        let samples: Vec<_> = self.texts.iter().map(String::len).collect();
        let counts = tokens.count(self.texts).await;
        let counts = counts.inspect_err(|error| tracing::warn!(%error, "usage is not known"));
        let all = counts
            .ok()?
            .into_iter()
            .zip(lengths.into_iter().zip(samples));
        let sum: usize = all
            .map(|(count, (length, sample))| count * length / sample.max(1))
            .sum();
        Some(self.beside + u64::try_from(sum).unwrap_or(u64::MAX))
    }

    fn add(&mut self, text: Option<&Value>) {
        if let Some(Value::String(text)) = text
            && !text.is_empty()
        {
            self.texts.push(text.clone());
        }
    }

    /// A text, or the texts among several parts.
    fn add_content(&mut self, content: Option<&Value>) {
        self.add(content);
        for part in content.and_then(Value::as_array).into_iter().flatten() {
            self.add(part.get("text"));
        }
    }

    fn add_message(&mut self, message: &Value) {
        self.beside += PER_MESSAGE;
        self.add(message.get("role"));
        self.add(message.get("name"));
        self.add_content(message.get("content"));
        for function in functions(message) {
            self.add(function.get("name"));
            self.add(function.get("arguments"));
        }
    }

    /// A legacy prompt: a text, tokens, or several of either.
    fn add_prompt(&mut self, prompt: &Value) {
        match prompt {
            Value::String(_) => self.add(Some(prompt)),
            Value::Number(_) => self.beside += 1,
            Value::Array(parts) => parts.iter().for_each(|part| self.add_prompt(part)),
            Value::Null | Value::Bool(_) | Value::Object(_) => {}
        }
    }
}

fn of_prompt(body: &Bytes) -> Texts {
    let mut texts = Texts::default();
    let Ok(Value::Object(body)) = serde_json::from_slice(body) else {
        return texts;
    };
    if let Some(prompt) = body.get("prompt") {
        texts.add_prompt(prompt);
    }
    let messages = body.get("messages").and_then(Value::as_array);
    if let Some(messages) = messages {
        texts.beside += BEFORE_ANSWER;
        messages
            .iter()
            .for_each(|message| texts.add_message(message));
    }
    for key in ["tools", "functions", "response_format"] {
        let schema = body.get(key).filter(|schema| !schema.is_null());
        texts.texts.extend(schema.map(Value::to_string));
    }
    texts
}

/// The texts of all choices, each put together before it is counted: a token can lie across two
/// chunks. What cannot be read is passed over.
fn of_answer(events: &[Event]) -> Texts {
    let mut texts: BTreeMap<(u64, &'static str), String> = BTreeMap::new();
    for event in events {
        let choices = match event.kind {
            Kind::Chunk => parse(event).ok(),
            Kind::Whole => serde_json::from_slice::<Map<_, _>>(&event.frame.to_bytes()).ok(),
            Kind::Usage | Kind::Failure | Kind::Done => None,
        };
        let choices = choices.and_then(|mut chunk| chunk.remove("choices"));
        for choice in choices.iter().filter_map(Value::as_array).flatten() {
            let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
            for (field, text) in said(choice) {
                texts.entry((index, field)).or_default().push_str(text);
            }
        }
    }
    Texts {
        texts: texts.into_values().collect(),
        beside: 0,
    }
}

/// What a choice of a chunk or of a whole completion says, each with the name of what it goes on.
fn said(choice: &Value) -> Vec<(&'static str, &str)> {
    let message = choice.get("delta").or_else(|| choice.get("message"));
    let Some(message) = message else {
        return text_of(choice, "text")
            .map(|text| ("text", text))
            .into_iter()
            .collect();
    };
    // Some servers send the same thoughts under both names.
    let thoughts = text_of(message, "reasoning_content").or_else(|| text_of(message, "reasoning"));
    let texts = [
        ("content", text_of(message, "content")),
        ("refusal", text_of(message, "refusal")),
        ("thoughts", thoughts),
    ];
    let mut said: Vec<_> = texts
        .into_iter()
        .filter_map(|(name, text)| Some((name, text?)))
        .collect();
    for function in functions(message) {
        let texts = [text_of(function, "name"), text_of(function, "arguments")];
        said.extend(texts.into_iter().flatten().map(|text| ("call", text)));
    }
    said
}

fn text_of<'a>(of: &'a Value, key: &str) -> Option<&'a str> {
    of.get(key)?.as_str()
}

/// The functions that a message calls.
fn functions(message: &Value) -> impl Iterator<Item = &Value> {
    let calls = message.get("tool_calls").and_then(Value::as_array);
    let calls = calls.into_iter().flatten();
    calls
        .filter_map(|call| call.get("function"))
        .chain(message.get("function_call"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        sse::data_frame,
        stream::{Budget, Caps, End, Grace, Id, Owner, Producer, Spec},
    };

    async fn counted(body: &str, chunks: &[&str]) -> Counted {
        let caps = Caps {
            event_bytes: 4096,
            log_bytes: 65_536,
            last_events: None,
        };
        let spec = Spec {
            id: Id::new("chatcmpl-", [1; 16]),
            owner: Owner([0; 16]),
            about: Bytes::new(),
            grace: Grace(std::time::Duration::MAX),
        };
        let log = Log::new(spec, caps, Arc::new(Budget::new(usize::MAX)));
        let mut producer = Producer::new(Arc::clone(&log), |_| {});
        for chunk in chunks {
            let frame = data_frame(chunk.as_bytes());
            let kind = Kind::Chunk;
            let frame = frame.into();
            producer.append(Event { kind, frame }).expect("room");
        }
        producer.finish([], End::Completed);
        let body = Bytes::copy_from_slice(body.as_bytes());
        let request = ChatRequest::parse(body).expect("a request");
        count(&Tokens::default(), &request, &log)
            .await
            .expect("a tokenizer")
    }

    const ASKED: &str = r#"{"model":"m","messages":[{"role":"user","content":"hello world"}]}"#;

    #[tokio::test]
    async fn a_token_across_two_chunks_is_one() {
        let chunk =
            |text: &str| format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{text}"}}}}]}}"#);
        let counted = counted(ASKED, &[&chunk("hel"), &chunk("lo wor"), &chunk("ld")]).await;
        // "user" is one token, "hello world" two.
        let prompt = BEFORE_ANSWER + PER_MESSAGE + 1 + 2;
        assert_eq!(counted, Counted { prompt, answer: 2 });
    }

    #[tokio::test]
    async fn calls_thoughts_and_parts_count_and_names_of_the_protocol_do_not() {
        let parts = r#"{"model":"m","messages":[{"role":"user","content":[
            {"type":"text","text":"hello world"},{"type":"image_url","image_url":{"url":"data:xxxx"}}]}]}"#;
        let chunks = [
            r#"{"choices":[{"index":0,"delta":{"role":"assistant","reasoning":"hello","reasoning_content":"hello"}}]}"#,
            r#"{"choices":[{"index":1,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"hello","arguments":""}}]}}]}"#,
            r#"{"choices":[{"index":1,"delta":{"tool_calls":[{"index":0,"function":{"arguments":" world"}}]}}]}"#,
        ];
        let counted = counted(parts, &chunks).await;
        let prompt = BEFORE_ANSWER + PER_MESSAGE + 1 + 2;
        assert_eq!(counted, Counted { prompt, answer: 3 });
    }
}
