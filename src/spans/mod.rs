//! Traces: spans on their way to a collector, by OTLP over HTTP as JSON.
//!
//! Knows nothing of what a span is about. [`start`] gives [`Spans`], which takes spans and never
//! waits, and the [`Exporter`], which sends them.

mod context;
mod export;
mod otlp;
mod settings;

use std::{sync::Arc, time::SystemTime};

use tokio::sync::mpsc;

pub use context::{Context, SpanId};
pub use export::Exporter;
pub use settings::{Settings, SettingsError};

use crate::metrics::Metrics;

/// One piece of work that has ended.
#[derive(Debug, Clone)]
pub struct Span {
    /// Its ids.
    pub context: Context,
    /// The span that it is a part of.
    pub parent: Option<SpanId>,
    /// What it is called.
    pub name: String,
    /// Which side of a request it is.
    pub kind: Kind,
    /// When it began.
    pub start: SystemTime,
    /// When it ended.
    pub end: SystemTime,
    /// What is known of it.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// It has failed.
    pub is_error: bool,
}

/// Which side of a request a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The one that serves it.
    Server,
    /// The one that makes it.
    Client,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// A text.
    Text(String),
    /// Several.
    Texts(Vec<String>),
    /// A whole number.
    Int(i64),
    /// Any other.
    Float(f64),
    /// Yes or no.
    Bool(bool),
}

impl From<&str> for Attribute {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u64> for Attribute {
    fn from(number: u64) -> Self {
        Self::Int(number.try_into().unwrap_or(i64::MAX))
    }
}

/// Takes spans and forgets about them; where nothing is traced, at once.
#[derive(Clone)]
pub struct Spans(Option<Recorder>);

#[derive(Clone)]
struct Recorder {
    queue: mpsc::Sender<Span>,
    sample_ratio: f64,
    metrics: Arc<Metrics>,
}

/// What takes spans, and what sends them: nothing where no endpoint is set.
///
/// # Errors
/// [`SettingsError`] names the setting that cannot be used.
pub fn start(
    settings: &Settings,
    metrics: &Arc<Metrics>,
) -> Result<(Spans, Exporter), SettingsError> {
    let (queue, waiting) = mpsc::channel(settings.queue.max(1));
    let exporter = Exporter::new(settings, waiting, Arc::clone(metrics))?;
    let recorder = Recorder {
        queue,
        sample_ratio: settings.sample_ratio,
        metrics: Arc::clone(metrics),
    };
    let is_on = !settings.endpoint.is_empty();
    Ok((Spans(is_on.then_some(recorder)), exporter))
}

impl Spans {
    /// The ids of a new span and of its parent, which `traceparent` names; where there is none, it is
    /// the first of its trace. `None` where nothing is traced.
    pub fn begin(&self, traceparent: Option<&str>) -> Option<(Context, Option<SpanId>)> {
        let recorder = self.0.as_ref()?;
        match traceparent.and_then(Context::parse) {
            Some(parent) => Some((parent.child()?, Some(parent.span))),
            None => Some((Context::root(recorder.sample_ratio)?, None)),
        }
    }

    /// Has a span sent, unless its trace is not sampled, or too many wait.
    pub fn record(&self, span: Span) {
        let Some(recorder) = &self.0 else {
            return;
        };
        if span.context.is_sampled && recorder.queue.try_send(span).is_err() {
            recorder.metrics.spans_dropped("queue", 1);
        }
    }
}

#[cfg(test)]
mod tests;
