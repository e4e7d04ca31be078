//! What a client that comes back receives: the log it names, from the place it names.
//!
//! The rules are PROTOCOL's, section 3: never a silent restart, always a reason.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::timeout;

use super::{About, Code, Failure, Service, view};
use crate::stream::{Batch, Cursor, Grace, Id, Log, Lookup, Owner, Reader};

/// How long a cancelled generation may take to write its last events.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A stream that is read on.
#[derive(Debug)]
pub struct Followed {
    /// A reader of what the client has not read.
    pub reader: Reader,
    /// What the log is of.
    pub about: About,
    /// The log has ended and the client has read all of it.
    pub is_over: bool,
}

impl Service {
    /// The log of a completion.
    ///
    /// # Errors
    /// [`Code::NotFound`] for an unknown id and for another owner's alike,
    /// [`Code::StreamExpired`] once its retention is over.
    pub async fn find(&self, owner: Owner, id: &str) -> Result<Arc<Log>, Failure> {
        let Ok(id) = Id::parse(id) else {
            return Err(not_found(id));
        };
        match self.shared.store.find(owner, &id).await {
            Ok(Lookup::Found(log)) => Ok(log),
            Ok(Lookup::Expired) => {
                let message = format!("The stream of {id} is no longer kept.");
                Err(Failure::new(Code::StreamExpired, message))
            }
            Ok(Lookup::Unknown) => Err(not_found(id.as_str())),
            Err(error) => Err(error.into()),
        }
    }

    /// A completion's stream after `cursor`; all of it without one.
    ///
    /// # Errors
    /// Those of [`find`](Self::find), [`Code::NotStreamed`], and [`Code::CursorInvalid`] for a
    /// place that the log does not have.
    pub async fn follow(
        &self,
        owner: Owner,
        id: &str,
        cursor: Option<Cursor>,
    ) -> Result<Followed, Failure> {
        let log = self.find(owner, id).await?;
        let about = About::of(&log)?;
        if !about.is_streamed {
            let message = format!("{id} was not asked for as a stream; read it without `stream`.");
            return Err(Failure::new(Code::NotStreamed, message));
        }
        let cursor = cursor.unwrap_or(Cursor::START);
        log.reached(cursor).await;
        let reader = log.reader(cursor).map_err(|error| {
            let message = format!("{id} cannot be read on from there: {error}.");
            Failure::new(Code::CursorInvalid, message)
        })?;
        self.shared.ledger.metrics().resumed();
        if about.is_patient {
            log.extend_grace(Grace(self.shared.settings.resume_grace));
        }
        Ok(Followed {
            is_over: log.end().is_some() && reader.cursor().seq == log.top().seq,
            reader,
            about,
        })
    }

    /// A completion as far as it has come, as JSON with its `status`.
    ///
    /// # Errors
    /// Those of [`find`](Self::find).
    pub async fn describe(&self, owner: Owner, id: &str) -> Result<Bytes, Failure> {
        // A stored completion outlives its stream, and has its labels.
        match self.shared.stored.get(owner, id).await {
            Ok(Some(stored)) => Ok(stored),
            // What is not within reach among those may be here all the same.
            Ok(None) | Err(_) => view::describe(self.find(owner, id).await?).await,
        }
    }

    /// Stops a completion, if it has not ended, and tells how far it came.
    ///
    /// # Errors
    /// Those of [`find`](Self::find).
    pub async fn cancel(&self, owner: Owner, id: &str) -> Result<Bytes, Failure> {
        let log = self.find(owner, id).await?;
        stop(&log).await;
        view::describe(log).await
    }
}

/// Asks for a stop and waits for the end.
pub(super) async fn stop(log: &Arc<Log>) {
    log.cancel();
    let Ok(mut reader) = log.reader(log.top()) else {
        return;
    };
    let end = async {
        let mut events = Vec::new();
        while reader.batch(&mut events).await == Batch::Events {}
    };
    // Past this time the view says "in_progress", which is the truth.
    let _ = timeout(LAST_WORDS, end).await;
}

pub(super) fn not_found(id: &str) -> Failure {
    let message = format!("There is no chat completion `{id}`.");
    Failure::new(Code::NotFound, message)
}
