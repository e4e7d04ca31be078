//! A reader as an HTTP body: what is ready goes out as one write, and where nothing is, a
//! heartbeat after a while.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix_web::body::{BodySize, MessageBody};
use bytes::{Bytes, BytesMut};
use tokio::{
    sync::watch,
    time::{Instant, Sleep, sleep_until},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::{
    metrics::Metrics,
    sse::{Field, write_field},
    stream::{Batch, Cursor, Event, Grace, HeartbeatForm, Kind, Reader, Settings},
    wire::Delivery,
};

/// What a reader sees beside the events' own bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Show {
    /// An `id:` line with the cursor on every event.
    pub(super) has_ids: bool,
    /// An `event:` line with the kind on every event.
    pub(super) has_names: bool,
    /// A block before the first event, with the reconnection time and the place it begins at:
    /// a second cut before any new event keeps its place then.
    pub(super) has_opening: bool,
    /// The client is an official OpenAI SDK.
    pub(super) is_official_sdk: bool,
    /// The client has shown that it can come back to where it was.
    pub(super) can_resume: bool,
    /// The client's connection speaks HTTP/2.
    pub(super) is_http2: bool,
}

/// On HTTP/2 a client that has gone is noticed by nothing but a write.
const HTTP2_HEARTBEAT: Duration = Duration::from_secs(2);

impl Show {
    /// How long nothing is written before a heartbeat is.
    pub(super) fn heartbeat_every(self, settings: &Settings) -> Duration {
        match self.is_http2 {
            true => settings.heartbeat.min(HTTP2_HEARTBEAT),
            false => settings.heartbeat,
        }
    }
}

/// The streams that are being written: counted, so that a stop can wait for them, and cut where
/// their readers can go on elsewhere.
#[derive(Clone)]
pub struct Bodies {
    number: Arc<watch::Sender<usize>>,
    metrics: Arc<Metrics>,
    parting: CancellationToken,
}

/// A reader that can come back is sent elsewhere. The reply breaks off, so that nobody takes it for
/// whole, and its connection goes with it: the next one finds another node.
#[derive(Debug, thiserror::Error)]
#[error("the server stops, and another node has the stream too")]
pub(super) struct Parted;

impl std::fmt::Debug for Bodies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Bodies").field(&self.count()).finish()
    }
}

impl Bodies {
    /// None yet. What happens to them is counted in `metrics`.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            number: Arc::new(watch::Sender::new(0)),
            metrics,
            parting: CancellationToken::new(),
        }
    }

    /// Cuts the readers that can come back, as there are other nodes to come back to. Who comes back
    /// here all the same stays.
    pub fn part(&self) {
        self.parting.cancel();
    }

    /// Resolves when readers are to part; `None` where they stay.
    fn parting(&self, show: Show) -> Option<Parting> {
        let is_asked = show.can_resume && !self.parting.is_cancelled();
        is_asked.then(|| Box::pin(self.parting.clone().cancelled_owned()))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        *self.number.borrow()
    }

    /// Counts one more.
    pub(super) fn counted(&self) -> Counted {
        self.number.send_modify(|count| *count += 1);
        Counted(self.clone())
    }

    /// Waits until there are none, `patience` at most.
    pub async fn written(&self, patience: Duration) {
        let mut count = self.number.subscribe();
        // Too late is as good as done here: the server stops either way.
        let _ = tokio::time::timeout(patience, count.wait_for(|count| *count == 0)).await;
    }
}

/// The body of a stream.
pub(super) struct EventBody {
    reader: Reader,
    // Taken from the reader and not yet sent; empty between polls.
    batch: Vec<Event>,
    show: Show,
    // The opening block, until it was sent.
    opening: Bytes,
    heartbeat: Option<Heartbeat>,
    // Where what was sent is written down.
    delivery: Option<Arc<Delivery>>,
    is_over: bool,
    count: Counted,
    // Until the reader is sent elsewhere; `None` where it stays, whatever happens.
    parting: Option<Parting>,
    resume_grace: Grace,
}

type Parting = Pin<Box<WaitForCancellationFutureOwned>>;

/// One stream that is being written, while it lives.
#[derive(Debug)]
pub(super) struct Counted(Bodies);

impl Counted {
    /// A heartbeat is sent.
    pub(super) fn beat(&self) {
        self.0.metrics.heartbeat();
    }

    /// Its reader leaves before the end.
    fn left(&self, is_behind: bool) {
        self.0.metrics.reader_left(is_behind);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.number.send_modify(|count| *count -= 1);
    }
}

struct Heartbeat {
    bytes: &'static [u8],
    every: Duration,
    // Due at once while there is none: a timer takes a tick even when its time has come.
    timer: Option<Pin<Box<Sleep>>>,
    // When it is due. The timer may be set to an earlier time: it is moved when it fires, not with
    // every event.
    due: Instant,
}

impl EventBody {
    /// Reads on from where `reader` is. When nothing is there to be sent at first, a heartbeat
    /// goes out at once.
    pub(super) fn new(reader: Reader, settings: &Settings, show: Show, bodies: &Bodies) -> Self {
        let form = heartbeat(settings.heartbeat_form, show);
        let opening = if show.has_opening {
            opening(settings.retry, reader.cursor())
        } else {
            Bytes::new()
        };
        Self {
            reader,
            batch: Vec::new(),
            show,
            opening,
            heartbeat: form.map(|bytes| Heartbeat {
                bytes,
                every: show.heartbeat_every(settings),
                timer: None,
                due: Instant::now(),
            }),
            delivery: None,
            is_over: false,
            count: bodies.counted(),
            parting: bodies.parting(show),
            resume_grace: Grace(settings.resume_grace),
        }
    }

