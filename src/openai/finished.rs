//! What is said of a choice when it finishes.

use serde::Deserialize;

/// The part of a chunk, or of a whole completion, that tells how choices finished.
#[derive(Debug, Deserialize)]
pub struct Finished {
    /// The model that answered.
    #[serde(default)]
    pub model: Option<String>,
    #[serde(default)]
    choices: Vec<Choice>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    index: u32,
    #[serde(default)]
    finish_reason: Option<String>,
}

impl Finished {
    /// Reads it; `None` where it is something else.
    pub fn read(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// The choices that have finished, and for what reason.
    pub fn reasons(self) -> impl Iterator<Item = (u32, String)> {
        let choices = self.choices.into_iter();
        let finished = choices.filter_map(|choice| Some((choice.index, choice.finish_reason?)));
        finished.filter(|(_, reason)| !reason.is_empty())
    }
}
