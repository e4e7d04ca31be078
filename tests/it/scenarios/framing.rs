//! Where writes begin and end, and how lines do.

use super::{SHIPPED, chat, streamed};
use crate::http::{Connection, post};

/// The transfer chunks of a stream: what was written at once.
fn writes(wire: &str) -> Vec<Vec<u8>> {
    let mut connection = Connection::open(SHIPPED.address());
    let body = streamed(chat("Say it in many languages."));
    connection.send(&post(body.to_string(), &[("x-mock-wire", wire)]));
    assert_eq!(connection.head().status, 200, "{wire}");
    std::iter::from_fn(|| connection.chunk()).collect()
}

fn whole() -> Vec<u8> {
    writes("event").concat()
}

#[test]
fn every_framing_writes_the_same_bytes() {
    let whole = whole();
    for wire in [
        "coalesce=3",
        "bytes=1",
        "bytes=7",
        "utf8",
        "newlines",
        "sweep",
        "event,gap=1ms",
    ] {
        assert_eq!(writes(wire).concat(), whole, "{wire}");
    }
}

#[test]
fn writes_end_where_they_are_said_to() {
    let text = String::from_utf8(whole()).expect("UTF-8");
    let events: Vec<_> = text
        .split_inclusive("\n\n")
        .map(|e| e.as_bytes().to_vec())
        .collect();
    assert_eq!(writes("event"), events);
    let together: Vec<_> = events.chunks(3).map(<[_]>::concat).collect();
    assert_eq!(writes("coalesce=3"), together);
    assert!(writes("bytes=1").iter().all(|write| write.len() == 1));
    let halves = writes("newlines");
    assert!(
        halves
            .iter()
            .step_by(2)
            .all(|w| w.ends_with(b"\n") && !w.ends_with(b"\n\n"))
    );
    assert!(halves.iter().skip(1).step_by(2).all(|w| w == b"\n"));
    let split = writes("utf8")
        .into_iter()
        .filter(|w| std::str::from_utf8(w).is_err())
        .count();
    assert!(split > 50, "{split} writes end within a character");
    let crlf = writes("crlf");
    assert!(crlf.iter().filter(|write| write.ends_with(b"\r")).count() >= events.len() * 2);
}

#[test]
fn lines_end_as_they_are_said_to_and_marks_and_comments_come_on_demand() {
    let text = String::from_utf8(whole()).expect("UTF-8");
    for (eol, end) in [("lf", "\n"), ("crlf", "\r\n"), ("cr", "\r")] {
        let bytes = writes(&format!("event,eol={eol}")).concat();
        assert_eq!(
            String::from_utf8(bytes).expect("UTF-8"),
            text.replace('\n', end)
        );
    }
    let bytes = writes("event,bom").concat();
    assert_eq!(
        String::from_utf8(bytes).expect("UTF-8"),
        format!("\u{feff}{text}")
    );
    let bytes = writes("event,comments").concat();
    let commented = text.replace("data: ", ": a comment\ndata: ");
    assert_eq!(String::from_utf8(bytes).expect("UTF-8"), commented);
}

#[test]
fn a_sweep_comes_to_another_place_with_another_seed() {
    let place = |seed: &str| {
        let mut connection = Connection::open(SHIPPED.address());
        let body = streamed(chat("Say anything."));
        let headers = [("x-mock-wire", "sweep"), ("x-mock-seed", seed)];
        connection.send(&post(body.to_string(), &headers));
        connection.head();
        connection.chunk().expect("a write").len()
    };
    let places: std::collections::BTreeSet<_> = ["1", "2", "3", "4"].map(place).into();
    assert!(places.len() >= 3, "{places:?}");
    assert_eq!(place("1"), place("1"));
}
