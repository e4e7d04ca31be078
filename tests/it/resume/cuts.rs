//! For every cut of a long stream, in both profiles, on one node and with Redis on another: what
//! was read and what follows are the whole, byte for byte.

use std::net::SocketAddr;

use super::{events, get, id_of, nodes::Nodes, open, path};
use crate::{
    chunks::{STREAM, chunk, finish, finish_of, role, stream_with, text, text_of, usage},
    gate::Gate,
    proxy::before,
    reply::Reply,
    upstream::Script,
};

/// Several hundred events: three choices, tools, text of every width, usage.
fn long() -> Script {
    let words = ["a", "é", "日本", "🌊", "\\n", "\\\"", "naïve 🧜🏽‍♀️"];
    let mut script = Script::stream().event(&role());
    for (n, word) in words.iter().cycle().take(240).enumerate() {
        script = script.event(&text_of(u32::try_from(n % 3).expect("small"), word));
    }
    for n in 0..40 {
        let call = format!(r#"{{"tool_calls":[{{"index":0,"function":{{"arguments":"{n}"}}}}]}}"#);
        let members = format!(r#""choices":[{{"index":0,"delta":{call},"finish_reason":null}}]"#);
        script = script.event(&chunk(&members));
    }
    // Laid out over several lines: one event all the same.
    script = script.chunk("data: {\"choices\":\ndata:  []}\n\n");
    for index in 0..3 {
        script = script.event(&finish_of(index, "stop"));
    }
    script.event(&usage())
}

/// A stream and where it can be read.
struct Made {
    nodes: Nodes,
    id: String,
    whole: String,
}

/// What the script makes of the request: in memory, and in Redis.
fn made_in_each_store(script: &Script, request: &str) -> [Made; 2] {
    [Nodes::one, Nodes::two].map(|nodes| {
        let nodes = nodes(before(script.clone()));
        let reply = nodes.maker.ask(request);
        let made = Made {
            nodes,
            id: id_of(&reply),
            whole: reply.text().to_owned(),
        };
        assert!(events(&made.whole).len() > 280, "a long stream");
        made
    })
}

/// Follows from behind every event in both profiles, wherever it can be read.
fn assert_cuts(made: &Made) {
    for address in made.nodes.addresses() {
        assert_sdk_cuts(address, &made.id, &made.whole);
        assert_event_source_cuts(address, &made.id, &made.whole);
    }
}

fn assert_sdk_cuts(address: SocketAddr, id: &str, whole: &str) {
    let events = events(whole);
    for read in 0..=events.len() {
        let follow = starting_after(read);
        let tail = get(address, &path(id, &follow), &[]);
        assert_eq!(tail.head.status, 200);
        let expected = match read == events.len() {
            // An SDK cannot take an empty stream.
            true => "data: [DONE]\n\n".to_owned(),
            false => events[read..].concat(),
        };
        assert_eq!(tail.text(), expected, "after event {read}");
    }
}

fn assert_event_source_cuts(address: SocketAddr, id: &str, whole: &str) {
    let events = events(whole);
    for read in 0..events.len() {
        let cursor = format!("1-{read}");
        let tail = follow(address, id, Some(&cursor));
        assert_eq!(tail.head.status, 200);
        let opening = format!("retry: 2000\nid: {cursor}\n\n");
        assert_eq!(
            tail.text(),
            opening + &numbered(&events, read),
            "after event {read}"
        );
    }
    let over = follow(address, id, Some(&format!("1-{}", events.len())));
    assert_eq!(over.head.status, 204);
    assert_eq!(over.body, b"");
}

/// The query of an SDK that comes back.
fn starting_after(read: usize) -> String {
    format!("?stream=true&starting_after={read}")
}

/// Comes back as an EventSource does.
fn follow(address: SocketAddr, id: &str, last: Option<&str>) -> Reply {
    let headers: Vec<_> = last
        .map(|last| ("last-event-id", last))
        .into_iter()
        .collect();
    get(address, &path(id, "/stream"), &headers)
}

/// The events behind the first `read`, with their ids.
fn numbered(events: &[&str], read: usize) -> String {
    let behind = events.iter().enumerate().skip(read);
    behind
        .map(|(at, event)| format!("id: 1-{}\n{event}", at + 1))
        .collect()
}

/// The whole blocks in what was read.
fn blocks(read: &[u8]) -> Vec<&str> {
    let end = read.windows(2).rposition(|pair| pair == b"\n\n");
    let whole = std::str::from_utf8(&read[..end.map_or(0, |end| end + 2)]);
    events(whole.expect("whole characters"))
}

/// The events in an EventSource's blocks, as they are without ids, and the last id.
fn without_ids<'a>(blocks: &[&'a str]) -> (String, Option<&'a str>) {
    let lines = || blocks.iter().flat_map(|block| block.split_inclusive('\n'));
    let ids = lines().filter_map(|line| line.strip_prefix("id: "));
    let data = blocks
        .iter()
        .filter_map(|block| Some(&block[block.find("data: ")?..]));
    (data.collect(), ids.map(str::trim_end).next_back())
}

