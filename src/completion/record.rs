//! The line that is written about a completion once it has ended.

use std::time::SystemTime;

use serde::Serialize;

use super::{CacheOutcome, pump::millis, spent::Source};

/// It, as JSON; never content.
#[derive(Serialize)]
pub(super) struct Record<'a> {
    pub(super) id: &'a str,
    pub(super) key: Option<&'a str>,
    pub(super) model: &'a str,
    pub(super) upstream: Option<&'a str>,
    // Milliseconds since 1970.
    pub(super) started_ms: u64,
    pub(super) first_token_ms: Option<u64>,
    pub(super) ended_ms: u64,
    pub(super) prompt_tokens: Option<u64>,
    pub(super) completion_tokens: Option<u64>,
    pub(super) usage_source: Source,
    pub(super) attempts: u32,
    // How often another upstream went on.
    pub(super) continued: usize,
    pub(super) cache: Option<CacheOutcome>,
    pub(super) end: &'a str,
}

impl Record<'_> {
    /// The same for the log, with its times as durations.
    pub(super) fn log(&self, duration_ms: u64, first_token_ms: Option<u64>) {
        tracing::info!(
            completion.id = self.id,
            key = self.key,
            model = self.model,
            upstream = self.upstream,
            end = self.end,
            duration_ms,
            first_token_ms,
            prompt_tokens = self.prompt_tokens,
            completion_tokens = self.completion_tokens,
            attempts = self.attempts,
            continued = self.continued,
            cache = self.cache.map(CacheOutcome::label),
            "completion ended"
        );
    }
}

/// Milliseconds since 1970.
pub(super) fn since_1970(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, millis)
}
