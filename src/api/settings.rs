//! The `[limits]` and `[cors]` sections of the configuration.

use std::time::Duration;

use serde::Deserialize;

use crate::openai::Bounds;

/// Limits on what a client can send.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The largest request body, in bytes.
    pub body_bytes: usize,
    /// How deep the JSON of a body may nest.
    pub json_depth: u8,
    /// The most messages of a request.
    pub messages: usize,
    /// The most tools of a request.
    pub tools: usize,
    /// The largest tool, and the largest `response_format`, in bytes.
    pub schema_bytes: usize,
    /// The longest path and query, in bytes.
    pub target_bytes: usize,
    /// The longest value of a header, in bytes.
    pub header_bytes: usize,
    /// How long a request body may take to arrive.
    #[serde(with = "humantime_serde")]
    pub body_timeout: Duration,
    /// How long a request's head may take to arrive.
    #[serde(with = "humantime_serde")]
    pub head_timeout: Duration,
    /// How long an idle connection is kept.
    #[serde(with = "humantime_serde")]
    pub keep_alive: Duration,
    /// The most connections at once.
    pub connections: usize,
    /// The most answers under way at once.
    pub streams: usize,
    /// The most requests that wait for one of them to end.
    pub queue: usize,
    /// How long a request waits so.
    #[serde(with = "humantime_serde")]
    pub queue_timeout: Duration,
    /// The tokens that a key's limits hold for a choice of an answer that may be of any length.
    pub assumed_tokens: u64,
}

impl Limits {
    /// Those on what a body holds.
    pub(super) fn bounds(&self) -> Bounds {
        Bounds {
            depth: self.json_depth,
            messages: self.messages,
            tools: self.tools,
            schema_bytes: self.schema_bytes,
        }
    }
}

/// Which web pages may use the server.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorsSettings {
    /// Origins such as `https://chat.example.org`, beside those that are always allowed.
    pub origins: Vec<String>,
}
