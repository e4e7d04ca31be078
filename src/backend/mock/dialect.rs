//! How real servers' chunks differ from OpenAI's.
//!
//! Every chunk is made as OpenAI has it; [`Dialect::reshape`] makes another server's of it. The
//! texts and calls that clients put together from the deltas stay the same.

use std::str::FromStr;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// A server whose stream is imitated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// OpenAI.
    #[default]
    Openai,
    /// Azure OpenAI: a first chunk with the filter's results of the prompt and no choices.
    Azure,
    /// vLLM: the last text carries the finish reason; `reasoning`.
    Vllm,
    /// llama.cpp's server: another order of members, `timings` beside the usage.
    #[serde(rename = "llama.cpp")]
    LlamaCpp,
    /// Ollama: a role in every delta; `reasoning`.
    Ollama,
    /// OpenRouter: comments while one waits, `provider`, errors within a choice.
    Openrouter,
    /// DeepSeek: `reasoning_content`, the usage beside the finish reason.
    Deepseek,
}

const NAMES: [(&str, Dialect); 7] = [
    ("openai", Dialect::Openai),
    ("azure", Dialect::Azure),
    ("vllm", Dialect::Vllm),
    ("llama.cpp", Dialect::LlamaCpp),
    ("ollama", Dialect::Ollama),
    ("openrouter", Dialect::Openrouter),
    ("deepseek", Dialect::Deepseek),
];

/// Members of a choice in another server's order.
const LLAMA_CHOICE: [&str; 4] = ["finish_reason", "index", "delta", "logprobs"];
const LLAMA_CHUNK: [&str; 7] = [
    "choices",
    "created",
    "id",
    "model",
    "system_fingerprint",
    "object",
    "usage",
];
const OPENROUTER_CHUNK: [&str; 8] = [
    "id",
    "provider",
    "model",
    "object",
    "created",
    "choices",
    "system_fingerprint",
    "usage",
];

impl FromStr for Dialect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = NAMES.into_iter().find(|(name, _)| *name == text);
        known.map(|(_, dialect)| dialect).ok_or_else(|| {
            let names: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
            format!("unknown dialect `{text}`; there are {}", names.join(", "))
        })
    }
}

impl Dialect {
    /// As it is written.
    pub fn name(self) -> &'static str {
        let known = NAMES.into_iter().find(|(_, dialect)| *dialect == self);
        known.map_or("openai", |(name, _)| name)
    }

    /// The member of a delta that holds what the model thinks.
    pub(super) fn reasoning_key(self) -> &'static str {
        match self {
            Self::Openai | Self::Azure | Self::LlamaCpp | Self::Deepseek => "reasoning_content",
            Self::Vllm | Self::Ollama | Self::Openrouter => "reasoning",
        }
    }

    /// The last text of a choice carries its finish reason.
    pub(super) fn merges_finish(self) -> bool {
        self == Self::Vllm
    }

    /// The usage stands beside the last finish reason, and nowhere else.
    pub(super) fn merges_usage(self) -> bool {
        self == Self::Deepseek
    }

    /// What is sent while nothing else can be, in place of our own heartbeat.
    pub(super) fn waiting(self) -> Option<&'static str> {
        (self == Self::Openrouter).then_some(": OPENROUTER PROCESSING\n\n")
    }

    /// The frame that a planned error is told with, where it is not OpenAI's.
    pub(super) fn failure(self, model: &str) -> Option<String> {
        if self != Self::Openrouter {
            return None;
        }
        let error = json!({"code": 502, "message": "The mock was asked to fail here."});
        let chunk = json!({
            "id": "gen-mock", "object": "chat.completion.chunk", "created": 0, "model": model,
            "provider": "Mock", "choices": [{
                "index": 0, "delta": {"role": "assistant", "content": ""},
                "finish_reason": "error", "native_finish_reason": "error", "error": error,
            }],
        });
        Some(format!("data: {chunk}\n\n"))
    }

    /// Chunks that come before all others.
    pub(super) fn prelude(self) -> Option<Value> {
        (self == Self::Azure).then(|| {
            json!({
                "choices": [], "created": 0, "id": "", "model": "", "object": "",
                "prompt_filter_results": [
                    {"prompt_index": 0, "content_filter_results": filtered()},
                ],
            })
        })
    }

    /// OpenAI's chunk as this server has it.
    pub(super) fn reshape(self, mut chunk: Map<String, Value>) -> Map<String, Value> {
        // OpenAI alone says of every chunk that it has no usage.
        if self != Self::Azure && chunk.get("usage").is_some_and(Value::is_null) {
            chunk.shift_remove("usage");
        }
        match self {
            Self::Openai => chunk,
            Self::Azure => azure(chunk),
            Self::Vllm => vllm(chunk),
            Self::LlamaCpp => llama_cpp(chunk),
            Self::Ollama => ollama(chunk),
            Self::Openrouter => openrouter(chunk),
            Self::Deepseek => deepseek(chunk),
        }
    }
}

