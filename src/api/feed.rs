//! From a reader to its socket, by whoever has something to write: the body, when actix polls it, or the turn
//! of the task that appends.
//!
//! A chunk that comes while the body waits is written past actix as that turn ends ([`Feed::work`]), in the
//! transfer chunk that actix would have made of it (RFC 9112, 7.1). Whatever is not as simple wakes the body: an end,
//! more than one batch, a socket that takes no more, bytes that actix has still to write. The body gives actix what
//! goes with the head or the end, and writes the rest past it too.

use std::{
    cell::RefCell,
    io,
    ops::ControlFlow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::task::{ArcWake, waker_ref};
use tokio::time::Instant;

use super::{
    line::Bypass,
    show::{self, Show},
};
use crate::{
    stream::{BATCH_BYTES, Batch, Log, Reader, Work, put_off, turn_time},
    wire::Delivery,
};

/// The most digits of a chunk's length, and the line's end.
const LENGTH_ROOM: usize = 18;
/// What goes with the head, or with the end, is of this size at most, in bytes: actix copies it to memory that is
/// each connection's own, and cold.
const SMALL: usize = 8 * 1024;
/// How large the room for chunks may grow that each thread keeps.
const KEPT_ROOM: usize = 64 * 1024;

thread_local! {
    static ROOM: RefCell<BytesMut> = RefCell::new(BytesMut::new());
}

/// A reader, what was taken from it, and where it goes.
pub(super) struct Feed {
    log: Arc<Log>,
    show: Show,
    // None: everything goes through actix.
    bypass: Option<Bypass>,
    // Where what was sent is written down.
    delivery: Option<Arc<Delivery>>,
    state: Mutex<State>,
}

struct State {
    // None once the body is gone.
    reader: Option<Reader>,
    // Of a transfer chunk, what the socket did not take.
    rest: BytesMut,
    // Who polls the body.
    task: Option<Waker>,
    // Actix has polled it, so that it has the head.
    has_begun: bool,
    last_sent: Option<Instant>,
}

impl Feed {
    /// Of what `reader` reads from where it is.
    pub(super) fn new(
        reader: Reader,
        show: Show,
        (bypass, delivery): (Option<Bypass>, Option<Arc<Delivery>>),
    ) -> Arc<Self> {
        Arc::new(Self {
            log: Arc::clone(reader.log()),
            show,
            bypass,
            delivery,
            state: Mutex::new(State {
                reader: Some(reader),
                rest: BytesMut::new(),
                task: None,
                has_begun: false,
                last_sent: None,
            }),
        })
    }

    /// What is to be sent next through actix; `None` at the end of the stream, or where its place is
    /// lost. What is not small goes past it, where there is a way.
    pub(super) fn poll(self: &Arc<Self>, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        let mut state = self.lock();
        let state = &mut *state;
        let Some(bypass) = &self.bypass else {
            return self.poll_through(state, cx, BATCH_BYTES).map(Ok);
        };
        match &mut state.task {
            Some(task) => task.clone_from(cx.waker()),
            None => state.task = Some(cx.waker().clone()),
        }
        let waker = waker_ref(self);
        let when_appended = Context::from_waker(&waker);
        if !std::mem::replace(&mut state.has_begun, true) {
            // Nothing goes out before the head, which actix has made and not yet written.
            bypass.give();
            return self.poll_through(state, &when_appended, SMALL).map(Ok);
        }
        loop {
            while !state.rest.is_empty() {
                let written = ready!(bypass.poll_write(cx, &state.rest, false))?;
                state.rest.advance(written);
            }
            if !bypass.awaits_free() {
                // The end goes with what actix has.
                return match state.reader.as_ref().is_none_or(Reader::is_at_end) {
                    true => Poll::Ready(Ok(None)),
                    false => Poll::Pending,
                };
            }
            let past = self.poll_past(state, (&mut *cx, &when_appended), bypass);
            if let ControlFlow::Break(bytes) = ready!(past)? {
                return Poll::Ready(Ok(bytes));
            }
        }
    }

    /// What is there, up to `most` bytes, for actix.
    fn poll_through(
        &self,
        state: &mut State,
        when_appended: &Context<'_>,
        most: usize,
    ) -> Poll<Option<Bytes>> {
        let Some(reader) = &mut state.reader else {
            return Poll::Ready(None);
        };
        let mut count = 0;
        let bytes = with_room(|room| {
            let batch = reader.poll_events(when_appended, most, |cursor, event| {
                count += 1;
                show::write(event, cursor, self.show, room);
            });
            batch.map(|batch| match batch {
                Batch::Events => Some(Bytes::copy_from_slice(room)),
                // Who has lost the place comes back with a cursor, and is told then.
                Batch::End | Batch::Lost => None,
            })
        });
        let Some(bytes) = ready!(bytes) else {
            return Poll::Ready(None);
        };
        self.sent(state, count, bytes.len());
        self.gives();
        Poll::Ready(Some(bytes))
    }

    /// Writes what is there, a batch at most, past actix. Breaks with what is for actix: the end, and what is small
    /// before it.
    fn poll_past(
        &self,
        state: &mut State,
        (cx, when_appended): (&mut Context<'_>, &Context<'_>),
        bypass: &Bypass,
    ) -> Poll<io::Result<ControlFlow<Option<Bytes>>>> {
        with_room(|room| {
            let Some(reader) = &mut state.reader else {
                return Poll::Ready(Ok(ControlFlow::Break(None)));
            };
            let (mut count, mut batch) = (0, Poll::Pending);
            let (chunk, text) = transfer_chunk(room, |room| {
                batch = reader.poll_events(when_appended, BATCH_BYTES, |cursor, event| {
                    count += 1;
                    show::write(event, cursor, self.show, room);
                });
            });
            if ready!(batch) != Batch::Events {
                return Poll::Ready(Ok(ControlFlow::Break(None)));
            }
            let is_last = reader.is_at_end();
            self.sent(state, count, text.len());
            if is_last && text.len() <= SMALL {
                bypass.give();
                return Poll::Ready(Ok(ControlFlow::Break(Some(Bytes::copy_from_slice(text)))));
            }
            let written = match bypass.poll_write(cx, chunk, is_last) {
                Poll::Ready(written) => written?,
                Poll::Pending => 0,
            };
            state.rest.extend_from_slice(&chunk[written..]);
            Poll::Ready(Ok(ControlFlow::Continue(())))
        })
    }

    /// Other bytes go out through actix now.
    pub(super) fn passes(&self) {
        self.lock().last_sent = Some(Instant::now());
        self.gives();
    }

    /// When something was sent last; `Err` in the middle of a transfer chunk, where nothing else can be.
    pub(super) fn last_sent(&self) -> Result<Option<Instant>, Unfinished> {
        let state = self.lock();
        match state.rest.is_empty() {
            true => Ok(state.last_sent),
            false => Err(Unfinished),
        }
    }

    /// The log that is read.
    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    /// The body is gone, and its place with it. Whether there was more to be sent.
    pub(super) fn close(&self) -> bool {
        let mut state = self.lock();
        let has_more = !state.rest.is_empty();
        let Some(reader) = state.reader.take() else {
            return has_more;
        };
        drop(state);
        has_more || reader.cursor() != self.log.top()
    }

    /// It has ended so.
    pub(super) fn ended(&self, how: &'static str) {
        if let Some(delivery) = &self.delivery {
            delivery.ended(how);
        }
    }

    fn sent(&self, state: &mut State, events: usize, bytes: usize) {
        let now = turn_time();
        state.last_sent = Some(now);
        if let Some(delivery) = &self.delivery {
            delivery.sent(now, events, bytes);
        }
    }

    fn gives(&self) {
        if let Some(bypass) = &self.bypass {
            bypass.give();
        }
    }

    /// Writes what has come, a batch at most; `false` where the body has to be polled.
    fn write(self: &Arc<Self>, state: &mut State) -> bool {
        let Some(bypass) = &self.bypass else {
            return false;
        };
        if !bypass.is_free() || !state.rest.is_empty() {
            return false;
        }
        let waker = waker_ref(self);
        let cx = Context::from_waker(&waker);
        with_room(|room| {
            let Some(reader) = &mut state.reader else {
                return false;
            };
            let (mut count, mut is_all) = (0, false);
            let (chunk, text) = transfer_chunk(room, |room| {
                is_all = reader.keep_up(&cx, |cursor, event| {
                    count += 1;
                    show::write(event, cursor, self.show, room);
                });
            });
            if count == 0 {
                return is_all;
            }
            let written = bypass.try_write(chunk);
            state.rest.extend_from_slice(&chunk[written..]);
            let is_written = state.rest.is_empty();
            self.sent(state, count, text.len());
            is_all && is_written
        })
    }

    fn wake_body(&self) {
        let task = self.lock().task.take();
        if let Some(task) = task {
            task.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What panics under the lock ends the body's connection, and nobody else reads the state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The socket has a part of a chunk.
pub(super) struct Unfinished;

impl Work for Feed {
    fn work(self: Arc<Self>) {
        let is_written = self.write(&mut self.lock());
        if !is_written {
            self.wake_body();
        }
    }
}

impl ArcWake for Feed {
    fn wake_by_ref(feed: &Arc<Self>) {
        Arc::clone(feed).wake();
    }

    fn wake(self: Arc<Self>) {
        if let Err(feed) = put_off(self) {
            feed.wake_body();
        }
    }
}

/// Hands out the thread's room, empty.
fn with_room<T>(work: impl FnOnce(&mut BytesMut) -> T) -> T {
    ROOM.with_borrow_mut(|room| {
        room.clear();
        let done = work(room);
        if room.capacity() > KEPT_ROOM {
            *room = BytesMut::new();
        }
        done
    })
}

const LINE_END: &[u8] = b"\r\n";

/// A transfer chunk of what `write` adds to `room`, and that alone.
fn transfer_chunk(room: &mut BytesMut, write: impl FnOnce(&mut BytesMut)) -> (&[u8], &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    room.clear();
    room.extend_from_slice(&[0; LENGTH_ROOM]);
    write(room);
    let end = room.len();
    let mut left = end - LENGTH_ROOM;
    room.extend_from_slice(LINE_END);
    let mut start = LENGTH_ROOM - LINE_END.len();
    room[start..LENGTH_ROOM].copy_from_slice(LINE_END);
    loop {
        start -= 1;
        room[start] = DIGITS[left % 16];
        left /= 16;
        if left == 0 {
            return (&room[start..], &room[LENGTH_ROOM..end]);
        }
    }
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
