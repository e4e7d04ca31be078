//! Where a wire plan is played: between a reader and the socket.

use std::{collections::VecDeque, future::poll_fn, sync::Arc, time::Duration};

use async_stream::stream;
use bytes::Bytes;
use futures_util::Stream;
use tokio::{
    task::yield_now,
    time::{Instant, timeout},
};

use super::{
    bodies::Counted,
    line::Line,
    show::{Show, frame},
};
use crate::{
    stream::{Batch, Cursor, Event, Kind, Reader},
    wire::{Delivery, End, Move, Plan, Player},
};

/// The connection is to end here.
#[derive(Debug, thiserror::Error)]
#[error("the connection was cut, as planned")]
pub(super) struct Broken;

/// All that one reply with a plan is made with.
pub(super) struct Stage {
    pub(super) plan: Arc<Plan>,
    pub(super) line: Option<Line>,
    /// What is sent while there is nothing to send.
    pub(super) heartbeat: Option<Bytes>,
    pub(super) heartbeat_every: Duration,
    pub(super) count: Counted,
}

/// Says that the client has left, unless something else was said before.
struct Leaving(Arc<Delivery>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.ended("left");
    }
}

impl Stage {
    /// A stream.
    pub(super) fn stream(
        self,
        mut reader: Reader,
        show: Show,
    ) -> impl Stream<Item = Result<Bytes, Broken>> {
        let player = Player::new(Arc::clone(&self.plan), true);
        let every = self.heartbeat_every;
        let heartbeat = self.heartbeat.clone();
        // The first is due at once, as for any other stream.
        let mut patience = Duration::ZERO;
        self.play(player, async move |player, ready| {
            let mut batch = Vec::new();
            let before = reader.cursor();
            let next = poll_fn(|cx| reader.poll_batch(cx, &mut batch));
            let next = match &heartbeat {
                Some(bytes) => match timeout(patience, next).await {
                    Ok(next) => next,
                    Err(_) => {
                        patience = every;
                        return Next::Beat(bytes.clone());
                    }
                },
                None => next.await,
            };
            patience = every;
            match next {
                Batch::Events => ready.extend(framed(batch, (before, &reader), show)),
                Batch::End | Batch::Lost => player.end(),
            }
            Next::Go
        })
    }

    /// A whole reply.
    pub(super) fn whole(self, whole: Bytes) -> impl Stream<Item = Result<Bytes, Broken>> {
        let player = Player::new(Arc::clone(&self.plan), false);
        let mut whole = Some(whole);
        self.play(player, async move |player, ready| {
            match whole.take() {
                Some(whole) => ready.push_back((whole, false)),
                None => player.end(),
            }
            Next::Go
        })
    }

    /// Plays what `more` brings, which says when the body has ended.
    fn play(
        self,
        mut player: Player,
        mut more: impl AsyncFnMut(&mut Player, &mut VecDeque<(Bytes, bool)>) -> Next,
    ) -> impl Stream<Item = Result<Bytes, Broken>> {
        stream! {
            let delivery = Arc::clone(&self.plan.delivery);
            let _leaving = Leaving(Arc::clone(&delivery));
            let count = self.count;
            let mut ready = VecDeque::new();
            loop {
                while let Some(next) = player.next_move() {
                    match next {
                        Move::Write { mut bytes, step, gap } => {
                            while !bytes.is_empty() {
                                let piece = bytes.split_to(step.min(bytes.len()));
                                delivery.sent(Instant::now(), 0, piece.len());
                                yield Ok(piece);
                                // Pending once, so that what was given is written.
                                yield_now().await;
                                self.plan.wait(gap).await;
                            }
                        }
                        Move::Pause(time) => self.plan.wait(time).await,
                        Move::End(End::Finished) => {
                            delivery.ended("finished");
                            return;
                        }
                        Move::End(End::Cut) => {
                            delivery.ended("cut");
                            yield_now().await;
                            yield Err(Broken);
                            return;
                        }
                        Move::End(End::Reset) => {
                            delivery.ended("reset");
                            yield_now().await;
                            if let Some(Err(error)) = self.line.map(|line| line.reset_at_close()) {
                                tracing::debug!(%error, "a connection could not be reset");
                            }
                            yield Err(Broken);
                            return;
                        }
                    }
                }
                if let Some((frame, is_done)) = ready.pop_front() {
                    delivery.sent(Instant::now(), 1, 0);
                    player.event(frame, is_done);
                    if ready.is_empty() {
                        player.idle();
                    }
                } else if let Next::Beat(bytes) = more(&mut player, &mut ready).await {
                    count.beat();
                    yield Ok(bytes);
                }
            }
        }
    }
}

/// What the source of a body says.
enum Next {
    /// There may be events, or the end.
    Go,
    /// There is nothing; this keeps the connection awake.
    Beat(Bytes),
}

/// A batch's frames, each with whether it is the sentinel.
fn framed(
    batch: Vec<Event>,
    (before, reader): (Cursor, &Reader),
    show: Show,
) -> impl Iterator<Item = (Bytes, bool)> {
    // A batch is of one epoch.
    let mut cursor = Cursor {
        epoch: reader.cursor().epoch,
        ..before
    };
    batch.into_iter().map(move |event| {
        cursor.seq.0 += 1;
        let is_done = event.kind == Kind::Done;
        (frame(event, cursor, show), is_done)
    })
}
