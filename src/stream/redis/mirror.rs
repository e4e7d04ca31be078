//! The readers' side: a copy of a log that another node writes, one per node and log.
//!
//! It is made of what the channel says and of what the stream holds; where the first leaves a
//! hole, the second is read. When the writer is gone it ends the log.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use redis::{FromRedisValue, RedisResult, Value, cmd};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use super::{
    Shared,
    batch::Batch,
    keys::{Keys, place},
    scripts::{ScriptError, Seen, Taking, millis},
    shared::LINGER,
};
use crate::stream::{Cursor, End, Log, Producer, Seq};

/// How many published batches may wait to be read; what comes beyond is read from the stream.
const INBOX: usize = 64;
/// How many entries are read from the stream at once.
const RANGE: usize = 64;

/// Keeps one copy up to date.
pub(super) struct Mirror {
    shared: Arc<Shared>,
    log: Arc<Log>,
    keys: Keys,
    nonce: String,
    /// There until the log has ended.
    producer: Option<Producer>,
    /// Epoch and place of the last entry that was applied.
    top: (u32, Seq),
    inbox: (mpsc::Sender<Bytes>, mpsc::Receiver<Bytes>),
    /// The connection on which the channel is read, by when it was made.
    subscribed: Option<Instant>,
    missing_since: Option<Instant>,
    /// What the writer has been asked for.
    asked_grace: Duration,
    has_asked_cancel: bool,
    /// The log is written here now.
    is_heir: bool,
    ready: watch::Sender<bool>,
}

/// The log went another way than its copy, or is not there any more.
struct Astray;

impl Mirror {
    /// A copy in `log`, empty yet; `ready` says when it has caught up for the first time.
    pub(super) fn new(
        shared: Arc<Shared>,
        log: Arc<Log>,
        nonce: String,
        ready: watch::Sender<bool>,
    ) -> Self {
        Self {
            keys: Keys::new(log.owner(), log.id()),
            asked_grace: log.grace().0,
            shared,
            producer: Some(Producer::new(Arc::clone(&log), |_| {})),
            log,
            nonce,
            top: (0, Seq(0)),
            inbox: mpsc::channel(INBOX),
            subscribed: None,
            missing_since: None,
            has_asked_cancel: false,
            is_heir: false,
            ready,
        }
    }

    /// Copies while somebody reads.
    pub(super) async fn run(mut self) {
        let log = Arc::clone(&self.log);
        loop {
            if self.copy(&log).await.is_err() {
                log.sever();
                self.shared.forget_mirror(&log);
                break;
            }
            if self.producer.is_none() {
                self.unsubscribe().await;
            }
            // A finished copy needs no keeping up; it stays while it is read.
            log.vacant_for(LINGER).await;
            if self.shared.drop_mirror(&log) {
                break;
            }
        }
        self.ready.send_replace(true);
        self.unsubscribe().await;
        // Whoever came too late for the copy must not wait for ever.
        if log.end().is_none() && !self.is_heir {
            log.sever();
        }
        // The writer's grace begins when it knows that nobody is left here.
        self.ask("look", 0).await;
    }

    /// Until the log has ended here, or nobody reads it.
    async fn copy(&mut self, log: &Arc<Log>) -> Result<(), Astray> {
        if self.producer.is_none() {
            return Ok(());
        }
        let mut next_look = self.look().await?;
        self.ready.send_replace(true);
        while self.producer.is_some() {
            tokio::select! {
                Some(bytes) = self.inbox.1.recv() => {
                    if self.apply(bytes)?.is_none() {
                        self.catch_up().await?;
                    }
                }
                () = tokio::time::sleep_until(next_look) => next_look = self.look().await?,
                () = log.cancelled(), if !self.has_asked_cancel => {
                    self.has_asked_cancel = self.ask("cancel", 1).await;
                    if !self.has_asked_cancel {
                        tokio::time::sleep(self.shared.poll.min(LINGER)).await;
                    }
                }
                () = log.vacant_for(LINGER) => return Ok(()),
            }
        }
        Ok(())
    }

