//! A reader as an HTTP body: what is ready goes out as one write, and where nothing is, a
//! heartbeat after a while.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix_web::body::{BodySize, MessageBody};
use bytes::{Bytes, BytesMut};
use tokio::{
    sync::watch,
    time::{Instant, Sleep, sleep},
};

use crate::stream::{Batch, Event, HeartbeatForm, Reader, Settings};

/// Counts the streams that are being written, so that a stop can wait for them.
#[derive(Debug, Clone)]
pub struct Bodies(Arc<watch::Sender<usize>>);

impl Default for Bodies {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Bodies {
    /// How many there are.
    pub fn count(&self) -> usize {
        *self.0.borrow()
    }

    /// Waits until there are none, `patience` at most.
    pub async fn written(&self, patience: Duration) {
        let mut count = self.0.subscribe();
        // Too late is as good as done here: the server stops either way.
        let _ = tokio::time::timeout(patience, count.wait_for(|count| *count == 0)).await;
    }
}

/// The body of a stream.
pub(super) struct EventBody {
    reader: Reader,
    // Taken from the reader and not yet sent; empty between polls.
    batch: Vec<Event>,
    heartbeat: Option<Heartbeat>,
    bodies: Bodies,
}

struct Heartbeat {
    bytes: &'static [u8],
    every: Duration,
    due: Pin<Box<Sleep>>,
}

impl EventBody {
    /// Reads on from where `reader` is. When nothing is there to be sent at first, a heartbeat
    /// goes out at once.
    pub(super) fn new(
        reader: Reader,
        settings: &Settings,
        is_official_sdk: bool,
        bodies: Bodies,
    ) -> Self {
        bodies.0.send_modify(|count| *count += 1);
        let form = heartbeat(settings.heartbeat_form, is_official_sdk);
        Self {
            reader,
            batch: Vec::new(),
            heartbeat: form.map(|bytes| Heartbeat {
                bytes,
                every: settings.heartbeat,
                due: Box::pin(sleep(Duration::ZERO)),
            }),
            bodies,
        }
    }
}

impl Drop for EventBody {
    fn drop(&mut self) {
        self.bodies.0.send_modify(|count| *count -= 1);
    }
}

impl MessageBody for EventBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        let this = &mut *self;
        match this.reader.poll_batch(cx, &mut this.batch) {
            Poll::Ready(Batch::Events) => {
                if let Some(heartbeat) = &mut this.heartbeat {
                    heartbeat.put_off();
                }
                Poll::Ready(Some(Ok(join(&mut this.batch))))
            }
            Poll::Ready(Batch::End) => Poll::Ready(None),
            Poll::Pending => {
                let Some(heartbeat) = &mut this.heartbeat else {
                    return Poll::Pending;
                };
                ready!(heartbeat.due.as_mut().poll(cx));
                heartbeat.put_off();
                Poll::Ready(Some(Ok(Bytes::from_static(heartbeat.bytes))))
            }
        }
    }
}

impl Heartbeat {
    fn put_off(&mut self) {
        let due = Instant::now() + self.every;
        self.due.as_mut().reset(due);
    }
}

/// A line alone for official SDKs: openai-python dispatches on every blank line once it has
/// seen an `id:`. A block for others: hand-written clients split on blank lines.
fn heartbeat(form: HeartbeatForm, is_official_sdk: bool) -> Option<&'static [u8]> {
    match form {
        HeartbeatForm::Off => None,
        HeartbeatForm::Line => Some(b":\n"),
        HeartbeatForm::Auto if is_official_sdk => Some(b":\n"),
        HeartbeatForm::Auto | HeartbeatForm::Block => Some(b":\n\n"),
    }
}

/// The events' bytes in one piece; a single event's are not copied.
fn join(events: &mut Vec<Event>) -> Bytes {
    if events.len() == 1
        && let Some(event) = events.pop()
    {
        return event.frame;
    }
    let mut bytes = BytesMut::with_capacity(events.iter().map(|e| e.frame.len()).sum());
    for event in events.drain(..) {
        bytes.extend_from_slice(&event.frame);
    }
    bytes.freeze()
}
