//! A time by which something must have come, which moves with whatever comes.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::time::{Instant, Sleep, sleep_until};

use super::when_woken::{Bell, WhenWoken};

/// Ready when its time has come.
pub(super) struct Deadline {
    due: Instant,
    timer: WhenWoken<Pin<Box<Sleep>>>,
}

impl Deadline {
    /// It is looked at when `bell` rings.
    pub(super) fn new(due: Instant, bell: &Arc<Bell>) -> Self {
        Self {
            due,
            timer: WhenWoken::new(Box::pin(sleep_until(due)), bell),
        }
    }

    /// It is at this time from now on; whether it was at another.
    pub(super) fn move_to(&mut self, due: Instant) -> bool {
        let is_other = due != self.due;
        if is_other {
            self.due = due;
            self.timer.change(|timer| timer.as_mut().reset(due));
        }
        is_other
    }
}

impl Future for Deadline {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.timer).poll(cx)
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
