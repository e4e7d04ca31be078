//! From the queue to the collector, in batches. A collector that is away costs spans, never
//! anything else: they are counted.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, StatusCode, Url, header::HeaderMap};
use tokio::{
    sync::mpsc::Receiver,
    time::{sleep, timeout},
};

use super::{Settings, SettingsError, Span, otlp, settings::client};
use crate::metrics::Metrics;

/// The most spans that are sent at once, as SDKs have it.
const BATCH: usize = 512;
/// How long the first of a batch waits for others.
const GATHERING: Duration = Duration::from_secs(1);
/// How long a batch may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The waits before a batch is sent again; then it is given up.
const BACKOFF: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];

/// Sends spans.
pub struct Exporter {
    waiting: Receiver<Span>,
    // What is being sent. It outlives a `run` that is dropped.
    batch: Vec<Span>,
    // None: there is nowhere to send anything.
    collector: Option<Collector>,
    service_name: String,
    metrics: Arc<Metrics>,
}

struct Collector {
    client: Client,
    url: Url,
    headers: HeaderMap,
}

/// A batch was not taken.
struct Refused {
    reason: String,
    is_passing: bool,
}

impl Exporter {
    pub(super) fn new(
        settings: &Settings,
        waiting: Receiver<Span>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, SettingsError> {
        let collector = match settings.endpoint.is_empty() {
            true => None,
            false => Some(Collector {
                client: client()?,
                url: settings.url()?,
                headers: settings.header_map()?,
            }),
        };
        Ok(Self {
            waiting,
            batch: Vec::new(),
            collector,
            service_name: settings.service_name.clone(),
            metrics,
        })
    }

    /// Sends what comes, for ever.
    pub async fn run(&mut self) {
        if self.collector.is_none() {
            return std::future::pending().await;
        }
        loop {
            if self.waiting.recv_many(&mut self.batch, 1).await == 0 {
                return std::future::pending().await;
            }
            // It is a batch earlier only if it is full.
            let _ = timeout(GATHERING, self.gather()).await;
            self.send_batch().await;
        }
    }

    /// Sends what is left, `patience` at most.
    pub async fn flush(&mut self, patience: Duration) {
        if self.collector.is_none() {
            return;
        }
        let flushed = timeout(patience, async {
            self.waiting.close();
            while !self.batch.is_empty() || self.gather_rest().await {
                self.send_batch().await;
            }
        });
        if flushed.await.is_err() {
            tracing::warn!("not every span was sent");
        }
    }

    /// Until the batch is full.
    async fn gather(&mut self) {
        while self.batch.len() < BATCH {
            let room = BATCH - self.batch.len();
            if self.waiting.recv_many(&mut self.batch, room).await == 0 {
                return;
            }
        }
    }

    /// Whether there is anything more, once nothing comes any more.
    async fn gather_rest(&mut self) -> bool {
        self.waiting.recv_many(&mut self.batch, BATCH).await > 0
    }

    async fn send_batch(&mut self) {
        let body = otlp::body(&self.service_name, &self.batch);
        let mut backoff = BACKOFF.into_iter();
        while let Some(Err(refused)) = self.send(&body).await {
            let wait = backoff.next().filter(|_| refused.is_passing);
            let Some(wait) = wait else {
                let (spans, reason) = (self.batch.len(), refused.reason);
                tracing::warn!(spans, reason, "spans were lost");
                self.metrics.spans_dropped("export", spans);
                break;
            };
            sleep(wait).await;
        }
        self.batch.clear();
    }

    async fn send(&self, body: &str) -> Option<Result<(), Refused>> {
        let collector = self.collector.as_ref()?;
        let request = collector.client.post(collector.url.clone());
        let request = request.headers(collector.headers.clone()).timeout(TIMEOUT);
        Some(match request.body(body.to_owned()).send().await {
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(response) => Err(Refused {
                reason: response.status().to_string(),
                is_passing: is_passing(response.status()),
            }),
            Err(error) => Err(Refused {
                // Not the address, which may have a key in it.
                reason: error.without_url().to_string(),
                is_passing: true,
            }),
        })
    }
}

/// The statuses after which OTLP lets a client try again.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}
