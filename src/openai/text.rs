//! Legacy completions: the request, and what is said, whole and piece by piece.
//!
//! A request is read into the same [`ChatRequest`] as a chat's, whose messages are none and
//! whose [`text`](ChatRequest::text) is set.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{
    ToSchema,
    openapi::{RefOr, Schema},
};

use super::{
    ChatParams, ChatRequest, ErrorBody, Int, Invalid, MAX_CHOICES, Status, Stop, StreamOptions,
    TextInput, Usage,
    object::{self},
    text_input::{self, Least},
};

/// The most tokens of a choice where the request does not say, as OpenAI has it.
const DEFAULT_MAX_TOKENS: usize = 16;

/// The body of `POST /v1/completions`. Members that are not listed are passed on to the
/// upstream as they came.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct TextParams {
    /// The model's public name.
    #[schema(min_length = 1, example = "tokenfall-mock")]
    pub model: String,
    /// What is continued: each text gets `n` choices.
    #[serde(default)]
    #[schema(schema_with = prompt, required = false)]
    pub prompt: Option<TextInput>,
    /// What follows the text that is asked for.
    #[serde(default)]
    pub suffix: Option<String>,
    /// Answer with an event stream.
    #[serde(default)]
    pub stream: Option<bool>,
    /// What a stream shows.
    #[serde(default, deserialize_with = "object::optional")]
    pub stream_options: Option<StreamOptions>,
    /// How many choices to generate of each prompt; 128 of all together.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 128)]
    pub n: Option<Int<1, MAX_CHOICES>>,
    /// The best of how many are shown; the mock has only the best.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 0)]
    pub best_of: Option<Int<0, { i64::MAX }>>,
    /// Each choice begins with its prompt.
    #[serde(default)]
    pub echo: Option<bool>,
    /// The most tokens to generate; 16 if not said.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 0)]
    pub max_tokens: Option<Int<0, { i64::MAX }>>,
    /// Of how many tokens to tell the probability; the mock tells none.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 0)]
    pub logprobs: Option<Int<0, { i64::MAX }>>,
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
    /// Answer 202 at once and generate without a reader. Tokenfall's own.
    #[serde(default)]
    pub background: Option<bool>,
    /// Put `sequence_number` into every chunk and error of the stream. Tokenfall's own.
    #[serde(default)]
    pub include_sequence: Option<bool>,
}

/// A completion, or one event of its stream. Upstreams may add members of their own.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TextCompletion<'a> {
    /// The completion's id, the same in every event.
    pub id: &'a str,
    /// Always `text_completion`.
    #[schema(pattern = "^text_completion$")]
    pub object: &'static str,
    /// When the completion was asked for, in seconds since 1970.
    pub created: u64,
    /// The model that answers.
    pub model: &'a str,
    /// The choices, or what an event adds to them; none in the event that has the usage.
    pub choices: &'a [TextChoice<'a>],
    /// The count of tokens; null in a stream's other events where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Usage>)]
    pub usage: Option<Option<&'a Value>>,
    /// The version of the model that answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_fingerprint: Option<&'a str>,
    /// The event's number, where `include_sequence` asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence_number: Option<u64>,
}

/// One text, or what an event adds to it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TextChoice<'a> {
    /// The text.
    pub text: &'a str,
    /// Which choice.
    pub index: u32,
    /// Log probabilities, where they were asked for.
    #[schema(value_type = Option<Object>)]
    pub logprobs: Option<()>,
    /// Why the choice ended; null where it goes on.
    #[schema(required)]
    pub finish_reason: Option<&'a str>,
}

/// A legacy completion as far as it has come.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TextCompletionView<'a> {
    /// What has been said.
    #[serde(flatten)]
    pub completion: TextCompletion<'a>,
    /// How far it is.
    pub status: Status,
    /// Where the count of tokens comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_source: Option<&'a str>,
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

impl TextParams {
    /// The prompts that are texts.
    pub fn texts(&self) -> &[String] {
        match &self.prompt {
            Some(TextInput::Texts(texts)) => texts,
            Some(TextInput::Tokens(_)) | None => &[],
        }
    }

