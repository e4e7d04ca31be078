//! An answer that was begun elsewhere: what of a request lets another model server go on with it.

use serde::Deserialize;
use serde_json::Value;

use super::{ChatRequest, Form, Role, TextInput, TextParams};

/// Members that bind an answer to a form. A server that goes on would begin it anew.
const FORMS: [&str; 7] = [
    "grammar",
    "guided_choice",
    "guided_grammar",
    "guided_json",
    "guided_regex",
    "json_schema",
    "structured_outputs",
];

/// What has been said of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partial {
    /// The text; not empty.
    pub text: String,
    /// How many tokens it is.
    pub tokens: u64,
}

/// How a server is told to go on with a chat's answer: by a last message of the assistant's, and …
/// (A legacy completion's prompt is continued anyway.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Continuation {
    /// … nothing else: llama.cpp, Claude by Anthropic's and Amazon's servers.
    #[default]
    Assistant,
    /// … `continue_final_message`, without `add_generation_prompt`: vLLM, SGLang.
    ContinueFinalMessage,
    /// … `prefix` in that message: DeepSeek, Mistral.
    Prefix,
}

impl ChatRequest {
    /// Whether an answer that was begun can be gone on with: it is one choice of free text.
    pub fn can_be_continued(&self) -> bool {
        self.is_generated_as_stream() && self.choices() == 1 && self.is_free_text()
    }

    fn is_free_text(&self) -> bool {
        let prompt_ends_open = match &self.text {
            Some(text) => is_continued(text),
            // Of two messages of the assistant's one would be taken for said before.
            None => {
                let last = self.params.messages.last();
                last.is_some_and(|last| last.role != Role::Assistant)
            }
        };
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let form = body
            .pointer("/response_format/type")
            .and_then(Value::as_str);
        prompt_ends_open
            && form.is_none_or(|form| form == "text")
            && FORMS
                .iter()
                .all(|key| body.get(key).is_none_or(Value::is_null))
    }
}

/// The answer follows the prompt, and nothing else.
fn is_continued(text: &TextParams) -> bool {
    matches!(&text.prompt, Some(TextInput::Texts(texts)) if texts.len() == 1)
        && text.suffix.is_none()
        && text.echo != Some(true)
}

/// The changes to a request that has a server go on.
#[derive(Debug, Clone, Copy)]
pub(super) struct GoesOn<'a> {
    pub(super) partial: &'a Partial,
    pub(super) continuation: Continuation,
    pub(super) form: Form,
}

impl GoesOn<'_> {
    /// A member of the request as it has to be, if it has to be another; empty if it has to go.
    pub(super) fn member(&self, key: &[u8], value: &[u8]) -> Option<Vec<u8>> {
        match (self.form, key) {
            (_, b"max_tokens" | b"max_completion_tokens") => {
                let limit: u64 = std::str::from_utf8(value).ok()?.parse().ok()?;
                // With none left it would have ended; the count may be wrong by some.
                let left = limit.saturating_sub(self.partial.tokens).max(1);
                Some(member(key, left.to_string().as_bytes()))
            }
            (Form::Text, b"prompt") => {
                let prompt: TextInput = serde_json::from_slice(value).ok()?;
                let TextInput::Texts(mut texts) = prompt else {
                    return None;
                };
                let text = texts.pop()? + &self.partial.text;
                Some(member(key, Value::from(text).to_string().as_bytes()))
            }
            (Form::Chat, b"messages") => {
                let others = value.strip_suffix(b"]")?.trim_ascii_end();
                let said = self.message();
                Some(member(key, &[others, b",", said.as_bytes(), b"]"].concat()))
            }
            (Form::Chat, b"continue_final_message" | b"add_generation_prompt")
                if self.continuation == Continuation::ContinueFinalMessage =>
            {
                Some(Vec::new())
            }
            (Form::Chat | Form::Text, _) => None,
        }
    }

    /// Members that are added.
    pub(super) fn added(&self) -> Option<&'static [u8]> {
        const FINAL: &[u8] = br#""continue_final_message":true,"add_generation_prompt":false"#;
        let is_chat = self.form == Form::Chat;
        let is_flagged = self.continuation == Continuation::ContinueFinalMessage;
        (is_chat && is_flagged).then_some(FINAL)
    }

    /// What was said, as a message.
    fn message(&self) -> String {
        let text = Value::from(self.partial.text.as_str());
        let prefix = match self.continuation {
            Continuation::Prefix => r#","prefix":true"#,
            Continuation::Assistant | Continuation::ContinueFinalMessage => "",
        };
        format!(r#"{{"role":"assistant","content":{text}{prefix}}}"#)
    }
}

