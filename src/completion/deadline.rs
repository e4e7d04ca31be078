//! A time by which something must have come, which moves with whatever comes.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::time::{Instant, Sleep, sleep_until};

use super::when_woken::{Bell, WhenWoken};

/// Ready when its time has come. Moving it further off costs nothing: the timer follows when it fires.
pub(super) struct Deadline {
    due: Instant,
    // When the timer fires.
    set: Instant,
    timer: WhenWoken<Pin<Box<Sleep>>>,
}

impl Deadline {
    /// It is looked at when `bell` rings.
    pub(super) fn new(due: Instant, bell: &Arc<Bell>) -> Self {
        Self {
            due,
            set: due,
            timer: WhenWoken::new(Box::pin(sleep_until(due)), bell),
        }
    }

    /// It is at this time from now on.
    pub(super) fn move_to(&mut self, due: Instant) {
        self.due = due;
        if due < self.set {
            self.restart();
        }
    }

    fn restart(&mut self) {
        self.set = self.due;
        let due = self.due;
        self.timer.change(|timer| timer.as_mut().reset(due));
    }
}

impl Future for Deadline {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(Pin::new(&mut self.timer).poll(cx));
            if self.due <= self.set {
                return Poll::Ready(());
            }
            self.restart();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn it_comes_when_it_was_moved_to() {
        let start = Instant::now();
        for (first, moved) in [(2, 5), (5, 2), (3, 3)] {
            let start = Instant::now();
            let mut deadline = Deadline::new(start + SECOND * first, &Arc::default());
            assert!(futures_util::poll!(&mut deadline).is_pending());
            deadline.move_to(start + SECOND * moved);
            deadline.await;
            let late = start.elapsed().checked_sub(SECOND * moved);
            assert!(
                late.is_some_and(|late| late < SECOND / 100),
                "{first} {moved}"
            );
        }
        assert!(start.elapsed() < SECOND * 11);
    }
}
