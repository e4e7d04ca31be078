//! What the tasks of one node share, and the spawner that keeps track of them.

use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Link, Mirror, Replicator,
    bell::{Bell, Queue},
    keys::parse_name,
    node_channel,
    scripts::{Scripts, Times},
};
use crate::stream::{
    End, Event, Id, Log, MemoryStore, Owner, Producer, Seq, Settings, Spec, StoreSettings,
    StreamStore,
};

/// How long after its end the name of a log is remembered beyond its retention.
const MEMORY: Duration = Duration::from_secs(3600);
/// How long a copy stays when its last reader has left.
pub(super) const LINGER: Duration = Duration::from_secs(1);
/// The longest that Redis may take for one answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Who speaks for a log whose node is gone.
pub trait Successor: Send + Sync {
    /// The events that it ends with, the first with this number, and its end.
    fn last_words(&self, log: &Log, seq: Seq) -> (Vec<Event>, End);

    /// Whether it can be gone on with.
    fn can_go_on(&self, _log: &Log) -> bool {
        false
    }

    /// Goes on with it, whatever comes of that.
    fn go_on(&self, producer: Producer) {
        producer.close(|log, seq| self.last_words(log, seq));
    }
}

/// One that only ends what it finds.
impl<F: Fn(&Log, Seq) -> (Vec<Event>, End) + Send + Sync> Successor for F {
    fn last_words(&self, log: &Log, seq: Seq) -> (Vec<Event>, End) {
        self(log, seq)
    }
}

