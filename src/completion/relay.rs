//! From the upstreams of a model into the log, one after the other: what [`Pump::relay`] does.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::BytesMut;
use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};

use super::{
    Clock, Code, Failure,
    continuation::{self, MAX_SEAMS, Said},
    deadline::Deadline,
    progress::{Incomplete, Progress},
    pump::{Pump, millis},
    release::Release,
};
use crate::{
    backend::{
        Attempt, BackendError, Body, Call, Chunk, Chunks, Clocks, Frames, OnLoss, Step, Target,
    },
    openai::Partial,
    stream::{Event, Kind, turn_time},
};

impl Pump {
    /// Moves an answer into the log: that of the first upstream which begins one, and where the
    /// model's settings say so, what others have to add if that one is lost. What is left of a
    /// stream after its sentinel is returned.
    pub(super) async fn relay(&mut self) -> Result<Option<Chunks>, Failure> {
        if self.relay_shared().await? {
            return Ok(None);
        }
        let mut lost = match self.is_inherited {
            true => Failure::lost(),
            false => match self.ask(self.route.order(), None).await {
                Ok(rest) => return Ok(rest),
                Err(failure) => failure,
            },
        };
        let mut losers = Vec::new();
        for _ in 0..MAX_SEAMS {
            if !self.may_go_on(&lost) {
                break;
            }
            let (events, _) = self.account.completion().log.snapshot();
            let call = match continuation::said(&self.call.request, &events) {
                Some(Said::All) => return Ok(None),
                Some(Said::Text(text)) => Rc::new(self.remainder(text, &lost).await),
                // A new answer, and what readers have of its beginning is not said again.
                Some(Said::Nothing) => Rc::clone(&self.call),
                None => break,
            };
            losers.extend(self.account.completion().upstream());
            let mut targets = self.route.order();
            // Who was lost is asked again when nobody else is left.
            let losses = |target: &Target| losers.iter().filter(|l| ***l == *target.label).count();
            targets.sort_by_key(losses);
            match self.ask(targets, Some(call)).await {
                Ok(rest) => return Ok(rest),
                // Nobody went on: how it was lost is what happened.
                Err(_) if !self.release.is_released() => break,
                Err(failure) => lost = failure,
            }
        }
        Err(lost)
    }

