//! What a backend's stream is made of.

use std::borrow::Cow;

use bytes::Bytes;

use crate::{
    openai::{Facts, Likeness, Span},
    sse::{DATA, FRAME_END, Frame},
};

/// A chunk (or a whole completion) as it came, and what was read of it.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// What the bookkeeping needs of it.
    pub facts: Facts,
    form: Form,
}

#[derive(Debug, Clone)]
enum Form {
    Json(Bytes, Option<Likeness>),
    // The JSON is its only line of data.
    Event(Frame),
}

impl Chunk {
    /// A JSON object of which this was read.
    pub fn new(json: Bytes, facts: Facts) -> Self {
        let form = Form::Json(json, None);
        Self { facts, form }
    }

    /// The same of one that is like others.
    pub fn like(mut self, likeness: Option<&Likeness>) -> Self {
        if let Form::Json(_, like) = &mut self.form {
            *like = likeness.cloned();
        }
        self
    }

    /// An event of the stream, as [`data_frame`](crate::sse::data_frame) writes it, of whose JSON this was read. Its
    /// id is the call's.
    pub fn of_event(event: Frame, facts: Facts) -> Self {
        let form = Form::Event(event);
        Self { facts, form }
    }

    /// The JSON object.
    pub fn json(&self) -> Cow<'_, [u8]> {
        match &self.form {
            Form::Json(json, _) => Cow::Borrowed(json),
            Form::Event(event) => Cow::Owned(json_of(event).into()),
        }
    }

    /// A part of the JSON object.
    pub fn part(&self, span: Span) -> Bytes {
        match &self.form {
            Form::Json(json, _) => json.slice(span.range()),
            Form::Event(event) => json_of(event).slice(span.range()),
        }
    }

    /// The JSON object alone.
    pub fn into_json(self) -> Bytes {
        match self.form {
            Form::Json(json, _) => json,
            Form::Event(event) => json_of(&event),
        }
    }

    /// What it is like, if it is like others of its answer.
    pub fn likeness(&self) -> Option<&Likeness> {
        match &self.form {
            Form::Json(_, likeness) => likeness.as_ref(),
            Form::Event(_) => None,
        }
    }

    /// The event, where the backend has written one.
    pub fn event(&self) -> Option<&Frame> {
        match &self.form {
            Form::Json(..) => None,
            Form::Event(event) => Some(event),
        }
    }

    /// Whether that event says this id.
    pub fn is_event_of(&self, id: &str) -> bool {
        let is_said = |event: &Frame| {
            let own = event.beginning()[DATA.len()..].get(self.facts.id?.range())?;
            Some(own.strip_prefix(b"\"")?.strip_suffix(b"\"")? == id.as_bytes())
        };
        self.event().and_then(is_said) == Some(true)
    }
}

fn json_of(event: &Frame) -> Bytes {
    let bytes = event.to_bytes();
    bytes.slice(DATA.len()..bytes.len() - FRAME_END.len())
}
