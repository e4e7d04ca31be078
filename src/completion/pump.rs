//! From a backend into a log: the one place where a stream ends.
//!
//! Start at [`Pump::run`]. Whatever happens (an upstream that fails in any way, a clock, a
//! client that leaves, a stop of the server, a panic, a lost task), [`Pump::finish`] runs
//! exactly once and the log ends in a way that is told.

use std::{panic::AssertUnwindSafe, pin::pin, rc::Rc, sync::Arc, time::Duration};

use bytes::BytesMut;
use futures_util::{FutureExt, StreamExt};
use tokio::{
    select,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Code, Failure, Shared,
    demand::of_usage,
    frame::Framer,
    ledger::Account,
    progress::{Incomplete, Progress},
    release::Release,
    stored::Kept,
    view,
};
use crate::{
    access::Reservation,
    backend::{Attempt, BackendError, Body, Call, Chunk, Chunks, Frames, Route, Step, Target},
    stream::{End, Event, Kind, Lookup, Producer, StoreError},
};

/// How long an upstream may take from its sentinel to its end of file before its connection
/// is given up instead of being used again. The client has its answer by then.
const CLOSING: Duration = Duration::from_millis(500);
/// How long the end of an answer may wait until the answer is stored.
const STORING: Duration = Duration::from_millis(500);
/// How long after a failed attempt to store it the next one is made: first, and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// One answer on its way into its log.
pub(super) struct Pump {
    producer: Option<Producer>,
    // Settled once the log has ended, or when the pump is lost.
    account: Account,
    framer: Framer,
    route: Route,
    call: Rc<Call>,
    progress: Progress,
    // Nothing of ours comes after the answer: it came in one piece, or is passed on as it is.
    is_closed: bool,
    // What is held back while another upstream may still be asked.
    release: Release,
    shared: Shared,
    // What it takes of its key's limits until its end.
    reservation: Option<Reservation>,
}

impl Pump {
    pub(super) fn new(
        producer: Producer,
        account: Account,
        route: Route,
        call: Rc<Call>,
        shared: Shared,
    ) -> Self {
        Self {
            framer: Framer {
                id: producer.log().id().clone(),
                has_sequence: call.request.params.include_sequence == Some(true),
            },
            producer: Some(producer),
            account,
            route,
            progress: Progress::new(call.request.choices()),
            call,
            is_closed: false,
            release: Release::new(true),
            shared,
            reservation: None,
        }
    }

    /// The same, with what it takes of its key's limits.
    pub(super) fn holding(mut self, mut reservation: Reservation) -> Self {
        reservation.begin();
        self.reservation = Some(reservation);
        self
    }

    /// Fills the log and ends it. A generation that nobody reads for its grace is cancelled.
    pub(super) async fn run(mut self, stopping: CancellationToken) {
        let log = Arc::clone(&self.account.completion().log);
        let total = self.route.clocks.total;
        let outcome = {
            let relay = AssertUnwindSafe(self.relay()).catch_unwind();
            select! {
                // The answer's own end wins over a clock that runs out beside it.
                biased;
                outcome = relay => outcome.unwrap_or_else(|_| Err(Failure::internal())),
                () = stopping.cancelled() => Err(Failure::shutting_down()),
                () = log.cancelled() => {
                    Err(Failure::new(Code::Cancelled, "The completion was cancelled."))
                }
                () = log.abandoned() => {
                    Err(Failure::new(Code::Cancelled, "Everyone who read this stream has left."))
                }
                () = sleep(total) => Err(late("the whole answer", total)),
            }
        };
        let (result, rest) = match outcome {
            Ok(rest) => (Ok(()), rest),
            Err(failure) => (Err(failure), None),
        };
        // Before its end, so that who has read that finds it stored, on every node.
        let unstored = match &result {
            Ok(()) => self.store().await,
            Err(_) => None,
        };
        self.finish(result);
        let call = Rc::clone(&self.call);
        // Only now, because it takes its time and the client has its answer.
        self.account.settle(&call.request).await;
        if let Some(mut rest) = rest {
            // Its outcome does not matter any more.
            let _ = timeout(CLOSING, rest.next()).await;
        }
        if let Some(kept) = unstored {
            self.store_later(&kept, stopping).await;
        }
    }

    /// Moves an answer into the log: that of the first upstream which begins one. What is left of a
    /// stream after its sentinel is returned.
    async fn relay(&mut self) -> Result<Option<Chunks>, Failure> {
        let mut targets = self.route.order().into_iter().peekable();
        loop {
            let Some(target) = targets.next() else {
                return Err(Failure::internal());
            };
            let is_last = targets.peek().is_none();
            self.release = Release::new(is_last);
            self.account.asked(&target.label);
            self.keep_aside();
            let mut attempt = target.health.begin();
            let failure = match self.attempt(&target, &mut attempt).await {
                Ok(rest) => return Ok(rest),
                Err(failure) => failure,
            };
            self.account.failed(&failure);
            if failure.is_upstreams() {
                attempt.bad(failure.retry_after());
            }
            if is_last || self.release.is_released() || !failure.moves_on() {
                return Err(failure);
            }
            let (id, upstream) = (self.account.completion().log.id(), &*target.label);
            tracing::warn!(%id, upstream, code = failure.code().label(), "the next upstream is asked");
            self.progress = Progress::new(self.call.request.choices());
        }
    }

