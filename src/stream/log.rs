//! One log: a single [`Producer`](super::Producer), any number of [`Reader`]s.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    Batch, Budget, Caps, Cursor, CursorError, End, Event, Grace, Id, Owner, Reader, Seq,
    state::{Serving, State, wake},
};

/// What an empty log is counted with in the [`Budget`], so that their number is bounded too.
const LOG_OVERHEAD: usize = 1024;

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

/// The record of one generation.
#[derive(Debug)]
pub struct Log {
    id: Id,
    owner: Owner,
    about: Bytes,
    pub(super) caps: Caps,
    pub(super) budget: Arc<Budget>,
    // How far a copy may lie behind what its readers have seen elsewhere.
    lag: Option<Duration>,
    state: Mutex<State>,
    // The last reader went away.
    vacated: Notify,
    cancelled: CancellationToken,
}

impl Log {
    /// An empty log that nobody reads yet, counted in `budget`.
    pub fn new(spec: Spec, caps: Caps, budget: Arc<Budget>) -> Arc<Self> {
        Self::with_lag(spec, caps, budget, None)
    }

    /// An empty copy of a log that is written elsewhere and may be ahead by `lag`.
    pub(super) fn copy(spec: Spec, budget: Arc<Budget>, lag: Duration) -> Arc<Self> {
        // The original was held to its limits.
        Self::with_lag(spec, Caps::NONE, budget, Some(lag))
    }