fn member(key: &[u8], value: &[u8]) -> Vec<u8> {
    [b"\"", key, b"\":", value].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openai::{Destination, Field};

    fn request(form: Form, body: &str) -> ChatRequest {
        form.parse(body.to_owned().into()).expect("a valid request")
    }

    fn continued(form: Form, body: &str, continuation: Continuation) -> String {
        let partial = Partial {
            text: "So \"far".to_owned(),
            tokens: 3,
        };
        let to = Destination {
            partial: Some((&partial, continuation)),
            ..Destination::default()
        };
        let body = request(form, body).upstream_body(&to);
        String::from_utf8(body.to_vec()).expect("UTF-8")
    }

    const CHAT: &str = r#"{"model":"m","stream":true,"messages":[ {"role":"user","content":"a"} ]"#;
    const TEXT: &str = r#"{"model":"m","stream":true,"prompt":"Say:"#;

    #[test]
    fn what_was_said_is_the_last_message() {
        let body = continued(Form::Chat, &format!("{CHAT}}}"), Continuation::Assistant);
        let said = r#",{"role":"assistant","content":"So \"far"}]}"#;
        let expected = CHAT.replace(" ]", said);
        assert_eq!(body, expected);
        let body = continued(Form::Chat, &format!("{CHAT}}}"), Continuation::Prefix);
        assert!(body.ends_with(r#""So \"far","prefix":true}]}"#), "{body}");
    }

    #[test]
    fn servers_with_flags_get_those_and_not_the_clients() {
        let body = format!(r#"{CHAT},"add_generation_prompt":true,"seed":1}}"#);
        let body = continued(Form::Chat, &body, Continuation::ContinueFinalMessage);
        let flags = r#""seed":1,"continue_final_message":true,"add_generation_prompt":false}"#;
        assert!(body.ends_with(flags), "{body}");
        assert_eq!(body.matches("add_generation_prompt").count(), 1);
    }

    #[test]
    fn a_prompt_grows_and_the_limit_shrinks() {
        let body = format!(r#"{TEXT}","max_tokens":10}}"#);
        let body = continued(Form::Text, &body, Continuation::Assistant);
        let expected = r#""prompt":"Say:So \"far","max_tokens":7}"#;
        assert!(body.ends_with(expected), "{body}");
        let body = format!(r#"{CHAT},"max_completion_tokens":2}}"#);
        let body = continued(Form::Chat, &body, Continuation::Assistant);
        assert!(body.ends_with(r#""max_completion_tokens":1}"#), "{body}");
    }

    #[test]
    fn members_that_an_operator_sets_are_changed_as_the_clients_are() {
        let partial = Partial {
            text: "a".to_owned(),
            tokens: 3,
        };
        let fields = [
            Field::new("add_generation_prompt", &true.into()),
            Field::new("max_tokens", &10.into()),
        ];
        let to = Destination {
            fields: &fields,
            partial: Some((&partial, Continuation::ContinueFinalMessage)),
            ..Destination::default()
        };
        let body = request(Form::Chat, &format!(r#"{CHAT},"max_tokens":5}}"#)).upstream_body(&to);
        let end =
            r#"],"max_tokens":7,"continue_final_message":true,"add_generation_prompt":false}"#;
        assert!(body.ends_with(end.as_bytes()), "{body:?}");
    }

    #[test]
    fn only_one_choice_of_free_text_can_be_continued() {
        let chat = |more: &str| request(Form::Chat, &format!("{CHAT}{more}}}"));
        let text = |more: &str| request(Form::Text, &format!("{TEXT}\"{more}}}"));
        for yes in [
            chat(""),
            chat(r#","response_format":{"type":"text"}"#),
            chat(r#","n":1,"tools":[]"#),
            text(""),
        ] {
            assert!(yes.can_be_continued(), "{yes:?}");
        }
        let answered =
            r#"{"model":"m","stream":true,"messages":[{"role":"assistant","content":"a"}]}"#;
        for no in [
            chat(r#","n":2"#),
            chat(r#","response_format":{"type":"json_object"}"#),
            chat(r#","guided_regex":"a+""#),
            request(Form::Chat, answered),
            request(Form::Chat, &format!("{CHAT}}}").replace("true", "false")),
            text(r#","suffix":"b""#),
            text(r#","echo":true"#),
            request(
                Form::Text,
                r#"{"model":"m","stream":true,"prompt":["a","b"]}"#,
            ),
            request(Form::Text, r#"{"model":"m","stream":true,"prompt":[1,2]}"#),
        ] {
            assert!(!no.can_be_continued(), "{no:?}");
        }
    }
}
