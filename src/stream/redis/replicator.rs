//! The writer's side: a reader of a log that copies it to Redis and keeps its lease.
//!
//! The log in memory is the real one. Whatever Redis does, its readers here read on, but for two
//! cases: another node has taken the log over, or it may have, until that is known.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

use super::{
    Shared,
    batch::Batch,
    keys::Keys,
    scripts::{Entry, Opening, ScriptError, Written},
};
use crate::stream::{Cursor, Grace, Log, Reader, Seq, log::Serving};

/// How long an event may wait for others that go with it.
const WINDOW: Duration = Duration::from_millis(20);
/// The size at which a batch is full.
const BATCH_BYTES: usize = 16 * 1024;
/// How long after a failed write the next one is made at first.
const BACKOFF: Duration = Duration::from_millis(20);

/// Copies one log.
pub(super) struct Replicator {
    shared: Arc<Shared>,
    log: Arc<Log>,
    keys: Keys,
    nonce: String,
    /// Somebody asks this writer to look at the state of its log.
    nudge: Arc<Notify>,
    reader: Reader,
    /// A batch that Redis has not acknowledged.
    pending: Option<Entry>,
    aside: Option<Bytes>,
    /// Held while readers on other nodes keep the generation alive.
    presence: Option<Reader>,
    written: Instant,
    renewed: Instant,
    is_opened: bool,
    /// Who writes: 1, or one more for each node that has taken the log over.
    epoch: u32,
}

/// What the copying does next.
enum Next {
    Go,
    Stop,
}

impl Replicator {
    /// Of a log that was opened in Redis at `opened`, or is still to be.
    pub(super) fn new(
        shared: Arc<Shared>,
        log: Arc<Log>,
        (nonce, nudge): (String, Arc<Notify>),
        opened: Option<Instant>,
    ) -> Self {
        let now = Instant::now();
        if let Some(opened) = opened {
            log.serve(Serving::Until(opened + shared.times.lease));
        }
        Self {
            keys: Keys::new(log.owner(), log.id()),
            reader: log.observer(Seq(0), BATCH_BYTES),
            shared,
            log,
            nonce,
            nudge,
            pending: None,
            aside: None,
            presence: None,
            written: now.checked_sub(WINDOW).unwrap_or(now),
            renewed: opened.unwrap_or(now),
            is_opened: opened.is_some(),
            epoch: Cursor::START.epoch,
        }
    }

    /// The same for a log that was taken over at `top`: what is before it is in Redis.
    pub(super) fn taking_over(mut self, top: Cursor) -> Self {
        self.epoch = top.epoch;
        self.reader = self.log.observer(top.seq, BATCH_BYTES);
        self
    }

    /// Copies until the end is copied, or there is no use in it any more.
    pub(super) async fn run(mut self) {
        self.copy().await;
        self.shared.forget_replicated(&self.log, &self.nonce);
    }

    async fn copy(&mut self) {
        let mut backoff = BACKOFF;
        loop {
            self.wait().await;
            match self.step().await {
                Ok(Next::Go) => backoff = BACKOFF,
                Ok(Next::Stop) => return,
                Err(error) => {
                    tracing::debug!(completion.id = %self.log.id(), %error, "not copied");
                    // Nobody can know whether another node has taken over: the readers here
                    // are served. A connection that is only made anew is asked first.
                    if !self.shared.link.connected(self.shared.patience).await {
                        self.log.serve(Serving::Always);
                    }
                    if self.is_useless() {
                        return;
                    }
                    sleep(backoff).await;
                    backoff = (backoff * 2).min(self.shared.patience / 2);
                }
            }
        }
    }

    /// Waits until there is something to be written, asked or renewed.
    async fn wait(&mut self) {
        if !self.is_opened || self.pending.is_some() {
            return;
        }
        let renewal = self.renewed + self.shared.renewal();
        tokio::select! {
            _ = self.reader.peek() => {
                let is_full = self.log.top().seq.0 - self.reader.cursor().seq.0 > 64;
                if !is_full {
                    sleep_until(self.written + WINDOW).await;
                }
            }
            () = self.nudge.notified() => {}
            () = sleep_until(renewal) => {}
        }
    }

