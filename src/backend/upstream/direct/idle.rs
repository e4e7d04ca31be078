//! Connections that wait for the next request.

use std::{
    cell::RefCell,
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    rc::{Rc, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, ReadBuf},
    net::TcpStream,
    task::{spawn_local, unconstrained},
    time::{Instant, sleep_until},
};

/// How long one waits at most: what hyper has.
const TIMEOUT: Duration = Duration::from_secs(90);

/// The connections to one server that are free, the one last used at the back.
pub(super) struct Idle(Rc<Waiting>);

#[derive(Default)]
struct Waiting {
    most: usize,
    sockets: RefCell<VecDeque<(TcpStream, Instant)>>,
    // Of the task that closes what its server has closed, or has waited too long; while there is one.
    // Before its first look that wakes nobody: it looks at all of them then.
    watcher: RefCell<Option<Waker>>,
}

impl Idle {
    /// At most so many.
    pub(super) fn new(most: usize) -> Self {
        let waiting = Waiting {
            most,
            ..Waiting::default()
        };
        Self(Rc::new(waiting))
    }

    /// One that is open as far as can be told, the last used first.
    pub(super) fn take(&self) -> Option<TcpStream> {
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            let (mut socket, _) = self.0.sockets.borrow_mut().pop_back()?;
            if is_open(&mut socket, &mut cx) {
                return Some(socket);
            }
        }
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.0.sockets.borrow().len()
    }

    /// How many tasks watch over them.
    #[cfg(test)]
    pub(super) fn watchers(&self) -> usize {
        Rc::weak_count(&self.0)
    }

    /// Keeps one for the next request.
    pub(super) fn put(&self, mut socket: TcpStream) {
        let mut watcher = self.0.watcher.borrow_mut();
        let waker = watcher.as_ref().unwrap_or(Waker::noop());
        let mut sockets = self.0.sockets.borrow_mut();
        if !is_open(&mut socket, &mut Context::from_waker(waker)) || sockets.len() >= self.0.most {
            return;
        }
        sockets.push_back((socket, Instant::now()));
        if watcher.is_none() {
            *watcher = Some(Waker::noop().clone());
            #[expect(clippy::disallowed_methods, reason = "it ends with the pool")]
            // A budget would end its round before the last of many.
            spawn_local(unconstrained(watch(Rc::downgrade(&self.0))));
        }
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        if let Some(watcher) = self.0.watcher.take() {
            watcher.wake();
        }
    }
}

/// Closes connections as their time comes, until none is left.
async fn watch(waiting: Weak<Waiting>) {
    loop {
        let Some(oldest) = waiting.upgrade().and_then(|waiting| waiting.oldest()) else {
            return;
        };
        let mut due = std::pin::pin!(sleep_until(oldest + TIMEOUT));
        poll_fn(|cx| {
            let Some(waiting) = waiting.upgrade() else {
                return Poll::Ready(());
            };
            waiting.watch(cx);
            due.as_mut().poll(cx)
        })
        .await;
        if let Some(waiting) = waiting.upgrade() {
            waiting.close_old();
        }
    }
}

impl Waiting {
    /// Since when the oldest waits. Where there is none, nobody watches any more.
    fn oldest(&self) -> Option<Instant> {
        let oldest = self.sockets.borrow().front().map(|(_, since)| *since);
        if oldest.is_none() {
            self.watcher.take();
        }
        oldest
    }

    fn watch(&self, cx: &mut Context<'_>) {
        self.watcher.replace(Some(cx.waker().clone()));
        let mut sockets = self.sockets.borrow_mut();
        sockets.retain_mut(|(socket, _)| is_open(socket, cx));
    }

    fn close_old(&self) {
        let now = Instant::now();
        let mut sockets = self.sockets.borrow_mut();
        sockets.retain(|(_, since)| now.saturating_duration_since(*since) < TIMEOUT);
    }
}

/// Neither closed nor with bytes that nobody asked for. `cx` is woken when that changes.
fn is_open(socket: &mut TcpStream, cx: &mut Context<'_>) -> bool {
    let mut byte = [0];
    let mut byte = ReadBuf::new(&mut byte);
    Pin::new(socket).poll_read(cx, &mut byte).is_pending()
}
