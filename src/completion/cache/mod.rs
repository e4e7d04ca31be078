//! One answer for several requests: while it is under way, and once it has ended.
//!
//! Such an answer is a *source*: a log that no client knows, with a pump of its own. Each request
//! that it answers is a completion like any other, whose pump reads the source in place of asking an
//! upstream. So the source goes on while one of them is left, and whatever becomes of one, be it the
//! first, is nothing to the others. Start at [`Request::join`].

mod answers;
mod fingerprint;
mod flights;
mod join;
mod source;

use std::sync::Arc;

use serde::Serialize;

pub(super) use fingerprint::Fingerprint;
pub(super) use join::{Joined, Request};
pub(super) use source::read;

use self::{answers::Answers, flights::Flights};
use crate::stream::Shelf;

/// The answers that may be shared.
pub struct Cache {
    // Under way, on this node.
    flights: Arc<Flights>,
    // Ended well, on all nodes.
    answers: Answers,
}

impl Cache {
    /// The finished ones are named on `shelf`; `max` of those under way are shared.
    pub fn new(shelf: Arc<dyn Shelf>, max: usize) -> Self {
        Self {
            flights: Arc::new(Flights::new(max)),
            answers: Answers::new(shelf),
        }
    }
}

/// How a request is answered whose answer may be shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheOutcome {
    /// An upstream is asked.
    Miss,
    /// From an answer under way.
    Shared,
    /// From an answer that had ended.
    Hit,
}

impl CacheOutcome {
    /// A word for headers, records and metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Miss => "miss",
            Self::Shared => "shared",
            Self::Hit => "hit",
        }
    }
}