    /// Moves one upstream's answer into the log.
    async fn attempt(
        &mut self,
        target: &Target,
        attempt: &mut Attempt,
    ) -> Result<Option<Chunks>, Failure> {
        let clocks = self.route.clocks;
        // A whole reply comes when all of it is made.
        let first_chunk = match self.call.request.is_generated_as_stream() {
            true => clocks.first_chunk,
            false => clocks.total,
        };
        let mut deadline = pin!(sleep(first_chunk));
        let answer = select! {
            biased;
            answer = target.backend.open(self.account.call(&self.call)) => answer?,
            () = &mut deadline => return Err(late("the first chunk", first_chunk)),
        };
        self.release
            .head(self.account.completion(), answer.headers, answer.plan);
        let mut chunks = match answer.body {
            Body::Chunks(chunks) => chunks,
            Body::Whole(chunk) => {
                self.append_whole(&chunk)?;
                attempt.good();
                return Ok(None);
            }
            Body::Raw(frames) => return self.append_raw(frames).await.map(|()| None),
        };
        let mut has_begun = false;
        loop {
            let step = select! {
                biased;
                step = chunks.next() => step,
                () = &mut deadline => {
                    // A lingering upstream that has finished has said all there is.
                    let late = match has_begun {
                        true => late("the next chunk with content", clocks.between),
                        false => late("the first chunk", first_chunk),
                    };
                    self.progress.at_eof().map_err(|Incomplete| late)?;
                    return self.flush().map(|()| None);
                }
            };
            match step {
                Some(Ok(Step::Chunk(chunk))) => self.append(&chunk)?,
                Some(Ok(Step::Done)) => {
                    self.progress.at_done().map_err(truncated)?;
                    return self.flush().map(|()| Some(chunks));
                }
                Some(Err(BackendError::Truncated(_))) | None => {
                    self.progress.at_eof().map_err(truncated)?;
                    return self.flush().map(|()| None);
                }
                Some(Err(error)) => return Err(error.into()),
            }
            if self.progress.first_content().is_some() {
                attempt.good();
            }
            has_begun = true;
            let next = self.progress.deadline(&clocks, Instant::now());
            deadline.as_mut().reset(next);
        }
    }

    fn append(&mut self, chunk: &Chunk) -> Result<(), Failure> {
        let facts = &chunk.facts;
        if let Some(error) = facts.error.clone() {
            return Err(Failure::reported(&chunk.json[error]));
        }
        let now = Instant::now();
        self.progress.note(facts, now);
        self.account.finished(chunk);
        if facts.has_content {
            self.spoke(now);
        }
        if let Some(usage) = facts.usage.clone() {
            self.account.reported(&chunk.json.slice(usage));
            self.keep_aside();
        }
        let has_failed = facts.choice_failed.then(|| {
            let message = "The upstream reported an error in one of the choices.";
            Failure::new(Code::UpstreamError, message)
        });
        if facts.is_usage_only() && !self.call.request.includes_usage() {
            return Ok(());
        }
        if facts.has_content || !self.release.hold(chunk) {
            self.flush()?;
            self.append_chunk(chunk)?;
        }
        has_failed.map_or(Ok(()), Err)
    }

    /// From here on the answer is this upstream's: what was held back goes out.
    fn flush(&mut self) -> Result<(), Failure> {
        for chunk in self.release.release(self.account.completion()) {
            self.append_chunk(&chunk)?;
        }
        Ok(())
    }

    fn append_chunk(&mut self, chunk: &Chunk) -> Result<(), Failure> {
        let Some(producer) = &mut self.producer else {
            return Err(Failure::internal());
        };
        let event = self.framer.chunk(chunk, producer.next_seq());
        Ok(producer.append(event)?)
    }

    fn append_whole(&mut self, chunk: &Chunk) -> Result<(), Failure> {
        if let Some(error) = chunk.facts.error.clone() {
            return Err(Failure::reported(&chunk.json[error]));
        }
        if chunk.facts.seen == 0 {
            let message = "The upstream sent a completion without choices.";
            return Err(Failure::new(Code::UpstreamMalformed, message));
        }
        if let Some(usage) = chunk.facts.usage.clone() {
            self.account.reported(&chunk.json.slice(usage));
            self.keep_aside();
        }
        self.account.finished(chunk);
        self.flush()?;
        self.append_event(self.framer.whole(chunk))?;
        self.is_closed = true;
        Ok(())
    }

