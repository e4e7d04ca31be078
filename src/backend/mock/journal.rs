//! What was asked and what was sent.

use std::sync::Arc;

use serde_json::{Value, json};

use super::question::Question;
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
    /// The body of the request; none if it is too large to keep.
    pub body: Option<Arc<Value>>,
    /// Headers of the request, those that hold secrets left out.
    pub headers: Vec<(String, String)>,
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
    pub(super) fn new(question: &Question, id: &str, session: &str) -> Self {
        Self {
            number: 0,
            session: session.to_owned(),
            id: id.to_owned(),
            body: question
                .is_small(MAX_BODY)
                .then(|| Arc::new(question.body.clone())),
            headers: question.headers().clone(),
            seed: 0,
            scenario: None,
            cassette: None,
            profile: String::new(),
            status: 200,
            delivery: Arc::default(),
        }
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
        let headers: serde_json::Map<String, Value> = self
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), value.clone().into()))
            .collect();
        json!({
            "number": self.number,
            "session": self.session,
            "id": self.id,
            "request": {"body": self.body, "headers": headers},
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
