//! One streamed completion, read to its end through whatever happens to its connections.
//!
//! A server that keeps completions names them (`x-completion-id`) and, if asked to, their events; then
//! what a lost connection did not bring is asked for on another. Start at [`Completion::read`].

use std::{ops::ControlFlow, time::Duration};

use bytes::{Bytes, BytesMut};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::{
    Chunk, Client, Fault, broken,
    chunk::error_message,
    header,
    place::{Order, Place},
};
use crate::sse::{Decoder, Event};

const PATH: &str = "/v1/chat/completions";
const EVENTS: &str = "text/event-stream";
/// Milliseconds before each attempt to come back; a new event starts them anew.
const DELAYS: [u64; 8] = [200, 400, 800, 1600, 3200, 5000, 5000, 5000];
/// How long a server may take to say that it has the rest, or that it stops.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
const CANCEL_WITHIN: Duration = Duration::from_secs(3);
/// How long what may follow the last chunk (usage, `[DONE]`) is waited for.
const AFTER_FINISH: Duration = Duration::from_secs(2);
/// The largest event that is read, and the most of an error's body, in bytes.
const MAX_EVENT: usize = 4 * 1024 * 1024;
const MAX_ERROR: usize = 64 * 1024;
/// The most of an error that is no JSON that is shown, in characters.
const MAX_SHOWN: usize = 500;

/// A completion that is asked for once.
#[derive(Debug)]
pub struct Completion<'a> {
    client: &'a Client,
    body: &'a Value,
    patience: Duration,
    place: Place,
    is_finished: bool,
    failure: Option<String>,
    tries: usize,
}

/// What happens while it is read.
#[derive(Debug)]
pub enum Step<'a> {
    /// These bytes came.
    Read(&'a Bytes),
    /// A chunk came; each once, whatever the bytes were.
    Chunk(Chunk),
    /// The connection is lost. The server will be asked for the rest.
    Lost {
        /// What happened.
        why: &'a Fault,
        /// When it will be asked.
        delay: Duration,
    },
    /// The rest comes.
    Resumed,
}

/// How it ended, where nothing was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All was said.
    Whole,
    /// Who reads wanted no more.
    Stopped,
}

impl<'a> Completion<'a> {
    /// A completion that will be asked for with this body, in which nothing may come for as long as `patience`.
    pub fn new(client: &'a Client, body: &'a Value, patience: Duration) -> Self {
        Self {
            client,
            body,
            patience,
            place: Place::default(),
            is_finished: false,
            failure: None,
            tries: 0,
        }
    }

