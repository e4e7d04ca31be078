//! A node that stops: readers that can come back move to another, and what they read goes on.

use rustix::process::Signal;

use crate::cluster::{ASK, Node, Redis};

const PATIENT: [(&str, &str); 1] = [("SERVER__DRAIN", "30s")];

/// What the events of a stream are without ids and the opening block, and the last id.
fn plain(text: &str) -> (String, String) {
    let mut events = String::new();
    let mut last = String::new();
    // An event that was cut has no blank line, and is nobody's.
    let blocks = text.split_inclusive("\n\n");
    for block in blocks.filter(|block| block.ends_with("\n\n")) {
        let lines: Vec<_> = block.lines().collect();
        let id = lines.iter().find_map(|line| line.strip_prefix("id: "));
        last = id.map_or(last, str::to_owned);
        let data = lines.iter().find(|line| line.starts_with("data: "));
        events.extend(data.map(|line| format!("{line}\n\n")));
    }
    (events, last)
}

fn assert_cut(seen: &str) {
    let has_ended = seen.contains("[DONE]") || seen.contains("error");
    assert!(!has_ended, "{seen}");
}

fn assert_whole(events: &str) {
    assert!(events.ends_with("data: [DONE]\n\n"), "{events}");
    assert!(!events.contains("error"), "{events}");
}

fn resume(node: &Node, id: &str, last: &str) -> String {
    let path = format!("/v1/chat/completions/{id}/stream");
    let header = format!("last-event-id: {last}\r\n");
    node.send_with("GET", &path, &header, "").rest()
}

#[test]
fn an_event_source_moves_to_another_node_and_the_pump_finishes_on_its_own() {
    let redis = Redis::start();
    let [a, b] = [(); 2].map(|()| Node::start_with(&redis, "local", &PATIENT));
    let mut made = a.post("/v1/chat/completions", ASK);
    let id = made.id();
    let mut source = a.get(&format!("/v1/chat/completions/{id}/stream"));
    let first = source.events(6);
    a.signal(Signal::TERM);
    let (seen, last) = plain(&(first + &source.rest()));
    assert_cut(&seen);
    // It comes back before the end: the answer is made on A still.
    let (rest, _) = plain(&resume(&b, &id, &last));
    let head = made.events(1);
    let whole = head + &made.rest();
    assert_whole(&whole);
    assert_eq!(seen + &rest, whole);
}

#[test]
fn a_reader_that_is_cut_does_not_cancel_what_it_reads() {
    let redis = Redis::start();
    let [a, b] = [(); 2].map(|()| Node::start_with(&redis, "local", &PATIENT));
    let headers = "x-stream-ids: 1\r\nx-stream-on-disconnect: cancel\r\n";
    let mut made = a.send_with("POST", "/v1/chat/completions", headers, ASK);
    let id = made.id();
    let first = made.events(6);
    a.signal(Signal::TERM);
    let (seen, last) = plain(&(first + &made.rest()));
    assert_cut(&seen);
    let (rest, _) = plain(&resume(&b, &id, &last));
    let whole = seen + &rest;
    assert_whole(&whole);
    let (again, _) = plain(&resume(&b, &id, ""));
    assert_eq!(whole, again);
}

#[test]
fn who_comes_back_to_the_node_that_stops_stays_to_the_end() {
    let redis = Redis::start();
    let a = Node::start_with(&redis, "local", &PATIENT);
    let mut made = a.post("/v1/chat/completions", ASK);
    let id = made.id();
    let mut source = a.get(&format!("/v1/chat/completions/{id}/stream"));
    let first = source.events(6);
    a.signal(Signal::TERM);
    let (seen, last) = plain(&(first + &source.rest()));
    let (rest, _) = plain(&resume(&a, &id, &last));
    let whole = made.events(1) + &made.rest();
    assert_eq!(seen + &rest, whole);
}