    /// Compares the copy with what there is, and makes it whole; when to do so again.
    async fn look(&mut self) -> Result<Instant, Astray> {
        self.ensure_subscribed().await;
        self.pass_on_grace().await;
        let again = Instant::now() + self.shared.poll;
        let Ok(seen) = self
            .shared
            .scripts
            .look(&self.shared.link, &self.keys)
            .await
        else {
            return Ok(again);
        };
        let Seen::Log {
            nonce, top, lease, ..
        } = seen
        else {
            return self.miss(again);
        };
        if nonce != self.nonce {
            return Err(Astray);
        }
        self.missing_since = None;
        if top != self.top {
            self.catch_up().await?;
        }
        match lease {
            // A little later than it runs out, so that this look is not in vain.
            Some(lease) => Ok(again.min(Instant::now() + lease + Duration::from_millis(2))),
            None if self.producer.is_some() && self.may_take_over() => {
                self.take_over().await?;
                Ok(Instant::now() + self.shared.patience.min(self.shared.poll))
            }
            None => Ok(again),
        }
    }

    /// There is nothing of the log: its writer fills it again when Redis lost it, and when there
    /// is no writer, it is gone for good.
    fn miss(&mut self, again: Instant) -> Result<Instant, Astray> {
        let since = *self.missing_since.get_or_insert_with(Instant::now);
        if since.elapsed() > self.shared.times.lease * 2 {
            return Err(Astray);
        }
        Ok(again)
    }

    /// Redis has been there long enough for a writer to have renewed its lease.
    fn may_take_over(&self) -> bool {
        let since = self.shared.link.since();
        since.is_some_and(|since| since.elapsed() >= self.shared.times.lease)
    }

    async fn ensure_subscribed(&mut self) {
        let since = self.shared.link.since();
        if since.is_some() && since != self.subscribed {
            let inbox = self.inbox.0.clone();
            if self.shared.link.subscribe(&self.keys.live, inbox).await {
                self.subscribed = since;
                // So that the writer knows at once that somebody reads here.
                self.ask("look", 0).await;
            }
        }
    }

    async fn unsubscribe(&mut self) {
        self.subscribed = None;
        let inbox = self.inbox.0.clone();
        self.shared.link.unsubscribe(&self.keys.live, &inbox).await;
    }

    async fn pass_on_grace(&mut self) {
        let grace = self.log.grace().0;
        if grace > self.asked_grace && self.ask("grace", millis(grace)).await {
            self.asked_grace = grace;
        }
    }

    async fn ask(&mut self, what: &str, value: u64) -> bool {
        let (link, keys) = (&self.shared.link, &self.keys);
        let asked = self
            .shared
            .scripts
            .ask(link, keys, &self.nonce, (what, value))
            .await;
        asked.is_ok()
    }

    /// Reads the stream from the top on.
    async fn catch_up(&mut self) -> Result<(), Astray> {
        loop {
            let Ok(entries) = self.range().await else {
                self.shared.link.doubt();
                return Ok(());
            };
            let count = entries.len();
            for bytes in entries {
                // A stream with a hole in it is being filled again; the next look sees more.
                if self.apply(bytes)?.is_none() {
                    return Ok(());
                }
            }
            if count < RANGE {
                return Ok(());
            }
        }
    }

    async fn range(&mut self) -> Result<Vec<Bytes>, ScriptError> {
        let link = &self.shared.link;
        let mut connection = link.connection().ok_or(ScriptError::Unreachable)?;
        let from = format!("({}", place(self.top));
        let mut range = cmd("XRANGE");
        range.arg(&self.keys.log).arg(from).arg("+");
        range.arg("COUNT").arg(RANGE);
        let answer: RedisResult<Value> = range.query_async(&mut connection).await;
        let entries = Vec::<(String, Vec<Vec<u8>>)>::from_redis_value(answer?);
        let entries = entries.map_err(|_| ScriptError::Answer)?;
        let bytes = |(_, mut fields): (String, Vec<Vec<u8>>)| fields.pop().map(Bytes::from);
        Ok(entries.into_iter().filter_map(bytes).collect())
    }

