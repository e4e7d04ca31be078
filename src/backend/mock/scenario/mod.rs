//! Scenarios: what the mock answers, and when, as people write it in YAML or JSON.
//!
//! Nearly all that can be wrong is found while a file is read, so that an error can name the
//! line. Start at [`Scenario`].

mod load;
mod matcher;
mod reply;
mod schema;
mod select;
mod template;

use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};
use utoipa::ToSchema;

pub use crate::backend::{frame::RawFrame, yaml::LoadError};
pub use load::load;
pub(super) use load::{Stamp, stamp};
pub(super) use matcher::Captures;
pub use matcher::{Match, Text};
pub use reply::{Arguments, Block, Body, ErrorReply, Reply, ToolCall};
pub use schema::json_schema;
pub use select::{Selected, Set, Unmatched};
pub use template::{Context, Template, TemplateError};

use super::{dialect::Dialect, options::check_speed};
use crate::{
    openai::object,
    wire::{Fault, Framing},
};

/// One scenario: a file of the prompts folder, named by its path without the extension.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(title = "Tokenfall scenario")]
pub struct Scenario {
    /// What it is for, for people.
    #[serde(default)]
    pub description: Option<String>,
    /// A request that it answers, for people to try and for tests.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub example: Option<Map<String, Value>>,
    /// Which requests it answers; all of them if nothing is said. Every condition must hold.
    #[serde(rename = "match", default, deserialize_with = "object::required")]
    pub matches: Match,
    /// Of several that match, the highest answers. Two that match the same request and have the
    /// same priority are an error.
    #[serde(default)]
    pub priority: i32,
    /// The answer. A scenario has either this or `sequence`.
    #[serde(default, deserialize_with = "object::optional")]
    pub reply: Option<Reply>,
    /// Answers for one call after the other, counted for each `x-mock-session`.
    #[serde(default)]
    #[schema(min_items = 1)]
    pub sequence: Option<Vec<Reply>>,
    /// What comes after the last of a sequence.
    #[serde(default)]
    pub then: Then,
    /// A profile of times, by its name.
    #[serde(default)]
    pub profile: Option<String>,
    /// How many times as fast.
    #[serde(default, deserialize_with = "speed")]
    #[schema(minimum = 0.001, maximum = 1_000_000)]
    pub speed: Option<f64>,
    /// Mixed into everything that is drawn.
    #[serde(default)]
    pub seed: Option<i64>,
    /// Which server the bytes look like.
    #[serde(default)]
    pub dialect: Option<Dialect>,
    /// What goes wrong, such as `cut@event=5`; several with semicolons between them.
    #[serde(default, deserialize_with = "faults")]
    #[schema(value_type = Option<String>, example = "cut@event=5")]
    pub fault: Option<Vec<Fault>>,
    /// Where writes begin and end, such as `bytes=1,gap=1ms`.
    #[serde(default, deserialize_with = "framing")]
    #[schema(value_type = Option<String>, example = "bytes=1,gap=1ms")]
    pub wire: Option<Framing>,
}

/// What comes after the last of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Then {
    /// The last again.
    #[default]
    Last,
    /// The first again.
    First,
    /// An error that says so.
    Error,
}

impl Scenario {
    /// What one field alone cannot say.
    ///
    /// # Errors
    /// The field and what is allowed.
    pub fn check(&self) -> Result<(), String> {
        match (&self.reply, self.sequence.as_deref()) {
            (Some(_), Some(_)) => Err("sequence: a scenario has either this or `reply`".to_owned()),
            (None, None) => Err("reply: missing; a scenario has this or a `sequence`".to_owned()),
            (None, Some([])) => Err("sequence: expected at least one reply".to_owned()),
            (Some(_), None) | (None, Some(_)) => Ok(()),
        }
    }

    /// The answer to the call of this number, from 0; none past the end of a sequence that ends.
    pub(super) fn reply(&self, call: usize) -> Option<&Reply> {
        let Some(sequence) = &self.sequence else {
            return self.reply.as_ref();
        };
        match (sequence.get(call), self.then) {
            (Some(reply), _) => Some(reply),
            (None, Then::Last) => sequence.last(),
            (None, Then::First) => sequence.get(call.checked_rem(sequence.len())?),
            (None, Then::Error) => None,
        }
    }
}

fn speed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let speed = Option::<f64>::deserialize(deserializer)?;
    speed
        .map(check_speed)
        .transpose()
        .map_err(de::Error::custom)
}

fn faults<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Fault>>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let faults = text.map(|text| Fault::list(&text)).transpose();
    faults.map_err(de::Error::custom)
}

fn framing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Framing>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse())
        .transpose()
        .map_err(de::Error::custom)
}
