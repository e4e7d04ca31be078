//! What was asked and what was sent.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{question::Question, scenario::Match};
use crate::wire::Delivery;

/// The largest body that is kept as it came, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// One request and its answer.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its number among all requests, from 1.
    pub number: u64,
    /// Whose it is.
    pub session: String,
    /// The completion's id.
    pub id: String,
    /// The request; none if it is too large to keep.
    pub(super) question: Option<Arc<Question>>,
    /// What the answer was drawn from.
    pub seed: i64,
    /// The scenario that answered, if one did.
    pub scenario: Option<String>,
    /// The cassette that was replayed, if one was.
    pub cassette: Option<String>,
    /// The profile of its times.
    pub profile: String,
    /// The HTTP status that was meant.
    pub status: u16,
    /// What was sent, and when.
    pub delivery: Arc<Delivery>,
}

impl Entry {
    /// Of a request that is about to be answered.
    pub(super) fn new(question: &Arc<Question>, id: &str, session: &str) -> Self {
        Self {
            number: 0,
            session: session.to_owned(),
            id: id.to_owned(),
            question: question.is_small(MAX_BODY).then(|| Arc::clone(question)),
            seed: 0,
            scenario: None,
            cassette: None,
            profile: String::new(),
            status: 200,
            delivery: Arc::default(),
        }
    }

    /// Whether a request fulfils these conditions; one that was not kept does not.
    pub fn is_match(&self, conditions: &Match) -> bool {
        let question = self.question.as_ref();
        question.is_some_and(|question| conditions.check(question).is_ok())
    }

    /// As JSON. Times are milliseconds from the request.
    pub fn to_json(&self) -> Value {
        let sent = self.delivery.report();
        let millis = |micros: &Vec<u32>| -> Vec<f64> {
            micros
                .iter()
                .map(|micros| f64::from(*micros) / 1000.0)
                .collect()
        };
        let question = self.question.as_ref();
        let headers: Option<Map<String, Value>> = question.map(|question| {
            let headers = question.headers().iter();
            headers
                .map(|(name, value)| (name.clone(), value.clone().into()))
                .collect()
        });
        json!({
            "number": self.number,
            "session": self.session,
            "id": self.id,
            "request": {"headers": headers, "body": question.map(|question| &question.body)},
            "seed": self.seed,
            "scenario": self.scenario,
            "cassette": self.cassette,
            "profile": self.profile,
            "status": self.status,
            "sent": {
                "events": sent.sent.len(),
                "bytes": sent.bytes,
                "planned_ms": millis(&sent.planned),
                "sent_ms": millis(&sent.sent),
                "late_ms": sent.lateness().map(|late| json!({
                    "p50": late.p50, "p99": late.p99, "max": late.max,
                })),
                "faults": sent.faults,
                "end": sent.end,
            },
        })
    }
}
