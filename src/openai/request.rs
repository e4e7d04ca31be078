//! A chat-completion request: typed where it is read, untouched bytes otherwise.
//!
//! Start at [`ChatRequest::parse`]; what goes to an upstream is [`ChatRequest::upstream_body`].

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
use serde::{Deserialize, Deserializer, de};
use utoipa::ToSchema;

use super::{
    Continuation, Form, Int, Invalid, Message, Partial, TextParams,
    edit::{self, Edits, Field},
    json::Walk,
    object::{self, Object},
    partial::GoesOn,
};

/// The most choices that one request may ask for, as OpenAI has it.
pub const MAX_CHOICES: i64 = 128;

/// The body of `POST /v1/chat/completions`. Members that are not listed are passed on to
/// the upstream as they came.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub struct ChatParams {
    /// The model's public name.
    #[schema(min_length = 1, example = "tokenfall-mock")]
    pub model: String,
    /// The conversation so far.
    #[serde(deserialize_with = "object::list")]
    #[schema(min_items = 1)]
    pub messages: Vec<Message>,
    /// Answer with an event stream. Nothing else decides it, no `Accept` header either.
    #[serde(default)]
    pub stream: Option<bool>,
    /// What a stream shows.
    #[serde(default, deserialize_with = "object::optional")]
    pub stream_options: Option<StreamOptions>,
    /// How many choices to generate.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 128)]
    pub n: Option<Int<1, MAX_CHOICES>>,
    /// The most tokens to generate, for older models.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 0)]
    pub max_tokens: Option<Int<0, { i64::MAX }>>,
    /// The most tokens to generate.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 0)]
    pub max_completion_tokens: Option<Int<0, { i64::MAX }>>,
    /// Where to stop: one text or several.
    #[serde(default)]
    pub stop: Option<Stop>,
    /// The mock's answer, its ids and its times are a function of the request when this is set.
    #[serde(default)]
    #[schema(value_type = Option<i64>)]
    pub seed: Option<Int<{ i64::MIN }, { i64::MAX }>>,
    /// Sampling temperature.
    #[serde(default)]
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    #[serde(default)]
    pub top_p: Option<f64>,
    /// Up to 16 labels, kept with a stored completion.
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, String>>,
    /// Keep the completion, to be listed and retrieved.
    #[serde(default)]
    pub store: Option<bool>,
    /// Answer 202 at once and generate without a reader; follow the `stream_url` of the answer.
    /// Tokenfall's own.
    #[serde(default)]
    pub background: Option<bool>,
    /// Put `sequence_number` into every chunk and error of the stream. Tokenfall's own.
    #[serde(default)]
    pub include_sequence: Option<bool>,
}

/// What a stream shows.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub struct StreamOptions {
    /// One more chunk before the end, with the count of tokens and no choices.
    #[serde(default)]
    pub include_usage: Option<bool>,
    /// Pad chunks to an even size, so that their length tells less of their text. The mock
    /// does so only when asked.
    #[serde(default)]
    pub include_obfuscation: Option<bool>,
}

/// Where to stop.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, ToSchema)]
#[serde(untagged)]
pub enum Stop {
    /// At one text.
    One(String),
    /// At the first of several.
    Several(Vec<String>),
}

impl Stop {
    /// The texts.
    pub fn texts(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Several(texts) => texts,
        }
    }
}

impl<'de> Deserialize<'de> for Stop {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrSeveral;
        impl<'de> de::Visitor<'de> for OneOrSeveral {
            type Value = Stop;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of strings")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Stop, E> {
                Ok(Stop::One(text.to_owned()))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Stop, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = seq.next_element()? {
                    texts.push(text);
                }
                Ok(Stop::Several(texts))
            }
        }
        deserializer.deserialize_any(OneOrSeveral)
    }
}

/// What an upstream wants to have changed of a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Destination<'a> {
    /// The model's name there, when it has another.
    pub model: Option<&'a str>,
    /// The usage chunk of every stream is asked for.
    pub asks_usage: bool,
    /// Members that are set, whatever the client wrote.
    pub fields: &'a [Field],
    /// What it is to go on with, and how it is told.
    pub partial: Option<(&'a Partial, Continuation)>,
}

/// A valid request and the bytes it came in.
#[derive(Debug, Clone)]
pub struct ChatRequest {
    /// What is read of it.
    pub params: ChatParams,
    /// What a legacy completion has beside that, and a chat has not.
    pub text: Option<TextParams>,
    pub(super) body: Bytes,
}

impl ChatRequest {
    /// Reads and validates a body.
    ///
    /// # Errors
    /// [`Invalid`] says which field is wrong, why, and what is allowed.
    pub fn parse(body: Bytes) -> Result<Self, Invalid> {
        let Object(params) = read::<Object<ChatParams>>(&body)?;
        Invalid::unless_named(&params.model)?;
        if params.messages.is_empty() {
            let why = "expected at least one message, got none";
            return Err(Invalid::at("messages", why));
        }
        Ok(Self {
            params,
            text: None,
            body,
        })
    }

