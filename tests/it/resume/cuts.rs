//! For every cut of a long stream, in both profiles: what was read and what follows are the
//! whole, byte for byte.

use super::{events, get, id_of, path};
use crate::{
    chunks::{STREAM, chunk, finish_of, role, stream_with, text_of, usage},
    proxy::{Proxy, before},
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

/// The whole stream and the proxy that has it.
fn whole(script: Script, request: &str) -> (Proxy, String, String) {
    let proxy = before(script).start();
    let reply = proxy.ask(request);
    let id = id_of(&reply);
    let text = reply.text().to_owned();
    assert!(events(&text).len() > 280, "a long stream");
    (proxy, id, text)
}

/// Follows from behind every event in the SDK's profile.
fn assert_sdk_cuts(proxy: &Proxy, id: &str, whole: &str) {
    let events = events(whole);
    for read in 0..=events.len() {
        let follow = format!("?stream=true&starting_after={read}");
        let tail = get(proxy.address(), &path(id, &follow), &[]);
        assert_eq!(tail.head.status, 200);
        let expected = match read == events.len() {
            // An SDK cannot take an empty stream.
            true => "data: [DONE]\n\n".to_owned(),
            false => events[read..].concat(),
        };
        assert_eq!(tail.text(), expected, "after event {read}");
    }
}

/// Follows from behind every event as an EventSource does.
fn assert_event_source_cuts(proxy: &Proxy, id: &str, whole: &str) {
    let events = events(whole);
    for read in 0..events.len() {
        let cursor = format!("1-{read}");
        let headers = [("last-event-id", &cursor[..])];
        let tail = get(proxy.address(), &path(id, "/stream"), &headers);
        assert_eq!(tail.head.status, 200);
        let numbered = events.iter().enumerate().skip(read);
        let expected: String = numbered
            .map(|(at, event)| format!("id: 1-{}\n{event}", at + 1))
            .collect();
        let opening = format!("retry: 2000\nid: {cursor}\n\n");
        assert_eq!(tail.text(), opening + &expected, "after event {read}");
    }
    let cursor = format!("1-{}", events.len());
    let over = get(
        proxy.address(),
        &path(id, "/stream"),
        &[("last-event-id", &cursor)],
    );
    assert_eq!(over.head.status, 204);
    assert_eq!(over.body, b"");
}

#[test]
fn a_stream_that_ended_well_is_resumed_at_every_event() {
    let request = stream_with(r#""n":3,"stream_options":{"include_usage":true}"#);
    let (proxy, id, whole) = whole(long().done(), &request);
    assert!(
        whole.contains("\"usage\":{"),
        "shown where it was asked for"
    );
    assert_sdk_cuts(&proxy, &id, &whole);
    assert_event_source_cuts(&proxy, &id, &whole);
}

#[test]
fn a_stream_that_broke_is_resumed_at_every_event() {
    let request = stream_with(r#""n":4,"include_sequence":true"#);
    let (proxy, id, whole) = whole(long().end(), &request);
    assert!(whole.contains("upstream_truncated"), "a choice is missing");
    assert!(!whole.contains("\"usage\":{"), "hidden usage is no event");
    assert_sdk_cuts(&proxy, &id, &whole);
    assert_event_source_cuts(&proxy, &id, &whole);
}

#[test]
fn a_cut_at_every_byte_of_an_event_loses_and_repeats_nothing() {
    let (proxy, id, whole) = whole(long().done(), &stream_with(r#""n":3"#));
    let boundary = |bytes: usize| {
        let head = &whole.as_bytes()[..bytes];
        head.windows(2).filter(|pair| *pair == b"\n\n").count()
    };
    let starts = [0, 3, 200, 281].map(|n| events(&whole)[..n].concat().len());
    for start in starts {
        for cut in start..(start + 230).min(whole.len()) {
            let read = boundary(cut);
            let kept = events(&whole)[..read].concat();
            let follow = format!("?stream=true&starting_after=1-{read}");
            let tail = get(proxy.address(), &path(&id, &follow), &[]);
            assert_eq!(kept + tail.text(), whole, "cut at byte {cut}");
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
