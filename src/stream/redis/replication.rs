//! The one task that copies all logs of this node to Redis, in rounds.
//!
//! Who has something new rings, see [`super::bell`]. What a round finds goes out as one call, so
//! that a batch costs its share of a write and of a wake-up, and not one of each.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use slab::Slab;
use tokio::time::{Instant, sleep, sleep_until};

use super::{
    Replicator, Shared,
    replicator::Next,
    scripts::{ScriptError, Times},
    write::Written,
};
use crate::stream::state::Serving;

/// How long after a round the next one begins.
pub(super) const ROUND: Duration = Duration::from_millis(5);
/// How many logs are written in one round.
const MOST: usize = 256;
/// The size at which the call of a round is full.
const CALL_BYTES: usize = 4 * 1024 * 1024;
/// The part of a lease that a batch need not renew.
const FRESH: u32 = 20;
/// How long after a failed round the next one begins at first.
const BACKOFF: Duration = Duration::from_millis(20);

/// The logs that are copied.
pub(super) struct Replication {
    shared: Arc<Shared>,
    logs: Slab<Replicator>,
    /// The places of those that are to be looked at, each once.
    due: Vec<usize>,
    /// The places of those that are written in this round.
    turn: Vec<usize>,
    /// This round did not take all that was there.
    is_behind: bool,
    began: Instant,
    /// When leases are looked at again.
    review: Instant,
}

impl Replication {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let now = Instant::now();
        Self {
            shared,
            logs: Slab::new(),
            due: Vec::new(),
            turn: Vec::new(),
            is_behind: false,
            began: now,
            review: now,
        }
    }

    /// Copies for ever.
    pub(super) async fn run(mut self) {
        let mut backoff = BACKOFF;
        loop {
            self.wait().await;
            self.gather();
            match self.round().await {
                Ok(()) => backoff = BACKOFF,
                Err(error) => {
                    tracing::debug!(%error, "not copied");
                    self.recover().await;
                    sleep(backoff).await;
                    backoff = (backoff * 2).min(self.shared.patience / 2);
                }
            }
        }
    }

    /// Waits until a round is of use.
    async fn wait(&self) {
        if self.is_behind {
            return;
        }
        if self.due.is_empty() {
            tokio::select! {
                () = self.shared.queue.filled() => {}
                () = sleep_until(self.review) => {}
            }
        }
        sleep_until(self.began + ROUND).await;
    }

    /// Finds what is to be looked at: what rang, and leases that run out.
    fn gather(&mut self) {
        self.began = Instant::now();
        let waiting = self.shared.queue.take();
        for replicator in waiting.arrived {
            let bell = Arc::clone(replicator.bell());
            let place = self.logs.insert(replicator);
            bell.hang(place);
            self.put(place);
        }
        for place in waiting.rung {
            self.put(place);
        }
        if self.began < self.review {
            return;
        }
        let renewal = self.shared.renewal();
        let every = renewal / 4;
        self.review = self.began + every;
        for (place, log) in &mut self.logs {
            if log.renew_after(self.began, renewal - every) && log.put() {
                self.due.push(place);
            }
        }
    }

    fn put(&mut self, place: usize) {
        // One that is gone may have rung before.
        if self.logs.get_mut(place).is_some_and(Replicator::put) {
            self.due.push(place);
        }
    }

    /// Writes those whose turn it is.
    async fn round(&mut self) -> Result<(), ScriptError> {
        self.choose();
        self.open().await?;
        let shared = Arc::clone(&self.shared);
        let write = &shared.scripts.write;
        let mut call = write.call(shared.times, shared.is_publishing(), self.turn.len());
        let (logs, began) = (&mut self.logs, self.began);
        let fresh = shared.times.lease / FRESH;
        let mut bytes = 0;
        self.turn.retain(|place| {
            let log = &mut logs[*place];
            if bytes >= CALL_BYTES {
                self.is_behind = true;
                if log.put() {
                    self.due.push(*place);
                }
                return false;
            }
            let is_writing = log.prepare(began, fresh);
            self.is_behind |= log.is_behind();
            if is_writing {
                bytes += log.writing().add_to(&mut call);
            }
            is_writing
        });
        if self.turn.is_empty() {
            return Ok(());
        }
        let written = write.run(&shared.link, &call, self.turn.len()).await?;
        for (place, written) in std::mem::take(&mut self.turn).into_iter().zip(written) {
            self.heed(place, &written).await;
        }
        Ok(())
    }

    /// Moves those that may go from what is due into this turn.
    fn choose(&mut self) {
        let Self {
            logs, due, turn, ..
        } = self;
        due.retain(|place| {
            let Some(log) = logs.get_mut(*place) else {
                return false;
            };
            let goes = turn.len() < MOST && log.may_go(self.began);
            if goes {
                turn.push(*place);
            }
            !goes
        });
        self.is_behind = turn.len() == MOST;
    }

    /// Opens those that Redis does not know yet.
    async fn open(&mut self) -> Result<(), ScriptError> {
        let Shared {
            link,
            scripts,
            node,
            times,
            ..
        } = &*self.shared;
        let logs = self.turn.iter().map(|place| (*place, &self.logs[*place]));
        let opening = logs.filter_map(|(place, log)| {
            let opening = log.opening(node)?;
            Some(async move { (place, scripts.open(link, log.keys(), opening, *times).await) })
        });
        let mut all = Ok(());
        for (place, opened) in join_all(opening).await {
            match opened {
                Ok(()) => self.logs[place].opened(),
                Err(error) => all = Err(error),
            }
        }
        all
    }

    async fn heed(&mut self, place: usize, written: &Written) {
        let Times {
            lease, retention, ..
        } = self.shared.times;
        let log = &mut self.logs[place];
        match log.heed(written, self.began, lease) {
            Next::Rest => {}
            Next::Again if log.is_useless(retention) => self.end(place),
            Next::Again => self.put(place),
            Next::Stop => self.end(place),
            Next::Forget => {
                let log = Arc::clone(self.logs[place].log());
                self.end(place);
                self.shared.forget(&log).await;
            }
        }
    }

    fn end(&mut self, place: usize) {
        let log = self.logs.remove(place);
        if log.is_due() {
            self.due.retain(|due| *due != place);
        }
        self.shared.forget_replicated(log.log(), log.nonce());
    }

    /// A round failed: what was not written is due again.
    async fn recover(&mut self) {
        for place in std::mem::take(&mut self.turn) {
            self.put(place);
        }
        // Nobody can know whether another node has taken over: the readers here are served. A
        // connection that is only made anew is asked first.
        if !self.shared.link.connected(self.shared.patience).await {
            for (_, log) in &self.logs {
                log.log().serve(Serving::Always);
            }
        }
        let retention = self.shared.times.retention;
        let useless = self
            .logs
            .iter()
            .filter(|(_, log)| log.is_useless(retention));
        let useless: Vec<usize> = useless.map(|(place, _)| place).collect();
        useless.into_iter().for_each(|place| self.end(place));
    }
}
