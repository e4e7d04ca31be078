//! How many answers this node has under way, and how many requests wait for one to end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

/// The places of a node. Who gets none at once waits in a queue, first come, first served.
#[derive(Debug)]
pub struct Room {
    places: Arc<Places>,
    count: usize,
    queue: Semaphore,
    patience: Duration,
}

/// A place, free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<Places>);

#[derive(Debug)]
struct Places {
    free: Semaphore,
    // Places that are taken and no longer there: whoever leaves one does not free it.
    surplus: AtomicUsize,
}

impl Room {
    /// Room for `places` answers and a queue of this length, in which nobody waits longer than
    /// `patience`.
    pub fn new(places: usize, queue: usize, patience: Duration) -> Self {
        let places = places.min(Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Places {
                free: Semaphore::new(places),
                surplus: AtomicUsize::new(0),
            }),
            count: places,
            queue: Semaphore::new(queue.min(Semaphore::MAX_PERMITS)),
            patience,
        }
    }

    /// The same room with another number of places and another queue. Who has a place keeps it,
    /// and counts.
    pub fn resized(&self, places: usize, queue: usize, patience: Duration) -> Self {
        let count = places.min(Semaphore::MAX_PERMITS);
        match count.checked_sub(self.count) {
            Some(more) => self.places.add(more),
            None => self.places.remove(self.count - count),
        }
        Self {
            places: Arc::clone(&self.places),
            count,
            queue: Semaphore::new(queue.min(Semaphore::MAX_PERMITS)),
            patience,
        }
    }

    /// Waits for a place; `None` where the queue is full or too slow.
    pub(super) async fn enter(&self) -> Option<Place> {
        let place = |permit: SemaphorePermit<'_>| {
            permit.forget();
            Place(Arc::clone(&self.places))
        };
        if let Ok(permit) = self.places.free.try_acquire() {
            return Some(place(permit));
        }
        let _turn = self.queue.try_acquire().ok()?;
        let permit = timeout(self.patience, self.places.free.acquire()).await;
        permit.ok()?.ok().map(place)
    }
}

impl Places {
    fn add(&self, more: usize) {
        for _ in 0..more {
            self.leave();
        }
    }

    fn remove(&self, fewer: usize) {
        let taken = fewer - self.free.forget_permits(fewer);
        self.surplus.fetch_add(taken, Ordering::Relaxed);
    }

    fn leave(&self) {
        let one_less = |surplus: usize| surplus.checked_sub(1);
        let surplus = &self.surplus;
        if surplus
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
            .is_err()
        {
            self.free.add_permits(1);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use futures_util::poll;
    use tokio::{pin, time::Instant};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_place_waits_in_turn_and_is_shed_beyond_the_queue() {
        let room = Room::new(1, 1, Duration::from_secs(5));
        let first = room.enter().await.expect("a place");
        let second = room.enter();
        pin!(second);
        assert!(poll!(&mut second).is_pending());
        let asked = Instant::now();
        assert!(room.enter().await.is_none(), "the queue is full");
        assert_eq!(asked.elapsed(), Duration::ZERO, "nobody waits to be shed");
        drop(first);
        let Poll::Ready(Some(_second)) = poll!(&mut second) else {
            panic!("the place of the first");
        };
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_or_goes_away_leaves_the_queue() {
        let room = Room::new(1, 1, Duration::from_secs(5));
        let _first = room.enter().await.expect("a place");
        let asked = Instant::now();
        assert!(room.enter().await.is_none());
        assert_eq!(asked.elapsed(), Duration::from_secs(5));
        {
            let gone = room.enter();
            pin!(gone);
            assert!(poll!(&mut gone).is_pending());
        }
        let third = room.enter();
        pin!(third);
        assert!(poll!(&mut third).is_pending(), "there is a place to wait");
    }

    #[tokio::test]
    async fn who_has_a_place_counts_in_a_smaller_room() {
        let room = Room::new(3, 0, Duration::from_secs(5));
        let (first, second) = (room.enter().await, room.enter().await);
        let room = room.resized(1, 0, Duration::from_secs(5));
        assert!(room.enter().await.is_none(), "two are in a room for one");
        drop(first);
        assert!(room.enter().await.is_none(), "one is in it still");
        drop(second);
        let _third = room.enter().await.expect("a place");
        assert!(room.enter().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn more_places_let_in_who_waits() {
        let room = Room::new(1, 1, Duration::from_secs(5));
        let _first = room.enter().await.expect("a place");
        let second = room.enter();
        pin!(second);
        assert!(poll!(&mut second).is_pending());
        let larger = room.resized(3, 0, Duration::from_secs(5));
        let Poll::Ready(Some(_second)) = poll!(&mut second) else {
            panic!("a new place");
        };
        let _third = larger.enter().await.expect("another");
        assert!(larger.enter().await.is_none());
    }

    #[tokio::test]
    async fn without_a_queue_nobody_waits() {
        let room = Room::new(1, 0, Duration::from_secs(5));
        let first = room.enter().await.expect("a place");
        assert!(room.enter().await.is_none());
        drop(first);
        assert!(room.enter().await.is_some());
    }
}
