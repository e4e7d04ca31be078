//! Every fault where it is said to be, and the log behind it whole.

use std::{
    io::{ErrorKind, Read},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use serde_json::Value;
use tokenfall::testing::spawn;

use super::{SHIPPED, ask, chat, streamed};
use crate::{
    chunks::DONE,
    http::{fetch, post, request},
    reply::{Head, Reply},
};

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
enum Closed {
    Fin,
    Rst,
}

/// The body of a reply up to where its connection ends, transfer chunks undone.
fn broken(address: SocketAddr, fault: &str) -> (Head, String, Closed) {
    let mut socket = TcpStream::connect(address).expect("the server listens");
    let body = streamed(chat("Say anything.")).to_string();
    let request = post(body, &[("x-mock-fault", fault)]);
    std::io::Write::write_all(&mut socket, &request).expect("the server reads");
    let mut bytes = Vec::new();
    let closed = match socket.read_to_end(&mut bytes) {
        Ok(_) => Closed::Fin,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Closed::Rst,
        Err(error) => panic!("{error}"),
    };
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n");
    let rest = bytes.split_off(end.expect("a head") + 4);
    (Head::parse(&bytes), dechunked(&rest), closed)
}

fn dechunked(mut bytes: &[u8]) -> String {
    let mut body = Vec::new();
    while let Some(end) = bytes.windows(2).position(|w| w == b"\r\n") {
        let size = std::str::from_utf8(&bytes[..end]).expect("a size");
        let size = usize::from_str_radix(size, 16).expect("a size");
        body.extend_from_slice(&bytes[end + 2..end + 2 + size]);
        bytes = &bytes[end + 2 + size + 2..];
    }
    String::from_utf8(body).expect("UTF-8")
}

/// What is sent where nothing goes wrong, without the id.
fn whole() -> String {
    let reply = ask(SHIPPED.address(), &streamed(chat("Say anything.")), &[]);
    assert_eq!(reply.head.status, 200);
    reply.text().to_owned()
}

fn played(fault: &str) -> Reply {
    let headers = [("x-mock-fault", fault)];
    ask(
        SHIPPED.address(),
        &streamed(chat("Say anything.")),
        &headers,
    )
}

fn events(text: &str) -> Vec<&str> {
    text.split_inclusive("\n\n").collect()
}

#[test]
fn a_cut_is_before_the_event_or_the_byte_that_it_names() {
    let whole = whole();
    let events = events(&whole);
    for event in [1, 2, 5, events.len()] {
        let (head, body, closed) = broken(SHIPPED.address(), &format!("cut@event={event}"));
        assert_eq!(head.status, 200);
        assert_eq!(body, events[..event - 1].concat(), "{event}");
        assert_eq!(closed, Closed::Fin, "{event}");
    }
    for byte in [1, 2, 100, whole.len()] {
        let (_, body, closed) = broken(SHIPPED.address(), &format!("cut@byte={byte}"));
        assert_eq!(body, whole[..byte - 1], "{byte}");
        assert_eq!(closed, Closed::Fin, "{byte}");
    }
}

#[test]
fn a_fault_takes_place_when_the_first_answer_is_late() {
    // A server that is new has its tokenizer still to load.
    let server = spawn("mock.profile = 'instant'\nstream.commit_after = '10ms'\n");
    let server = server.expect("valid settings");
    let (_, body, closed) = broken(server.address(), "cut@event=2");
    assert_eq!(body.matches("data: ").count(), 1, "{body}");
    assert_eq!(closed, Closed::Fin);
}

#[test]
fn a_reset_is_a_reset() {
    for fault in ["reset@event=1", "reset@event=5", "reset@byte=300"] {
        let mut socket = TcpStream::connect(SHIPPED.address()).expect("the server listens");
        let body = streamed(chat("Say anything.")).to_string();
        let request = post(body, &[("x-mock-fault", fault)]);
        std::io::Write::write_all(&mut socket, &request).expect("the server reads");
        let mut bytes = Vec::new();
        let error = socket.read_to_end(&mut bytes).expect_err("no FIN");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{fault}");
    }
}

#[test]
fn who_was_cut_off_comes_back_for_the_rest() {
    let whole = whole();
    let events = events(&whole);
    let (head, body, _) = broken(SHIPPED.address(), "cut@event=6");
    let id = head.header("x-completion-id").expect("an id");
    let path = format!("/v1/chat/completions/{id}?stream=true&starting_after=5");
    let rest = fetch(SHIPPED.address(), &request("GET", &path, &[]));
    assert_eq!(body + rest.text(), events.concat());
}

#[test]
fn events_are_broken_where_they_are_said_to_be() {
    let whole = whole();
    let all = events(&whole);
    let last = all.len();
    let finish = last - 2;
    let cases: [(String, Vec<&str>); 6] = [
        ("no_done".to_owned(), all[..last - 1].to_vec()),
        ("done_twice".to_owned(), [&all[..], &[DONE]].concat()),
        ("no_finish".to_owned(), [&all[..finish], &[DONE]].concat()),
        (
            "duplicate@event=3".to_owned(),
            [&all[..3], &all[2..]].concat(),
        ),
        (
            "reorder@event=3".to_owned(),
            [&all[..2], &[all[3], all[2]], &all[4..]].concat(),
        ),
        (
            format!("reorder@event={finish};no_done"),
            [&all[..finish - 1], &[all[finish], all[finish - 1]]].concat(),
        ),
    ];
    for (fault, expected) in cases {
        assert_eq!(played(&fault).text(), expected.concat(), "{fault}");
    }
    let malformed = played("malformed@event=3");
    let broken = events(malformed.text())[2];
    let json = broken.trim_start_matches("data: ").trim_end();
    assert!(serde_json::from_str::<Value>(json).is_err(), "{json}");
    let truncated = played("truncated@event=3");
    assert!(truncated.text().starts_with(&all[..2].concat()));
    assert!(whole.starts_with(truncated.text()) && !truncated.text().ends_with('\n'));
    let error = played("error@event=3");
    let after = error
        .text()
        .strip_prefix(&all[..2].concat())
        .expect("two events");
    assert!(
        after.starts_with("data: {\"error\":{") && after.ends_with(DONE),
        "{after}"
    );
    let oversized = played("oversized@event=3");
    let event = events(oversized.text())[2];
    assert!(event.len() > 4 * 1024 * 1024);
    let json = event.trim_start_matches("data: ").trim_end();
    assert!(serde_json::from_str::<Value>(json).is_ok());
    let typed = played("content_type");
    assert_eq!(
        typed.head.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(typed.text(), whole);
}

#[test]
fn a_dialect_tells_an_error_in_its_own_way() {
    let headers = [
        ("x-mock-fault", "error@event=3"),
        ("x-mock-dialect", "openrouter"),
    ];
    let reply = ask(
        SHIPPED.address(),
        &streamed(chat("Say anything.")),
        &headers,
    );
    let text = reply.text().strip_suffix(DONE).expect("a sentinel");
    let last = text.trim_end().rsplit("data: ").next().expect("an event");
    let last: Value = serde_json::from_str(last).expect("JSON");
    assert_eq!(last["choices"][0]["finish_reason"], "error");
    assert_eq!(last["choices"][0]["error"]["code"], 502);
}

#[test]
fn one_who_waits_at_openrouter_is_sent_comments() {
    let headers = [
        ("x-mock-profile", "hosted"),
        ("x-mock-dialect", "openrouter"),
    ];
    let server = super::serve(
        "",
        "stream.commit_after = '20ms'\nstream.heartbeat = '50ms'\n",
    );
    ask(server.address(), &chat("warm"), &[]);
    let reply = ask(server.address(), &streamed(chat("Hi")), &headers);
    let comments = reply.text().matches(": OPENROUTER PROCESSING\n\n").count();
    assert!((2..=8).contains(&comments), "{comments}");
}

#[test]
fn stalls_and_drips_take_their_time_and_change_no_byte() {
    let whole = whole();
    for fault in [
        "stall@event=2,for=300ms",
        "stall@byte=9,for=300ms",
        "drip@event=3,for=300ms",
    ] {
        let start = Instant::now();
        assert_eq!(played(fault).text(), whole, "{fault}");
        assert!(start.elapsed() >= Duration::from_millis(300), "{fault}");
    }
}

#[test]
fn a_status_comes_with_the_envelope_and_the_headers_of_its_kind() {
    let cases = [
        (401, "invalid_api_key", None),
        (429, "rate_limit_exceeded", Some("1")),
        (503, "overloaded", Some("1")),
    ];
    for (status, code, retry_after) in cases {
        let reply = played(&format!("status={status}"));
        assert_eq!(reply.head.status, status);
        assert_eq!(reply.json()["error"]["code"], code);
        assert_eq!(reply.head.header("retry-after"), retry_after);
    }
    let reply = played("status=429,for=2500ms");
    assert_eq!(reply.head.header("retry-after"), Some("3"));
    assert_eq!(
        reply.head.header("x-ratelimit-remaining-requests"),
        Some("0")
    );
    assert_eq!(played("status=500").json()["error"]["type"], "server_error");
}

#[test]
fn a_whole_reply_breaks_too() {
    let address = SHIPPED.address();
    let body = chat("Say anything.");
    let whole = ask(address, &body, &[]).body;
    let truncated = ask(address, &body, &[("x-mock-fault", "truncated@byte=40")]).body;
    assert_eq!(truncated, whole[..39]);
    let malformed = ask(address, &body, &[("x-mock-fault", "malformed@event=1")]).body;
    assert_eq!(malformed, whole[..whole.len() - 1]);
    let bytes = ask(address, &body, &[("x-mock-wire", "bytes=7")]).body;
    assert_eq!(bytes, whole);
}

#[test]
fn what_cannot_be_is_a_400_that_names_it() {
    let cases = [
        ("x-mock-fault", "explode", "unknown fault `explode`"),
        ("x-mock-fault", "cut@event=0", "`@event=0`"),
        ("x-mock-fault", "no_done@event=1", "has no place"),
        ("x-mock-wire", "bytes=0", "`bytes=0`"),
        ("x-mock-wire", "zigzag", "unknown framing `zigzag`"),
        ("x-mock-seed", "x", "expected a number, got `x`"),
        ("x-mock-speed", "0", "from 0.001 to 1000000"),
        ("x-mock-profile", "warp", "there are hosted, instant, local"),
        ("x-mock-dialect", "klingon", "llama.cpp"),
        (
            "x-mock-scenario",
            "nothing",
            "there is no scenario `nothing`",
        ),
        ("x-mock-colour", "red", "unknown; there are"),
    ];
    for (name, value, expected) in cases {
        for body in [chat("Hi"), streamed(chat("Hi"))] {
            let reply = ask(SHIPPED.address(), &body, &[(name, value)]);
            assert_eq!(reply.head.status, 400, "{name}: {value}: {}", reply.text());
            let error = &reply.json()["error"];
            assert_eq!(error["param"], name);
            let message = error["message"].as_str().expect("a message");
            assert!(message.contains(expected), "{message}");
        }
    }
}

#[test]
fn a_probability_is_drawn_from_the_seed() {
    let mut broken = 0;
    for seed in 0..200 {
        let body = chat("Say anything.");
        let seed = seed.to_string();
        let headers = [
            ("x-mock-fault", "status=500,p=0.25"),
            ("x-mock-seed", &seed[..]),
        ];
        let first = ask(SHIPPED.address(), &body, &headers).head.status;
        if seed.ends_with('0') {
            assert_eq!(ask(SHIPPED.address(), &body, &headers).head.status, first);
        }
        broken += usize::from(first == 500);
    }
    assert!((30..=70).contains(&broken), "{broken} of 200");
}
