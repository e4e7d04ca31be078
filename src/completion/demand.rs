//! What a request takes of its key's limits, and what it is told where they are met.

use std::sync::Arc;

use serde_json::Value;

use super::{Ask, Code, Failure, Service, service::unknown_model};
use crate::{
    access::{Key, Refused, Reservation},
    backend::{Task, is_match},
    openai::{ChatRequest, Content, ModerationInput, ModerationPart, TextInput},
};

/// A token has so many bytes of text, more or less.
const BYTES_PER_TOKEN: usize = 4;

impl Service {
    /// Lets a request for a completion in.
    pub(super) async fn admit_completion(&self, ask: &Ask) -> Result<Reservation, Failure> {
        let tokens = of_completion(&ask.request, self.shared.assumed_tokens);
        self.admit(ask.key.as_ref(), tokens).await
    }

    /// Lets a request in for its key, if there is one.
    pub(super) async fn admit(
        &self,
        key: Option<&Arc<Key>>,
        tokens: u64,
    ) -> Result<Reservation, Failure> {
        let quota = key.and_then(|key| key.quota.as_ref());
        let admitted = self.shared.admission.admit(quota, tokens).await;
        let admitted = admitted.map_err(|refused| match refused {
            Refused::Exceeded(exceeded) => {
                let key = key.map(|key| &key.name[..]);
                tracing::debug!(key, limit = ?exceeded.limit, "a limit was met");
                Failure::Limited(exceeded)
            }
            Refused::Busy => {
                let message = "All the answers are under way that this server may have, \
                               and enough requests wait.";
                Failure::new(Code::Overloaded, message)
            }
            Refused::Unavailable => {
                let message = "What counts the limits of keys cannot be reached.";
                Failure::new(Code::Overloaded, message)
            }
        })?;
        // It may have waited for its place until now.
        match self.shared.pumps.is_draining() {
            true => Err(Failure::shutting_down()),
            false => Ok(admitted),
        }
    }
}

/// A key may use a model: it has no list, or the model is on it.
///
/// # Errors
/// [`Failure`], the same as for a model that does not exist: what there is for other keys is
/// nobody's business.
pub(super) fn check_model(key: Option<&Arc<Key>>, model: &str) -> Result<(), Failure> {
    match may_use(key, model) {
        true => Ok(()),
        false => Err(unknown_model(model)),
    }
}

pub(super) fn may_use(key: Option<&Arc<Key>>, model: &str) -> bool {
    let models = key.and_then(|key| key.models.as_ref());
    models.is_none_or(|models| models.iter().any(|pattern| is_match(pattern, model)))
}

/// The tokens that a completion may take: the prompt's, and what its choices may have at most, or
/// `assumed` where nothing is said.
pub(super) fn of_completion(request: &ChatRequest, assumed: u64) -> u64 {
    let contents = request.params.messages.iter();
    let contents = contents.filter_map(|message| message.content.as_ref());
    let chat: usize = contents.map(content_bytes).sum();
    let text = request.text.as_ref().and_then(|text| text.prompt.as_ref());
    let prompt = to_tokens(chat) + text.map_or(0, of_input);
    let answer = request.max_tokens().map_or(assumed, wide);
    prompt.saturating_add(answer.saturating_mul(request.choices().into()))
}

/// The tokens that something without an answer of tokens may take.
pub(super) fn of_task(task: &Task) -> u64 {
    match task {
        Task::Embed(request) => of_input(&request.params.input),
        Task::Moderate(request) => to_tokens(match &request.params.input {
            ModerationInput::Text(text) => text.len(),
            ModerationInput::Texts(texts) => texts.iter().map(String::len).sum(),
            ModerationInput::Parts(parts) => parts.iter().map(part_bytes).sum(),
        }),
        Task::DeleteModel(_) => 0,
    }
}

/// The tokens that a reported usage says were used.
pub(super) fn of_usage(usage: &Value) -> Option<u64> {
    let count = |name| usage.get(name).and_then(Value::as_u64);
    // Some servers leave the sum out.
    let parts = || count("prompt_tokens")?.checked_add(count("completion_tokens").unwrap_or(0));
    count("total_tokens").or_else(parts)
}

fn content_bytes(content: &Content) -> usize {
    match content {
        Content::Text(text) => text.len(),
        // Images and sounds have tokens too, but nobody knows how many.
        Content::Parts(parts) => parts
            .iter()
            .filter_map(|p| p.text.as_ref())
            .map(String::len)
            .sum(),
    }
}

fn part_bytes(part: &ModerationPart) -> usize {
    match part {
        ModerationPart::Text { text } => text.len(),
        ModerationPart::ImageUrl { .. } => 0,
    }
}

fn of_input(input: &TextInput) -> u64 {
    match input {
        TextInput::Texts(texts) => to_tokens(texts.iter().map(String::len).sum()),
        TextInput::Tokens(lists) => wide(lists.iter().map(Vec::len).sum()),
    }
}

fn to_tokens(bytes: usize) -> u64 {
    wide(bytes.div_ceil(BYTES_PER_TOKEN))
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn demand(members: &str) -> u64 {
        let body = format!(r#"{{"model":"m"{members}}}"#);
        let request = ChatRequest::parse(body.into()).expect("a request");
        of_completion(&request, 1000)
    }

    #[test]
    fn a_completion_takes_its_prompt_and_what_its_choices_may_have() {
        let text = r#","messages":[{"role":"user","content":"12345678"}]"#;
        assert_eq!(demand(text), 2 + 1000);
        assert_eq!(demand(&format!("{text},\"max_tokens\":7")), 2 + 7);
        let more = ",\"max_completion_tokens\":7,\"max_tokens\":9,\"n\":3";
        assert_eq!(demand(&format!("{text}{more}")), 2 + 21);
        let parts = r#","max_tokens":0,"messages":[{"role":"user","content":[
            {"type":"text","text":"1234"},{"type":"image_url","image_url":{"url":"data:0000000"}}]}]"#;
        assert_eq!(demand(parts), 1, "an image has no text");
        let huge = format!("{text},\"max_tokens\":9223372036854775807,\"n\":128");
        assert_eq!(demand(&huge), u64::MAX);
    }

    #[test]
    fn legacy_prompts_are_texts_or_tokens() {
        let demand = |prompt: &str| {
            let body = format!(r#"{{"model":"m","max_tokens":5,"prompt":{prompt}}}"#);
            let request = ChatRequest::parse_text(body.into()).expect("a request");
            of_completion(&request, 1000)
        };
        assert_eq!(demand(r#"["1234","1234"]"#), 2 + 10);
        assert_eq!(demand("[1,2,3]"), 3 + 5);
    }

    #[test]
    fn usage_is_its_sum_or_its_parts() {
        assert_eq!(
            of_usage(&json!({"total_tokens": 9, "prompt_tokens": 1})),
            Some(9)
        );
        let parts = json!({"prompt_tokens": 4, "completion_tokens": 3});
        assert_eq!(of_usage(&parts), Some(7));
        assert_eq!(of_usage(&json!({})), None);
    }
}