    /// Bytes that are not looked at: whatever they are is what was asked for.
    async fn append_raw(&mut self, mut frames: Frames) -> Result<(), Failure> {
        let is_stream = self.call.request.is_generated_as_stream();
        let kind = if is_stream { Kind::Chunk } else { Kind::Whole };
        let mut whole = BytesMut::new();
        self.flush()?;
        while let Some(frame) = frames.next().await {
            self.spoke(Instant::now());
            match is_stream {
                true => self.append_event(Event { kind, frame })?,
                false => whole.extend_from_slice(&frame),
            }
        }
        if !is_stream {
            let frame = whole.freeze();
            self.append_event(Event { kind, frame })?;
        }
        self.is_closed = true;
        Ok(())
    }

    fn append_event(&mut self, event: Event) -> Result<(), Failure> {
        let Some(producer) = &mut self.producer else {
            return Err(Failure::internal());
        };
        Ok(producer.append(event)?)
    }

    /// The answer has said something.
    fn spoke(&mut self, now: Instant) {
        let Some(after) = self.account.spoke(now) else {
            return;
        };
        let id = self.account.completion().log.id();
        self.shared.activity.first_token(id, millis(after));
    }

    /// What is told of the completion beside what it says.
    fn keep_aside(&mut self) {
        if let Some(producer) = &mut self.producer {
            producer.keep_aside(self.account.aside());
        }
    }

    /// Ends the log and writes down how. Does nothing the second time.
    fn finish(&mut self, result: Result<(), Failure>) {
        let Some(producer) = self.producer.take() else {
            return;
        };
        let seq = producer.next_seq();
        let (failure, end) = match result {
            Ok(()) => (None, End::Completed),
            Err(failure) => {
                let event = self.framer.failure(&failure, seq);
                let end = if failure.code() == Code::Cancelled {
                    End::Cancelled
                } else {
                    End::Failed(failure.code().label().into())
                };
                self.account.completion().set_failure(failure);
                (Some(event), end)
            }
        };
        // Before the end is seen: who reads it may ask for the next one at once.
        self.settle(&end);
        let done = (!self.is_closed).then(Framer::done);
        let last = failure.into_iter().chain(done);
        producer.finish(last, end.clone());
        let took = self.account.ended(end.clone());
        let id = self.account.completion().log.id();
        self.shared.activity.ended(id, end.label(), millis(took));
    }

    /// Counts what was used. Who failed without a word has used nothing; where nothing better is
    /// known, it is what was held.
    fn settle(&mut self, end: &End) {
        let Some(reservation) = self.reservation.take() else {
            return;
        };
        let has_begun = self.progress.first_content().is_some();
        match (self.account.usage().and_then(of_usage), end) {
            (Some(tokens), _) => reservation.settle(tokens),
            (None, End::Failed(_)) if !has_begun => reservation.settle(0),
            (None, End::Completed | End::Failed(_) | End::Cancelled) => {}
        }
    }

    /// Keeps the completion, if that was asked for. What could not be kept yet is returned.
    async fn store(&mut self) -> Option<Kept> {
        let call = Rc::clone(&self.call);
        let request = &call.request;
        if request.params.store != Some(true) {
            return None;
        }
        // What is stored does not change any more, so it is counted before. Too late is without.
        let _ = timeout(STORING, self.account.count(request)).await;
        self.keep_aside();
        let completion = self.account.completion();
        let log = &completion.log;
        let view = view::describe_at(Arc::clone(log), Some(End::Completed));
        let view = view.await.ok()?;
        let kept = Kept::new(log, &completion.about.model, request, &view);
        let kept = kept.inspect_err(|error| tracing::warn!(%error, "not stored"));
        let kept = kept.ok()?;
        let stored = timeout(STORING, self.shared.stored.put(&kept)).await;
        match stored {
            Ok(Ok(())) => None,
            Ok(Err(StoreError::Full)) => {
                tracing::warn!(completion.id = %log.id(), "larger than all that may be stored");
                None
            }
            Ok(Err(StoreError::Unavailable)) | Err(_) => Some(kept),
        }
    }

    /// Keeps it once that can be done, for as long as its stream is kept.
    async fn store_later(&self, kept: &Kept, stopping: CancellationToken) {
        let log = &self.account.completion().log;
        let mut backoff = BACKOFF.0;
        loop {
            select! {
                () = stopping.cancelled() => break,
                () = sleep(backoff) => {}
            }
            match self.shared.store.find(log.owner(), log.id()).await {
                Ok(Lookup::Found(_)) => {}
                // It was deleted meanwhile.
                Ok(Lookup::Unknown) => return,
                Ok(Lookup::Expired) | Err(_) => break,
            }
            // One that is there is this one: only the answer was lost then.
            if self.shared.stored.put_new(kept).await.is_ok() {
                return;
            }
            backoff = (backoff * 2).min(BACKOFF.1);
        }
        tracing::warn!(completion.id = %log.id(), "not stored: the store stayed away");
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.finish(Err(Failure::internal()));
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn truncated(_: Incomplete) -> Failure {
    let message = "The upstream's answer ended before every choice had finished.";
    Failure::new(Code::UpstreamTruncated, message)
}

pub(super) fn late(what: &str, limit: Duration) -> Failure {
    let message = format!("The upstream took longer than {limit:?} for {what}.");
    Failure::new(Code::UpstreamTimeout, message)
}
