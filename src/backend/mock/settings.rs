//! The mock's settings.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Dialect, Profile};
use crate::backend::cassette::OnMiss;

/// The `[mock]` section of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The folder of scenarios; empty for none.
    pub prompts: String,
    /// The profile of times that answers have where nothing else is said.
    pub profile: String,
    /// Profiles by name.
    pub profiles: BTreeMap<String, Profile>,
    /// How many times as fast.
    pub speed: f64,
    /// No waiting: the journal has the times that were planned.
    pub virtual_time: bool,
    /// Which server the chunks look like.
    pub dialect: Dialect,
    /// What a request gets that no scenario matches.
    pub on_no_match: OnNoMatch,
    /// Every answer has the same bytes on every run, ids and times included.
    pub deterministic: bool,
    /// Mixed into every answer; a request's own `seed` comes first.
    pub seed: i64,
    /// How many requests the journal remembers.
    pub journal: usize,
    /// The folder of cassettes; empty for none.
    pub cassettes: String,
    /// What a request gets that no cassette has.
    pub on_miss: OnMiss,
    /// Models are asked even for what a cassette has, which is replaced.
    pub rerecord: bool,
    /// Vectors are written in base64 where that is asked for.
    pub base64_embeddings: bool,
}

/// What a request gets that no scenario matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnNoMatch {
    /// An answer of the mock's own.
    Answer,
    /// A 404 that says which conditions did not hold.
    Error,
}
