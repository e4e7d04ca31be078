//! A reply that may be taken down while it is read.

use std::{
    future::poll_fn,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use reqwest::{StatusCode, header::HeaderMap};

use super::send::{Response, SendError};
use crate::backend::cassette::Tape;

/// A reply, and what takes it down.
pub(super) struct Taped {
    response: Response,
    // In a box: most replies have none.
    tape: Option<Box<Tape>>,
}

impl Taped {
    /// A reply whose head has come.
    pub(super) fn new(response: Response, mut tape: Option<Tape>) -> Self {
        if let Some(tape) = &mut tape {
            let headers = response.headers().iter();
            let headers =
                headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
            tape.head(response.status().as_u16(), headers);
        }
        let tape = tape.map(Box::new);
        Self { response, tape }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// It is taken down.
    pub(super) fn is_taped(&self) -> bool {
        self.tape.is_some()
    }

    /// What is read next of the body; nothing at its end.
    pub(super) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, SendError>> {
        let read = ready!(self.response.poll_chunk(cx));
        if let Some(tape) = &mut self.tape {
            match &read {
                Ok(Some(bytes)) => tape.frame(bytes),
                Ok(None) => tape.end(),
                Err(_) => {}
            }
        }
        Poll::Ready(read)
    }

    /// The same, waited for.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, SendError> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// Reads to the end what nobody wants, where it is taken down: what a client cannot use is
    /// worth a cassette too.
    pub(super) async fn play_out(&mut self) {
        poll_fn(|cx| self.poll_play_out(cx)).await;
    }

    /// The same; does nothing once it has ended.
    pub(super) fn poll_play_out(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.tape.is_some() {
            while let Ok(Some(_)) = ready!(self.poll_chunk(cx)) {}
        }
        Poll::Ready(())
    }
}
