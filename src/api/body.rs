//! A reader as an HTTP body: what is ready goes out as one write, and where nothing is, a
//! heartbeat after a while.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    bodies::{Bodies, Counted, Parting},
    feed::Feed,
    line::Bypass,
    show::{Show, heartbeat, opening},
};
use crate::{
    stream::{Grace, Reader, Settings},
    wire::Delivery,
};

/// Why a reply breaks off.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// A reader that can come back is sent elsewhere. The reply breaks off, so that nobody takes it for
    /// whole, and its connection goes with it: the next one finds another node.
    #[error("the server stops, and another node has the stream too")]
    Parted,
    /// The client is gone.
    #[error("the connection cannot be written: {0}")]
    Unwritable(io::Error),
}

/// The body of a stream.
pub(super) struct EventBody {
    feed: Arc<Feed>,
    // The opening block, until it was sent.
    opening: Bytes,
    heartbeat: Option<Heartbeat>,
    is_over: bool,
    count: Counted,
    // Until the reader is sent elsewhere; `None` where it stays, whatever happens.
    parting: Option<Parting>,
    resume_grace: Grace,
}

struct Heartbeat {
    bytes: &'static [u8],
    every: Duration,
    // Set to when one was due: it is moved when it fires, not with every event.
    timer: Option<Pin<Box<Sleep>>>,
}

impl EventBody {
    /// Reads on from where `reader` is, past actix where there is a way. When nothing is there to be sent at first, a
    /// heartbeat goes out at once. What is sent is written down in the delivery, if there is one.
    pub(super) fn new(
        reader: Reader,
        (settings, show): (&Settings, Show),
        bodies: &Bodies,
        to: (Option<Bypass>, Option<Arc<Delivery>>),
    ) -> Self {
        let form = heartbeat(settings.heartbeat_form, show);
        let opening = match show.has_opening {
            true => opening(settings.retry, reader.cursor()),
            false => Bytes::new(),
        };
        Self {
            feed: Feed::new(reader, show, to),
            opening,
            heartbeat: form.map(|bytes| Heartbeat {
                bytes,
                every: show.heartbeat_every(settings),
                timer: None,
            }),
            is_over: false,
            count: bodies.counted(),
            parting: bodies.parting(show),
            resume_grace: Grace(settings.resume_grace),
        }
    }

    /// Whether the reader is to go on elsewhere. It is given the time to do so.
    fn parts(&mut self, cx: &mut Context<'_>) -> bool {
        let parting = self.parting.as_mut();
        let parts = parting.is_some_and(|parting| parting.as_mut().poll(cx).is_ready());
        if parts {
            self.parting = None;
            self.is_over = true;
            self.feed.log().extend_grace(self.resume_grace);
        }
        parts
    }
}

impl Drop for EventBody {
    fn drop(&mut self) {
        let is_behind = self.feed.close();
        if !self.is_over {
            self.count.left(is_behind);
        }
        self.feed.ended("left");
    }
}

impl MessageBody for EventBody {
    type Error = Broken;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Broken>>> {
        let this = &mut *self;
        if !this.opening.is_empty() {
            this.feed.passes();
            return Poll::Ready(Some(Ok(std::mem::take(&mut this.opening))));
        }
        match this.feed.poll(cx) {
            Poll::Ready(Ok(Some(bytes))) => Poll::Ready(Some(Ok(bytes))),
            Poll::Ready(Ok(None)) => {
                this.is_over = true;
                this.feed.ended("finished");
                Poll::Ready(None)
            }
            Poll::Ready(Err(error)) => Poll::Ready(Some(Err(Broken::Unwritable(error)))),
            Poll::Pending => {
                if this.parts(cx) {
                    return Poll::Ready(Some(Err(Broken::Parted)));
                }
                let Some(heartbeat) = &mut this.heartbeat else {
                    return Poll::Pending;
                };
                let Ok(last) = this.feed.last_sent() else {
                    return Poll::Pending;
                };
                ready!(heartbeat.poll_due(cx, last));
                this.count.beat();
                this.feed.passes();
                Poll::Ready(Some(Ok(Bytes::from_static(heartbeat.bytes))))
            }
        }
    }
}

impl Heartbeat {
    /// Due so long after the last bytes; at once where there were none: a timer takes a tick even when its time has
    /// come.
    fn poll_due(&mut self, cx: &mut Context<'_>, last: Option<Instant>) -> Poll<()> {
        let Some(last) = last else {
            return Poll::Ready(());
        };
        let due = last + self.every;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        ready!(timer.as_mut().poll(cx));
        while due > timer.deadline() {
            timer.as_mut().reset(due);
            ready!(timer.as_mut().poll(cx));
        }
        Poll::Ready(())
    }
}
