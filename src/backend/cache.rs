//! Which requests for a model may share an answer, as a `[[models]]` entry says it.

use std::time::Duration;

use serde::Deserialize;

/// The `cache` of a `[[models]]` entry. `config.default.toml` says what each means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CacheSettings {
    /// With which answers of others a request may be answered.
    pub share: Share,
    /// How fast a finished answer is streamed again.
    pub pace: Pace,
    /// How long a finished answer is used; as long as its stream is kept if `None`.
    #[serde(with = "humantime_serde")]
    pub lifetime: Option<Duration>,
}

/// With which answers of others a request may be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    /// None.
    #[default]
    Off,
    /// Those under way.
    InFlight,
    /// Those too that have ended well.
    Finished,
}

/// How fast a finished answer is streamed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// At once.
    #[default]
    Instant,
    /// Its first content at once, then with the times that lay between its chunks.
    Recorded,
}