/// Why a store cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Not a URL of a Redis.
    #[error("not the address of a Redis that can be used: {0}")]
    Url(#[from] redis::RedisError),
    /// The operating system gave no randomness.
    #[error("no randomness for the node's name: {0}")]
    Random(#[from] getrandom::Error),
}

type Key = (Owner, Id);

pub(super) struct Shared {
    pub(super) link: Link,
    pub(super) scripts: Scripts,
    /// The logs that are written here.
    pub(super) memory: MemoryStore,
    pub(super) successor: Arc<dyn Successor>,
    /// This process' own name.
    pub(super) node: String,
    pub(super) times: Times,
    pub(super) poll: Duration,
    /// How long one answer may take.
    pub(super) patience: Duration,
    /// Where logs wait to be copied.
    pub(super) queue: Arc<Queue>,
    nonces: AtomicU64,
    mirrors: Mutex<HashMap<Key, Replica>>,
    replicated: Mutex<HashMap<Key, (String, Arc<Bell>)>>,
    runtime: Handle,
    tasks: TaskTracker,
    replicators: TaskTracker,
    stopping: CancellationToken,
    #[cfg(test)]
    pub(super) drops_publishes: std::sync::atomic::AtomicBool,
}

/// A copy of a log that another node writes.
#[derive(Clone)]
pub(super) struct Replica {
    pub(super) log: Arc<Log>,
    /// Whether it has caught up for the first time.
    pub(super) ready: watch::Sender<bool>,
    nonce: String,
}

impl Shared {
    pub(super) fn new(
        settings: &StoreSettings,
        stream: &Settings,
        successor: Arc<dyn Successor>,
        inbox: mpsc::Sender<Bytes>,
    ) -> Result<Self, SetupError> {
        let mut name = [0; 16];
        getrandom::fill(&mut name)?;
        let node = format!("{:032x}", u128::from_be_bytes(name));
        let lease = settings.lease;
        // A lease has to be renewed in time although one answer may not come.
        let patience = PATIENCE.min(lease / 2).max(Duration::from_millis(10));
        Ok(Self {
            link: Link::new(&settings.url, patience, node_channel(&node), inbox)?,
            scripts: Scripts::default(),
            memory: MemoryStore::new(stream),
            successor,
            node,
            times: Times {
                lease,
                life: stream.retention + lease * 3,
                retention: stream.retention,
                memory: stream.retention + MEMORY,
            },
            poll: settings.poll,
            patience,
            queue: Arc::default(),
            nonces: AtomicU64::new(0),
            mirrors: Mutex::default(),
            replicated: Mutex::default(),
            runtime: Handle::current(),
            tasks: TaskTracker::new(),
            replicators: TaskTracker::new(),
            stopping: CancellationToken::new(),
            #[cfg(test)]
            drops_publishes: false.into(),
        })
    }

    /// How often a lease is renewed.
    pub(super) fn renewal(&self) -> Duration {
        (self.times.lease / 3).min(self.poll)
    }

    /// A name for one log of one writer, different from all others.
    pub(super) fn nonce(&self) -> String {
        format!("{}/{}", self.node, self.nonces.fetch_add(1, Relaxed))
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "tests turn it off")]
    pub(super) fn is_publishing(&self) -> bool {
        true
    }

    #[cfg(test)]
    pub(super) fn is_publishing(&self) -> bool {
        !self.drops_publishes.load(Relaxed)
    }

    /// Starts a task that ends with the store at the latest.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stopping = self.stopping.clone();
        let task = async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = task => {}
            }
        };
        // Unawaited on purpose: it serves all readers, and none may hold it up.
        drop(self.tasks.spawn_on(task, &self.runtime));
    }

    /// What copies a log that is still to be opened, once it is [begun](Self::replicate).
    pub(super) fn replicator(&self, log: &Arc<Log>, nonce: String) -> Replicator {
        let bell = Bell::new(Arc::clone(&self.queue));
        Replicator::new(Arc::clone(log), nonce, bell, self.replicators.token())
    }

    /// Starts copying a log, on the store's own thread whatever thread asks.
    pub(super) fn replicate(&self, replicator: Replicator) {
        let log = replicator.log();
        let key = (log.owner(), log.id().clone());
        let entry = (replicator.nonce().to_owned(), Arc::clone(replicator.bell()));
        lock(&self.replicated).insert(key, entry);
        self.queue.enter(replicator);
    }

    /// Waits until what has ended is copied.
    pub(super) async fn settle(&self) {
        self.replicators.close();
        self.replicators.wait().await;
    }

    pub(super) fn stop(&self) {
        self.stopping.cancel();
    }

    pub(super) fn forget_replicated(&self, log: &Log, nonce: &str) {
        let key = (log.owner(), log.id().clone());
        let mut replicated = lock(&self.replicated);
        if replicated
            .get(&key)
            .is_some_and(|(known, _)| known == nonce)
        {
            replicated.remove(&key);
        }
    }

    /// Has the writer of a log look at its state.
    pub(super) fn nudge(&self, owner: Owner, id: &Id) {
        if let Some((_, bell)) = lock(&self.replicated).get(&(owner, id.clone())) {
            bell.ask();
        }
    }

    /// What another node says: `look <name>` or `remove <name>`.
    pub(super) async fn hear(&self, message: &[u8]) {
        let message = std::str::from_utf8(message).unwrap_or_default();
        let Some((verb, name)) = message.split_once(' ') else {
            return;
        };
        let Some((owner, id)) = parse_name(name) else {
            return;
        };
        match verb {
            "look" => self.nudge(owner, &id),
            "remove" => self.remove(owner, &id).await,
            unknown => tracing::debug!(unknown, "another node speaks of something else"),
        }
    }

    /// Forgets a log here.
    pub(super) async fn remove(&self, owner: Owner, id: &Id) {
        lock(&self.mirrors).remove(&(owner, id.clone()));
        // Memory does not fail to forget.
        let _ = self.memory.remove(owner, id).await;
    }

    /// Forgets a log that is no longer written here.
    pub(super) async fn forget(&self, log: &Log) {
        // Memory does not fail to forget.
        let _ = self.memory.remove(log.owner(), log.id()).await;
    }

    /// The copy of a log that is here already.
    pub(super) fn mirror_of(&self, owner: Owner, id: &Id) -> Option<Arc<Log>> {
        let mirrors = lock(&self.mirrors);
        let replica = mirrors.get(&(owner, id.clone()))?;
        replica.log.touch();
        Some(Arc::clone(&replica.log))
    }

    /// The copy of a log of this writer; made if there is none.
    pub(super) fn mirror(self: &Arc<Self>, spec: Spec, nonce: String) -> Replica {
        let key = (spec.owner, spec.id.clone());
        let mut mirrors = lock(&self.mirrors);
        if let Some(replica) = mirrors.get(&key)
            && replica.nonce == nonce
            && !replica.log.is_severed()
        {
            replica.log.touch();
            return replica.clone();
        }
        let budget = Arc::clone(self.memory.budget());
        let replica = Replica {
            log: Log::copy(spec, budget, self.times.lease),
            ready: watch::Sender::new(false),
            nonce,
        };
        mirrors.insert(key, replica.clone());
        drop(mirrors);
        let (log, nonce) = (Arc::clone(&replica.log), replica.nonce.clone());
        let mirror = Mirror::new(Arc::clone(self), log, nonce, replica.ready.clone());
        self.spawn(mirror.run());
        replica
    }

    /// Lets go of a copy unless somebody reads it; whether it is gone.
    pub(super) fn drop_mirror(&self, log: &Arc<Log>) -> bool {
        let mut mirrors = lock(&self.mirrors);
        if log.readers() > 0
            || log
                .vacant_since()
                .is_none_or(|since| since.elapsed() < LINGER)
        {
            return false;
        }
        remove_if_same(&mut mirrors, log);
        true
    }

    /// Lets go of a copy that is of no use any more.
    pub(super) fn forget_mirror(&self, log: &Arc<Log>) {
        remove_if_same(&mut lock(&self.mirrors), log);
    }
}

fn remove_if_same(mirrors: &mut HashMap<Key, Replica>, log: &Arc<Log>) {
    let key = (log.owner(), log.id().clone());
    if mirrors
        .get(&key)
        .is_some_and(|replica| Arc::ptr_eq(&replica.log, log))
    {
        mirrors.remove(&key);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Collections are left whole by every operation under the lock.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
