//! What an append leaves to be done at the end of the task's turn.
//!
//! Waking a task for each event costs more than the event. Where the task that appends runs
//! under [`turns`], who is woken can put its work off to the end of the turn instead: then everything
//! that the turn appends is there, and is written at once. So is the time read once: what a turn
//! finds has come at one time.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
};

use tokio::time::Instant;

/// The most works that are put off to the end of one turn. Where a log has more readers, the others
/// are woken as tasks, so that a turn never takes long.
const MOST: usize = 32;

/// Work that can be done by the task that causes it.
pub trait Work: Send + Sync {
    /// Does it; nothing of a log is locked meanwhile. Must not block, nor append.
    fn work(self: Arc<Self>);
}

thread_local! {
    static IS_OPEN: Cell<bool> = const { Cell::new(false) };
    // Of this turn and its works; None where it was not asked for.
    static TIME: Cell<Option<Instant>> = const { Cell::new(None) };
    static PUT_OFF: RefCell<Vec<Arc<dyn Work>>> = const { RefCell::new(Vec::new()) };
}

/// Runs `future`; what is put off within one of its turns is done as that ends, also by a panic.
pub async fn turns<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let _turn = Turn::begin();
        future.as_mut().poll(cx)
    })
    .await
}

/// Has `work` done at the end of this turn.
///
/// # Errors
/// Gives it back where this is no turn, or one that has enough to do.
pub fn put_off<W: Work + 'static>(work: Arc<W>) -> Result<(), Arc<W>> {
    if !IS_OPEN.get() {
        return Err(work);
    }
    PUT_OFF.with_borrow_mut(|put_off| {
        if put_off.len() >= MOST {
            return Err(work);
        }
        put_off.push(work);
        Ok(())
    })
}

/// The time, which within a turn and its works stands still from when it is first asked for.
pub fn turn_time() -> Instant {
    if let Some(time) = TIME.get() {
        return time;
    }
    let now = Instant::now();
    if IS_OPEN.get() {
        TIME.set(Some(now));
    }
    now
}

/// A turn; its end is its drop.
struct Turn;

impl Turn {
    fn begin() -> Self {
        IS_OPEN.set(true);
        // A work that panicked has left its turn's.
        TIME.set(None);
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        IS_OPEN.set(false);
        let mut works = PUT_OFF.take();
        works.drain(..).for_each(Work::work);
        TIME.set(None);
        // With its room, for the next turn.
        PUT_OFF.set(works);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::{panic::AssertUnwindSafe, sync::Mutex};

    #[derive(Default)]
    struct Count(Mutex<usize>);

    impl Work for Count {
        fn work(self: Arc<Self>) {
            *self.0.lock().expect("a count") += 1;
        }
    }

    fn count(works: &Arc<Count>) -> usize {
        *works.0.lock().expect("a count")
    }

    #[tokio::test]
    async fn what_is_put_off_is_done_as_the_turn_ends() {
        let works = Arc::new(Count::default());
        turns(async {
            assert!(put_off(Arc::clone(&works)).is_ok());
            assert_eq!(count(&works), 0);
            tokio::task::yield_now().await;
            assert_eq!(count(&works), 1);
        })
        .await;
        assert_eq!(count(&works), 1);
    }

    #[tokio::test]
    async fn outside_of_a_turn_nothing_is_put_off() {
        let works = Arc::new(Count::default());
        assert!(put_off(Arc::clone(&works)).is_err());
        turns(async {}).await;
        assert!(put_off(works).is_err());
    }

    #[tokio::test]
    async fn a_turn_takes_so_much_and_no_more() {
        let works = Arc::new(Count::default());
        turns(async {
            for _ in 0..MOST {
                assert!(put_off(Arc::clone(&works)).is_ok());
            }
            assert!(put_off(Arc::clone(&works)).is_err());
        })
        .await;
        assert_eq!(count(&works), MOST);
    }

    #[tokio::test]
    async fn a_turn_has_one_time() {
        let two_times = || {
            let first = turn_time();
            while first.elapsed().is_zero() {}
            (first, turn_time())
        };
        let (within, later) = turns(async {
            let within = two_times();
            tokio::task::yield_now().await;
            (within, turn_time())
        })
        .await;
        assert_eq!(within.0, within.1);
        assert!(later > within.1);
        let outside = two_times();
        assert!(outside.0 < outside.1);
    }

    #[tokio::test]
    async fn a_panic_ends_a_turn_too() {
        let works = Arc::new(Count::default());
        let turn = turns(async {
            assert!(put_off(Arc::clone(&works)).is_ok());
            panic!("a fault");
        });
        assert!(AssertUnwindSafe(turn).catch_unwind().await.is_err());
        assert_eq!(count(&works), 1);
        assert!(put_off(works).is_err());
    }
}
