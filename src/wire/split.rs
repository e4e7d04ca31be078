//! Bytes of events, changed or cut.

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Map, Value};

use super::Eol;

/// Larger than the 4 MiB that clients and proxies usually take.
const OVERSIZE: usize = 4 * 1024 * 1024 + 1024;
const DATA: &[u8] = b"data: ";

/// The bytes before an event's data, the data, and what follows it. A whole reply is all data.
fn parts(frame: &Bytes) -> (Bytes, Bytes, Bytes) {
    let at_line = |at: usize| at == 0 || frame[at - 1] == b'\n';
    let start = memchr::memmem::find_iter(frame, DATA).find(|at| at_line(*at));
    let start = start.map_or(0, |at| at + DATA.len());
    let end = frame.iter().rposition(|byte| *byte != b'\n');
    let end = end.map_or(start, |at| (at + 1).max(start));
    (
        frame.slice(..start),
        frame.slice(start..end),
        frame.slice(end..),
    )
}

fn whole(parts: &[&[u8]]) -> Bytes {
    parts.concat().into()
}

/// An event whose JSON lacks its last byte.
pub(super) fn malformed(frame: &Bytes) -> Bytes {
    let (head, data, tail) = parts(frame);
    let cut = data.len().saturating_sub(1);
    whole(&[&head, &data[..cut], &tail])
}

/// An event with a member of some megabytes more, or as much of a comment before it.
pub(super) fn oversized(frame: &Bytes) -> Bytes {
    let (head, data, tail) = parts(frame);
    let padding = vec![b'x'; OVERSIZE];
    match data.strip_suffix(b"}") {
        Some(open) => whole(&[&head, open, b",\"padding\":\"", &padding, b"\"}", &tail]),
        None => whole(&[b": ", &padding, b"\n", frame]),
    }
}

/// A chunk without its finish reasons; none where it said nothing else.
pub(super) fn without_finish(frame: &Bytes) -> Option<Bytes> {
    let (head, data, tail) = parts(frame);
    let Ok(mut chunk) = serde_json::from_slice::<Map<String, Value>>(&data) else {
        return Some(frame.clone());
    };
    let mut has_finish = false;
    let mut says_more = false;
    let choices = chunk.get_mut("choices").and_then(Value::as_array_mut);
    for choice in choices.into_iter().flatten() {
        let finish = choice.get_mut("finish_reason");
        if let Some(finish) = finish.filter(|finish| !finish.is_null()) {
            *finish = Value::Null;
            has_finish = true;
        }
        let said = choice.get("delta").and_then(Value::as_object);
        let said = said.is_some_and(|delta| !delta.is_empty());
        says_more |= said || choice.get("message").is_some();
    }
    if !has_finish {
        return Some(frame.clone());
    }
    let json = serde_json::to_vec(&chunk).unwrap_or_default();
    says_more.then(|| whole(&[&head, &json, &tail]))
}

/// With other line ends than `\n`.
pub(super) fn line_ends(bytes: Bytes, eol: Eol) -> Bytes {
    let end: &[u8] = match eol {
        Eol::Lf => return bytes,
        Eol::Crlf => b"\r\n",
        Eol::Cr => b"\r",
    };
    let mut changed = BytesMut::with_capacity(bytes.len() + 16);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(line) => {
                changed.put_slice(line);
                changed.put_slice(end);
            }
            None => changed.put_slice(line),
        }
    }
    changed.freeze()
}

/// The places after the first byte of each character that has several.
pub(super) fn in_characters(bytes: &[u8]) -> Vec<usize> {
    let is_lead = |at: &usize| bytes[*at] >= 0xC0;
    (0..bytes.len()).filter(is_lead).map(|at| at + 1).collect()
}

/// The places between CR and LF.
pub(super) fn in_line_ends(bytes: &[u8]) -> Vec<usize> {
    memchr::memmem::find_iter(bytes, b"\r\n")
        .map(|at| at + 1)
        .collect()
}

/// The places between two line ends that follow each other.
pub(super) fn between_newlines(bytes: &[u8]) -> Vec<usize> {
    let ends = [&b"\r\n\r\n"[..], b"\n\n", b"\r\r"];
    let mut places: Vec<usize> = Vec::new();
    for end in ends {
        let found = memchr::memmem::find_iter(bytes, end);
        places.extend(found.map(|at| at + end.len() / 2));
    }
    places.sort_unstable();
    places
}

/// One place within, another each turn.
pub(super) fn in_turn(bytes: &[u8], turn: u64) -> Vec<usize> {
    let inner = (bytes.len() as u64).saturating_sub(1);
    let place = turn.checked_rem(inner).map(|place| place + 1);
    let place = place.and_then(|place| usize::try_from(place).ok());
    place.into_iter().collect()
}
