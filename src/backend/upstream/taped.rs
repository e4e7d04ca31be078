//! A reply that may be taken down while it is read.

use bytes::Bytes;
use reqwest::{StatusCode, header::HeaderMap};

use super::send::{Response, SendError};
use crate::backend::cassette::Tape;

/// A reply, and what takes it down.
pub(super) struct Taped {
    response: Response,
    tape: Option<Tape>,
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
        Self { response, tape }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// What is read next of the body; nothing at its end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, SendError> {
        let read = self.response.chunk().await;
        if let Some(tape) = &mut self.tape {
            match &read {
                Ok(Some(bytes)) => tape.frame(bytes),
                Ok(None) => tape.end(),
                Err(_) => {}
            }
        }
        read
    }

    /// Reads to the end what nobody wants, where it is taken down: what a client cannot use is
    /// worth a cassette too.
    pub(super) async fn play_out(&mut self) {
        if self.tape.is_some() {
            while let Ok(Some(_)) = self.chunk().await {}
        }
    }
}
