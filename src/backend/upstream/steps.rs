//! The steps of a streamed answer, from the bytes of its body.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_util::Stream;

use super::{chunk, taped::Taped};
use crate::{
    backend::{BackendError, Step},
    openai::Scanner,
    sse::{DecodeError, Decoder, Event},
};

/// Reads on after the sentinel, to its end of file, so that a well-behaved upstream's connection can be used
/// again. Written by hand: what a generated stream has in hand it keeps beside itself, in memory that is cold when
/// the next chunk comes.
pub(super) struct Steps {
    response: Taped,
    decoder: Decoder,
    // Nothing is read any more.
    is_over: bool,
    scanner: Scanner,
    // Held back until the rest of the body is taken down.
    last: Option<Box<Result<Step, BackendError>>>,
}

impl Steps {
    /// Of a body whose events have at most so many bytes.
    pub(super) fn new(response: Taped, max_event_bytes: usize) -> Self {
        Self {
            response,
            decoder: Decoder::new(max_event_bytes),
            is_over: false,
            scanner: Scanner::default(),
            last: None,
        }
    }

    /// The next step of what was read.
    fn decoded(&mut self) -> Option<Result<Step, BackendError>> {
        while let Some(event) = self.decoder.next() {
            if let Some(step) = step(event, &mut self.scanner).transpose() {
                return Some(step);
            }
        }
        None
    }

    fn poll_last(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Step, BackendError>>> {
        ready!(self.response.poll_play_out(cx));
        Poll::Ready(self.last.take().map(|last| *last))
    }
}

impl Stream for Steps {
    type Item = Result<Step, BackendError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.last.is_some() {
            return this.poll_last(cx);
        }
        loop {
            if let Some(step) = this.decoded() {
                if this.response.is_taped() && is_last(&step) {
                    this.last = Some(Box::new(step));
                    return this.poll_last(cx);
                }
                return Poll::Ready(Some(step));
            }
            if this.is_over {
                return Poll::Ready(None);
            }
            match ready!(this.response.poll_chunk(cx)) {
                Ok(Some(read)) => this.decoder.push(read),
                Ok(None) => this.is_over = true,
                Err(error) => {
                    this.is_over = true;
                    let error = BackendError::Truncated(error.cause());
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}

/// Nobody reads on after this, though the upstream may not have ended.
fn is_last(step: &Result<Step, BackendError>) -> bool {
    match step {
        Ok(Step::Chunk(chunk)) => chunk.facts.error.is_some() || chunk.facts.choice_failed,
        // Its end of file is waited for.
        Ok(Step::Done) => false,
        Err(_) => true,
    }
}

/// What an event means; an empty one means nothing.
fn step(
    event: Result<Event, DecodeError>,
    scanner: &mut Scanner,
) -> Result<Option<Step>, BackendError> {
    let DecodeError::TooLarge { max_bytes } = match event {
        Ok(event) if event.data.is_empty() => return Ok(None),
        Ok(event) if event.data.trim_ascii() == b"[DONE]" => return Ok(Some(Step::Done)),
        Ok(event) => {
            let facts = scanner.scan(&event.data);
            let chunk = chunk(event.data, facts)?.like(scanner.likeness());
            return Ok(Some(Step::Chunk(chunk)));
        }
        Err(error) => error,
    };
    Err(BackendError::TooLarge { max_bytes })
}
