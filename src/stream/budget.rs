//! The bytes that all logs of a process hold together.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::sync::Notify;

/// A shared count of bytes with a limit that is watched, not enforced: a live log is never
/// cut short for it, finished ones are let go and new ones refused instead.
#[derive(Debug)]
pub struct Budget {
    used: AtomicUsize,
    max_bytes: usize,
    exceeded: Notify,
}

impl Budget {
    /// A budget of `max_bytes`.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            used: AtomicUsize::new(0),
            max_bytes,
            exceeded: Notify::new(),
        }
    }

    /// The bytes held now.
    pub fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    /// The limit.
    pub fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// More is held than the limit.
    pub fn is_exceeded(&self) -> bool {
        self.used() > self.max_bytes
    }

    /// Waits until an append went over the limit.
    pub async fn exceeded(&self) {
        self.exceeded.notified().await;
    }

    pub(super) fn take(&self, bytes: usize) {
        let before = self.used.fetch_add(bytes, Relaxed);
        if before <= self.max_bytes && before + bytes > self.max_bytes {
            self.exceeded.notify_one();
        }
    }

    pub(super) fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Relaxed);
    }
}
