//! An answer in its time: what is ready to be said becomes chunks, each when it is due.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use async_stream::stream;
use futures_util::{FutureExt, Stream, future::LocalBoxFuture};
use serde_json::Value;
use smallvec::SmallVec;
use tokio::time::{Sleep, sleep_until};

use super::{
    cast::Cast,
    control::Place,
    pace::Pace,
    random::Random,
    render::{Look, Render},
    scenario::RawFrame,
    script::{Choice, Part},
    template::Template,
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
    show: Show,
    random: Random,
    (delivery, is_virtual): (Arc<Delivery>, bool),
) -> Chunks {
    Box::pin(Play {
        clock: Clock::new(delivery, is_virtual),
        voices: show.choices.iter().map(|_| Voice(None)).collect(),
        speaks: 0,
        step: 0,
        steps: show.choices.iter().map(Choice::steps).max().unwrap_or(0),
        pace: show.pace,
        ready: VecDeque::new(),
        act: Act::Queue(begun(show.place).boxed_local()),
        book: Box::new(Book {
            render: Render::new(call, show.look, random),
            choices: show.choices,
            usage: show.usage,
            place: None,
        }),
    })
}

async fn begun(mut place: Place) -> Place {
    place.begin().await;
    place
}

/// An answer that is being played. A stream that is written by hand: what each chunk asks for lies close together, and
/// no chunk is kept beside it.
struct Play {
    clock: Clock,
    // Of each choice.
    voices: SmallVec<[Voice; 1]>,
    // The choice that speaks next in this step.
    speaks: usize,
    step: usize,
    steps: usize,
    pace: Pace,
    // What is due, before anything else.
    ready: VecDeque<Result<Step, BackendError>>,
    act: Act,
    book: Box<Book>,
}

enum Act {
    // Others are answered before.
    Queue(LocalBoxFuture<'static, Place>),
    // The first step is not due yet.
    Curtain,
    Steps,
    Over,
}

/// What is looked at now and then.
struct Book {
    render: Render,
    choices: SmallVec<[Choice; 1]>,
    usage: Value,
    // While the answer is given.
    place: Option<Place>,
}

/// What a choice says in the middle of a text whose chunks differ in nothing else.
struct Voice(Option<(Template, Part)>);

impl Voice {
    /// Its chunk in this step, if that is of the text.
    fn fill(&self, step: usize) -> Option<Chunk> {
        let (template, part) = self.0.as_ref()?;
        let piece = part.piece(step).filter(|piece| !piece.text.is_empty())?;
        Some(template.fill(piece.text, piece.is_plain))
    }
}

impl Stream for Play {
    type Item = Result<Step, BackendError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(ready) = this.ready.pop_front() {
                return Poll::Ready(Some(ready));
            }
            match &mut this.act {
                Act::Queue(place) => {
                    this.book.place = Some(ready!(place.as_mut().poll(cx)));
                    this.clock.begin();
                    this.clock.advance(this.pace.first());
                    this.act = Act::Curtain;
                }
                Act::Curtain => {
                    ready!(this.clock.poll(cx));
                    this.open();
                    this.act = Act::Steps;
                }
                Act::Steps => {
                    ready!(this.clock.poll(cx));
                    if let Some(said) = this.say() {
                        return Poll::Ready(Some(said));
                    }
                }
                Act::Over => return Poll::Ready(None),
            }
        }
    }
}

impl Play {
    /// What comes before the first step.
    fn open(&mut self) {
        let (book, clock) = (&self.book, &self.clock);
        let count = book.choices.len();
        // Beside the steps: the opening, the usage, the sentinel.
        clock.delivery.expect((self.steps + 2) * count + 3);
        let prelude = book.render.prelude();
        let choices = (0..).zip(&book.choices);
        let openings = choices.filter_map(|(index, choice)| book.render.opening(index, choice));
        let opened = prelude.into_iter().chain(openings);
        self.ready.extend(opened.map(|json| clock.chunk(json)));
    }