    /// Asks one after the other until one has begun; `partial` is what they are asked for where an
    /// answer is to be gone on with.
    async fn ask(
        &mut self,
        targets: Vec<Target>,
        partial: Option<Rc<Call>>,
    ) -> Result<Option<Chunks>, Failure> {
        let is_joining = partial.is_some();
        let call = partial.unwrap_or_else(|| Rc::clone(&self.call));
        let mut targets = targets.into_iter().peekable();
        loop {
            let Some(target) = targets.next() else {
                return Err(Failure::internal());
            };
            let is_last = targets.peek().is_none();
            self.release = match is_joining {
                true => Release::Joining,
                false => Release::new(is_last),
            };
            self.progress = Progress::new(self.call.request.choices());
            self.account.asked(&target.label);
            self.keep_aside();
            let mut attempt = target.health.begin();
            let answer = self.attempt(&target, &call, &mut attempt).await;
            let failure = match answer {
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
        }
    }

    /// Whether another upstream may be asked for the rest.
    fn may_go_on(&mut self, lost: &Failure) -> bool {
        let is_inherited = std::mem::take(&mut self.is_inherited);
        let is_wanted = self.route.on_upstream_loss == OnLoss::Continue;
        let has_begun = self.progress.first_content().is_some();
        is_inherited || is_wanted && has_begun && lost.is_upstreams()
    }

    /// What is asked for after a loss.
    async fn remainder(&mut self, text: String, lost: &Failure) -> Call {
        let call = Rc::clone(&self.call);
        // Most servers send a chunk per token.
        let top = self.account.completion().log.top();
        let tokens = self.account.lost(&call.request, top.seq.0).await;
        let id = self.account.completion().log.id();
        let code = lost.code().label();
        tracing::warn!(%id, code, tokens, "lost in the middle; another upstream is asked to go on");
        Call {
            partial: Some(Partial { text, tokens }),
            ..Call::clone(&call)
        }
    }

    /// Moves one upstream's answer into the log.
    async fn attempt(
        &mut self,
        target: &Target,
        call: &Rc<Call>,
        attempt: &mut Attempt,
    ) -> Result<Option<Chunks>, Failure> {
        let mut clocks = self.route.clocks;
        // A whole reply comes when all of it is made.
        if !self.call.request.is_generated_as_stream() {
            clocks.first_chunk = clocks.total;
        }
        let due = Instant::now() + clocks.first_chunk;
        let opening = target.backend.open(self.account.call(call));
        let late = |_| Failure::late(Clock::FirstChunk, Some(clocks.first_chunk));
        let answer = timeout_at(due, opening).await.map_err(late)??;
        let to = self.account.completion();
        self.release.head(to, answer.headers, answer.plan);
        let chunks = match answer.body {
            Body::Chunks(chunks) => chunks,
            Body::Whole(chunk) => {
                self.append_whole(&chunk)?;
                attempt.good();
                return Ok(None);
            }
            Body::Raw(frames) => return self.append_raw(frames).await.map(|()| None),
        };
        let mut coming = Coming {
            chunks,
            deadline: Deadline::new(due, &self.bell),
            clocks,
            is_good: false,
        };
        let reads_on = poll_fn(|cx| self.poll_steps(cx, &mut coming, attempt)).await?;
        Ok(reads_on.then_some(coming.chunks))
    }

    /// Moves what has come of an answer into the log; ready at its end, with whether there may be more to be read. By
    /// hand: what is polled with each chunk lies close together.
    fn poll_steps(
        &mut self,
        cx: &mut Context<'_>,
        coming: &mut Coming,
        attempt: &mut Attempt,
    ) -> Poll<Result<bool, Failure>> {
        while let Poll::Ready(step) = coming.chunks.as_mut().poll_next(cx) {
            match step {
                Some(Ok(Step::Chunk(chunk))) => self.append(&chunk)?,
                Some(Ok(Step::Done)) => {
                    self.progress.at_done().map_err(truncated)?;
                    return Poll::Ready(self.flush().map(|()| true));
                }
                Some(Err(BackendError::Truncated(_))) | None => {
                    return Poll::Ready(self.says_no_more(truncated(Incomplete)));
                }
                Some(Err(error)) => return Poll::Ready(Err(error.into())),
            }
            // The attempt itself is not looked at with every chunk.
            if !coming.is_good && self.progress.first_content().is_some() {
                coming.is_good = true;
                attempt.good();
            }
            if self.progress.has_turned() {
                coming.follow(&self.progress);
            }
        }
        loop {
            ready!(Pin::new(&mut coming.deadline).poll(cx));
            if !coming.follow(&self.progress) {
                return Poll::Ready(self.says_no_more(coming.late(&self.progress)));
            }
        }
    }

    /// The upstream has said all it does. Where it has not finished, that is a failure.
    fn says_no_more(&mut self, failure: Failure) -> Result<bool, Failure> {
        self.progress.at_eof().map_err(|Incomplete| failure)?;
        self.flush().map(|()| false)
    }

    pub(super) fn append(&mut self, chunk: &Chunk) -> Result<(), Failure> {
        let facts = &chunk.facts;
        if let Some(error) = facts.error {
            return Err(Failure::reported(&chunk.json()[error.range()]));
        }
        let now = turn_time();
        self.progress.note(facts, now);
        self.account.finished(chunk);
        if facts.has_content {
            self.spoke(now);
        }
        if let Some(usage) = facts.usage {
            self.account.reported(&chunk.part(usage));
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
            let is_seam = matches!(self.release, Release::Joining);
            self.flush()?;
            match (is_seam, facts.usage.is_some()) {
                (true, _) => self.append_seam(chunk)?,
                (false, true) => self.append_usage(chunk)?,
                (false, false) => self.append_chunk(chunk)?,
            }
        }
        has_failed.map_or(Ok(()), Err)
    }

    /// From here on the answer is this upstream's: what was held back goes out.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        if self.release.is_released() {
            return Ok(());
        }
        for chunk in self.release.release(self.account.completion()) {
            self.append_chunk(&chunk)?;
        }
        Ok(())
    }

    /// The first chunk of an upstream that goes on with an answer.
    fn append_seam(&mut self, chunk: &Chunk) -> Result<(), Failure> {
        let last = self.producer.as_ref().map_or(0, |p| p.next_seq().0 - 1);
        self.account.continued(last);
        self.keep_aside();
        self.append_chunk(&continuation::without_role(chunk))
    }

    /// The count of tokens: of all that had a part in the answer.
    fn append_usage(&mut self, chunk: &Chunk) -> Result<(), Failure> {
        match self.account.sum() {
            Some(sum) => self.append_chunk(&continuation::with_usage(chunk, &sum)),
            None => self.append_chunk(chunk),
        }
    }

    fn append_chunk(&mut self, chunk: &Chunk) -> Result<(), Failure> {
        let Some(producer) = &mut self.producer else {
            return Err(Failure::internal());
        };
        let event = self.framer.chunk(chunk, producer.next_seq());
        Ok(producer.append(event)?)
    }

    fn append_whole(&mut self, chunk: &Chunk) -> Result<(), Failure> {
        if let Some(error) = chunk.facts.error {
            return Err(Failure::reported(&chunk.json()[error.range()]));
        }
        if chunk.facts.seen == 0 {
            let message = "The upstream sent a completion without choices.";
            return Err(Failure::new(Code::UpstreamMalformed, message));
        }
        if let Some(usage) = chunk.facts.usage {
            self.account.reported(&chunk.part(usage));
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
                true => self.append_event(Event {
                    kind,
                    frame: frame.into(),
                })?,
                false => whole.extend_from_slice(&frame),
            }
        }
        if !is_stream {
            let frame = whole.freeze().into();
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
}

/// An answer that comes in chunks.
struct Coming {
    chunks: Chunks,
    deadline: Deadline,
    clocks: Clocks,
    is_good: bool,
}

impl Coming {
    /// Moves the deadline to where it is by now; whether that is another place.
    fn follow(&mut self, progress: &Progress) -> bool {
        let due = progress.deadline(&self.clocks);
        due.is_some_and(|due| self.deadline.move_to(due))
    }

    /// What did not come is late.
    fn late(&self, progress: &Progress) -> Failure {
        match progress.deadline(&self.clocks) {
            Some(_) => Failure::late(Clock::Between, Some(self.clocks.between)),
            None => Failure::late(Clock::FirstChunk, Some(self.clocks.first_chunk)),
        }
    }
}

pub(super) fn truncated(_: Incomplete) -> Failure {
    let message = "The upstream's answer ended before every choice had finished.";
    Failure::new(Code::UpstreamTruncated, message)
}
