//! A place in a log that moves: live and replay are the same code.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::time::Instant;

use super::{
    Cursor, Event, Kind, Log, Seq,
    state::{Serving, State},
};

/// How many bytes one batch carries before it stops taking further events.
pub const BATCH_BYTES: usize = 32 * 1024;

/// What a reader finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batch {
    /// Events were taken, at least one.
    Events,
    /// The log has ended and everything was read.
    End,
    /// The log went on without this reader, and what it would read next is gone.
    Lost,
}

/// Reads a log from a place on. Dropping it is how a client leaves.
#[derive(Debug)]
pub struct Reader {
    log: Arc<Log>,
    read: Cursor,
    place: usize,
    batch_bytes: usize,
    is_observer: bool,
}

impl Reader {
    pub(super) fn new(log: Arc<Log>, read: Cursor, place: usize) -> Self {
        Self {
            log,
            read,
            place,
            batch_bytes: BATCH_BYTES,
            is_observer: false,
        }
    }

    /// The same for one that is shown everything, in batches of about this size.
    pub(super) fn observing(mut self, batch_bytes: usize) -> Self {
        self.batch_bytes = batch_bytes;
        self.is_observer = true;
        self
    }

    /// The log that is read.
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// The place reached.
    pub fn cursor(&self) -> Cursor {
        self.read
    }

    /// Takes the events after the place reached into `out`, as many of one epoch as are ready,
    /// up to a bound of 32 KiB; waits only when there are none and the log has not ended.
    pub fn poll_batch(&mut self, cx: &mut Context<'_>, out: &mut Vec<Event>) -> Poll<Batch> {
        let push = |_, event: &Event| out.push(event.clone());
        self.poll_events(cx, self.batch_bytes, push)
    }

    /// The same, up to another bound: `with` is given each event with its place, while the log is locked.
    pub fn poll_events(
        &mut self,
        cx: &Context<'_>,
        most: usize,
        with: impl FnMut(Cursor, &Event),
    ) -> Poll<Batch> {
        let mut state = self.log.lock();
        if let Some(barred) = self.barred(&mut state, cx) {
            return barred.map(|()| Batch::Lost);
        }
        let before = self.read.seq;
        if !take(&state, &mut self.read, most, with) {
            return Poll::Ready(Batch::Lost);
        }
        if self.read.seq > before {
            return Poll::Ready(Batch::Events);
        }
        if state.end.is_some() {
            return Poll::Ready(Batch::End);
        }
        state.wait(self.place, cx.waker());
        Poll::Pending
    }

    /// The same for who would wait next: where nothing lies behind the events, what comes next wakes the task.
    /// `false` where there is more to be told by [`Self::poll_batch`]: events, an end with what came last,
    /// that the place is lost.
    pub fn keep_up(&mut self, cx: &Context<'_>, with: impl FnMut(Cursor, &Event)) -> bool {
        let mut state = self.log.lock();
        if state.end.is_some()
            || self.barred(&mut state, cx).is_some()
            || !take(&state, &mut self.read, self.batch_bytes, with)
            || self.read.seq < state.top()
        {
            return false;
        }
        state.wait(self.place, cx.waker());
        true
    }

    /// The log has ended, and everything was read.
    pub fn is_at_end(&self) -> bool {
        let state = self.log.lock();
        state.end.is_some() && self.read.seq == state.top()
    }

    /// Ready when this reader was cut off, pending when it has to wait until it is known that it
    /// is not; `None` when it may read.
    fn barred(&self, state: &mut State, cx: &Context<'_>) -> Option<Poll<()>> {
        if self.is_observer {
            return None;
        }
        match state.serving {
            Serving::Always => None,
            Serving::Until(until) if Instant::now() < until => None,
            Serving::Until(_) => {
                state.wait(self.place, cx.waker());
                Some(Poll::Pending)
            }
            Serving::Never => Some(Poll::Ready(())),
        }
    }

    /// Waits for something to read; the kind of the next event, or `None` at the end.
    pub async fn peek(&mut self) -> Option<Kind> {
        poll_fn(|cx| {
            let mut state = self.log.lock();
            if let Some(barred) = self.barred(&mut state, cx) {
                return barred.map(|()| None);
            }
            let next = self.read.seq.0.checked_sub(state.dropped);
            let next = next.and_then(|next| state.events.get(usize::try_from(next).ok()?));
            if let Some(event) = next {
                return Poll::Ready(Some(event.kind));
            }
            if state.end.is_some() {
                return Poll::Ready(None);
            }
            state.wait(self.place, cx.waker());
            Poll::Pending
        })
        .await
    }

    /// The next batch into `out`.
    pub async fn batch(&mut self, out: &mut Vec<Event>) -> Batch {
        poll_fn(|cx| self.poll_batch(cx, out)).await
    }

    /// Everything from the place reached to the end of the log.
    pub async fn rest(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while self.batch(&mut events).await == Batch::Events {}
        events
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.log.leave(self.place, self.is_observer);
    }
}

/// Takes what lies ahead: of one epoch, up to about so many bytes; `false` where that is not there any more.
fn take(
    state: &State,
    read: &mut Cursor,
    most: usize,
    mut with: impl FnMut(Cursor, &Event),
) -> bool {
    let from = read.seq.0.checked_sub(state.dropped);
    let Some(from) = from.and_then(|from| usize::try_from(from).ok()) else {
        return false;
    };
    let epoch = state.epochs.of(Seq(read.seq.0 + 1));
    let until = state.epochs.boundary_after(read.seq);
    let mut bytes = 0;
    for event in state.events.iter().skip(from) {
        if bytes >= most || until.is_some_and(|until| read.seq >= until) {
            break;
        }
        bytes += event.frame.len();
        read.seq.0 += 1;
        read.epoch = epoch;
        with(*read, event);
    }
    true
}
