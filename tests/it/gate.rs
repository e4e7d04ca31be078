//! What tests wait with, so that none has to sleep and hope.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// Longer than anything here takes. What is not there by then never comes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A point that one thread waits at until another opens it. Once open, it stays open.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Arc<Watched<bool>>);

impl Gate {
    pub(crate) fn open(&self) {
        self.0.change(|is_open| *is_open = true);
    }

    pub(crate) fn pass(&self) {
        self.0.wait_for("the gate", |is_open| is_open.then_some(()));
    }
}

/// A value whose changes can be waited for.
#[derive(Debug, Default)]
pub(crate) struct Watched<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T> Watched<T> {
    pub(crate) fn change(&self, change: impl FnOnce(&mut T)) {
        change(&mut self.value.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// What `look` finds, as soon as it finds something.
    pub(crate) fn wait_for<R>(&self, what: &str, look: impl Fn(&T) -> Option<R>) -> R {
        let start = Instant::now();
        let mut value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = look(&value) {
                return found;
            }
            let left = PATIENCE.checked_sub(start.elapsed());
            let left = left.unwrap_or_else(|| panic!("still waiting for {what}"));
            let woken = self.changed.wait_timeout(value, left);
            value = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Asks again and again until the answer is yes.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "still waiting for {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Lets time pass where the claim is that nothing happens in it.
pub(crate) fn let_pass(time: Duration) {
    thread::sleep(time);
}
