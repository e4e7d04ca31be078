//! One log: a single [`Producer`], any number of [`Reader`]s.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use bytes::Bytes;
use slab::Slab;
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{Budget, Cursor, CursorError, End, Grace, Id, Owner, Reader, Seq};

/// What an empty log is counted with in the [`Budget`], so that their number is bounded too.
const LOG_OVERHEAD: usize = 1024;
/// What an event is counted with beside its bytes.
const EVENT_OVERHEAD: usize = size_of::<Event>();

/// The sort of an event, for readers that name their events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A piece of the generation.
    Chunk,
    /// The count of tokens.
    Usage,
    /// The error the generation ended with.
    Failure,
    /// The terminating sentinel.
    Done,
    /// A whole generation in one entry; such a log has no other event but a failure.
    Whole,
}

/// One event: bytes that are fixed at append and shared by all readers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its sort.
    pub kind: Kind,
    /// Its bytes on the wire.
    pub frame: Bytes,
}

/// The limits of one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// The largest event.
    pub event_bytes: usize,
    /// The largest log.
    pub log_bytes: usize,
    /// For an endless log: how many events it keeps. The oldest go first.
    pub last_events: Option<usize>,
}

/// What a log is made with.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Its name.
    pub id: Id,
    /// To whom it belongs.
    pub owner: Owner,
    /// What its maker wants to find beside it later.
    pub about: Bytes,
    /// How long it goes on unread.
    pub grace: Grace,
}

/// An event that the log's limits do not admit.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum AppendError {
    /// The event alone is too large.
    #[error("an event is larger than {0} bytes")]
    Event(usize),
    /// The log would be too large with it.
    #[error("the stream is larger than {0} bytes")]
    Log(usize),
}

/// The record of one generation.
#[derive(Debug)]
pub struct Log {
    id: Id,
    owner: Owner,
    about: Bytes,
    caps: Caps,
    budget: Arc<Budget>,
    state: Mutex<State>,
    // The last reader went away.
    vacated: Notify,
    cancelled: CancellationToken,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) events: VecDeque<Event>,
    // How many events were dropped before the first of these.
    pub(super) dropped: u64,
    pub(super) end: Option<End>,
    // One place per reader, holding its waker while it waits.
    pub(super) readers: Slab<Option<Waker>>,
    bytes: usize,
    aside: Option<Bytes>,
    ended_at: Option<Instant>,
    vacant_since: Option<Instant>,
    grace: Grace,
}

impl Log {
    /// An empty log that nobody reads yet, counted in `budget`.
    pub fn new(spec: Spec, caps: Caps, budget: Arc<Budget>) -> Arc<Self> {
        budget.take(LOG_OVERHEAD + spec.about.len());
        let state = State {
            events: VecDeque::new(),
            dropped: 0,
            end: None,
            readers: Slab::new(),
            bytes: 0,
            aside: None,
            ended_at: None,
            vacant_since: Some(Instant::now()),
            grace: spec.grace,
        };
        Arc::new(Self {
            id: spec.id,
            owner: spec.owner,
            about: spec.about,
            caps,
            budget,
            state: Mutex::new(state),
            vacated: Notify::new(),
            cancelled: CancellationToken::new(),
        })
    }

    /// The log's name.
    pub fn id(&self) -> &Id {
        &self.id
    }

    /// To whom the log belongs.
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// What its maker left beside it.
    pub fn about(&self) -> &Bytes {
        &self.about
    }

    /// A reader of everything after `cursor`: first what is there, then what comes.
    ///
    /// # Errors
    /// [`CursorError::Invalid`] when the log has no such place, or not any more.
    pub fn reader(self: &Arc<Self>, cursor: Cursor) -> Result<Reader, CursorError> {
        let mut state = self.lock();
        let is_known = cursor.epoch == Cursor::START.epoch
            && (state.dropped..=state.top().0).contains(&cursor.seq.0);
        if !is_known {
            return Err(CursorError::Invalid);
        }
        let place = state.readers.insert(None);
        state.vacant_since = None;
        Ok(Reader::new(Arc::clone(self), cursor.seq, place))
    }

    /// How the log ended, if it has.
    pub fn end(&self) -> Option<End> {
        self.lock().end.clone()
    }

    /// When the log ended, if it has.
    pub fn ended_at(&self) -> Option<Instant> {
        self.lock().ended_at
    }

    /// What the log is counted with in the budget.
    pub fn bytes(&self) -> usize {
        self.lock().bytes + LOG_OVERHEAD + self.about.len()
    }

