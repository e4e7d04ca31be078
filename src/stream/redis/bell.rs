//! How a log says that there is something of it to be copied, and where those wait that said so.

use std::{
    mem,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::Wake,
};

use tokio::sync::Notify;

use super::Replicator;

/// What the next round of copying has to look at.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    filled: Notify,
}

/// New logs, and the places of logs that rang.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) arrived: Vec<Replicator>,
    pub(super) rung: Vec<usize>,
}

/// The bell of one log, rung by what is appended to it. As a waker it costs a push: the task that
/// copies is woken by the first of many.
pub(super) struct Bell {
    queue: Arc<Queue>,
    /// Set when the log is no longer new.
    place: OnceLock<usize>,
    is_asked: AtomicBool,
}

impl Queue {
    /// Waits until there is something.
    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Takes what is there.
    pub(super) fn take(&self) -> Waiting {
        mem::take(&mut *self.lock())
    }

    /// A log that is to be copied from now on.
    pub(super) fn enter(&self, replicator: Replicator) {
        self.lock().arrived.push(replicator);
        self.filled.notify_one();
    }

    fn ring(&self, place: usize) {
        let mut waiting = self.lock();
        let is_first = waiting.rung.is_empty();
        waiting.rung.push(place);
        drop(waiting);
        if is_first {
            self.filled.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // A push leaves it whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bell {
    pub(super) fn new(queue: Arc<Queue>) -> Self {
        Self {
            queue,
            place: OnceLock::new(),
            is_asked: AtomicBool::new(false),
        }
    }

    /// Gives the log its place.
    pub(super) fn hang(&self, place: usize) {
        // It gets one only.
        let _ = self.place.set(place);
    }

    /// The log is to be looked at. One without a place is new, and is looked at anyway.
    pub(super) fn ring(&self) {
        if let Some(place) = self.place.get() {
            self.queue.ring(*place);
        }
    }

    /// Somebody asks for its state in Redis, at once.
    pub(super) fn ask(&self) {
        self.is_asked.store(true, Relaxed);
        self.ring();
    }

    /// Whether somebody has asked since the last time.
    pub(super) fn was_asked(&self) -> bool {
        self.is_asked.load(Relaxed) && self.is_asked.swap(false, Relaxed)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}
