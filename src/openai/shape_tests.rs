//! Whatever comes after whatever, the facts are those of a scan.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

/// A chunk of these parts, with members around the text that come and go.
fn chunk(id: &str, text: &str, finish: &str, tail: &str) -> String {
    format!(
        r#"{{"id":{id},"object":"x","choices":[{{"index":0,"delta":{{"content":{text}}},"finish_reason":{finish}}}]{tail}}}"#
    )
}

fn is_read_as_scanned(chunks: &[String]) {
    let mut scanner = Scanner::default();
    for chunk in chunks {
        let json = chunk.as_bytes();
        assert_eq!(scanner.scan(json), scan(json), "{chunk} of {chunks:#?}");
    }
}

proptest! {
    #[test]
    fn chunks_are_read_as_if_each_were_the_first(
        parts in vec((
            select(vec![r#""a""#, r#""bc""#, r#""""#]),
            "\"(a|b|é|🌊| |\\\\n|\\\\\"|\\\\u00e9|\\\\|\"|\u{1}){0,4}\"",
            select(vec!["null", "null", "null", r#""stop""#, r#""length""#, r#""error""#, r#""""#]),
            select(vec!["", "", r#","usage":null"#, r#","usage":{"a":1}"#, r#","error":null"#, r#","error":"x""#, r#","x":"y""#]),
        ), 1..12)
    ) {
        let chunks: Vec<_> = parts.iter().map(|(id, text, finish, tail)| chunk(id, text, finish, tail)).collect();
        is_read_as_scanned(&chunks);
    }

    #[test]
    fn bytes_that_are_changed_anywhere_are_read_anew(
        (at, byte) in (0..100_usize, any::<u8>())
    ) {
        let chunk = |text| chunk(r#""a""#, text, "null", "");
        let mut changed = chunk(r#""three""#).into_bytes();
        let at = at % changed.len();
        changed[at] = byte;
        let mut scanner = Scanner::default();
        for text in [r#""one""#, r#""two""#] {
            prop_assert!(scanner.scan(chunk(text).as_bytes()).is_ok());
        }
        prop_assert_eq!(scanner.scan(&changed), scan(&changed));
    }
}

#[test]
fn a_text_that_changes_is_compared_and_not_scanned() {
    let mut scanner = Scanner::default();
    for text in ["a", "b", "ccc", "é", "\\n"] {
        let json = chunk(r#""id""#, &format!("\"{text}\""), "null", "");
        assert!(scanner.scan(json.as_bytes()).is_ok());
    }
    // The first two showed what changes; nothing was learnt since.
    assert_eq!(scanner.misses, 0);
    assert_eq!(&scanner.json[scanner.hole.clone().expect("a hole")], b"b");
}

#[test]
fn an_answer_whose_chunks_are_not_alike_is_not_compared_for_ever() {
    let mut scanner = Scanner::default();
    for number in 0..u32::from(PATIENCE) + 5 {
        let json = chunk(
            &format!("\"{number}\""),
            &format!("\"{number}\""),
            "null",
            "",
        );
        assert!(scanner.scan(json.as_bytes()).is_ok());
    }
    assert_eq!(scanner.misses, PATIENCE);
}

#[test]
fn no_chunk_is_kept_that_is_too_large() {
    let mut scanner = Scanner::default();
    for text in ["a", "b", "c"] {
        let json = chunk(
            r#""id""#,
            &format!("\"{}\"", text.repeat(MAX_KEPT)),
            "null",
            "",
        );
        assert_eq!(scanner.scan(json.as_bytes()), scan(json.as_bytes()));
    }
    assert!(scanner.json.len() <= MAX_KEPT && scanner.hole.is_none());
}

#[test]
fn nothing_is_no_chunk_and_neither_is_the_beginning_of_one() {
    let mut scanner = Scanner::default();
    assert!(scanner.scan(b"").is_err());
    let large = chunk(
        r#""id""#,
        &format!("\"{}\"", "a".repeat(MAX_KEPT)),
        "null",
        "",
    );
    assert!(scanner.scan(large.as_bytes()).is_ok());
    for end in [0, 1, MAX_KEPT] {
        assert!(scanner.scan(&large.as_bytes()[..end]).is_err());
    }
}
