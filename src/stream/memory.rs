//! Logs in this process' memory.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Budget, Caps, Id, Log, Lookup, MemoryShelf, Owner, Producer, Settings, Shelf, ShelfLimits,
    Spec, StoreError, StoreFuture, StreamStore,
};

/// How often finished logs are looked through when nothing else asks for it.
const SWEEP: Duration = Duration::from_secs(1);

type Key = (Owner, Id);

/// The store of a single node.
pub struct MemoryStore {
    caps: Caps,
    retention: Duration,
    max_expired: usize,
    budget: Arc<Budget>,
    shelves: Arc<Mutex<Shelves>>,
}

#[derive(Default)]
struct Shelves {
    logs: HashMap<Key, Arc<Log>>,
    // In the order in which they ended, so also in that in which they expire.
    finished: VecDeque<Arc<Log>>,
    // Names of logs that are gone, oldest first, to tell "expired" from "never was".
    expired: HashSet<Key>,
    expired_order: VecDeque<Key>,
}

impl MemoryStore {
    /// An empty store with the limits of `settings`.
    pub fn new(settings: &Settings) -> Self {
        Self {
            caps: Caps {
                event_bytes: settings.event_bytes,
                log_bytes: settings.log_bytes,
                last_events: None,
            },
            retention: settings.retention,
            max_expired: settings.max_expired,
            budget: Arc::new(Budget::new(settings.budget_bytes)),
            shelves: Arc::default(),
        }
    }

    /// What each of its logs is held to.
    pub(super) fn caps(&self) -> Caps {
        self.caps
    }

    /// The bytes that its logs hold together.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Lets go of finished logs if the budget is exceeded.
    pub(super) fn make_room(&self) -> Result<(), StoreError> {
        if self.budget.is_exceeded() && self.sweep() > self.budget.max_bytes() {
            return Err(StoreError::Full);
        }
        Ok(())
    }

    /// Lets go of finished logs: those past their retention, and the oldest while the
    /// budget is exceeded. What is held then, in bytes, readers that still hold what was let
    /// go not counted.
    fn sweep(&self) -> usize {
        let now = Instant::now();
        let mut gone = Vec::new();
        let mut shelves = self.shelves();
        let mut bytes = self.budget.used();
        while let Some(oldest) = shelves.finished.front() {
            let has_expired = self.has_expired(oldest, now);
            if !has_expired && bytes <= self.budget.max_bytes() {
                break;
            }
            bytes = bytes.saturating_sub(oldest.held_bytes());
            if let Some(log) = shelves.finished.pop_front() {
                shelves.let_go(&log, self.max_expired);
                gone.push(log);
            }
        }
        // Logs are freed after the lock is released: a large one takes its time.
        drop(shelves);
        drop(gone);
        bytes
    }

    fn has_expired(&self, log: &Log, now: Instant) -> bool {
        log.ended_at()
            .is_some_and(|ended| now >= ended + self.retention)
    }

    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        lock(&self.shelves)
    }
}

impl StreamStore for MemoryStore {
    fn held_bytes(&self) -> usize {
        self.budget.used()
    }

    fn create(&self, spec: Spec) -> StoreFuture<'_, Producer> {
        Box::pin(async move {
            self.make_room()?;
            let key = (spec.owner, spec.id.clone());
            let log = Log::new(spec, self.caps, Arc::clone(&self.budget));
            self.shelves().logs.insert(key, Arc::clone(&log));
            let shelves = Arc::clone(&self.shelves);
            Ok(Producer::new(log, move |log| {
                lock(&shelves).finished.push_back(Arc::clone(log));
            }))
        })
    }

    fn find<'a>(&'a self, owner: Owner, id: &'a Id) -> StoreFuture<'a, Lookup> {
        Box::pin(async move {
            let shelves = self.shelves();
            let key = (owner, id.clone());
            Ok(match shelves.logs.get(&key) {
                Some(log) if self.has_expired(log, Instant::now()) => Lookup::Expired,
                Some(log) => Lookup::Found(Arc::clone(log)),
                None if shelves.expired.contains(&key) => Lookup::Expired,
                None => Lookup::Unknown,
            })
        })
    }

    fn remove<'a>(&'a self, owner: Owner, id: &'a Id) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let mut shelves = self.shelves();
            let removed = shelves.logs.remove(&(owner, id.clone()));
            if let Some(log) = &removed {
                shelves
                    .finished
                    .retain(|finished| !Arc::ptr_eq(finished, log));
            }
            // Its bytes go when the last of its readers does, after the lock was released.
            drop(shelves);
            drop(removed);
            Ok(())
        })
    }

    fn shelf(&self, _: &'static str, limits: ShelfLimits) -> Arc<dyn Shelf> {
        Arc::new(MemoryShelf::new(limits))
    }

    fn tend(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(SWEEP) => {}
                    () = self.budget.exceeded() => {}
                }
                self.sweep();
            }
        })
    }
}

impl Shelves {
    /// Takes a finished log out, unless a newer one of its name has its place already.
    fn let_go(&mut self, log: &Arc<Log>, max_expired: usize) {
        let key = (log.owner(), log.id().clone());
        let is_current = self.logs.get(&key).is_some_and(|l| Arc::ptr_eq(l, log));
        if !is_current {
            return;
        }
        self.logs.remove(&key);
        if self.expired.insert(key.clone()) {
            self.expired_order.push_back(key);
        }
        while self.expired_order.len() > max_expired {
            if let Some(oldest) = self.expired_order.pop_front() {
                self.expired.remove(&oldest);
            }
        }
    }
}

fn lock(shelves: &Mutex<Shelves>) -> MutexGuard<'_, Shelves> {
    // Collections are left whole by every operation under the lock.
    shelves.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "contract_tests.rs"]
pub(in crate::stream) mod tests;