    /// Asks, and tells every step until the end, or until `each` wants no more.
    ///
    /// # Errors
    /// The [`Fault`] for which the answer is not whole.
    pub async fn read(
        &mut self,
        mut each: impl FnMut(Step<'_>) -> ControlFlow<()>,
    ) -> Result<End, Fault> {
        let request = self.client.request(Method::POST, PATH);
        let request = request
            .header("x-stream-ids", "1")
            .body(self.body.to_string());
        let response = head(request, self.patience).await?;
        self.place.id = header(&response, "x-completion-id");
        let mut response = accept(response).await?;
        loop {
            let lost = match self.connection(response, &mut each).await {
                Err(fault) if fault.is_of_connection() => fault,
                end => return end,
            };
            if self.has_ended() {
                return self.end();
            }
            response = match self.come_back(lost, &mut each).await? {
                ControlFlow::Continue(response) => response,
                ControlFlow::Break(end) => return Ok(end),
            };
        }
    }

    /// Has the server stop, where it knows how to; whether it did.
    pub async fn cancel(&self) -> bool {
        let Some(id) = &self.place.id else {
            return false;
        };
        let path = format!("{PATH}/{id}/cancel");
        let request = self.client.request(Method::POST, &path);
        let response = head(request, CANCEL_WITHIN).await;
        response.is_ok_and(|response| response.status().is_success())
    }

    /// Reads one connection, to the end or until it is lost.
    async fn connection(
        &mut self,
        mut response: Response,
        each: &mut impl FnMut(Step<'_>) -> ControlFlow<()>,
    ) -> Result<End, Fault> {
        let mut decoder = Decoder::new(MAX_EVENT);
        loop {
            let patience = match self.has_ended() {
                true => AFTER_FINISH,
                false => self.patience,
            };
            let read = timeout(patience, response.chunk()).await;
            let read = read.map_err(|_| Fault::Silent(patience))?;
            let Some(read) = read.map_err(|error| broken(&error))? else {
                return Err(Fault::Truncated);
            };
            if each(Step::Read(&read)).is_break() {
                return Ok(End::Stopped);
            }
            decoder.push(read);
            while let Some(event) = decoder.next() {
                if let Some(end) = self.event(&event?, each)? {
                    return Ok(end);
                }
            }
        }
    }

    /// Takes one event; the end, if that is what it is.
    fn event(
        &mut self,
        event: &Event,
        each: &mut impl FnMut(Step<'_>) -> ControlFlow<()>,
    ) -> Result<Option<End>, Fault> {
        let id = String::from_utf8_lossy(&event.last_id);
        match self.place.order(&id) {
            Order::Old => return Ok(None),
            Order::Ahead => return Err(Fault::Hole(id.into_owned())),
            Order::Next => {}
        }
        if &event.data[..] == b"[DONE]" {
            return self.end().map(Some);
        }
        // The place moves only past what could be read: the rest is asked for from there.
        let mut chunk = Chunk::parse(&event.data)?;
        self.place.advance(&id);
        self.tries = 0;
        self.is_finished |= chunk.finish_reason.is_some();
        self.failure = chunk.error.take().or(self.failure.take());
        let wants_more = each(Step::Chunk(chunk)).is_continue();
        Ok((!wants_more).then_some(End::Stopped))
    }

    fn has_ended(&self) -> bool {
        self.is_finished || self.failure.is_some()
    }

    fn end(&mut self) -> Result<End, Fault> {
        match self.failure.take() {
            Some(failure) => Err(Fault::Failed(failure)),
            None if self.is_finished => Ok(End::Whole),
            None => Err(Fault::Unfinished),
        }
    }

    /// Asks for the rest until it comes.
    async fn come_back(
        &mut self,
        lost: Fault,
        each: &mut impl FnMut(Step<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<End, Response>, Fault> {
        if !self.place.is_known() {
            return Err(Fault::Lost(Box::new(lost)));
        }
        let mut last = None;
        while let Some(delay) = DELAYS.get(self.tries) {
            self.tries += 1;
            let delay = Duration::from_millis(*delay);
            let why = last.as_ref().unwrap_or(&lost);
            if each(Step::Lost { why, delay }).is_break() {
                return Ok(ControlFlow::Break(End::Stopped));
            }
            sleep(delay).await;
            match self.follow().await {
                // Nothing is left to be read.
                Ok(None) => return self.end().map(ControlFlow::Break),
                Ok(Some(response)) => {
                    let wants_more = each(Step::Resumed).is_continue();
                    return Ok(match wants_more {
                        true => ControlFlow::Continue(response),
                        false => ControlFlow::Break(End::Stopped),
                    });
                }
                Err(fault) => {
                    let may_pass = fault.may_pass();
                    last = Some(fault);
                    if !may_pass {
                        break;
                    }
                }
            }
        }
        Err(match last {
            Some(then) => Fault::NotResumed {
                why: Box::new(lost),
                then: Box::new(then),
            },
            None => lost,
        })
    }

    /// The events after the last that was read, if there are any.
    async fn follow(&self) -> Result<Option<Response>, Fault> {
        let id = self.place.id.as_deref().unwrap_or_default();
        let path = format!("{PATH}/{id}/stream");
        let mut request = self.client.request(Method::GET, &path);
        if !self.place.cursor.is_empty() {
            request = request.header("last-event-id", &self.place.cursor);
        }
        let response = head(request, HEAD_WITHIN).await?;
        match response.status().as_u16() {
            204 => Ok(None),
            _ => accept(response).await.map(Some),
        }
    }
}

/// The head of the reply.
async fn head(request: RequestBuilder, within: Duration) -> Result<Response, Fault> {
    let sent = timeout(within, request.send()).await;
    let sent = sent.map_err(|_| Fault::Silent(within))?;
    Ok(sent.map_err(|error| broken(&error))?)
}

/// The reply if it is a stream, else why not.
async fn accept(mut response: Response) -> Result<Response, Fault> {
    let kind = header(&response, "content-type").unwrap_or_default();
    let status = response.status();
    if status.is_success() && kind.starts_with(EVENTS) {
        return Ok(response);
    }
    let body = timeout(AFTER_FINISH, begin(&mut response)).await;
    let body = body.unwrap_or_default();
    let said = error_message(&body);
    if status.is_success() && said.is_none() {
        let kind = if kind.is_empty() { "no type" } else { &kind };
        return Err(Fault::NotEvents(kind.to_owned()));
    }
    let message = said.unwrap_or_else(|| {
        let text = String::from_utf8_lossy(&body);
        let shown: String = text.trim().chars().take(MAX_SHOWN).collect();
        match shown.is_empty() {
            true => status.canonical_reason().unwrap_or_default().to_owned(),
            false => shown,
        }
    });
    Err(Fault::Refused {
        status: status.as_u16(),
        message,
    })
}

/// As much of an error's body as is read.
async fn begin(response: &mut Response) -> BytesMut {
    let mut body = BytesMut::new();
    while let Ok(Some(read)) = response.chunk().await {
        if body.len() + read.len() > MAX_ERROR {
            break;
        }
        body.extend_from_slice(&read);
    }
    body
}

#[cfg(test)]
#[path = "completion_tests.rs"]
mod tests;
