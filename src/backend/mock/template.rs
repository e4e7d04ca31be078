//! Chunks that differ in nothing but their text: written and read once, then filled in.

use std::sync::Arc;

use memchr::memmem;

use crate::{
    backend::Chunk,
    openai::{Facts, scan},
    sse::{DATA, FRAME_END, Pattern},
};

/// What stands in place of the text while the template is made.
pub(super) const MARK: &str = "\u{e000}the text\u{e001}";

/// A chunk without its text, as an event.
pub(super) struct Template {
    // Around the text's quotes.
    pattern: Arc<Pattern>,
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
        let hole = DATA.len() + at + 1;
        (is_known == [true; 3] && is_before && is_once).then(|| Self {
            pattern: Pattern::new(
                [DATA, json, FRAME_END].concat().into(),
                hole..hole + MARK.len(),
            ),
            facts,
        })
    }

    /// The chunk with this text, as an event. The text must not be empty: a chunk that says nothing is no
    /// content. It is not looked through where it is known that JSON has it as it is.
    pub(super) fn fill(&self, text: &str, is_known_plain: bool) -> Chunk {
        let event = match is_known_plain || is_plain(text) {
            true => self.pattern.fill(text.as_bytes()),
            false => {
                let quoted = serde_json::Value::from(text).to_string();
                self.pattern.fill(&quoted.as_bytes()[1..quoted.len() - 1])
            }
        };
        let facts = Facts {
            brace: event.len() - DATA.len() - FRAME_END.len() - 1,
            ..self.facts
        };
        Chunk::of_event(event, facts)
    }
}

/// JSON writes nothing of it as something else (RFC 8259, 7).
pub(super) fn is_plain(text: &str) -> bool {
    let needs_escape = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    !text.bytes().any(needs_escape)
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
        for text in ["a", " \"quoted\"\\", "\u{1}\n", "🌊 é", "}"] {
            let filled = template.fill(text, false);
            let written = chunk("m", text);
            assert_eq!(&filled.json()[..], written);
            assert_eq!(filled.facts, scan(&written).expect("a chunk"));
            let event = filled.event().expect("an event");
            assert_eq!(event.to_bytes(), crate::sse::data_frame(&written));
            assert!(filled.is_event_of("chatcmpl-1"));
            assert!(!filled.is_event_of("chatcmpl-2"));
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