    async fn step(&mut self) -> Result<Next, ScriptError> {
        if !self.is_opened {
            self.open().await?;
        }
        if self.pending.is_none() {
            self.pending = self.collect().await;
        }
        let renewal = Entry {
            epoch: self.epoch,
            ..Entry::default()
        };
        let entry = self.pending.as_ref().unwrap_or(&renewal);
        let is_end = entry.is_end;
        let asked = Instant::now();
        let (scripts, times) = (&self.shared.scripts, self.shared.times_of(is_end));
        let log = (&self.nonce[..], entry);
        match scripts
            .write(&self.shared.link, &self.keys, log, times)
            .await?
        {
            Written::Ok {
                readers,
                is_cancelled,
                grace,
            } => {
                if self.pending.take().is_some() {
                    self.written = Instant::now();
                }
                self.renewed = asked;
                if is_end {
                    self.log.serve(Serving::Always);
                    return Ok(Next::Stop);
                }
                self.heed(readers, is_cancelled, Grace(grace));
                Ok(Next::Go)
            }
            Written::Hole(top) => {
                self.rewind(top);
                Ok(Next::Go)
            }
            Written::Missing => {
                self.is_opened = false;
                self.rewind(Seq(0));
                Ok(Next::Go)
            }
            Written::Replaced => Ok(Next::Stop),
            Written::Fenced => {
                tracing::warn!(completion.id = %self.log.id(), "another node has taken it over");
                self.log.sever();
                self.log.cancel();
                self.shared.forget(&self.log).await;
                Ok(Next::Stop)
            }
        }
    }

    /// The log is still this writer's; others may want something of it.
    fn heed(&mut self, readers: u64, is_cancelled: bool, grace: Grace) {
        let until = self.renewed + self.shared.times.lease;
        self.log.serve(Serving::Until(until));
        self.log.extend_grace(grace);
        self.mark_presence(readers);
        if is_cancelled {
            self.log.cancel();
        }
    }

    async fn open(&mut self) -> Result<(), ScriptError> {
        let opening = Opening {
            nonce: &self.nonce,
            node: &self.shared.node,
            about: self.log.about(),
            grace: self.log.grace().0,
        };
        let (link, times) = (&self.shared.link, self.shared.times);
        self.shared
            .scripts
            .open(link, &self.keys, opening, times)
            .await?;
        self.is_opened = true;
        Ok(())
    }

    /// The next batch, if there is something new.
    async fn collect(&mut self) -> Option<Entry> {
        // The first is there when the log has ended, so nothing is waited for.
        let is_new = self.log.end().is_some() || self.log.top().seq > self.reader.cursor().seq;
        if !is_new {
            return None;
        }
        let first = Seq(self.reader.cursor().seq.0 + 1);
        let mut events = Vec::new();
        self.reader.batch(&mut events).await;
        // Nothing follows an end, so what is behind the last event after it was seen is all.
        let end = self.log.end();
        let end = end.filter(|_| self.reader.cursor().seq == self.log.top().seq);
        let aside = self.log.aside();
        let batch = Batch {
            epoch: self.epoch,
            first,
            events,
            aside: aside.clone().filter(|_| aside != self.aside),
            end,
        };
        self.aside = aside;
        Some(Entry {
            epoch: batch.epoch,
            first,
            place: batch.place(),
            bytes: batch.encode(),
            is_end: batch.end.is_some(),
            is_published: self.shared.is_publishing(),
        })
    }

    /// Begins again behind `top`.
    fn rewind(&mut self, top: Seq) {
        self.reader = self.log.observer(top, BATCH_BYTES);
        self.pending = None;
        self.aside = None;
    }

    fn mark_presence(&mut self, readers: u64) {
        match (readers, &self.presence) {
            (0, _) => self.presence = None,
            (_, None) => self.presence = self.log.reader(self.log.top()).ok(),
            (_, Some(_)) => {}
        }
    }

    /// The log has ended and would have expired by now.
    fn is_useless(&self) -> bool {
        let ended = self.log.ended_at();
        ended.is_some_and(|ended| ended.elapsed() > self.shared.times_of(true).life)
    }
}
