//! What happens here, as an endless log that can be followed and resumed: who started,
//! spoke first and ended, never what was said.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde::Serialize;

use crate::{
    sse::data_frame,
    stream::{
        Budget, Caps, Cursor, CursorError, Event, Grace, Id, Kind, Log, Owner, Producer, Reader,
        Spec,
    },
};

/// How many of the latest events are kept for those who come back.
const KEPT: usize = 10_000;
/// The largest of them; a model's name is all that can be long in one.
const EVENT_BYTES: usize = 64 * 1024;

/// What happened to the completion of an id.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Told<'a> {
    Started {
        id: &'a str,
        model: &'a str,
    },
    FirstToken {
        id: &'a str,
        after_ms: u64,
    },
    Ended {
        id: &'a str,
        end: &'a str,
        after_ms: u64,
    },
}

/// The activity of this process.
#[derive(Clone)]
pub struct Activity {
    log: Arc<Log>,
    producer: Arc<Mutex<Producer>>,
}

impl Default for Activity {
    fn default() -> Self {
        let caps = Caps {
            event_bytes: EVENT_BYTES,
            log_bytes: KEPT * 1024,
            last_events: Some(KEPT),
        };
        let spec = Spec {
            id: Id::new("activity-", [0; 16]),
            owner: Owner([0; 16]),
            about: Bytes::new(),
            grace: Grace(std::time::Duration::MAX),
        };
        let log = Log::new(spec, caps, Arc::new(Budget::new(usize::MAX)));
        let producer = Producer::new(Arc::clone(&log), |_| {});
        Self {
            log,
            producer: Arc::new(Mutex::new(producer)),
        }
    }
}

impl Activity {
    /// A reader of what happens after `cursor`; from now on without one.
    ///
    /// # Errors
    /// [`CursorError`] for a place that is gone or never was.
    pub fn reader(&self, cursor: Option<Cursor>) -> Result<Reader, CursorError> {
        self.log.reader(cursor.unwrap_or(self.log.top()))
    }

    /// A completion was asked for.
    pub(super) fn started(&self, id: &Id, model: &str) {
        let id = id.as_str();
        self.tell(&Told::Started { id, model });
    }

    /// It has said something.
    pub(super) fn first_token(&self, id: &Id, after_ms: u64) {
        let id = id.as_str();
        self.tell(&Told::FirstToken { id, after_ms });
    }

    /// It has ended, in this way.
    pub(super) fn ended(&self, id: &Id, end: &str, after_ms: u64) {
        let id = id.as_str();
        self.tell(&Told::Ended { id, end, after_ms });
    }

    fn tell(&self, what: &Told<'_>) {
        // Strings and numbers always serialize.
        let json = serde_json::to_vec(what).unwrap_or_default();
        let event = Event {
            kind: Kind::Chunk,
            frame: data_frame(&json).into(),
        };
        let mut producer = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = producer.append(event) {
            tracing::debug!(%error, "an event of the activity stream is too large");
        }
    }
}