    /// By which API it came.
    pub fn form(&self) -> Form {
        match self.text {
            None => Form::Chat,
            Some(_) => Form::Text,
        }
    }

    /// The client wants an event stream.
    pub fn is_streaming(&self) -> bool {
        self.params.stream == Some(true)
    }

    /// The client wants no answer but the word that there will be one.
    pub fn is_background(&self) -> bool {
        self.params.background == Some(true)
    }

    /// The answer is generated piece by piece, whoever reads it.
    pub fn is_generated_as_stream(&self) -> bool {
        self.is_streaming() || self.is_background()
    }

    /// The client wants the usage chunk.
    pub fn includes_usage(&self) -> bool {
        let options = self.params.stream_options.as_ref();
        options.and_then(|o| o.include_usage) == Some(true)
    }

    /// How many choices are asked for.
    pub fn choices(&self) -> u32 {
        if let Some(text) = &self.text {
            return u32::try_from(text.choices()).unwrap_or(1);
        }
        let n = self.params.n.map_or(1, Int::get);
        u32::try_from(n).unwrap_or(1)
    }

    /// The most tokens that each choice may have.
    pub fn max_tokens(&self) -> Option<usize> {
        if let Some(text) = &self.text {
            return Some(text.max_tokens());
        }
        let limit = self.params.max_completion_tokens.or(self.params.max_tokens);
        limit.map(|limit| usize::try_from(limit.get()).unwrap_or(usize::MAX))
    }

    /// The same as a stream that shows all there is and is kept nowhere: what several requests can
    /// be answered from that differ in that alone.
    pub fn to_shared(&self) -> Self {
        let mut shared = self.clone();
        let edits = Edits {
            sets_stream: true,
            ..Edits::default()
        };
        // A body that was parsed is an object.
        shared.body = edit::upstream_body(&self.body, edits).unwrap_or_else(|_| self.body.clone());
        let params = &mut shared.params;
        params.stream = Some(true);
        (params.background, params.include_sequence) = (None, None);
        (params.store, params.metadata) = (None, None);
        params.stream_options.get_or_insert_default().include_usage = Some(true);
        shared
    }

    /// The bytes of the body as it came.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body for an upstream: as it came, but without our own fields, with the model's
    /// name there, the members that are set, for a stream if `asks_usage` with the usage chunk asked for, and with what was
    /// said before.
    pub fn upstream_body(&self, to: &Destination<'_>) -> Bytes {
        let is_stream = self.is_generated_as_stream();
        let edits = Edits {
            model: to.model,
            asks_usage: to.asks_usage && is_stream,
            sets_stream: is_stream && !self.is_streaming(),
            goes_on: to.partial.map(|(partial, continuation)| GoesOn {
                partial,
                continuation,
                form: self.form(),
            }),
            fields: to.fields,
        };
        // A body that was parsed is an object, and so are its stream options.
        edit::upstream_body(&self.body, edits).unwrap_or_else(|_| self.body.clone())
    }
}

impl Invalid {
    /// Reads a body of another kind, an object as well.
    ///
    /// # Errors
    /// [`Invalid`] says which field is wrong and why.
    pub fn check<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, Self> {
        read::<Object<T>>(body).map(|Object(value)| value)
    }
}

fn read<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, Invalid> {
    // First, because serde skips what it does not know without a limit to its depth.
    let mut walk = Walk::new(body);
    walk.value()
        .and_then(|_| walk.end())
        .map_err(|error| not_json(&error))?;
    if let Ok(value) = serde_json::from_slice(body) {
        return Ok(value);
    }
    // Once more, now with an eye on where it is wrong.
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let cause = error.into_inner();
        match cause.classify() {
            serde_json::error::Category::Data => wrong_field(&path, &cause),
            serde_json::error::Category::Io
            | serde_json::error::Category::Syntax
            | serde_json::error::Category::Eof => not_json(&cause),
        }
    })?;
    json.end().map_err(|error| not_json(&error))?;
    Ok(value)
}

fn not_json(error: &dyn fmt::Display) -> Invalid {
    Invalid {
        message: format!("The body is not valid JSON: {error}."),
        param: None,
    }
}

fn wrong_field(path: &str, error: &serde_json::Error) -> Invalid {
    let text = error.to_string();
    // Line and column mean nothing for a body of one line.
    let reason = text.rfind(" at line ").map_or(&text[..], |at| &text[..at]);
    let path = (path != ".").then_some(path);
    let named = |prefix: &str| reason.strip_prefix(prefix)?.strip_suffix('`');
    let missing = named("missing field `").map(|field| (field, "missing, but required"));
    let twice = named("duplicate field `").map(|field| (field, "given twice"));
    let (param, reason) = match (path, missing.or(twice)) {
        (Some(path), Some((field, reason))) => (Some(format!("{path}.{field}")), reason),
        (None, Some((field, reason))) => (Some(field.to_owned()), reason),
        (path, None) => (path.map(str::to_owned), reason),
    };
    Invalid {
        message: format!("{}: {reason}", param.as_deref().unwrap_or("The body")),
        param,
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
