//! Records beside the logs: small, opaque, and the same for every node that shares the store.
//!
//! A record has a head, which may be replaced, and a body, which may not. What either means is
//! told by who keeps it. Start at [`Shelf::put`].

use std::time::Duration;

use bytes::Bytes;

use super::{Id, Owner, StoreFuture};

/// How much a shelf keeps, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShelfLimits {
    /// The most records.
    pub max: usize,
    /// The most bytes that they may have together, as they were put.
    pub max_bytes: usize,
    /// How long each is kept.
    pub keep: Duration,
}

/// A record as it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it stands: what was put later stands higher.
    pub place: u64,
    /// What may be replaced.
    pub head: Bytes,
    /// What may not.
    pub body: Bytes,
}

/// Which records of an owner are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Only those behind this place, in the order that is asked for.
    pub after: Option<u64>,
    /// Newest first.
    pub is_descending: bool,
    /// How many at most.
    pub count: usize,
}

/// Some records of an owner, without their bodies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// Name and head of each.
    pub entries: Vec<(Id, Bytes)>,
    /// The place behind which there may be more.
    pub next: Option<u64>,
}

/// Where records of one sort are kept, by owner and name.
///
/// Every implementation passes the contract tests in `stream/shelf_contract_tests.rs`, and fails
/// with `StoreError::Unavailable` where what nodes share cannot be reached.
pub trait Shelf: Send + Sync {
    /// Keeps a record unless there is one of its name, which is returned then. The oldest go
    /// when there are too many; one that exceeds the limits alone is `StoreError::Full`.
    fn put<'a>(
        &'a self,
        owner: Owner,
        id: &'a Id,
        head: Bytes,
        body: Bytes,
    ) -> StoreFuture<'a, Option<Record>>;

    /// Finds a record.
    fn get<'a>(&'a self, owner: Owner, id: &'a Id) -> StoreFuture<'a, Option<Record>>;

    /// Gives a record another head, if there is such a record; as it is then.
    fn replace<'a>(
        &'a self,
        owner: Owner,
        id: &'a Id,
        head: Bytes,
    ) -> StoreFuture<'a, Option<Record>>;

    /// Forgets a record, only with this head where one is given; whether that was done.
    fn remove<'a>(&'a self, owner: Owner, id: &'a Id, head: Option<Bytes>)
    -> StoreFuture<'a, bool>;

    /// Lists records of an owner by age. The work is bounded by `range.count`.
    fn list(&self, owner: Owner, range: Range) -> StoreFuture<'_, Listed>;
}
