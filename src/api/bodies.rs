//! The streams that are being written, counted and cut.

use std::{pin::Pin, sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::show::Show;
use crate::metrics::Metrics;

/// The streams that are being written: counted, so that a stop can wait for them, and cut where
/// their readers can go on elsewhere.
#[derive(Clone)]
pub struct Bodies {
    number: Arc<watch::Sender<usize>>,
    metrics: Arc<Metrics>,
    parting: CancellationToken,
}

impl std::fmt::Debug for Bodies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Bodies").field(&self.count()).finish()
    }
}

impl Bodies {
    /// None yet. What happens to them is counted in `metrics`.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            number: Arc::new(watch::Sender::new(0)),
            metrics,
            parting: CancellationToken::new(),
        }
    }

    /// Cuts the readers that can come back, as there are other nodes to come back to. Who comes back
    /// here all the same stays.
    pub fn part(&self) {
        self.parting.cancel();
    }

    /// Resolves when readers are to part; `None` where they stay.
    pub(super) fn parting(&self, show: Show) -> Option<Parting> {
        let is_asked = show.can_resume && !self.parting.is_cancelled();
        is_asked.then(|| Box::pin(self.parting.clone().cancelled_owned()))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        *self.number.borrow()
    }

    /// Counts one more.
    pub(super) fn counted(&self) -> Counted {
        self.number.send_modify(|count| *count += 1);
        Counted(self.clone())
    }

    /// Waits until there are none, `patience` at most.
    pub async fn written(&self, patience: Duration) {
        let mut count = self.number.subscribe();
        // Too late is as good as done here: the server stops either way.
        let _ = tokio::time::timeout(patience, count.wait_for(|count| *count == 0)).await;
    }
}

/// Resolves when a reader is to part.
pub(super) type Parting = Pin<Box<WaitForCancellationFutureOwned>>;

/// One stream that is being written, while it lives.
#[derive(Debug)]
pub(super) struct Counted(Bodies);

impl Counted {
    /// A heartbeat is sent.
    pub(super) fn beat(&self) {
        self.0.metrics.heartbeat();
    }

    /// Its reader leaves before the end.
    pub(super) fn left(&self, is_behind: bool) {
        self.0.metrics.reader_left(is_behind);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.number.send_modify(|count| *count -= 1);
    }
}
