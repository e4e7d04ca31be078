//! When streams are to start.

use std::{cell::Cell, time::Duration};

use tokio::time::Instant;

use super::Load;

/// The starts that are left.
#[derive(Debug)]
pub(super) struct Starts {
    load: Load,
    begun: Instant,
    next: Cell<u64>,
}

impl Starts {
    /// Of a load that begins now.
    pub(super) fn new(load: &Load) -> Self {
        Self {
            load: load.clone(),
            begun: Instant::now(),
            next: Cell::new(0),
        }
    }

    /// When the next stream is due: at its place in the rate, or now. `None` when there is none left.
    pub(super) fn next(&self) -> Option<Instant> {
        let number = self.next.get();
        if self
            .load
            .requests
            .is_some_and(|requests| number >= requests)
        {
            return None;
        }
        let due = match self.load.rate {
            Some(rate) => self.begun + Duration::from_secs_f64(number as f64 / rate),
            None => Instant::now(),
        };
        let end = self.load.duration.map(|duration| self.begun + duration);
        if end.is_some_and(|end| due >= end) {
            return None;
        }
        self.next.set(number + 1);
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(requests: Option<u64>, duration: Option<u64>, rate: Option<f64>) -> Starts {
        Starts::new(&Load {
            streams: 1,
            requests,
            duration: duration.map(Duration::from_secs),
            rate,
            patience: Duration::from_secs(1),
            reads_stamps: false,
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_kept_however_late_it_is_asked() {
        let starts = starts(Some(3), None, Some(4.0));
        let begun = Instant::now();
        tokio::time::advance(Duration::from_secs(10)).await;
        let due: Vec<_> = std::iter::from_fn(|| starts.next()).collect();
        let quarter = Duration::from_millis(250);
        assert_eq!(due, [begun, begun + quarter, begun + 2 * quarter]);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_starts_once_the_time_is_over() {
        let open = starts(None, Some(2), Some(10.0));
        assert_eq!(std::iter::from_fn(|| open.next()).count(), 20);
        let closed = starts(None, Some(2), None);
        assert!(closed.next().is_some());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(closed.next().is_none());
    }
}