    /// How many choices there will be of all prompts together.
    pub fn choices(&self) -> usize {
        let prompts = self.prompt.as_ref().map_or(1, TextInput::count);
        prompts.saturating_mul(self.choices_each())
    }

    /// How many choices each prompt gets.
    pub fn choices_each(&self) -> usize {
        usize::try_from(self.n.map_or(1, Int::get)).unwrap_or(1)
    }

    /// The most tokens that each choice may have.
    pub fn max_tokens(&self) -> usize {
        let limit = |limit: Int<0, _>| usize::try_from(limit.get()).unwrap_or(usize::MAX);
        self.max_tokens.map_or(DEFAULT_MAX_TOKENS, limit)
    }

    /// What this has in common with a chat.
    fn as_chat(&self) -> ChatParams {
        ChatParams {
            model: self.model.clone(),
            stream: self.stream,
            stream_options: self.stream_options.clone(),
            n: self.n,
            max_tokens: self.max_tokens,
            stop: self.stop.clone(),
            seed: self.seed,
            temperature: self.temperature,
            top_p: self.top_p,
            background: self.background,
            include_sequence: self.include_sequence,
            ..ChatParams::default()
        }
    }
}

impl ChatRequest {
    /// Reads and validates the body of a legacy completion.
    ///
    /// # Errors
    /// [`Invalid`] says which field is wrong, why, and what is allowed.
    pub fn parse_text(body: Bytes) -> Result<Self, Invalid> {
        let text: TextParams = Invalid::check(&body)?;
        Invalid::unless_named(&text.model)?;
        if text.choices() == 0 {
            let why = "expected at least one text, got none";
            return Err(Invalid::at("prompt", why));
        }
        if i64::try_from(text.choices()).is_ok_and(|choices| choices > MAX_CHOICES) {
            let (prompts, each) = (text.choices() / text.choices_each(), text.choices_each());
            let why = format!(
                "expected at most {MAX_CHOICES} choices of all prompts together, got {each} of \
                 each of {prompts}"
            );
            return Err(Invalid::at("n", &why));
        }
        Ok(Self {
            params: text.as_chat(),
            text: Some(text),
            body,
        })
    }
}

fn prompt() -> RefOr<Schema> {
    text_input::schema(
        Least::Nothing,
        usize::try_from(MAX_CHOICES).unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<ChatRequest, Invalid> {
        ChatRequest::parse_text(Bytes::copy_from_slice(body.as_bytes()))
    }

    #[test]
    fn every_prompt_gets_its_choices() {
        for (members, choices) in [
            ("", 1),
            (r#","prompt":null"#, 1),
            (r#","prompt":"""#, 1),
            (r#","prompt":["a","b"],"n":3"#, 6),
            (r#","prompt":[1,2],"n":128"#, 128),
            (r#","prompt":[[1],[2]]"#, 2),
        ] {
            let request = parse(&format!(r#"{{"model":"m"{members}}}"#)).expect(members);
            assert_eq!(request.choices(), choices, "{members}");
            assert_eq!(request.max_tokens(), Some(16));
        }
    }

    #[test]
    fn what_cannot_be_served_is_refused_with_its_reason() {
        for (members, param, says) in [
            (r#""prompt":"a""#, "model", "missing"),
            (r#""model":"","prompt":"a""#, "model", "empty"),
            (r#""model":"m","prompt":[]"#, "prompt", "at least one"),
            (
                r#""model":"m","prompt":7"#,
                "prompt",
                "an array of token ids",
            ),
            (
                r#""model":"m","prompt":["a","b"],"n":65"#,
                "n",
                "at most 128 choices",
            ),
            (r#""model":"m","best_of":-1"#, "best_of", "at least 0"),
            (r#""model":"m","logprobs":"x""#, "logprobs", "at least 0"),
            (r#""model":"m","echo":1"#, "echo", "a boolean"),
        ] {
            let invalid = parse(&format!("{{{members}}}")).expect_err(members);
            assert_eq!(invalid.param.as_deref(), Some(param), "{invalid}");
            assert!(invalid.message.contains(says), "{invalid}");
        }
    }
}