    /// What the next choice says in this step. Nothing where it says nothing, or where the step or the answer ends.
    fn say(&mut self) -> Option<Result<Step, BackendError>> {
        let index = self.speaks;
        self.speaks += 1;
        if self.step < self.steps
            && let Some(voice) = self.voices.get(index)
        {
            return match voice.fill(self.step) {
                Some(chunk) => Some(self.clock.filled(chunk)),
                None => self.say_new(index),
            };
        }
        self.speaks = 0;
        self.step += 1;
        if self.step < self.steps {
            let place = &self.book.place;
            let given = || place.as_ref().map_or(1, Place::given);
            self.clock.advance(self.pace.next(given));
        } else {
            self.close();
        }
        None
    }

    /// The same where it is not like what was said before.
    fn say_new(&mut self, index: usize) -> Option<Result<Step, BackendError>> {
        let Book {
            render, choices, ..
        } = &mut *self.book;
        let (voice, choice) = (self.voices.get_mut(index)?, choices.get(index)?);
        let part = choice.part(self.step)?;
        let choice = (u32::try_from(index).unwrap_or(u32::MAX), choice);
        let template = render.template(choice, part.kind);
        *voice = Voice(template.map(|template| (template, part.clone())));
        if let Some(chunk) = voice.fill(self.step) {
            return Some(self.clock.filled(chunk));
        }
        let is_last = self.step + 1 == choice.1.steps();
        let finish =
            (is_last && render.dialect().merges_finish()).then_some(&choice.1.finish_reason[..]);
        let json = render.piece(choice, part.piece(self.step)?, finish);
        Some(self.clock.chunk(json))
    }

    /// What comes after the last step.
    fn close(&mut self) {
        let (book, clock, ready) = (&self.book, &self.clock, &mut self.ready);
        let dialect = book.render.dialect();
        let count = book.choices.len();
        for (index, choice) in (0..).zip(&book.choices) {
            if choice.steps() == 0 || !dialect.merges_finish() {
                let is_last = index as usize + 1 == count;
                let usage = (is_last && dialect.merges_usage()).then_some(&book.usage);
                let json = book.render.finish(index, &choice.finish_reason, usage);
                ready.push_back(clock.chunk(json));
            }
        }
        if !dialect.merges_usage() {
            // As an upstream that is always asked for it; it is hidden where nobody wants it.
            let usage = book.render.usage(&book.usage);
            ready.push_back(match book.render.shows_usage() {
                true => clock.chunk(usage),
                false => chunk(usage),
            });
        }
        clock.plan();
        ready.push_back(Ok(Step::Done));
        self.act = Act::Over;
    }
}

/// The time of an answer, and what is written down of it.
struct Clock {
    due: Duration,
    delivery: Arc<Delivery>,
    is_virtual: bool,
    // It has not been seen to fire.
    is_set: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Clock {
    /// Begins when the request came.
    fn new(delivery: Arc<Delivery>, is_virtual: bool) -> Self {
        Self {
            due: Duration::ZERO,
            delivery,
            is_virtual,
            is_set: false,
            timer: None,
        }
    }

    /// Begins now, unless the request came hardly before.
    fn begin(&mut self) {
        const AT_ONCE: Duration = Duration::from_millis(2);
        let waited = self.delivery.start().elapsed();
        if waited >= AT_ONCE && !self.is_virtual {
            self.due = waited;
        }
    }

    /// What is next is due so much later. Times count from the start, so that lateness does not add up.
    fn advance(&mut self, time: Duration) {
        self.due += time;
        if time.is_zero() || self.is_virtual {
            return;
        }
        let due = self.delivery.start() + self.due;
        // A timer is never early and, by its grain and the kernel's, late by one tick on average.
        let due = due.checked_sub(TICK).unwrap_or(due);
        self.is_set = true;
        match &mut self.timer {
            Some(timer) => timer.as_mut().reset(due),
            None => self.timer = Some(Box::pin(sleep_until(due))),
        }
    }

    /// Ready once it is due.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_set
            && let Some(timer) = &mut self.timer
        {
            ready!(timer.as_mut().poll(cx));
            self.is_set = false;
        }
        Poll::Ready(())
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
        clock.begin();
        for frame in frames {
            clock.advance(frame.after.div_f64(speed));
            poll_fn(|cx| clock.poll(cx)).await;
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
