//! The `[store]` section of the configuration.

use std::time::Duration;

use serde::Deserialize;

/// Where streams are kept. `config.default.toml` has each default and its reason.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    /// In this process alone, or shared.
    pub kind: StoreKind,
    /// The Redis or Valkey, such as `redis://127.0.0.1:6379`.
    pub url: String,
    /// How long a node is not heard of before others take its streams for lost.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// How often a node looks at streams of others without being told of something new.
    #[serde(with = "humantime_serde")]
    pub poll: Duration,
    /// What becomes of new streams while Redis cannot be reached.
    pub on_unavailable: OnUnavailable,
}

/// Where streams live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// In the process' memory.
    Memory,
    /// In Redis too, for all nodes.
    Redis,
}

/// What becomes of new streams while the store cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnUnavailable {
    /// They are refused.
    Refuse,
    /// They are served by this node, and shared once it can be reached again.
    Unshared,
}
