//! Where completions are accounted for: what all [`accounts`](super::account) share.

use std::{sync::Arc, time::Duration};

use serde::Deserialize;
use tokio::{sync::Semaphore, time::timeout};

use super::{
    Completion,
    estimate::{self, Counted},
    sink::Sink,
};
use crate::{metrics::Metrics, openai::ChatRequest, spans::Spans, tokens::Tokens};

/// How many answers are counted at once, so that a crowd that leaves takes no worker's time.
const COUNTED_AT_ONCE: usize = 2;
/// How long the count of an answer may take, its turn included.
const COUNTING: Duration = Duration::from_secs(60);

/// The `[usage]` section of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageSettings {
    /// Where a line of JSON goes for each completion: `stdout`, a file, or nowhere if empty.
    pub sink: String,
    /// What an upstream does not report is counted.
    pub estimate: bool,
    /// How many lines may wait to be written; more are dropped, and that is logged.
    pub queue: usize,
}

/// Where completions are accounted for.
#[derive(Clone)]
pub struct Ledger {
    sink: Sink,
    // None: nothing is estimated.
    tokens: Option<Arc<Tokens>>,
    turns: Arc<Semaphore>,
    metrics: Arc<Metrics>,
    pub(super) spans: Spans,
}

impl Ledger {
    /// A ledger that writes to `sink`, traces to `spans` and, if the settings say so, counts with
    /// `tokens`.
    pub fn new(
        settings: &UsageSettings,
        (sink, spans): (Sink, Spans),
        (tokens, metrics): (Arc<Tokens>, Arc<Metrics>),
    ) -> Self {
        Self {
            spans,
            metrics,
            sink,
            tokens: settings.estimate.then_some(tokens),
            turns: Arc::new(Semaphore::new(COUNTED_AT_ONCE)),
        }
    }

    /// Where the lines go.
    pub fn sink(&self) -> &Sink {
        &self.sink
    }

    /// Where its sums go.
    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What an answer has used as far as it came; `None` where it cannot be known.
    pub(super) async fn count(
        &self,
        request: &ChatRequest,
        completion: &Completion,
    ) -> Option<Counted> {
        let tokens = self.tokens.as_ref()?;
        let count = async {
            // Closed by nobody.
            let _turn = self.turns.acquire().await.ok()?;
            estimate::count(tokens, request, &completion.log).await
        };
        timeout(COUNTING, count).await.ok()?
    }
}
