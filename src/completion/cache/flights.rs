//! Sources under way on this node, by what they answer.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::fingerprint::Fingerprint;
use crate::completion::Completion;

type Table = HashMap<Fingerprint, Arc<Completion>>;

/// The sources under way, at most so many. What is beyond is not shared.
pub(super) struct Flights {
    max: usize,
    table: Mutex<Table>,
}

/// A source's place in the table, free again when it is dropped.
pub(super) struct Flight {
    flights: Arc<Flights>,
    print: Fingerprint,
    source: Arc<Completion>,
}

/// Whether a source has got a place.
pub(super) enum Entered {
    /// It has.
    Flight(Flight),
    /// Another one has it, which is under way.
    Taken,
    /// There are as many as may be.
    Full,
}

impl Flights {
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            table: Mutex::default(),
        }
    }

    /// The source that has the place, be it under way or just over.
    pub(super) fn get(&self, print: &Fingerprint) -> Option<Arc<Completion>> {
        self.table().get(print).map(Arc::clone)
    }

    /// Gives a source a place, unless one that is under way has it.
    pub(super) fn enter(
        self: &Arc<Self>,
        print: &Fingerprint,
        source: &Arc<Completion>,
    ) -> Entered {
        let mut table = self.table();
        let is_full = table.len() >= self.max;
        match table.entry(print.clone()) {
            Entry::Occupied(there) if is_going_on(there.get()) => return Entered::Taken,
            Entry::Occupied(mut there) => drop(there.insert(Arc::clone(source))),
            Entry::Vacant(_) if is_full => return Entered::Full,
            Entry::Vacant(free) => drop(free.insert(Arc::clone(source))),
        }
        Entered::Flight(Flight {
            flights: Arc::clone(self),
            print: print.clone(),
            source: Arc::clone(source),
        })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // A map is left whole by every operation under the lock.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut table = self.flights.table();
        // Once it was over another one may have taken its place.
        let is_its = |there: &Arc<Completion>| Arc::ptr_eq(there, &self.source);
        if table.get(&self.print).is_some_and(is_its) {
            table.remove(&self.print);
        }
    }
}

fn is_going_on(source: &Completion) -> bool {
    source.log.end().is_none() && !source.log.is_abandoned()
}