    fn with_lag(spec: Spec, caps: Caps, budget: Arc<Budget>, lag: Option<Duration>) -> Arc<Self> {
        budget.take(LOG_OVERHEAD + spec.about.len());
        let state = State::new(spec.grace);
        Arc::new(Self {
            id: spec.id,
            owner: spec.owner,
            about: spec.about,
            caps,
            budget,
            lag,
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
        let last = state.epochs.last_of(cursor.epoch, state.top());
        let is_known = last.is_some_and(|last| (state.dropped..=last.0).contains(&cursor.seq.0));
        if !is_known {
            return Err(CursorError::Invalid);
        }
        let place = state.readers.insert(None);
        state.vacant_since = None;
        Ok(Reader::new(Arc::clone(self), cursor, place))
    }

    /// A reader from `seq` on, which must be there, that counts for nobody: the generation does
    /// not go on for its sake, and it sees what others may not.
    pub(super) fn observer(self: &Arc<Self>, seq: Seq, batch_bytes: usize) -> Reader {
        let mut state = self.lock();
        state.observers += 1;
        let place = state.readers.insert(None);
        let epoch = state.epochs.of(seq);
        let reader = Reader::new(Arc::clone(self), Cursor { epoch, seq }, place);
        drop(state);
        reader.observing(batch_bytes)
    }

    /// Waits until a place is there, as long as this is a copy that may lie behind.
    pub async fn reached(self: &Arc<Self>, cursor: Cursor) {
        let Some(lag) = self.lag else { return };
        let Ok(mut reader) = self.reader(self.top()) else {
            return;
        };
        let is_behind = || {
            let top = self.top();
            top.epoch < cursor.epoch || top.seq < cursor.seq
        };
        let there = async {
            let mut events = Vec::new();
            while is_behind() && reader.batch(&mut events).await == Batch::Events {
                events.clear();
            }
        };
        // Too late is told by the cursor's being invalid.
        let _ = tokio::time::timeout(lag, there).await;
    }

    /// How the log ended, if it has.
    pub fn end(&self) -> Option<End> {
        self.lock().end.clone()
    }

    /// When the log ended, if it has.
    pub fn ended_at(&self) -> Option<Instant> {
        self.lock().ended_at
    }

    /// How large its events are when they are written out, with a place for each.
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// What the log is counted with in the budget.
    pub fn held_bytes(&self) -> usize {
        self.lock().held + LOG_OVERHEAD + self.about.len()
    }

    /// How many readers are attached.
    pub fn readers(&self) -> usize {
        let state = self.lock();
        state.readers.len() - state.observers
    }

    /// A copy of what is there now.
    pub fn snapshot(&self) -> (Vec<Event>, Option<End>) {
        let state = self.lock();
        (state.events.iter().cloned().collect(), state.end.clone())
    }

    /// What was kept beside the events, by [`Producer::keep_aside`](super::Producer::keep_aside).
    pub fn aside(&self) -> Option<Bytes> {
        self.lock().aside.clone()
    }

    /// Keeps other bytes beside a log that has ended, such as what was counted since. Before the
    /// end that is its producer's to do.
    pub fn settle(&self, aside: Bytes) {
        let mut state = self.lock();
        if state.end.is_some() {
            state.aside = Some(aside);
        }
    }

    /// The place after the last event.
    pub fn top(&self) -> Cursor {
        let state = self.lock();
        let seq = state.top();
        Cursor {
            epoch: state.epochs.of(seq),
            seq,
        }
    }

    /// Another process has taken the log over: whoever reads it here is cut off.
    pub(super) fn sever(&self) {
        self.serve(Serving::Never);
    }

    /// Readers were cut off: what they read was not all there is.
    pub fn is_severed(&self) -> bool {
        self.lock().serving == Serving::Never
    }

    /// Readers are served on these terms from now on. A severed log stays severed.
    pub(super) fn serve(&self, serving: Serving) {
        let mut state = self.lock();
        if state.serving == Serving::Never {
            return;
        }
        let before = std::mem::replace(&mut state.serving, serving);
        // Who may read already waits for nothing but events.
        let is_barring = matches!(before, Serving::Until(until) if Instant::now() >= until);
        if is_barring || serving == Serving::Never {
            wake(state);
        }
    }

    /// Somebody has the log in hand and may begin to read: it is vacant only from now on.
    pub(super) fn touch(&self) {
        let mut state = self.lock();
        if state.vacant_since.is_some() {
            state.vacant_since = Some(Instant::now());
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

    /// Since when nobody has read it, if nobody does.
    pub(super) fn vacant_since(&self) -> Option<Instant> {
        self.lock().vacant_since
    }

    /// Whether it is still this process' own has to be found out before anyone is served.
    pub(super) fn needs_renewal(&self) -> bool {
        match self.lock().serving {
            Serving::Until(until) => Instant::now() >= until,
            Serving::Always | Serving::Never => false,
        }
    }

    /// How long it goes on unread.
    pub(super) fn grace(&self) -> Grace {
        self.lock().grace
    }

    /// Waits until nobody has read the log for as long as its grace says.
    pub async fn abandoned(&self) {
        loop {
            self.vacant(|state| state.grace).await;
            let mut state = self.lock();
            let until = state.vacant_until(state.grace);
            // Somebody may have come since.
            if until.is_some_and(|until| until <= Instant::now()) {
                state.is_abandoned = true;
                return;
            }
        }
    }

    /// Whether its producer was told that nobody reads it. Who finds that it was not and is a reader
    /// keeps it going.
    pub fn is_abandoned(&self) -> bool {
        self.lock().is_abandoned
    }

    /// Waits until nobody has read the log for so long.
    pub(super) async fn vacant_for(&self, wait: Duration) {
        self.vacant(|_| Grace(wait)).await;
    }

    async fn vacant(&self, grace: impl Fn(&State) -> Grace) {
        loop {
            let vacated = self.vacated.notified();
            let until = {
                let state = self.lock();
                state.vacant_until(grace(&state))
            };
            match until {
                None => vacated.await,
                Some(until) if until <= Instant::now() => return,
                Some(until) => tokio::time::sleep_until(until).await,
            }
        }
    }

    pub(super) fn leave(&self, place: usize, is_observer: bool) {
        let mut state = self.lock();
        state.readers.remove(place);
        if is_observer {
            state.observers -= 1;
            return;
        }
        if state.readers.len() == state.observers {
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
        self.budget.give_back(self.held_bytes());
    }
}
