//! The writer's side of one log: what of it is to be copied to Redis, and what Redis says of it.
//!
//! The log in memory is the real one. Whatever Redis does, its readers here read on, but for two
//! cases: another node has taken the log over, or it may have, until that is known.

use std::{
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{
    batch::Batch,
    bell::Bell,
    keys::{Keys, place},
    replication::ROUND,
    scripts::Opening,
    write::{How, Writing, Written},
};
use crate::stream::{Cursor, Grace, Log, Reader, Seq, state::Serving};

/// How long an event may wait for others of its log that go with it.
const WINDOW: Duration = Duration::from_millis(20);
/// The size at which a batch is full.
const BATCH_BYTES: usize = 16 * 1024;

/// The copying of one log.
pub(super) struct Replicator {
    log: Arc<Log>,
    keys: Keys,
    nonce: String,
    bell: Arc<Bell>,
    // The bell's.
    waker: Waker,
    reader: Reader,
    /// The place of the last entry that is there, as it is written in Redis.
    top: String,
    /// A batch that Redis has not acknowledged.
    pending: Option<Pending>,
    /// Its lease is to be renewed, and its state to be heard.
    is_renewing: bool,
    aside: Option<Bytes>,
    /// Held while readers on other nodes keep the generation alive.
    presence: Option<Reader>,
    /// What was last heard of it.
    grace: Duration,
    /// When the next batch may go.
    next: Instant,
    renewed: Instant,
    is_opened: bool,
    is_behind: bool,
    /// It is on the list of those that are to be looked at.
    is_due: bool,
    /// Who writes: 1, or one more for each node that has taken the log over.
    epoch: u32,
    // The store does not settle before this is gone.
    _running: TaskTrackerToken,
}

/// A batch as bytes.
struct Pending {
    place: String,
    bytes: Bytes,
    is_end: bool,
}

/// What is done with a log after it was written.
pub(super) enum Next {
    /// Nothing before it rings.
    Rest,
    /// It is written again.
    Again,
    /// There is no use in copying it any more.
    Stop,
    /// Nor in keeping it.
    Forget,
}

impl Replicator {
    /// Of a log that is still to be opened in Redis.
    pub(super) fn new(log: Arc<Log>, nonce: String, bell: Bell, running: TaskTrackerToken) -> Self {
        let now = Instant::now();
        let bell = Arc::new(bell);
        Self {
            keys: Keys::new(log.owner(), log.id()),
            reader: log.observer(Seq(0), BATCH_BYTES),
            top: place((Cursor::START.epoch, Seq(0))),
            log,
            nonce,
            waker: Waker::from(Arc::clone(&bell)),
            bell,
            pending: None,
            is_renewing: false,
            aside: None,
            presence: None,
            grace: Duration::ZERO,
            next: now,
            renewed: now,
            is_opened: false,
            is_behind: false,
            is_due: false,
            epoch: Cursor::START.epoch,
            _running: running,
        }
    }

    /// The same for one that was opened, or taken over, at `opened`, with a lease so long.
    pub(super) fn leased(mut self, opened: Instant, lease: Duration) -> Self {
        self.log.serve(Serving::Until(opened + lease));
        self.renewed = opened;
        self.is_opened = true;
        self
    }

    /// The same for a log that was taken over at `top`: what is before it is in Redis.
    pub(super) fn taking_over(mut self, top: Cursor) -> Self {
        self.epoch = top.epoch;
        self.rewind(top.seq);
        self
    }

    pub(super) fn log(&self) -> &Arc<Log> {
        &self.log
    }

    pub(super) fn nonce(&self) -> &str {
        &self.nonce
    }

    pub(super) fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// What it is opened with, if it is still to be.
    pub(super) fn opening<'a>(&'a self, node: &'a str) -> Option<Opening<'a>> {
        (!self.is_opened).then(|| Opening {
            nonce: &self.nonce,
            node,
            about: self.log.about(),
            grace: self.log.grace().0,
        })
    }

    /// There is a log in Redis now.
    pub(super) fn opened(&mut self) {
        self.is_opened = true;
    }

    /// The lease is renewed next if it was last so long ago.
    pub(super) fn renew_after(&mut self, now: Instant, renewal: Duration) -> bool {
        self.is_renewing |= now >= self.renewed + renewal;
        self.is_renewing
    }

    /// Whether it is its turn: its window is over, or somebody waits for what Redis says.
    pub(super) fn may_go(&mut self, now: Instant) -> bool {
        self.is_renewing |= self.bell.was_asked();
        let may_go = self.is_renewing || self.is_behind || now >= self.next;
        self.is_due &= !may_go;
        may_go
    }

    pub(super) fn is_due(&self) -> bool {
        self.is_due
    }

    /// It is to be looked at; `false` where that is known.
    pub(super) fn put(&mut self) -> bool {
        !std::mem::replace(&mut self.is_due, true)
    }

    /// More of it was there than goes into a batch.
    pub(super) fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// Gets ready what is to be written; whether anything is. A batch renews a lease that is no
    /// longer `fresh`.
    pub(super) fn prepare(&mut self, now: Instant, fresh: Duration) -> bool {
        match self.pending {
            // What has come since then is looked at when this is there.
            Some(_) => self.bell.ring(),
            None => self.pending = self.collect(),
        }
        let is_writing = self.pending.is_some();
        if is_writing {
            // So that no event waits for longer than its window, with the next round to come.
            self.next = now + WINDOW - ROUND;
            self.renew_after(now, fresh);
        }
        is_writing || self.is_renewing
    }

    /// What was got ready.
    pub(super) fn writing(&self) -> Writing<'_> {
        let is_end = self.pending.as_ref().is_some_and(|batch| batch.is_end);
        let how = match (is_end, self.is_renewing) {
            (true, _) => How::End,
            (false, true) => How::Renew,
            (false, false) => How::Add,
        };
        let (batch, top) = (self.pending.as_ref(), &self.top[..]);
        Writing {
            log: &self.keys.prefix,
            nonce: &self.nonce,
            how,
            places: (top, batch.map_or(top, |batch| &batch.place)),
            batch: batch.map_or(&[], |batch| &batch.bytes),
        }
    }

    /// Redis answers to what was written at `asked`.
    pub(super) fn heed(&mut self, written: &Written, asked: Instant, lease: Duration) -> Next {
        match *written {
            Written::Ok {
                readers,
                is_cancelled,
                grace,
            } => {
                if let Some(batch) = self.pending.take() {
                    if batch.is_end {
                        self.log.serve(Serving::Always);
                        return Next::Stop;
                    }
                    self.top = batch.place;
                }
                if self.is_renewing {
                    self.is_renewing = false;
                    self.renewed = asked;
                    self.log.serve(Serving::Until(asked + lease));
                }
                self.obey(readers, is_cancelled, grace);
                Next::Rest
            }
            Written::Hole(top) => {
                self.rewind(top);
                Next::Again
            }
            Written::Missing => {
                self.is_opened = false;
                self.rewind(Seq(0));
                Next::Again
            }
            Written::Failed => {
                // A lease is looked at again by itself.
                self.is_renewing = false;
                Next::Again
            }
            Written::Replaced => Next::Stop,
            Written::Fenced => {
                tracing::warn!(completion.id = %self.log.id(), "another node has taken it over");
                self.log.sever();
                self.log.cancel();
                Next::Forget
            }
        }
    }

    /// The log is still this writer's; others may want something of it.
    fn obey(&mut self, readers: u64, is_cancelled: bool, grace: Duration) {
        if grace > self.grace {
            self.grace = grace;
            self.log.extend_grace(Grace(grace));
        }
        match (readers, &self.presence) {
            (0, _) => self.presence = None,
            (_, None) => self.presence = self.log.reader(self.log.top()).ok(),
            (_, Some(_)) => {}
        }
        if is_cancelled {
            self.log.cancel();
        }
    }

    /// The next batch, if there is something new; else what comes rings.
    fn collect(&mut self) -> Option<Pending> {
        let first = Seq(self.reader.cursor().seq.0 + 1);
        let mut events = Vec::new();
        let mut cx = Context::from_waker(&self.waker);
        let has_more = !self
            .reader
            .keep_up(&cx, |_, event| events.push(event.clone()));
        if has_more && events.is_empty() {
            let _ = self.reader.poll_batch(&mut cx, &mut events);
        }
        // Nothing follows an end, so what is behind the last event after it was seen is all.
        let end = has_more.then(|| self.log.end()).flatten();
        let end = end.filter(|_| self.reader.cursor().seq == self.log.top().seq);
        self.is_behind = has_more && end.is_none() && !events.is_empty();
        if self.is_behind {
            self.bell.ring();
        }
        if events.is_empty() && end.is_none() {
            return None;
        }
        let aside = self
            .log
            .aside()
            .filter(|new| self.aside.as_ref() != Some(new));
        if aside.is_some() {
            self.aside.clone_from(&aside);
        }
        let is_end = end.is_some();
        let batch = Batch {
            epoch: self.epoch,
            first,
            events,
            aside,
            end,
        };
        Some(Pending {
            place: place((batch.epoch, batch.place())),
            bytes: batch.encode(),
            is_end,
        })
    }

    /// Begins again behind `top`.
    fn rewind(&mut self, top: Seq) {
        self.reader = self.log.observer(top, BATCH_BYTES);
        self.top = place((self.epoch, top));
        self.pending = None;
        self.aside = None;
    }

    /// The log has ended and would have expired by now.
    pub(super) fn is_useless(&self, retention: Duration) -> bool {
        let ended = self.log.ended_at();
        ended.is_some_and(|ended| ended.elapsed() > retention)
    }
}