/// Every byte of some events, at least one of each kind.
fn places(stream: &str) -> impl Iterator<Item = usize> {
    let events = events(stream);
    let last = events.len() - 1;
    let begin = |n: usize| events[..n].concat().len();
    let some = [0, 3, 200, 242, 281, last - 1, last];
    some.map(|n| begin(n)..begin(n + 1)).into_iter().flatten()
}

#[test]
fn a_stream_that_ended_well_is_resumed_at_every_event() {
    let request = stream_with(r#""n":3,"stream_options":{"include_usage":true}"#);
    for made in made_in_each_store(&long().done(), &request) {
        let is_shown = made.whole.contains("\"usage\":{");
        assert!(is_shown, "where it was asked for");
        assert_cuts(&made);
    }
}

#[test]
fn a_stream_that_broke_is_resumed_at_every_event() {
    let request = stream_with(r#""n":4,"include_sequence":true"#);
    for made in made_in_each_store(&long().end(), &request) {
        let Made { whole, .. } = &made;
        assert!(whole.contains("upstream_truncated"), "a choice is missing");
        assert!(!whole.contains("\"usage\":{"), "hidden usage is no event");
        assert_cuts(&made);
    }
}

#[test]
fn a_cut_at_every_byte_of_an_event_loses_and_repeats_nothing() {
    for Made { nodes, id, whole } in made_in_each_store(&long().done(), &stream_with(r#""n":3"#)) {
        for address in nodes.addresses() {
            for cut in places(&whole) {
                let kept = blocks(&whole.as_bytes()[..cut]);
                let rest = starting_after(kept.len());
                let tail = get(address, &path(&id, &rest), &[]);
                let expected = &whole[kept.concat().len()..];
                assert_eq!(tail.text(), expected, "cut at byte {cut}");
            }
        }
    }
}

#[test]
fn an_event_source_cut_at_every_byte_of_an_event_loses_and_repeats_nothing() {
    for Made { nodes, id, whole } in made_in_each_store(&long().done(), &stream_with(r#""n":3"#)) {
        for address in nodes.addresses() {
            let numbered = follow(address, &id, None);
            for cut in places(numbered.text()) {
                let (kept, last) = without_ids(&blocks(&numbered.body[..cut]));
                let tail = follow(address, &id, last);
                let (tail, _) = without_ids(&blocks(&tail.body));
                assert_eq!(kept + &tail, whole, "cut at byte {cut}");
            }
        }
    }
}

#[test]
fn whoever_comes_back_while_tokens_still_fall_reads_the_rest_as_it_comes() {
    for nodes in [Nodes::one, Nodes::two] {
        let gate = Gate::default();
        let words = |from: u32| {
            let words = (from..from + 100).map(|n| text(&format!("{n} 🌊")));
            words.fold(Script::silent(), |script, word| script.event(&word))
        };
        let script = Script::stream().and(words(0)).wait(&gate).and(words(100));
        let nodes = nodes(before(script.event(&finish()).done()));
        let mut made = nodes.maker.open(STREAM);
        let head = made.head();
        let id = head.header("x-completion-id").expect("an id").to_owned();
        let begin = made.chunks_until("\"99 🌊");
        let mut readers = Vec::new();
        for address in nodes.addresses() {
            for read in 0..=100 {
                let (rest, cursor) = (starting_after(read), format!("1-{read}"));
                let mut reader = open(address, &path(&id, &rest), &[]);
                let last = [("last-event-id", &cursor[..])];
                let mut source = open(address, &path(&id, "/stream"), &last);
                let heads = (reader.head(), source.head());
                readers.push((read, (reader, heads.0), (source, heads.1)));
            }
        }
        gate.open();
        let whole = made.rest(head, begin);
        let events = events(whole.text());
        for (read, (mut reader, head), (mut source, from)) in readers {
            // Who has read all there is gets a heartbeat with the head.
            let rest = reader.rest(head, "").text().replace(":\n\n", "");
            assert_eq!(rest, events[read..].concat(), "after {read}");
            let rest = source.rest(from, "").text().replace("\n:\n", "\n");
            let opening = format!("retry: 2000\nid: 1-{read}\n\n");
            assert_eq!(rest, opening + &numbered(&events, read), "after {read}");
        }
    }
}

#[test]
fn ids_on_the_first_request_are_those_of_the_stream() {
    let proxy = before(long().done()).start();
    let reply = proxy.ask_with(STREAM, &[("x-stream-ids", "1")]);
    let id = id_of(&reply);
    let again = get(
        proxy.address(),
        &path(&id, "?stream=true"),
        &[("x-stream-ids", "1")],
    );
    assert_eq!(again.text(), reply.text());
    assert!(
        reply.text().starts_with("id: 1-1\ndata: {"),
        "{}",
        reply.text()
    );
    assert!(reply.text().ends_with("\ndata: [DONE]\n\n"));
}
