//! The writing end of a log.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    AppendError, Caps, End, Event, Kind, Log, Seq,
    state::{EVENT_OVERHEAD, wake},
};

/// The one handle that may write a log.
pub struct Producer {
    log: Arc<Log>,
    caps: Caps,
    // What the next event gets: nobody else appends.
    next: Seq,
    on_end: Option<OnEnd>,
}

type OnEnd = Box<dyn FnOnce(&Arc<Log>) + Send>;

impl Producer {
    /// The producer of `log`; `on_end` is called once, after the log has ended.
    pub fn new(log: Arc<Log>, on_end: impl FnOnce(&Arc<Log>) + Send + 'static) -> Self {
        let next = Seq(log.top().seq.0 + 1);
        Self {
            caps: log.caps,
            next,
            log,
            on_end: Some(Box::new(on_end)),
        }
    }

    /// The same, held to these limits from now on.
    pub(super) fn held_to(self, caps: Caps) -> Self {
        Self { caps, ..self }
    }

    /// The log that is written.
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// The sequence number that the next event gets.
    pub fn next_seq(&self) -> Seq {
        self.next
    }

    /// Appends one event and wakes the readers.
    ///
    /// # Errors
    /// [`AppendError`] when a limit does not admit it; the log is unchanged then.
    pub fn append(&mut self, event: Event) -> Result<(), AppendError> {
        let caps = self.caps;
        // A whole generation is as large as a log may be.
        if event.frame.len() > caps.event_bytes && event.kind != Kind::Whole {
            return Err(AppendError::Event(caps.event_bytes));
        }
        let mut state = self.log.lock();
        if caps
            .last_events
            .is_some_and(|last| state.events.len() >= last)
        {
            state.drop_oldest(&self.log.budget);
        }
        if state.bytes + event.frame.len() + EVENT_OVERHEAD > caps.log_bytes {
            return Err(AppendError::Log(caps.log_bytes));
        }
        state.push(event, &self.log.budget);
        self.next.0 += 1;
        wake(state);
        Ok(())
    }

    /// The events from here on are another writer's, which took the log over.
    pub(super) fn begin_epoch(&mut self, epoch: u32) {
        let mut state = self.log.lock();
        let top = state.top();
        state.epochs.begin(epoch, top);
    }

    /// Keeps bytes beside the events, which no reader sees.
    pub fn keep_aside(&mut self, bytes: Bytes) {
        self.log.lock().aside = Some(bytes);
    }

    /// Ends the log with what `last_words` says of it and of the number of its next event.
    pub fn close(self, last_words: impl FnOnce(&Log, Seq) -> (Vec<Event>, End)) {
        let (events, end) = last_words(&self.log, self.next_seq());
        self.finish(events, end);
    }

    /// Appends the last events whatever the limits say and ends the log, in one step.
    pub fn finish(mut self, last: impl IntoIterator<Item = Event>, end: End) {
        let mut state = self.log.lock();
        for event in last {
            state.push(event, &self.log.budget);
        }
        state.end = Some(end);
        state.ended_at = Some(Instant::now());
        wake(state);
        if let Some(on_end) = self.on_end.take() {
            on_end(&self.log);
        }
    }
}
