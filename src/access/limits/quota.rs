//! How much a key may use.

use crate::access::settings::KeySettings;

/// How much a key may use; what is `None` has no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quota {
    /// The key's name, under which all nodes count.
    pub name: String,
    /// Requests per minute.
    pub rpm: Option<u64>,
    /// Tokens per minute.
    pub tpm: Option<u64>,
    /// Answers under way at once.
    pub streams: Option<u64>,
    /// Tokens per day, which begins at midnight UTC.
    pub tokens_per_day: Option<u64>,
}

impl Quota {
    /// That of an entry, if it has any limit.
    pub(in crate::access) fn of(entry: &KeySettings) -> Option<Self> {
        let quota = Self {
            name: entry.name.clone(),
            rpm: entry.rpm,
            tpm: entry.tpm,
            streams: entry.streams,
            tokens_per_day: entry.tokens_per_day,
        };
        let limits = [quota.rpm, quota.tpm, quota.streams, quota.tokens_per_day];
        limits.iter().any(Option::is_some).then_some(quota)
    }
}
