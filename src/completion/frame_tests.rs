//! A frame of a pattern is the frame that would have been written.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::openai::Scanner;

/// A chunk with members before and behind its text that the frame changes.
fn chunk(head: &str, text: &str, tail: &str) -> Bytes {
    let choices =
        format!(r#""choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}]"#);
    format!("{{{head}{choices}{tail}}}").into()
}

fn frames(chunks: &[Bytes], has_sequence: bool) {
    let id = Id::new("chatcmpl-", [7; 16]);
    let mut framer = Framer::new(id.clone(), has_sequence);
    let mut scanner = Scanner::default();
    for (json, seq) in chunks.iter().zip(1..) {
        let Ok(facts) = scanner.scan(json) else {
            continue;
        };
        let whole = Chunk::new(json.clone(), facts);
        let known = whole.clone().like(scanner.likeness());
        let written = Framer::new(id.clone(), has_sequence).chunk(&whole, Seq(seq));
        assert_eq!(framer.chunk(&known, Seq(seq)), written, "of {chunks:?}");
    }
}

proptest! {
    #[test]
    fn what_is_like_the_one_before_is_written_as_if_it_were_not(
        parts in vec((
            select(vec![r#""id":"a","#, r#""id":"a","#, r#""id":"a much longer one","#, "", r#""error":null,"#, "\n"]),
            select(vec!["a", "bc", "é", "\\n", "a text that is longer than what a frame has in itself", ""]),
            select(vec!["", "", r#","id":"b""#, r#","error":null"#, r#","error":null,"id":"c""#, ",\r\n\"x\":\"y\""]),
            1..4_usize,
        ), 1..6),
        has_sequence in any::<bool>(),
    ) {
        let texts = ["x", " y", "", "zz", "🌊"];
        let chunks: Vec<_> = parts
            .iter()
            .flat_map(|(head, text, tail, times)| {
                let others = texts.iter().take(*times).map(|other| format!("{text}{other}"));
                others.map(|text| chunk(head, &text, tail)).collect::<Vec<_>>()
            })
            .collect();
        frames(&chunks, has_sequence);
    }
}

#[test]
fn chunks_that_are_alike_share_a_pattern() {
    let id = Id::new("chatcmpl-", [7; 16]);
    let mut framer = Framer::new(id, false);
    let mut scanner = Scanner::default();
    let frames: Vec<_> = ["a", "b", "c", "d"]
        .map(|text| {
            let json = chunk(r#""id":"theirs","#, text, r#","error":null"#);
            let facts = scanner.scan(&json).expect("a chunk");
            let chunk = Chunk::new(json, facts).like(scanner.likeness());
            framer.chunk(&chunk, Seq(1)).frame
        })
        .into();
    let of_a_pattern = |frame: &Frame| frame.beginning().len() < frame.len();
    assert!(frames[2..].iter().all(of_a_pattern));
}
