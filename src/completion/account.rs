//! What is written down about one completion: a line once it has ended, never content.
//!
//! An [`Account`] is opened with the pump and settled once: by [`Account::settle`], or, where
//! the pump is lost, by being dropped.

use std::{
    borrow::Cow,
    rc::Rc,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::{
    CacheOutcome, Completion, Failure, Ledger,
    pump::millis,
    record::{Record, since_1970},
    spent::{Source, Spent},
    trace::{Outcome, Trace},
};
use crate::{
    backend::{Call, Chunk},
    metrics::Meter,
    openai::ChatRequest,
    stream::End,
};

/// How long the count of an answer may take that another upstream is to go on with: somebody waits.
const COUNTING_A_PART: Duration = Duration::from_secs(2);

/// What one completion has used and taken, until it is written down. What every chunk asks for comes first.
#[repr(C)]
pub(super) struct Account {
    last_token: Option<Instant>,
    // None: nothing is written down, for others do that.
    meter: Option<Meter>,
    first_token: Option<Instant>,
    completion: Arc<Completion>,
    ledger: Ledger,
    key: Option<String>,
    // The name or pattern that the model is configured under.
    route: Arc<str>,
    started: (SystemTime, Instant),
    spent: Box<Spent>,
    end: Option<(End, Instant)>,
    // None: it is not traced.
    trace: Option<Box<Trace>>,
}

/// What is told of a completion beside what it says.
#[derive(Serialize)]
struct Aside<'a> {
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_source: Option<Source>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Cow<'a, Value>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    continued_after: Vec<u64>,
}

impl Account {
    /// Of a completion that begins now; `key` is the name of the key that pays, `route` what the
    /// model is configured as.
    pub(super) fn open(
        ledger: Ledger,
        completion: Arc<Completion>,
        (key, route): (Option<String>, &Arc<str>),
    ) -> Self {
        let mut account = Self::unrecorded(ledger, completion);
        account.meter = Some(account.ledger.metrics().stream(route));
        account.route = Arc::clone(route);
        account.key = key;
        account
    }

    /// Of a log that no client knows: what it has used is written down by those it answers.
    pub(super) fn unrecorded(ledger: Ledger, completion: Arc<Completion>) -> Self {
        Self {
            meter: None,
            route: Arc::default(),
            last_token: None,
            ledger,
            completion,
            key: None,
            started: (SystemTime::now(), Instant::now()),
            first_token: None,
            spent: Box::new(Spent::nothing()),
            end: None,
            trace: None,
        }
    }

    /// The same, traced if anything is: `call` is what upstreams are asked.
    pub(super) fn traced(mut self, call: &Call) -> Self {
        let asked = (&*call.request, &call.headers);
        self.trace =
            Trace::begin(&self.ledger.spans, &self.completion, asked, self.started).map(Box::new);
        self
    }

    /// The same of a log that no client knows: who asks upstreams for it is a part of the span that
    /// `call` was made in.
    pub(super) fn traced_within(mut self, call: &Call) -> Self {
        let asked = (&*call.request, &call.headers);
        self.trace =
            Trace::within(&self.ledger.spans, &self.completion, asked, self.started).map(Box::new);
        self
    }

    /// What the upstream that is asked now gets: the call, as a part of its span.
    pub(super) fn call(&self, call: &Rc<Call>) -> Rc<Call> {
        match &self.trace {
            None => Rc::clone(call),
            Some(trace) => Rc::new(Call {
                headers: trace.headers(&call.headers),
                ..(**call).clone()
            }),
        }
    }

    /// The completion that is accounted for.
    pub(super) fn completion(&self) -> &Arc<Completion> {
        &self.completion
    }

    /// An upstream is asked. What another one has said before does not count.
    pub(super) fn asked(&mut self, upstream: &Arc<str>) {
        self.completion.ask(upstream);
        self.ledger.metrics().attempt(upstream);
        if let Some(trace) = &mut self.trace {
            trace.asked(upstream);
        }
        self.spent.asked();
    }

    /// It is answered so; from `source`, if that is under way.
    pub(super) fn joined(&mut self, outcome: CacheOutcome, source: Option<Arc<Completion>>) {
        self.completion.set_cached(outcome, source);
        self.ledger.metrics().cached(&self.route, outcome.label());
        self.spent.asked();
    }

    /// It has failed.
    pub(super) fn failed(&mut self, failure: &Failure) {
        self.spent.failed(failure.is_free());
        // Where others share the answer, the attempt is not this one's.
        if self.completion.cached().is_some() {
            return;
        }
        let upstream = self.completion.upstream().unwrap_or_default();
        let cause = failure.cause();
        self.ledger.metrics().attempt_failed(&upstream, cause);
        if let Some(trace) = &mut self.trace {
            trace.failed(failure);
        }
    }

    /// It has said something; how long that took, if it is the first.
    pub(super) fn spoke(&mut self, now: Instant) -> Option<Duration> {
        let meter = self.meter.as_ref()?;
        if let Some(last) = self.last_token.replace(now) {
            meter.next_token(now.duration_since(last));
            return None;
        }
        let after = now.duration_since(self.started.1);
        self.first_token = Some(now);
        meter.first_token(after);
        Some(after)
    }

    /// The answer has been heard of.
    pub(super) fn has_spoken(&self) -> bool {
        self.first_token.is_some()
    }

