//! A future that is polled when it was woken itself, not with all else its task waits for.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use futures_util::task::{ArcWake, waker};

/// Waits for `future`, and looks at it only when it, or another at the same bell, has something to say.
pub(super) struct WhenWoken<F> {
    future: F,
    bell: Arc<Bell>,
    // Up to then it has heard the bell; None: it is to be looked at whatever the bell says.
    heard: Option<usize>,
    // Whom the bell wakes.
    task: Option<Waker>,
}

/// What wakes the task that waits for one of several futures.
#[derive(Default)]
pub(super) struct Bell {
    rings: AtomicUsize,
    task: Mutex<Option<Waker>>,
}

impl<F: Future + Unpin> WhenWoken<F> {
    pub(super) fn new(future: F, bell: &Arc<Bell>) -> Self {
        Self {
            future,
            bell: Arc::clone(bell),
            heard: None,
            task: None,
        }
    }

    /// Changes the future, which is looked at the next time.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut F)) {
        change(&mut self.future);
        self.heard = None;
    }
}

impl<F: Future + Unpin> Future for WhenWoken<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        if !this
            .task
            .as_ref()
            .is_some_and(|task| task.will_wake(cx.waker()))
        {
            this.task = Some(cx.waker().clone());
            *this.bell.task() = this.task.clone();
        }
        // Only after the task is known to it, or it would ring for nobody.
        let rings = this.bell.rings.load(Ordering::Acquire);
        if this.heard == Some(rings) {
            return Poll::Pending;
        }
        this.heard = Some(rings);
        let waker = waker(Arc::clone(&this.bell));
        Pin::new(&mut this.future).poll(&mut Context::from_waker(&waker))
    }
}

impl Bell {
    fn task(&self) -> MutexGuard<'_, Option<Waker>> {
        // Nothing that panics runs under the lock.
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ArcWake for Bell {
    fn wake_by_ref(bell: &Arc<Self>) {
        bell.rings.fetch_add(1, Ordering::Release);
        let task = bell.task().clone();
        if let Some(task) = task {
            task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn it_is_polled_at_first_and_when_it_was_woken() {
        let (sender, mut receiver) = oneshot::channel();
        let mut polls = 0;
        let mut future = WhenWoken::new(
            poll_fn(|cx| {
                polls += 1;
                Pin::new(&mut receiver).poll(cx)
            }),
            &Arc::default(),
        );
        for _ in 0..3 {
            assert!(futures_util::poll!(&mut future).is_pending());
        }
        sender.send("woken").expect("somebody waits");
        assert_eq!(future.await, Ok("woken"));
        assert_eq!(polls, 2);
    }

    #[tokio::test]
    async fn who_waits_for_it_is_woken() {
        let (sender, receiver) = oneshot::channel();
        let send = async {
            tokio::task::yield_now().await;
            sender.send(()).expect("somebody waits");
        };
        let (received, ()) = tokio::join!(WhenWoken::new(receiver, &Arc::default()), send);
        assert_eq!(received, Ok(()));
    }
}
