//! All pumps of this process: started here, waited for and stopped together.

use std::{future::Future, time::Duration};

use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

use crate::stream::turns;

/// How long a stopped pump may take to write its last events.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The tracked spawner, and the one way to stop what it spawned.
#[derive(Debug, Clone, Default)]
pub struct Pumps {
    tasks: TaskTracker,
    leaving: CancellationToken,
    draining: CancellationToken,
    stopping: CancellationToken,
}

impl Pumps {
    /// Starts a pump on this worker thread.
    pub fn spawn(&self, pump: impl Future<Output = ()> + 'static) {
        // Unawaited on purpose: a pump outlives the request that started it.
        // What it appends is written to who waits for it as each of its turns ends. In a box: a task is moved several
        // times before it runs.
        drop(self.tasks.spawn_local(turns(Box::pin(pump))));
    }

    /// Counts as a pump while it is held: for work that ends with its request.
    pub(super) fn hold(&self) -> TaskTrackerToken {
        self.tasks.token()
    }

    /// How many are at work.
    pub fn count(&self) -> usize {
        self.tasks.len()
    }

    /// New work should go elsewhere, although it is taken still.
    pub fn leave(&self) {
        self.leaving.cancel();
    }

    /// New work should go elsewhere.
    pub fn is_leaving(&self) -> bool {
        self.leaving.is_cancelled()
    }

    /// No new work is taken.
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Takes no new work, waits up to `patience` for what is under way, then stops what is left.
    pub async fn drain(&self, patience: Duration) {
        // In this order: who sees that it leaves at once finds that nothing is taken.
        self.draining.cancel();
        self.leave();
        self.tasks.close();
        if tokio::time::timeout(patience, self.tasks.wait())
            .await
            .is_err()
        {
            self.stopping.cancel();
            let waited = tokio::time::timeout(LAST_WORDS, self.tasks.wait()).await;
            if waited.is_err() {
                tracing::warn!(pumps = self.count(), "streams did not stop in time");
            }
        }
    }

    /// Resolves when what is under way must end.
    pub(super) fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }
}
