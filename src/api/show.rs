//! What a stream looks like to one reader: its events' bytes with the lines that this reader sees.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::{
    sse::{Field, write_field},
    stream::{Cursor, Event, HeartbeatForm, Kind, Settings},
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
    /// Nothing stands beside the events' own bytes.
    fn is_plain(self) -> bool {
        !self.has_ids && !self.has_names
    }

    /// How long nothing is written before a heartbeat is.
    pub(super) fn heartbeat_every(self, settings: &Settings) -> Duration {
        match self.is_http2 {
            true => settings.heartbeat.min(HTTP2_HEARTBEAT),
            false => settings.heartbeat,
        }
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

/// The block before the first event.
pub(super) fn opening(retry: Duration, cursor: Cursor) -> Bytes {
    format!("retry: {}\nid: {cursor}\n\n", retry.as_millis()).into()
}

/// Adds the bytes of the event at this place.
pub(super) fn write(event: &Event, cursor: Cursor, show: Show, bytes: &mut BytesMut) {
    write_lines(bytes, cursor, event.kind, show);
    event.frame.write_to(bytes);
}

/// One event's bytes.
pub(super) fn frame(event: Event, cursor: Cursor, show: Show) -> Bytes {
    if show.is_plain() {
        return event.frame.to_bytes();
    }
    let mut bytes = BytesMut::with_capacity(event.frame.len() + 64);
    write(&event, cursor, show, &mut bytes);
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