    /// Choices have finished in this chunk.
    pub(super) fn finished(&mut self, chunk: &Chunk) {
        if chunk.facts.finished != 0
            && let Some(trace) = &mut self.trace
        {
            trace.finished(&chunk.json());
        }
    }

    /// It has said what was used up to now.
    pub(super) fn reported(&mut self, usage: &Bytes) {
        self.spent.reported(usage);
    }

    /// What was used of several upstreams together; `None` if one has made it all.
    pub(super) fn sum(&self) -> Option<Value> {
        self.spent.sum()
    }

    /// What was used, as far as it is known: of all upstreams that had a part in the answer.
    pub(super) fn usage(&self) -> Option<Cow<'_, Value>> {
        self.spent.total()
    }

    /// It was lost in the middle, and another upstream is asked to go on. How many tokens of the
    /// answer there are, `or_else` so many where they are not counted.
    pub(super) async fn lost(&mut self, request: &ChatRequest, or_else: u64) -> u64 {
        let count = timeout(
            COUNTING_A_PART,
            self.ledger.count(request, &self.completion),
        );
        let counted = count.await.ok().flatten();
        if let Some(counted) = &counted
            && !self.spent.is_known()
        {
            self.spent.counted(counted);
        }
        let said = counted.map_or(or_else, |counted| counted.answer);
        self.spent.lost(said);
        said
    }

    /// After this event comes what another upstream says.
    pub(super) fn continued(&mut self, after: u64) {
        let upstream = self.completion.upstream().unwrap_or_default();
        self.ledger.metrics().continued(&upstream);
        self.completion.go_on(after);
    }

    /// It is over. How long it took, if that is to be told.
    pub(super) fn ended(&mut self, end: End) -> Option<Duration> {
        let now = Instant::now();
        self.end = Some((end, now));
        if let (Some(trace), Some((end, _))) = (&mut self.trace, &self.end) {
            trace.ended(now, end.label());
        }
        let took = now.duration_since(self.started.1);
        self.meter.as_ref().map(|_| took)
    }

    /// What is told of it beside what it says.
    pub(super) fn aside(&self) -> Bytes {
        let usage = self.usage();
        let is_sourced = usage.is_some() || self.end.is_some();
        let aside = Aside {
            attempts: self.completion.attempts(),
            usage_source: is_sourced.then(|| self.spent.source()),
            usage,
            continued_after: self.completion.seams(),
        };
        // Strings and numbers always serialize.
        serde_json::to_vec(&aside).unwrap_or_default().into()
    }

    /// Counts what was used, unless that is known.
    pub(super) async fn count(&mut self, request: &ChatRequest) {
        if self.spent.is_known() || self.meter.is_none() {
            return;
        }
        if let Some(counted) = self.ledger.count(request, &self.completion).await {
            self.spent.counted(&counted);
        }
    }

    /// Counts what was used and writes all of it down.
    pub(super) async fn settle(&mut self, request: &ChatRequest) {
        self.count(request).await;
        self.write();
    }

    fn write(&mut self) {
        // Written once.
        let Some(meter) = self.meter.take() else {
            return;
        };
        let log = &self.completion.log;
        log.settle(self.aside());
        let now = Instant::now();
        // What was dropped before its pump could end it has no end of its own.
        let (label, ended) = match &self.end {
            Some((end, at)) => (end.label(), *at),
            None => ("internal_error", now),
        };
        let started_ms = since_1970(self.started.0);
        let after = |at: Instant| millis(at.duration_since(self.started.1));
        let upstream = self.completion.upstream();
        let usage = self.usage();
        let tokens = |key| usage.as_ref()?.get(key)?.as_u64();
        let record = Record {
            id: log.id().as_str(),
            key: self.key.as_deref(),
            model: &self.completion.about.model,
            upstream: upstream.as_deref(),
            started_ms,
            first_token_ms: self.first_token.map(|at| started_ms + after(at)),
            ended_ms: started_ms + after(ended),
            prompt_tokens: tokens("prompt_tokens"),
            completion_tokens: tokens("completion_tokens"),
            usage_source: self.spent.source(),
            attempts: self.completion.attempts(),
            continued: self.completion.seams().len(),
            cache: self.completion.cached(),
            end: label,
        };
        record.log(after(ended), self.first_token.map(after));
        let metrics = self.ledger.metrics();
        metrics.ended(&self.route, label);
        meter.ended(self.first_token.is_some());
        // Tokens of others are not used again.
        let source = match record.cache {
            Some(CacheOutcome::Shared | CacheOutcome::Hit) => "cached",
            Some(CacheOutcome::Miss) | None => self.spent.source().label(),
        };
        for (kind, count) in [
            ("prompt", record.prompt_tokens),
            ("completion", record.completion_tokens),
        ] {
            metrics.tokens(&self.route, (kind, source), count.unwrap_or(0));
        }
        if !self.ledger.sink().write(&record) {
            metrics.record_lost();
        }
        if let Some(trace) = self.trace.take() {
            trace.end(&Outcome {
                ended,
                end: label,
                first_chunk: self.first_token.map(|at| at.duration_since(self.started.1)),
                tokens: (record.prompt_tokens, record.completion_tokens),
                source,
                attempts: record.attempts,
                upstream: record.upstream,
                cache: record.cache.map(CacheOutcome::label),
            });
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.write();
    }
}