fn filtered() -> Value {
    let safe = json!({"filtered": false, "severity": "safe"});
    json!({"hate": safe, "self_harm": safe, "sexual": safe, "violence": safe})
}

/// Changes every choice of a chunk.
fn each_choice(chunk: &mut Map<String, Value>, change: impl Fn(&mut Map<String, Value>)) {
    let choices = chunk.get_mut("choices").and_then(Value::as_array_mut);
    let choices = choices.into_iter().flatten();
    choices.filter_map(Value::as_object_mut).for_each(change);
}

fn delta(choice: &mut Map<String, Value>) -> Option<&mut Map<String, Value>> {
    choice.get_mut("delta")?.as_object_mut()
}

/// Only OpenAI and Azure say that there is no refusal; one that there is, is said.
fn drop_empty_refusal(delta: &mut Map<String, Value>) {
    if delta.get("refusal").is_some_and(Value::is_null) {
        delta.shift_remove("refusal");
    }
}

fn has_text(choice: &mut Map<String, Value>) -> bool {
    let text = delta(choice).and_then(|delta| delta.get("content")?.as_str());
    text.is_some_and(|text| !text.is_empty())
}

/// The members in this order, what is not named after them.
fn ordered(mut members: Map<String, Value>, order: &[&str]) -> Map<String, Value> {
    let mut ordered = Map::new();
    for name in order {
        if let Some(value) = members.shift_remove(*name) {
            ordered.insert((*name).to_owned(), value);
        }
    }
    ordered.extend(members);
    ordered
}

fn azure(mut chunk: Map<String, Value>) -> Map<String, Value> {
    each_choice(&mut chunk, |choice| {
        let results = if has_text(choice) {
            filtered()
        } else {
            json!({})
        };
        choice.insert("content_filter_results".to_owned(), results);
    });
    chunk
}

fn vllm(mut chunk: Map<String, Value>) -> Map<String, Value> {
    chunk.shift_remove("service_tier");
    chunk.shift_remove("system_fingerprint");
    each_choice(&mut chunk, |choice| {
        if let Some(delta) = delta(choice) {
            drop_empty_refusal(delta);
        }
        if choice
            .get("finish_reason")
            .is_some_and(|reason| !reason.is_null())
        {
            choice.insert("stop_reason".to_owned(), Value::Null);
        }
        choice.insert("token_ids".to_owned(), Value::Null);
    });
    chunk
}