    /// How many readers are attached.
    pub fn readers(&self) -> usize {
        self.lock().readers.len()
    }

    /// A copy of what is there now.
    pub fn snapshot(&self) -> (Vec<Event>, Option<End>) {
        let state = self.lock();
        (state.events.iter().cloned().collect(), state.end.clone())
    }

    /// What was kept beside the events, by [`Producer::keep_aside`].
    pub fn aside(&self) -> Option<Bytes> {
        self.lock().aside.clone()
    }

    /// The place after the last event.
    pub fn top(&self) -> Cursor {
        Cursor {
            seq: self.lock().top(),
            ..Cursor::START
        }
    }

    /// Asks the producer to stop.
    pub fn cancel(&self) {
        self.cancelled.cancel();
    }

    /// Waits until somebody asked for a stop.
    pub async fn cancelled(&self) {
        self.cancelled.cancelled().await;
    }

    /// Waits at least `grace` from now on when nobody reads.
    pub fn extend_grace(&self, grace: Grace) {
        let mut state = self.lock();
        state.grace = state.grace.max(grace);
    }

    /// Waits until nobody has read the log for as long as its grace says.
    pub async fn abandoned(&self) {
        loop {
            let vacated = self.vacated.notified();
            let until = self.lock().abandoned_at();
            match until {
                None => vacated.await,
                Some(until) if until <= Instant::now() => return,
                Some(until) => tokio::time::sleep_until(until).await,
            }
        }
    }

    pub(super) fn leave(&self, place: usize) {
        let mut state = self.lock();
        state.readers.remove(place);
        if state.readers.is_empty() {
            state.vacant_since = Some(Instant::now());
            drop(state);
            self.vacated.notify_one();
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock, so a poisoned state is a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes());
    }
}

impl State {
    fn top(&self) -> Seq {
        Seq(self.dropped + self.events.len() as u64)
    }

    fn abandoned_at(&self) -> Option<Instant> {
        // A time too far off to be told is never.
        self.vacant_since?.checked_add(self.grace.0)
    }

    fn push(&mut self, event: Event, budget: &Budget) {
        let bytes = event.frame.len() + EVENT_OVERHEAD;
        self.bytes += bytes;
        budget.take(bytes);
        self.events.push_back(event);
    }

    fn drop_oldest(&mut self, budget: &Budget) {
        if let Some(oldest) = self.events.pop_front() {
            let bytes = oldest.frame.len() + EVENT_OVERHEAD;
            self.bytes -= bytes;
            self.dropped += 1;
            budget.give_back(bytes);
        }
    }

    fn take_wakers(&mut self) -> Vec<Waker> {
        let waiting = self.readers.iter_mut();
        waiting.filter_map(|(_, waker)| waker.take()).collect()
    }
}

/// The one handle that may write a log.
pub struct Producer {
    log: Arc<Log>,
    on_end: Option<OnEnd>,
}

type OnEnd = Box<dyn FnOnce(&Arc<Log>) + Send>;

impl Producer {
    /// The producer of `log`; `on_end` is called once, after the log has ended.
    pub fn new(log: Arc<Log>, on_end: impl FnOnce(&Arc<Log>) + Send + 'static) -> Self {
        Self {
            log,
            on_end: Some(Box::new(on_end)),
        }
    }

    /// The log that is written.
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// The sequence number that the next event gets.
    pub fn next_seq(&self) -> Seq {
        Seq(self.log.lock().top().0 + 1)
    }

    /// Appends one event and wakes the readers.
    ///
    /// # Errors
    /// [`AppendError`] when a limit does not admit it; the log is unchanged then.
    pub fn append(&mut self, event: Event) -> Result<(), AppendError> {
        let caps = self.log.caps;
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
        let wakers = state.take_wakers();
        // Wake after the lock is released, or woken readers queue on it.
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Keeps bytes beside the events, which no reader sees.
    pub fn keep_aside(&mut self, bytes: Bytes) {
        self.log.lock().aside = Some(bytes);
    }

    /// Appends the last events whatever the limits say and ends the log, in one step.
    pub fn finish(mut self, last: impl IntoIterator<Item = Event>, end: End) {
        let mut state = self.log.lock();
        for event in last {
            state.push(event, &self.log.budget);
        }
        state.end = Some(end);
        state.ended_at = Some(Instant::now());
        let wakers = state.take_wakers();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        if let Some(on_end) = self.on_end.take() {
            on_end(&self.log);
        }
    }
}
