//! Sources under way on this node, by what they answer.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::fingerprint::Fingerprint;
use crate::{
    completion::Completion,
    stream::{Cursor, Reader},
};

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

    /// The source that has the place, be it under way or just over, and a reader at its beginning,
    /// for whose sake it is not given up any more.
    pub(super) fn get(&self, print: &Fingerprint) -> Option<(Arc<Completion>, Reader)> {
        let source = self.table().get(print).map(Arc::clone)?;
        let reader = source.log.reader(Cursor::START).ok()?;
        // Looked at only now: the reader may have come too late.
        (!source.log.is_abandoned()).then_some((source, reader))
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        completion::test_log,
        stream::{End, Owner, Producer},
    };

    fn print(n: u8) -> Fingerprint {
        Fingerprint {
            owner: Owner([1; 16]),
            digest: [n; 32],
        }
    }

    /// A source that is given up as soon as nobody reads it.
    fn source() -> (Arc<Completion>, Producer) {
        let about = test_log::about();
        let log = test_log::log(&about);
        let producer = Producer::new(Arc::clone(&log), |_| {});
        (Arc::new(Completion::new(log, about, None)), producer)
    }

    fn flight(entered: Entered) -> Option<Flight> {
        match entered {
            Entered::Flight(flight) => Some(flight),
            Entered::Taken | Entered::Full => None,
        }
    }

    #[tokio::test]
    async fn a_place_is_one_sources_until_it_is_over() {
        let flights = Arc::new(Flights::new(9));
        let ((one, producer), (other, _other)) = (source(), source());
        let first = flight(flights.enter(&print(1), &one)).expect("a place");
        assert!(matches!(flights.enter(&print(1), &other), Entered::Taken));
        producer.finish([], End::Completed);
        let there = flights.get(&print(1)).expect("just over");
        assert!(Arc::ptr_eq(&there.0, &one));
        let second = flight(flights.enter(&print(1), &other)).expect("a place");
        // The place is not the first one's any more.
        drop(first);
        let there = flights.get(&print(1)).expect("under way");
        assert!(Arc::ptr_eq(&there.0, &other));
        drop(second);
        assert!(flights.get(&print(1)).is_none());
    }

    #[tokio::test]
    async fn there_are_no_more_places_than_may_be() {
        let flights = Arc::new(Flights::new(1));
        let ((one, _one), (other, _other)) = (source(), source());
        let first = flight(flights.enter(&print(1), &one)).expect("a place");
        let full = flights.enter(&print(2), &other);
        assert!(matches!(full, Entered::Full));
        drop(first);
        assert!(flight(flights.enter(&print(2), &other)).is_some());
    }

    #[tokio::test]
    async fn one_that_was_given_up_is_nobodys_and_one_that_is_read_is_not_given_up() {
        let flights = Arc::new(Flights::new(9));
        let (one, _producer) = source();
        let _first = flight(flights.enter(&print(1), &one)).expect("a place");
        let (_, reader) = flights.get(&print(1)).expect("under way");
        let soon = Duration::from_millis(50);
        let abandoned = tokio::time::timeout(soon, one.log.abandoned());
        assert!(abandoned.await.is_err(), "it is read");
        drop(reader);
        one.log.abandoned().await;
        assert!(flights.get(&print(1)).is_none());
        let (next, _next) = source();
        assert!(flight(flights.enter(&print(1), &next)).is_some());
    }
}