fn llama_cpp(mut chunk: Map<String, Value>) -> Map<String, Value> {
    chunk.shift_remove("service_tier");
    chunk.insert("system_fingerprint".to_owned(), "b6700-mock".into());
    each_choice(&mut chunk, |choice| {
        if let Some(delta) = delta(choice) {
            drop_empty_refusal(delta);
            if delta.get("content").is_some_and(|content| content == "") {
                delta.insert("content".to_owned(), Value::Null);
            }
        }
        if choice.get("logprobs").is_some_and(Value::is_null) {
            choice.shift_remove("logprobs");
        }
        *choice = ordered(std::mem::take(choice), &LLAMA_CHOICE);
    });
    let timings = chunk
        .get("usage")
        .filter(|usage| usage.is_object())
        .map(timings);
    let mut chunk = ordered(chunk, &LLAMA_CHUNK);
    if let Some(timings) = timings {
        chunk.insert("timings".to_owned(), timings);
    }
    chunk
}

/// As of a machine that reads a token in 1 ms and writes one in 10.
fn timings(usage: &Value) -> Value {
    let count = |name: &str| usage.get(name).and_then(Value::as_u64).unwrap_or_default();
    let (prompt, predicted) = (count("prompt_tokens"), count("completion_tokens"));
    json!({
        "cache_n": 0,
        "prompt_n": prompt, "prompt_ms": prompt, "prompt_per_token_ms": 1.0,
        "prompt_per_second": 1000.0,
        "predicted_n": predicted, "predicted_ms": predicted * 10, "predicted_per_token_ms": 10.0,
        "predicted_per_second": 100.0,
    })
}

fn ollama(mut chunk: Map<String, Value>) -> Map<String, Value> {
    chunk.shift_remove("service_tier");
    chunk.insert("system_fingerprint".to_owned(), "fp_ollama".into());
    each_choice(&mut chunk, |choice| {
        choice.shift_remove("logprobs");
        if let Some(delta) = delta(choice) {
            drop_empty_refusal(delta);
            delta.entry("content").or_insert("".into());
            delta.insert("role".to_owned(), "assistant".into());
            *delta = ordered(std::mem::take(delta), &["role", "content"]);
        }
    });
    chunk
}

fn openrouter(mut chunk: Map<String, Value>) -> Map<String, Value> {
    chunk.shift_remove("service_tier");
    chunk.insert("provider".to_owned(), "Mock".into());
    each_choice(&mut chunk, |choice| {
        let finish = choice.get("finish_reason").cloned().unwrap_or_default();
        choice.insert("native_finish_reason".to_owned(), finish);
        let Some(delta) = delta(choice) else { return };
        drop_empty_refusal(delta);
        delta.insert("role".to_owned(), "assistant".into());
        delta.entry("content").or_insert("".into());
        if let Some(text) = delta.get("reasoning").cloned() {
            let details = json!([{"type": "reasoning.text", "text": text, "index": 0}]);
            delta.insert("reasoning_details".to_owned(), details);
        }
        *delta = ordered(std::mem::take(delta), &["role", "content"]);
    });
    ordered(chunk, &OPENROUTER_CHUNK)
}

fn deepseek(mut chunk: Map<String, Value>) -> Map<String, Value> {
    chunk.shift_remove("service_tier");
    each_choice(&mut chunk, |choice| {
        let is_last = choice
            .get("finish_reason")
            .is_some_and(|reason| !reason.is_null());
        let Some(delta) = delta(choice) else { return };
        drop_empty_refusal(delta);
        let says = if is_last { json!("") } else { Value::Null };
        if !delta.contains_key("tool_calls") {
            delta.entry("content").or_insert(says);
            delta.entry("reasoning_content").or_insert(Value::Null);
        }
        *delta = ordered(
            std::mem::take(delta),
            &["role", "content", "reasoning_content"],
        );
    });
    if let Some(usage) = chunk.get_mut("usage").and_then(Value::as_object_mut) {
        let prompt = usage.get("prompt_tokens").cloned().unwrap_or_default();
        usage.insert("prompt_cache_hit_tokens".to_owned(), 0.into());
        usage.insert("prompt_cache_miss_tokens".to_owned(), prompt);
    }
    chunk
}
