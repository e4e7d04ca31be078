//! From a source that others read too into a log, in place of an upstream.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::{
    backend::Pace,
    completion::{
        Code, Failure,
        cache::{CacheOutcome, Joined, Request, read},
        pump::Pump,
        relay::truncated,
    },
    stream::{Batch, Event, Kind},
};

/// Whether an answer has come to its end.
enum Step {
    GoesOn,
    Ended,
}

impl Pump {
    /// Moves an answer into the log that other requests are answered with too. `false` if there
    /// is none, and nothing has been said: upstreams are asked for it alone then.
    pub(super) async fn relay_shared(&mut self) -> Result<bool, Failure> {
        let Some(print) = self.print.take() else {
            return Ok(false);
        };
        let call = self.account.call(&self.call);
        let request = Request {
            shared: &self.shared,
            route: &self.route,
            call: &call,
            about: &self.account.completion().about,
            print: &print,
        };
        let Some(joined) = Box::pin(request.join()).await else {
            return Ok(false);
        };
        self.account.joined(joined.outcome, joined.source.clone());
        self.keep_aside();
        let copied = self.copy(joined).await;
        if let Err(failure) = &copied {
            self.account.failed(failure);
        }
        copied.map(|()| true)
    }

    async fn copy(&mut self, mut joined: Joined) -> Result<(), Failure> {
        let mut pacer = Pacer::new(self.has_pace(&joined));
        let mut events = Vec::new();
        loop {
            match joined.reader.batch(&mut events).await {
                Batch::Events => {}
                Batch::End | Batch::Lost => return Err(Failure::lost()),
            }
            for event in events.drain(..) {
                match self.copy_event(&event, &joined, &mut pacer).await? {
                    Step::GoesOn => {}
                    Step::Ended => return Ok(()),
                }
            }
            // What is all there already is not to hold up other streams.
            tokio::task::yield_now().await;
        }
    }

    async fn copy_event(
        &mut self,
        event: &Event,
        joined: &Joined,
        pacer: &mut Pacer,
    ) -> Result<Step, Failure> {
        match event.kind {
            Kind::Chunk | Kind::Usage => {
                let (at, chunk) = read(event).ok_or_else(Failure::internal)?;
                if self.progress.first_content().is_some() || chunk.facts.has_content {
                    pacer.wait(at).await;
                }
                self.append(&chunk)?;
                Ok(Step::GoesOn)
            }
            Kind::Done => {
                self.progress.at_done().map_err(truncated)?;
                self.flush()?;
                Ok(Step::Ended)
            }
            Kind::Failure => Err(failure(event, joined)),
            // Sources are streams.
            Kind::Whole => Err(Failure::internal()),
        }
    }

    /// The answer is streamed again with the times that it had.
    fn has_pace(&self, joined: &Joined) -> bool {
        let is_hit = joined.outcome == CacheOutcome::Hit;
        let is_recorded = self.route.cache.pace == Pace::Recorded;
        is_hit && is_recorded && self.call.request.is_generated_as_stream()
    }
}

/// Why the source failed, as its own pump has it where that is here.
fn failure(event: &Event, joined: &Joined) -> Failure {
    let known = joined.source.as_ref().and_then(|source| source.failure());
    let failure = known.or_else(|| {
        let end = joined.reader.log().end()?;
        let (_, chunk) = read(event)?;
        Some(Failure::logged(end.label(), chunk.into_json()))
    });
    match failure {
        // Nobody has cancelled this one.
        Some(failure) if failure.code() != Code::Cancelled => failure,
        Some(_) | None => Failure::lost(),
    }
}

/// When chunks go out that had other times.
struct Pacer {
    is_on: bool,
    // When the first one with content went out, and what it was stamped with.
    first: Option<(Instant, Duration)>,
}

impl Pacer {
    fn new(is_on: bool) -> Self {
        Self { is_on, first: None }
    }

    /// Waits until it is time for what was stamped with `at`.
    async fn wait(&mut self, at: Duration) {
        if !self.is_on {
            return;
        }
        let (start, first) = *self.first.get_or_insert_with(|| (Instant::now(), at));
        sleep_until(start + at.saturating_sub(first)).await;
    }
}