    /// The same, and what is sent is written down.
    pub(super) fn recorded(mut self, delivery: Arc<Delivery>) -> Self {
        self.delivery = Some(delivery);
        self
    }
}

impl Drop for EventBody {
    fn drop(&mut self) {
        if !self.is_over {
            let is_behind = self.reader.cursor() != self.reader.log().top();
            self.count.left(is_behind);
        }
        if let Some(delivery) = &self.delivery {
            delivery.ended("left");
        }
    }
}

impl MessageBody for EventBody {
    type Error = Parted;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Parted>>> {
        let this = &mut *self;
        if !this.opening.is_empty() {
            let opening = std::mem::take(&mut this.opening);
            return Poll::Ready(Some(Ok(this.sent(opening))));
        }
        let before = this.reader.cursor();
        match this.reader.poll_batch(cx, &mut this.batch) {
            Poll::Ready(Batch::Events) => {
                let first = Cursor {
                    // One batch is of one epoch.
                    epoch: this.reader.cursor().epoch,
                    ..before
                };
                let count = this.batch.len();
                let bytes = join(&mut this.batch, first, this.show);
                if let Some(delivery) = &this.delivery {
                    delivery.sent(count, bytes.len());
                }
                Poll::Ready(Some(Ok(this.sent(bytes))))
            }
            // Who has lost the place comes back with a cursor, and is told then.
            Poll::Ready(Batch::End | Batch::Lost) => {
                this.is_over = true;
                if let Some(delivery) = &this.delivery {
                    delivery.ended("finished");
                }
                Poll::Ready(None)
            }
            Poll::Pending => {
                if this.parts(cx) {
                    return Poll::Ready(Some(Err(Parted)));
                }
                let Some(heartbeat) = &mut this.heartbeat else {
                    return Poll::Pending;
                };
                ready!(heartbeat.poll_due(cx));
                let bytes = Bytes::from_static(heartbeat.bytes);
                this.count.beat();
                Poll::Ready(Some(Ok(this.sent(bytes))))
            }
        }
    }
}

impl EventBody {
    /// Whether the reader is to go on elsewhere. It is given the time to do so.
    fn parts(&mut self, cx: &mut Context<'_>) -> bool {
        let parting = self.parting.as_mut();
        let parts = parting.is_some_and(|parting| parting.as_mut().poll(cx).is_ready());
        if parts {
            self.parting = None;
            self.is_over = true;
            self.reader.log().extend_grace(self.resume_grace);
        }
        parts
    }

    /// Bytes that go out now, so that no heartbeat is due for a while.
    fn sent(&mut self, bytes: Bytes) -> Bytes {
        if let Some(heartbeat) = &mut self.heartbeat {
            heartbeat.put_off();
        }
        bytes
    }
}

impl Heartbeat {
    fn put_off(&mut self) {
        self.due = Instant::now() + self.every;
        if self.timer.is_none() {
            self.timer = Some(Box::pin(sleep_until(self.due)));
        }
    }

    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(timer) = &mut self.timer {
            ready!(timer.as_mut().poll(cx));
            while self.due > timer.deadline() {
                timer.as_mut().reset(self.due);
                ready!(timer.as_mut().poll(cx));
            }
        }
        Poll::Ready(())
    }
}

/// A line alone for official SDKs and where ids are on: openai-python dispatches on every blank
/// line once it has seen an `id:`. A block for others: hand-written clients split on blank lines.
pub(super) fn heartbeat(form: HeartbeatForm, show: Show) -> Option<&'static [u8]> {
    match form {
        HeartbeatForm::Off => None,
        HeartbeatForm::Line => Some(b":\n"),
        HeartbeatForm::Auto if show.is_official_sdk || show.has_ids => Some(b":\n"),
        HeartbeatForm::Auto | HeartbeatForm::Block => Some(b":\n\n"),
    }
}

fn opening(retry: Duration, cursor: Cursor) -> Bytes {
    format!("retry: {}\nid: {cursor}\n\n", retry.as_millis()).into()
}

/// The events' bytes in one piece; a single event's are not copied where nothing is added.
fn join(events: &mut Vec<Event>, before: Cursor, show: Show) -> Bytes {
    let is_plain = !show.has_ids && !show.has_names;
    if is_plain
        && events.len() == 1
        && let Some(event) = events.pop()
    {
        return event.frame;
    }
    let mut cursor = before;
    let mut bytes = BytesMut::with_capacity(events.iter().map(|e| e.frame.len() + 64).sum());
    for event in events.drain(..) {
        cursor.seq.0 += 1;
        write_lines(&mut bytes, cursor, event.kind, show);
        bytes.extend_from_slice(&event.frame);
    }
    bytes.freeze()
}

/// One event's bytes.
pub(super) fn frame(event: Event, cursor: Cursor, show: Show) -> Bytes {
    if !show.has_ids && !show.has_names {
        return event.frame;
    }
    let mut bytes = BytesMut::with_capacity(event.frame.len() + 64);
    write_lines(&mut bytes, cursor, event.kind, show);
    bytes.extend_from_slice(&event.frame);
    bytes.freeze()
}

/// The lines before an event's own that this profile shows.
fn write_lines(bytes: &mut BytesMut, cursor: Cursor, kind: Kind, show: Show) {
    // Neither a cursor nor a name has a character that could be refused.
    if show.has_ids {
        let _ = write_field(bytes, Field::Id, &cursor.to_string());
    }
    if show.has_names {
        let _ = write_field(bytes, Field::Event, name(kind));
    }
}

/// The names that `?events=named` gives; never `error`, which EventSource keeps for itself.
fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Chunk | Kind::Whole => "chunk",
        Kind::Usage => "usage",
        Kind::Failure => "failure",
        Kind::Done => "done",
    }
}
