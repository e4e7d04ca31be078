//! An answer in its time: what is ready to be said becomes chunks, each when it is due.

use std::{rc::Rc, sync::Arc, time::Duration};

use async_stream::stream;
use serde_json::Value;
use smallvec::SmallVec;

use super::{
    cast::Cast,
    control::Place,
    pace::Pace,
    random::Random,
    render::{Look, Render},
    scenario::RawFrame,
    script::Choice,
};
use crate::{
    backend::{BackendError, Call, Chunk, Chunks, Frames, Step},
    openai::scan,
    wire::Delivery,
};

/// The grain of tokio's timers.
const TICK: Duration = Duration::from_millis(1);

/// An answer that is ready to be played.
pub(super) struct Show {
    // Most have one.
    pub(super) choices: SmallVec<[Choice; 1]>,
    pub(super) look: Look,
    pub(super) usage: Value,
    pub(super) pace: Pace,
    pub(super) place: Place,
}

/// The chunks of an answer, in their time.
pub(super) fn chunks(
    call: Rc<Call>,
    mut show: Show,
    random: Random,
    (delivery, is_virtual): (Arc<Delivery>, bool),
) -> Chunks {
    Box::pin(stream! {
        show.place.begin().await;
        let mut clock = Clock::new(delivery, is_virtual);
        let mut render = Render::new(&call, &show.look, random);
        let dialect = show.look.dialect;
        clock.advance(show.pace.first()).await;
        if let Some(prelude) = render.prelude() {
            yield clock.chunk(prelude);
        }
        for (index, choice) in (0..).zip(&show.choices) {
            if let Some(opening) = render.opening(index, choice) {
                yield clock.chunk(opening);
            }
        }
        let steps = show.choices.iter().map(Choice::steps).max().unwrap_or_default();
        for step in 0..steps {
            if step > 0 {
                clock.advance(show.pace.next(|| show.place.given())).await;
            }
            for (index, choice) in (0..).zip(&show.choices) {
                let Some(piece) = choice.piece(step) else { continue };
                let is_last = step + 1 == choice.steps();
                let finish = (is_last && dialect.merges_finish()).then_some(&choice.finish_reason[..]);
                let text = if finish.is_none() { render.text_piece((index, choice), piece) } else { None };
                match text {
                    Some(chunk) => yield clock.filled(chunk),
                    None => yield clock.chunk(render.piece((index, choice), piece, finish)),
                }
            }
        }
        let count = show.choices.len();
        for (index, choice) in (0..).zip(&show.choices) {
            if choice.steps() == 0 || !dialect.merges_finish() {
                let is_last = index as usize + 1 == count;
                let usage = (is_last && dialect.merges_usage()).then_some(&show.usage);
                yield clock.chunk(render.finish(index, &choice.finish_reason, usage));
            }
        }
        if !dialect.merges_usage() {
            // As an upstream that is always asked for it; it is hidden where nobody wants it.
            let usage = render.usage(&show.usage);
            yield if call.request.includes_usage() { clock.chunk(usage) } else { chunk(usage) };
        }
        clock.plan();
        yield Ok(Step::Done);
    })
}

/// The time of an answer, and what is written down of it.
struct Clock {
    due: Duration,
    delivery: Arc<Delivery>,
    is_virtual: bool,
}

impl Clock {
    /// Begins now, or when the request came, if that was hardly before.
    fn new(delivery: Arc<Delivery>, is_virtual: bool) -> Self {
        const AT_ONCE: Duration = Duration::from_millis(2);
        let waited = delivery.start().elapsed();
        Self {
            due: if waited < AT_ONCE || is_virtual {
                Duration::ZERO
            } else {
                waited
            },
            delivery,
            is_virtual,
        }
    }

    /// Waits. Times count from the start, so that lateness does not add up.
    async fn advance(&mut self, time: Duration) {
        self.due += time;
        if !time.is_zero() && !self.is_virtual {
            let due = self.delivery.start() + self.due;
            // A timer is never early and, by its grain and the kernel's, late by one tick on average.
            tokio::time::sleep_until(due.checked_sub(TICK).unwrap_or(due)).await;
        }
    }

    fn plan(&self) {
        self.delivery.plan(self.due);
    }

    fn chunk(&self, json: Vec<u8>) -> Result<Step, BackendError> {
        self.plan();
        chunk(json)
    }

    fn filled(&self, chunk: Chunk) -> Result<Step, BackendError> {
        self.plan();
        Ok(Step::Chunk(chunk))
    }
}

/// A raw answer's bytes, in their time.
pub(super) fn raw(frames: Vec<RawFrame>, cast: &Cast) -> Frames {
    let mut clock = Clock::new(Arc::clone(&cast.plan.delivery), cast.plan.is_virtual);
    let speed = cast.speed;
    Box::pin(stream! {
        for frame in frames {
            clock.advance(frame.after.div_f64(speed)).await;
            clock.plan();
            yield frame.bytes;
        }
    })
}

fn chunk(json: Vec<u8>) -> Result<Step, BackendError> {
    let facts = scan(&json).map_err(|error| BackendError::Internal(error.to_string()))?;
    let json = json.into();
    Ok(Step::Chunk(Chunk::new(json, facts)))
}