    /// Adds what is new of a batch. `None` when something before it is not there yet.
    fn apply(&mut self, bytes: Bytes) -> Result<Option<()>, Astray> {
        let batch = Batch::decode(bytes).ok_or(Astray)?;
        let place = (batch.epoch, batch.place());
        if place <= self.top {
            return Ok(Some(()));
        }
        let Some(producer) = &mut self.producer else {
            return Ok(Some(()));
        };
        let next = producer.next_seq();
        if batch.first > next {
            return Ok(None);
        }
        let is_new_epoch = batch.epoch > self.top.0.max(1);
        if is_new_epoch {
            if batch.first < next {
                // What was read here is not part of the log.
                return Err(Astray);
            }
            producer.begin_epoch(batch.epoch);
        }
        let known = usize::try_from(next.0 - batch.first.0).unwrap_or(usize::MAX);
        let events = batch.events.into_iter().skip(known);
        if let Some(aside) = batch.aside {
            producer.keep_aside(aside);
        }
        self.top = place;
        match batch.end {
            Some(end) => self.finish(events, end),
            None => {
                for event in events {
                    producer.append(event).map_err(|_| Astray)?;
                }
            }
        }
        Ok(Some(()))
    }

    fn finish(&mut self, events: impl Iterator<Item = crate::stream::Event>, end: End) {
        if let Some(producer) = self.producer.take() {
            producer.finish(events, end);
        }
    }

    /// Ends the log in the place of a writer that is gone, or becomes its writer.
    async fn take_over(&mut self) -> Result<(), Astray> {
        let Some(producer) = &self.producer else {
            return Ok(());
        };
        let first = producer.next_seq();
        let goes_on = self.shared.successor.can_go_on(&self.log);
        let (events, end) = match goes_on {
            true => (Vec::new(), None),
            false => {
                let (events, end) = self.shared.successor.last_words(&self.log, first);
                (events, Some(end))
            }
        };
        let batch = Batch {
            epoch: self.top.0.max(1) + 1,
            first,
            events,
            aside: None,
            end,
        };
        let bytes = batch.encode();
        let shared = Arc::clone(&self.shared);
        let taking = Taking {
            nonce: &self.nonce,
            top: self.top,
            batch: &batch,
            bytes: &bytes,
            node: if goes_on { &shared.node } else { "" },
        };
        let asked = Instant::now();
        let taken = shared
            .scripts
            .take_over(&shared.link, &self.keys, taking, shared.times)
            .await;
        match taken {
            Ok(true) => {
                tracing::warn!(completion.id = %self.log.id(), goes_on, "its node is lost");
                self.apply(bytes)?;
                if goes_on {
                    self.go_on(asked);
                }
            }
            // Somebody else was faster, or it lives: what there is, is read.
            Ok(false) => self.catch_up().await?,
            Err(error) => tracing::debug!(%error, "not taken over"),
        }
        Ok(())
    }

    /// From now on the log is written here, and this is no copy any more.
    fn go_on(&mut self, opened: Instant) {
        let Some(producer) = self.producer.take() else {
            return;
        };
        self.is_heir = true;
        let top = Cursor {
            epoch: self.top.0,
            seq: self.top.1,
        };
        let shared = &self.shared;
        let replicator = shared.replicator(&self.log, self.nonce.clone());
        shared.replicate(
            replicator
                .leased(opened, shared.times.lease)
                .taking_over(top),
        );
        let producer = producer.held_to(shared.memory.caps());
        shared.successor.go_on(producer);
    }
}
