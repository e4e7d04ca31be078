//! How many answers this node has under way, and how many requests wait for one to end.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// The places of a node. Who gets none at once waits in a queue, first come, first served.
#[derive(Debug)]
pub struct Room {
    places: Arc<Semaphore>,
    queue: Semaphore,
    patience: Duration,
}

/// A place, free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Room {
    /// Room for `places` answers and a queue of this length, in which nobody waits longer than
    /// `patience`.
    pub fn new(places: usize, queue: usize, patience: Duration) -> Self {
        let places = places.min(Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(places)),
            queue: Semaphore::new(queue.min(Semaphore::MAX_PERMITS)),
            patience,
        }
    }

    /// Waits for a place; `None` where the queue is full or too slow.
    pub(super) async fn enter(&self) -> Option<Place> {
        let place = |permit| Place { _permit: permit };
        if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(place(permit));
        }
        let _turn = self.queue.try_acquire().ok()?;
        let permit = Arc::clone(&self.places).acquire_owned();
        let permit = timeout(self.patience, permit).await.ok()?;
        permit.ok().map(place)
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
    async fn without_a_queue_nobody_waits() {
        let room = Room::new(1, 0, Duration::from_secs(5));
        let first = room.enter().await.expect("a place");
        assert!(room.enter().await.is_none());
        drop(first);
        assert!(room.enter().await.is_some());
    }
}
