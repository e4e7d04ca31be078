//! The decoder against the web-platform-tests of `eventsource/format-*` and against itself.

use super::*;
use crate::sse::data_frame;
use proptest::prelude::*;

fn decode(reads: &[&[u8]]) -> Vec<Event> {
    let mut decoder = Decoder::new(1 << 20);
    let mut events = Vec::new();
    for read in reads {
        decoder.push(Bytes::copy_from_slice(read));
        while let Some(event) = decoder.next() {
            events.push(event.expect("within the limit"));
        }
    }
    events
}

fn datas(stream: &str) -> Vec<String> {
    let data = |event: Event| String::from_utf8_lossy(&event.data).into_owned();
    decode(&[stream.as_bytes()]).into_iter().map(data).collect()
}

/// Name, stream, the data of its events.
const FORMAT: [(&str, &str, &[&str]); 20] = [
    (
        "bom",
        "\u{feff}data:1\n\n\u{feff}data:2\n\ndata:3\n\n",
        &["1", "3"],
    ),
    (
        "bom twice",
        "\u{feff}\u{feff}data:1\n\ndata:2\n\ndata:3\n\n",
        &["2", "3"],
    ),
    (
        "comments",
        "data:1\r:\0\n:\r\ndata:2\n:aaaa\rdata:3\n:data:fail\r:x\ndata:4\n\n",
        &["1\n2\n3\n4"],
    ),
    (
        "data before final empty line",
        "retry:1000\ndata:test1\n\nid:test\ndata:test2",
        &["test1"],
    ),
    (
        "field data",
        "data:\n\ndata\ndata\n\ndata:test\n\n",
        &["", "\n", "test"],
    ),
    ("field event empty", "event: \ndata:data\n\n", &["data"]),
    (
        "leading space",
        "data:\ttest\rdata: \ndata:test\n\n",
        &["\ttest\n\ntest"],
    ),
    (
        "newlines",
        "data:test\r\ndata\ndata:test\r\n\r",
        &["test\n\ntest"],
    ),
    (
        "NUL in data",
        "data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\ndata:3\rdata:\r\n data:32\ndata:4\n\n",
        &["\0\n 2\n1\n3\n\n4"],
    ),
    (
        "unknown field",
        "data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\ndata:test\n\n",
        &["test\n\ntest"],
    ),
    ("utf-8", "data:ok\u{2026}\n\n", &["ok\u{2026}"]),
    ("lone cr dispatch", "data:1\r\rdata:2\r\r", &["1", "2"]),
    ("crlf", "data:1\r\n\r\ndata:2\r\n\r\n", &["1", "2"]),
    ("no data, no event", "event:x\n\nid:1\n\n: c\n\n", &[]),
    ("colon in the value", "data:a:b\n\n", &["a:b"]),
    ("one space only", "data:  a\n\n", &[" a"]),
    ("capital field", "Data: x\n\n", &[]),
    ("space before field", " data: x\n\n", &[]),
    ("only blank lines", "\n\n\r\r\n", &[]),
    ("unfinished block", "data: x\n", &[]),
];

#[test]
fn web_platform_format_cases() {
    for (name, stream, expected) in FORMAT {
        assert_eq!(datas(stream), expected, "{name}");
    }
}

#[test]
fn ids_persist_and_ids_with_nul_are_ignored() {
    let events = decode(&[b"id: 1\ndata: a\n\ndata: b\n\nid: 2\0x\ndata: c\n\nid\ndata: d\n\n"]);
    let ids: Vec<_> = events.iter().map(|e| &e.last_id[..]).collect();
    assert_eq!(ids, [b"1".as_slice(), b"1", b"1", b""]);
}

#[test]
fn retry_takes_ascii_digits_only() {
    let events = decode(&[b"retry: 2000\ndata: a\n\nretry: 1x\ndata: b\n\nretry:+5\ndata: c\n\n"]);
    let retries: Vec<_> = events.iter().map(|e| e.retry).collect();
    assert_eq!(retries, [Some(2000), None, None]);
}

#[test]
fn event_names_do_not_persist() {
    let events = decode(&[b"event: done\ndata: a\n\ndata: b\n\n"]);
    assert_eq!(&events[0].name[..], b"done");
    assert!(events[1].name.is_empty());
}

#[test]
fn an_event_at_the_limit_passes_and_one_byte_more_is_refused() {
    let max_bytes = 64;
    let line_of = |length: usize| format!("data: {}\n\n", "x".repeat(length - 6));
    let first = |stream: String, split: usize| {
        let mut decoder = Decoder::new(max_bytes);
        let stream = Bytes::from(stream);
        decoder.push(stream.slice(..split));
        let event = decoder.next();
        if event.is_some() {
            return event;
        }
        decoder.push(stream.slice(split..));
        decoder.next()
    };
    for split in [0, 10, 64] {
        assert!(matches!(first(line_of(64), split), Some(Ok(_))));
        assert_eq!(
            first(line_of(65), split),
            Some(Err(DecodeError::TooLarge { max_bytes }))
        );
    }
    let lines = "data: 0123456789\n".repeat(6) + "\n";
    assert_eq!(
        first(lines, 40),
        Some(Err(DecodeError::TooLarge { max_bytes }))
    );
}

#[test]
fn a_line_that_never_ends_stops_growing_at_the_limit() {
    let mut decoder = Decoder::new(1000);
    for _ in 0..10 {
        decoder.push(Bytes::from(vec![b'x'; 100]));
        assert_eq!(decoder.next(), None);
    }
    decoder.push(Bytes::from_static(b"x"));
    assert!(matches!(decoder.next(), Some(Err(_))));
}

proptest! {
    #[test]
    fn every_split_gives_the_same_events(
        lines in prop::collection::vec("(data|id|event|retry|:|x)?(:| |é|🌊|\u{feff}|[a-z0-9]){0,6}(\n|\r|\r\n)", 0..14),
    ) {
        let stream = lines.concat();
        let bytes = stream.as_bytes();
        let whole = decode(&[bytes]);
        for at in 0..=bytes.len() {
            prop_assert_eq!(&decode(&[&bytes[..at], &bytes[at..]]), &whole);
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(&decode(&single), &whole);
    }

    #[test]
    fn decoding_an_encoded_event_is_the_identity(data in "(.|\n|é|🌊){0,80}") {
        let data = data.replace('\r', "");
        let events = decode(&[&data_frame(data.as_bytes())]);
        prop_assert_eq!(events.len(), 1);
        prop_assert_eq!(&events[0].data[..], data.as_bytes());
    }
}
