//! Logs that several nodes share, in Redis 7 or Valkey (PROTOCOL, section 4).
//!
//! On every node readers read a log in memory. Where the log is written it is the real one, and
//! [`replication`] copies it to Redis; elsewhere it is a copy that a [`mirror`] keeps up to date
//! from there. Start at those two; what must happen in one step is in [`scripts`] and [`mod@write`].

mod batch;
mod bell;
mod keys;
mod link;
mod mirror;
mod replication;
mod replicator;
mod scripts;
mod shared;
mod shelf;
mod write;

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use redis::aio::MultiplexedConnection;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

use keys::{Keys, node_channel};
use link::Link;
use mirror::Mirror;
use replication::Replication;
use replicator::Replicator;
use scripts::{Opening, ScriptError, Seen};
use shared::Shared;
use shelf::RedisShelf;

use super::{
    Id, Log, Lookup, OnUnavailable, Owner, Producer, Settings, Shelf, ShelfLimits, Spec,
    StoreError, StoreFuture, StoreSettings, StreamStore,
};
pub use shared::{SetupError, Successor};

/// How many messages of other nodes may wait; one that is lost is a delay.
const NODE_INBOX: usize = 1024;

/// The store of a node among several.
pub struct RedisStore {
    shared: Arc<Shared>,
    on_unavailable: OnUnavailable,
}

impl RedisStore {
    /// Looks at what can be wrong without asking Redis.
    ///
    /// # Errors
    /// [`SetupError`] when the URL is none.
    pub fn check(settings: &StoreSettings) -> Result<(), SetupError> {
        link::client(&settings.url)?;
        Ok(())
    }

    /// A store over the Redis of `settings`. Its tasks run on the current runtime, which has to
    /// outlive it. `successor` speaks for logs whose node is gone.
    ///
    /// # Errors
    /// [`SetupError`] when the URL is none, or there is no randomness for the node's name.
    pub fn new(
        settings: &StoreSettings,
        stream: &Settings,
        successor: Arc<dyn Successor>,
    ) -> Result<Self, SetupError> {
        let (tell, mut told) = mpsc::channel(NODE_INBOX);
        let shared = Arc::new(Shared::new(settings, stream, successor, tell)?);
        let (keeper, every) = (Arc::clone(&shared), settings.poll);
        shared.spawn(async move { keeper.link.keep(every).await });
        shared.spawn(Replication::new(Arc::clone(&shared)).run());
        let listener = Arc::clone(&shared);
        shared.spawn(async move {
            while let Some(message) = told.recv().await {
                listener.hear(&message).await;
            }
        });
        Ok(Self {
            shared,
            on_unavailable: settings.on_unavailable,
        })
    }

    /// Waits until Redis is there, `patience` at most; whether it is.
    pub async fn connected(&self, patience: Duration) -> bool {
        self.shared.link.connected(patience).await
    }

