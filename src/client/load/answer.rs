//! One stream, from its first event to the end of its reply.

use std::{borrow::Cow, cell::RefCell};

use bytes::Bytes;
use memchr::memmem;

use super::{fault::Fault, monotonic, tally::Tally};
use crate::{
    http1::Head,
    openai::scan,
    sse::{Decoder, Event},
};

/// The largest event that is read, in bytes.
const MAX_EVENT: usize = 4 * 1024 * 1024;
/// The most bytes of an error's body that are kept.
const MAX_ERROR: usize = 1024;
const EVENTS: &str = "text/event-stream";
/// What a stamp begins with; digits follow: nanoseconds of this machine's monotonic clock.
const STAMP: &[u8] = b"\"sent_ns\":\"";

/// What has come of one stream.
pub(super) struct Answer<'a> {
    tally: &'a RefCell<Tally>,
    reads_stamps: bool,
    begun: u64,
    last: Option<u64>,
    decoder: Decoder,
    has_events: bool,
    has_content: bool,
    is_done: bool,
    seen: u128,
    finished: u128,
    error: Vec<u8>,
    // Told by the head, with the first piece.
    is_stream: Option<bool>,
}

impl<'a> Answer<'a> {
    /// Of a request that counts from `begun`, in nanoseconds of the monotonic clock.
    pub(super) fn new(tally: &'a RefCell<Tally>, begun: u64, reads_stamps: bool) -> Self {
        Self {
            tally,
            reads_stamps,
            begun,
            last: None,
            decoder: Decoder::new(MAX_EVENT),
            has_events: false,
            has_content: false,
            is_done: false,
            seen: 0,
            finished: 0,
            error: Vec::new(),
            is_stream: None,
        }
    }

    /// Takes a piece of the body.
    ///
    /// # Errors
    /// The first [`Fault`] of the events in it.
    pub(super) fn take(&mut self, head: &Head, piece: Bytes) -> Result<(), Fault> {
        if !*self.is_stream.get_or_insert_with(|| is_stream(head)) {
            let room = MAX_ERROR - self.error.len();
            self.error.extend(piece.iter().take(room));
            return Ok(());
        }
        let now = monotonic();
        self.tally.borrow_mut().bytes += piece.len() as u64;
        self.decoder.push(piece);
        while let Some(event) = self.decoder.next() {
            self.event(&event?, now)?;
        }
        Ok(())
    }

    /// Judges the stream once its reply has ended.
    ///
    /// # Errors
    /// What it lacks.
    pub(super) fn end(&self, head: &Head) -> Result<(), Fault> {
        let error = String::from_utf8_lossy(&self.error);
        match head.status.as_u16() {
            200 if !is_stream(head) => Err(Fault::NotEvents(content_type(head).into_owned())),
            200 if !self.is_done => Err(Fault::Truncated),
            200 if self.seen == 0 || self.seen != self.finished => Err(Fault::Unfinished),
            200 => Ok(()),
            status => Err(Fault::Status {
                status,
                body: error.trim().to_owned(),
            }),
        }
    }

    fn event(&mut self, event: &Event, now: u64) -> Result<(), Fault> {
        if self.is_done {
            return Err(Fault::AfterDone);
        }
        let mut tally = self.tally.borrow_mut();
        let since = now.saturating_sub(self.begun);
        if &event.data[..] == b"[DONE]" {
            self.is_done = true;
            tally.sentinels += 1;
            tally.total.add(since);
            return Ok(());
        }
        tally.chunks += 1;
        let facts = scan(&event.data).map_err(|_| Fault::Malformed(text(&event.data)))?;
        if !std::mem::replace(&mut self.has_events, true) {
            tally.first_event.add(since);
        }
        if let (true, Some(last)) = (self.has_content, self.last) {
            tally.gap.add(now.saturating_sub(last));
        }
        if facts.has_content && !std::mem::replace(&mut self.has_content, true) {
            tally.first_token.add(since);
        }
        self.last = Some(now);
        if let (true, Some(sent)) = (self.reads_stamps, stamp(&event.data)) {
            tally.transit.add(now.saturating_sub(sent));
        }
        if facts.error.is_some() || facts.choice_failed {
            return Err(Fault::Failed(text(&event.data)));
        }
        self.seen |= facts.seen;
        self.finished |= facts.finished;
        Ok(())
    }
}

fn is_stream(head: &Head) -> bool {
    head.status == 200 && content_type(head).to_ascii_lowercase().starts_with(EVENTS)
}

fn content_type(head: &Head) -> Cow<'_, str> {
    let value = head.headers.get("content-type");
    value.map_or(Cow::Borrowed(""), |value| {
        String::from_utf8_lossy(value.as_bytes())
    })
}

/// The start of an event that is shown in an error.
fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(&data[..data.len().min(MAX_ERROR)]).into_owned()
}

/// When the chunk was written, if it says so.
fn stamp(data: &[u8]) -> Option<u64> {
    let from = memmem::find(data, STAMP)? + STAMP.len();
    let length = data[from..].iter().position(|byte| *byte == b'"')?;
    std::str::from_utf8(&data[from..from + length])
        .ok()?
        .parse()
        .ok()
}
