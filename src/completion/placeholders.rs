//! Stored completions that stand for none: they are always there, whatever is done to them.
//!
//! Test suites name fixed ids, and retrieve, label and delete what they name again and again.

use serde_json::json;

use crate::{
    openai::{Form, Status},
    stream::Record,
};

/// The model that is said to have answered.
const MODEL: &str = "placeholder";

/// The ids of such completions.
#[derive(Debug, Default)]
pub(super) struct Placeholders(Vec<String>);

impl Placeholders {
    /// Under these ids.
    pub(super) fn new(ids: &[String]) -> Self {
        Self(ids.to_vec())
    }

    /// Whether there is one of this id.
    pub(super) fn has(&self, id: &str) -> bool {
        self.0.iter().any(|known| known == id)
    }

    /// What is kept of one, in the form of what is kept of others.
    pub(super) fn record(&self, id: &str) -> Record {
        let completion = json!({
            "id": id,
            "object": Form::Chat.object(),
            "created": 0,
            "model": MODEL,
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": "", "refusal": null},
                "logprobs": null,
                "finish_reason": "stop",
            }],
            "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
            "status": Status::Completed,
        });
        let message = json!({"role": "assistant", "content": "", "refusal": null});
        let head = json!({"model": MODEL, "metadata": {}});
        let body = json!({"completion": completion, "messages": [message]});
        Record {
            place: 0,
            head: head.to_string().into(),
            body: body.to_string().into(),
        }
    }
}