    /// What gives the connection as it is, for what nodes share beside streams.
    pub fn connections(
        &self,
    ) -> impl Fn() -> Option<MultiplexedConnection> + Send + Sync + 'static {
        let shared = Arc::clone(&self.shared);
        move || shared.link.connection()
    }

    /// This process' own name, different from all others.
    pub fn node(&self) -> &str {
        &self.shared.node
    }

    /// Names the log in Redis; when.
    async fn open(&self, spec: &Spec, nonce: &str) -> Result<Instant, ScriptError> {
        let keys = Keys::new(spec.owner, &spec.id);
        let opening = Opening {
            nonce,
            node: &self.shared.node,
            about: &spec.about,
            grace: spec.grace.0,
        };
        let asked = Instant::now();
        let (link, times) = (&self.shared.link, self.shared.times);
        let opened = self.shared.scripts.open(link, &keys, opening, times).await;
        opened.map(|()| asked)
    }

    /// A log that another node writes, if there is one.
    async fn find_elsewhere(&self, owner: Owner, id: &Id) -> Result<Lookup, StoreError> {
        let keys = Keys::new(owner, id);
        let known = || self.shared.mirror_of(owner, id);
        let (link, scripts) = (&self.shared.link, &self.shared.scripts);
        let mut seen = scripts.look(link, &keys).await;
        if seen.is_err() && link.connected(self.shared.patience).await {
            seen = scripts.look(link, &keys).await;
        }
        let (nonce, about, grace) = match seen {
            Ok(Seen::Log {
                nonce,
                about,
                grace,
                ..
            }) => (nonce, about, grace),
            Ok(Seen::Gone) => return Ok(Lookup::Expired),
            Ok(Seen::Missing) => return Ok(Lookup::Unknown),
            // What is here already can be read without Redis.
            Err(_) => return known().map(Lookup::Found).ok_or(StoreError::Unavailable),
        };
        self.shared.memory.make_room()?;
        let spec = Spec {
            id: id.clone(),
            owner,
            about,
            grace: super::Grace(grace),
        };
        let replica = self.shared.mirror(spec, nonce);
        let mut ready = replica.ready.subscribe();
        // A copy that is late is still the log; its readers wait.
        let _ = timeout(
            self.shared.patience * 2,
            ready.wait_for(|is_ready| *is_ready),
        )
        .await;
        Ok(Lookup::Found(replica.log))
    }

    /// Waits until a log that was found here is known to be still written here.
    async fn ascertain(&self, log: &Log) {
        if log.needs_renewal() {
            self.shared.nudge(log.owner(), log.id());
            let renewed = async {
                while log.needs_renewal() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            // The readers wait themselves when it takes longer.
            let _ = timeout(self.shared.patience * 2, renewed).await;
        }
    }
}

impl StreamStore for RedisStore {
    fn held_bytes(&self) -> usize {
        self.shared.memory.budget().used()
    }

    fn create(&self, spec: Spec) -> StoreFuture<'_, Producer> {
        Box::pin(async move {
            self.shared.memory.make_room()?;
            let nonce = self.shared.nonce();
            let mut opened = self.open(&spec, &nonce).await;
            // A connection that breaks just now may be there again at once; where there was
            // none, nobody is kept waiting.
            if matches!(opened, Err(ScriptError::Redis(_)))
                && self.connected(self.shared.patience).await
            {
                opened = self.open(&spec, &nonce).await;
            }
            if opened.is_err() && self.on_unavailable == OnUnavailable::Refuse {
                return Err(StoreError::Unavailable);
            }
            let producer = self.shared.memory.create(spec).await?;
            let mut replicator = self.shared.replicator(producer.log(), nonce);
            if let Ok(opened) = opened {
                replicator = replicator.leased(opened, self.shared.times.lease);
            }
            self.shared.replicate(replicator);
            Ok(producer)
        })
    }

    fn find<'a>(&'a self, owner: Owner, id: &'a Id) -> StoreFuture<'a, Lookup> {
        Box::pin(async move {
            let found = self.shared.memory.find(owner, id).await?;
            if let Lookup::Found(log) = found {
                self.ascertain(&log).await;
                if !log.is_severed() {
                    return Ok(Lookup::Found(log));
                }
            }
            // Another node may keep for longer what is no longer kept here.
            match self.find_elsewhere(owner, id).await {
                Ok(Lookup::Unknown) => self.shared.memory.find(owner, id).await,
                other => other,
            }
        })
    }

    fn remove<'a>(&'a self, owner: Owner, id: &'a Id) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.shared.remove(owner, id).await;
            let keys = Keys::new(owner, id);
            let (link, times) = (&self.shared.link, self.shared.times);
            let removed = self.shared.scripts.remove(link, &keys, times).await;
            removed.map_err(|_| StoreError::Unavailable)
        })
    }

    fn shelf(&self, name: &'static str, limits: ShelfLimits) -> Arc<dyn Shelf> {
        Arc::new(RedisShelf::new(Arc::clone(&self.shared), name, limits))
    }

    fn tend(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.shared.memory.tend()
    }

    fn settle(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.shared.settle())
    }

    fn is_available(&self) -> bool {
        self.on_unavailable == OnUnavailable::Unshared || self.shared.link.since().is_some()
    }

    fn has_shared_ids(&self) -> bool {
        true
    }
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

#[cfg(test)]
mod loss_tests;
#[cfg(test)]
mod nodes_tests;
#[cfg(test)]
mod pause_tests;
#[cfg(test)]
mod shelf_tests;
#[cfg(test)]
pub(super) mod test_server;
