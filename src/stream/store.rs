//! Where logs live: the seam between one node and several.

use std::{future::Future, pin::Pin, sync::Arc};

use super::{Id, Log, Owner, Producer, Shelf, ShelfLimits, Spec};

/// What a store answers with.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// What a look-up finds.
#[derive(Debug, Clone)]
pub enum Lookup {
    /// The log, live or finished.
    Found(Arc<Log>),
    /// There was one; its retention is over.
    Expired,
    /// None that this owner may know of.
    Unknown,
}

/// Why a store cannot take a new log.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum StoreError {
    /// Live logs alone exceed the budget.
    #[error("the streams under way hold all the memory that streams may have")]
    Full,
    /// What several nodes share cannot be reached.
    #[error("the store of streams cannot be reached")]
    Unavailable,
}

/// Where logs live.
///
/// Every implementation passes the contract tests in `stream/contract_tests.rs`.
pub trait StreamStore: Send + Sync {
    /// Makes an empty log. One of the same id and owner is no longer found from here on;
    /// those who read it finish.
    fn create(&self, spec: Spec) -> StoreFuture<'_, Producer>;

    /// Finds a log by owner and id.
    fn find<'a>(&'a self, owner: Owner, id: &'a Id) -> StoreFuture<'a, Lookup>;

    /// Forgets a log: it is as if there had been none. Those who read it finish.
    fn remove<'a>(&'a self, owner: Owner, id: &'a Id) -> StoreFuture<'a, ()>;

    /// The shelf of this name, which every node has that shares the store.
    fn shelf(&self, name: &'static str, limits: ShelfLimits) -> Arc<dyn Shelf>;

    /// Keeps the store within its limits, for as long as it is polled.
    fn tend(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;

    /// Waits until what has ended is where it has to be, before a stop.
    fn settle(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }

    /// Whether it takes new logs, as far as is known.
    fn is_available(&self) -> bool {
        true
    }

    /// What its logs hold in memory here, in bytes.
    fn held_bytes(&self) -> usize;

    /// Whether other nodes make ids too, so that none may be made twice.
    fn has_shared_ids(&self) -> bool {
        false
    }
}
