//! What is written down about a completion once it has ended: one line, never content.

use bytes::Bytes;
use std::time::Duration;

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
    let usage = usage.map(|json| String::from_utf8_lossy(json).into_owned());
    tracing::info!(
        completion.id = %completion.log.id(),
        model = %completion.model,
        end = end.label(),
        duration_ms = millis(took),
        first_token_ms = first_token.map(millis),
        usage,
        "completion ended"
    );
}
