//! From a backend into a log: the one place where a stream ends.
//!
//! Start at [`Pump::run`]; how an answer is come by is `relay.rs`. Whatever happens (an upstream that fails in any way, a clock, a
//! client that leaves, a stop of the server, a panic, a lost task), [`Pump::finish`] runs
//! exactly once and the log ends in a way that is told.

use std::{
    future::{Future, poll_fn},
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use futures_util::{FutureExt, StreamExt};
use tokio::{
    select,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Clock, Code, Failure, Shared,
    account::Account,
    cache::Fingerprint,
    demand::of_usage,
    frame::Framer,
    progress::Progress,
    release::Release,
    stored::Kept,
    view,
    when_woken::{Bell, WhenWoken},
};
use crate::{
    access::Reservation,
    backend::{Call, Route},
    stream::{End, Log, Lookup, Producer, StoreError},
};

/// How long an upstream may take from its sentinel to its end of file before its connection
/// is given up instead of being used again. The client has its answer by then.
const CLOSING: Duration = Duration::from_millis(500);
/// How long the end of an answer may wait until the answer is stored.
const STORING: Duration = Duration::from_millis(500);
/// How long after a failed attempt to store it the next one is made: first, and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// One answer on its way into its log. Laid out as it stands here: what is asked for with every chunk comes first, and
/// close together; what is not is in boxes.
#[repr(C)]
pub(super) struct Pump {
    pub(super) progress: Progress,
    pub(super) producer: Option<Producer>,
    // What is held back while another upstream may still be asked.
    pub(super) release: Release,
    pub(super) framer: Framer,
    // Settled once the log has ended, or when the pump is lost.
    pub(super) account: Account,
    pub(super) route: Box<Route>,
    pub(super) call: Rc<Call>,
    // Nothing of ours comes after the answer: it came in one piece, or is passed on as it is.
    pub(super) is_closed: bool,
    // Another node has begun it, and is gone.
    pub(super) is_inherited: bool,
    pub(super) shared: Arc<Shared>,
    // What it takes of its key's limits until its end.
    reservation: Option<Box<Reservation>>,
    // Of what ends an answer, or an attempt, before its time.
    pub(super) bell: Arc<Bell>,
    // The request may share its answer.
    pub(super) print: Option<Fingerprint>,
}

impl Pump {
    pub(super) fn new(
        producer: Producer,
        account: Account,
        route: Route,
        call: Rc<Call>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            framer: Framer::new(
                producer.log().id().clone(),
                call.request.params.include_sequence == Some(true),
            ),
            producer: Some(producer),
            account,
            route: Box::new(route),
            progress: Progress::new(call.request.choices()),
            call,
            is_closed: false,
            release: Release::new(true),
            shared,
            reservation: None,
            is_inherited: false,
            bell: Arc::default(),
            print: None,
        }
    }

    /// The same of a request that may share its answer, if it is known by something.
    pub(super) fn sharing(mut self, print: Option<Fingerprint>) -> Self {
        self.print = print;
        self
    }

    /// The same into a log that no client reads, with the time of each chunk from now on.
    pub(super) fn stamping(mut self) -> Self {
        self.framer.since = Some(Instant::now());
        self
    }

    /// The same for an answer that another node has begun.
    pub(super) fn inherited(mut self) -> Self {
        self.is_inherited = true;
        self
    }

    /// The same, with what it takes of its key's limits.
    pub(super) fn holding(mut self, mut reservation: Reservation) -> Self {
        reservation.begin();
        self.reservation = Some(Box::new(reservation));
        self
    }

    /// Fills the log and ends it. A generation that nobody reads for its grace is cancelled.
    pub(super) async fn run(mut self: Box<Self>, stopping: CancellationToken) {
        let log = Arc::clone(&self.account.completion().log);
        let total = self.route.clocks.total;
        let outcome = {
            // Not looked at with every chunk.
            let stop = Box::pin(stop(&log, &stopping, total));
            let mut stop = WhenWoken::new(stop, &self.bell);
            let mut relay = pin!(AssertUnwindSafe(self.relay()).catch_unwind());
            // The answer's own end wins over a clock that runs out beside it.
            poll_fn(|cx| match relay.as_mut().poll(cx) {
                Poll::Ready(done) => Poll::Ready(done.unwrap_or_else(|_| Err(Failure::internal()))),
                Poll::Pending => Pin::new(&mut stop).poll(cx).map(Err),
            })
            .await
        };
        let (result, rest) = match outcome {
            Ok(rest) => (Ok(()), rest),
            Err(failure) => {
                // No attempt has failed of itself.
                if failure.clock() == Some(Clock::Total) {
                    self.account.failed(&failure);
                }
                (Err(failure), None)
            }
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

    /// What is told of the completion beside what it says.
    pub(super) fn keep_aside(&mut self) {
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
        let Some(took) = self.account.ended(end.clone()) else {
            return;
        };
        let id = self.account.completion().log.id();
        self.shared.activity.ended(id, end.label(), millis(took));
    }

    /// Counts what was used. Who failed without a word has used nothing; where nothing better is
    /// known, it is what was held.
    fn settle(&mut self, end: &End) {
        let Some(reservation) = self.reservation.take() else {
            return;
        };
        if !self.account.completion().pays(end) {
            return reservation.settle(0);
        }
        let has_begun = self.account.has_spoken();
        match (self.account.usage().as_deref().and_then(of_usage), end) {
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

/// What ends an answer before its time.
async fn stop(log: &Log, stopping: &CancellationToken, total: Duration) -> Failure {
    select! {
        biased;
        () = stopping.cancelled() => Failure::shutting_down(),
        () = log.cancelled() => Failure::new(Code::Cancelled, "The completion was cancelled."),
        () = log.abandoned() => {
            Failure::new(Code::Cancelled, "Everyone who read this stream has left.")
        }
        () = sleep(total) => Failure::late(Clock::Total, Some(total)),
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
