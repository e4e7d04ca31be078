//! What is written down about a completion once it has ended: one line, never content.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::Completion;
use crate::stream::End;

/// Logs the end of a completion.
pub(super) fn record(
    completion: &Completion,
    end: &End,
    usage: Option<&Bytes>,
    took: Duration,
    first_token: Option<Duration>,
) {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let usage: Value = usage
        .and_then(|json| serde_json::from_slice(json).ok())
        .unwrap_or_default();
    let tokens = |key| usage.get(key).and_then(Value::as_u64);
    tracing::info!(
        completion.id = %completion.log.id(),
        model = %completion.about.model,
        end = end.label(),
        duration_ms = millis(took),
        first_token_ms = first_token.map(millis),
        prompt_tokens = tokens("prompt_tokens"),
        completion_tokens = tokens("completion_tokens"),
        "completion ended"
    );
}
