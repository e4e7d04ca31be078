//! Chunks that differ in nothing but their text: written and read once, then filled in.

use bytes::{BufMut, BytesMut};
use memchr::memmem;

use crate::{
    backend::Chunk,
    openai::{Facts, scan},
    sse::{DATA, FRAME_END},
};

/// What stands in place of the text while the template is made.
pub(super) const MARK: &str = "\u{e000}the text\u{e001}";

/// How much room is taken for chunks at once.
const ROOM: usize = 4096;

/// A chunk without its text, as an event.
pub(super) struct Template {
    // With the text's quotes.
    before: Vec<u8>,
    after: Vec<u8>,
    // Of the chunk with its mark; what moves with the text is the closing brace alone.
    facts: Facts,
}

impl Template {
    /// Of a chunk whose text is [`MARK`]; `None` if it says the mark elsewhere too, or something behind
    /// it that the pump has to find.
    pub(super) fn of(json: &[u8]) -> Option<Self> {
        let facts = scan(json).ok()?;
        let mark = format!("\"{MARK}\"");
        let at = memmem::find(json, mark.as_bytes())?;
        let is_known = [facts.usage, facts.error, facts.null_error].map(|span| span.is_none());
        let is_before = facts.id.is_none_or(|id| id.range().end <= at);
        let is_once = memmem::rfind(json, MARK.as_bytes()) == Some(at + 1);
        (is_known == [true; 3] && is_before && is_once).then(|| Self {
            before: [DATA, &json[..=at]].concat(),
            after: [&json[at + mark.len() - 1..], FRAME_END].concat(),
            facts,
        })
    }

    /// The chunk with this text, cut from `room`, where it stands as an event. The text must not be
    /// empty: a chunk that says nothing is no content.
    pub(super) fn fill(&self, text: &str, room: &mut BytesMut) -> Chunk {
        let least = self.before.len() + self.after.len() + text.len();
        if room.capacity() < least {
            room.reserve(least.max(ROOM));
        }
        room.extend_from_slice(&self.before);
        match text.bytes().any(needs_escape) {
            false => room.extend_from_slice(text.as_bytes()),
            true => {
                // Its own quotes are in its place already.
                room.truncate(room.len() - 1);
                // A text can always be written, and the room grows.
                drop(serde_json::to_writer((&mut *room).writer(), text));
                room.truncate(room.len() - 1);
            }
        }
        room.extend_from_slice(&self.after);
        let event = room.split().freeze();
        let facts = Facts {
            brace: event.len() - DATA.len() - FRAME_END.len() - 1,
            ..self.facts
        };
        Chunk::of_event(event, facts)
    }
}

/// JSON writes it as something else (RFC 8259, 7).
fn needs_escape(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(model: &str, text: &str) -> Vec<u8> {
        serde_json::json!({
            "id": "chatcmpl-1", "model": model,
            "choices": [{"index": 2, "delta": {"content": text}, "finish_reason": null}],
        })
        .to_string()
        .into_bytes()
    }

    #[test]
    fn what_is_filled_in_is_what_would_have_been_written_and_read() {
        let template = Template::of(&chunk("m", MARK)).expect("a template");
        let mut room = BytesMut::new();
        for text in ["a", " \"quoted\"\\", "\u{1}\n", "🌊 é", "}"] {
            let filled = template.fill(text, &mut room);
            let written = chunk("m", text);
            assert_eq!(filled.json(), written);
            assert_eq!(filled.facts, scan(&written).expect("a chunk"));
            let event = filled.into_event().expect("an event");
            assert_eq!(event, crate::sse::data_frame(&written));
        }
    }

    #[test]
    fn a_chunk_that_says_the_mark_elsewhere_is_no_template() {
        assert!(Template::of(&chunk(MARK, MARK)).is_none());
        assert!(Template::of(&chunk("m", "x")).is_none());
        let usage = format!(r#"{{"usage":{{}},"choices":[{{"index":0,"text":"{MARK}"}}]}}"#);
        assert!(Template::of(usage.as_bytes()).is_none());
    }
}
