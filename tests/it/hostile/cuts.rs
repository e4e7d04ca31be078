//! Upstreams that break off, or do not know when to stop.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use tokenfall::testing::spawn;

use crate::{
    chunks::{DONE, STREAM, WHOLE, completion, finish, frame, text},
    gate::Gate,
    http::{fetch, post},
    proxy::{ask, before, wait_until_idle},
    upstream::Script,
};

/// An event whose text ends in a character of two bytes.
fn accented() -> Vec<u8> {
    frame(&text("caf\u{e9}")).into_bytes()
}

/// Its first bytes, up to the middle of that character.
fn cut_in_the_character() -> Vec<u8> {
    let mut event = accented();
    let at = event.iter().position(|byte| *byte == 0xC3);
    event.truncate(at.expect("the character") + 1);
    event
}

#[test]
fn no_listener_is_upstream_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an open socket");
    drop(listener);
    let upstream = format!("{{ base_url = 'http://{address}/v1' }}");
    let settings = format!("models = [{{ name = '*', upstreams = [{upstream}] }}]");
    let server = spawn(&settings).expect("valid settings");
    for body in [STREAM, WHOLE] {
        let reply = fetch(server.address(), &post(body, &[]));
        reply.assert_refused(502, "upstream_unreachable");
    }
    wait_until_idle(&server);
}

#[test]
fn a_cut_before_the_head_is_upstream_unreachable() {
    let reply = ask(Script::silent(), STREAM);
    reply.assert_refused(502, "upstream_unreachable");
}

#[test]
fn a_reset_before_the_head_is_upstream_unreachable() {
    let reply = ask(Script::silent().reset(), STREAM);
    reply.assert_refused(502, "upstream_unreachable");
}

#[test]
fn a_cut_inside_the_head_is_upstream_unreachable() {
    let script = Script::silent().send("HTTP/1.1 200 OK\r\ncontent-ty");
    ask(script, STREAM).assert_refused(502, "upstream_unreachable");
}

#[test]
fn a_cut_after_the_head_is_upstream_truncated() {
    let reply = ask(Script::stream(), STREAM);
    reply.assert_refused(502, "upstream_truncated");
}

#[test]
fn an_empty_stream_is_upstream_truncated() {
    let reply = ask(Script::stream().end(), STREAM);
    reply.assert_refused(502, "upstream_truncated");
}

#[test]
fn a_sentinel_alone_is_upstream_truncated() {
    let reply = ask(Script::stream().done(), STREAM);
    reply.assert_refused(502, "upstream_truncated");
}

#[test]
fn a_cut_between_events_keeps_what_came_before() {
    let reply = ask(Script::stream().event(&text("one")), STREAM);
    reply.assert_breaks_off(&frame(&text("one")), "upstream_truncated");
}

#[test]
fn a_reset_between_events_keeps_what_came_before() {
    let read = Gate::default();
    let script = Script::stream().event(&text("one")).wait(&read).reset();
    let proxy = before(script).start();
    let mut client = proxy.open(STREAM);
    let head = client.head();
    let first = client.chunk().expect("the first event");
    assert_eq!(
        String::from_utf8(first).expect("UTF-8"),
        head.with_our_id(&frame(&text("one")))
    );
    read.open();
    let rest = client.chunks_until(DONE);
    assert!(rest.contains(r#""code":"upstream_truncated""#), "{rest}");
    assert_eq!(client.chunk(), None);
    wait_until_idle(&proxy.server);
}

#[test]
fn a_cut_inside_a_transfer_chunk_drops_the_unfinished_event_alone() {
    let event = frame(&text("two"));
    let script =
        Script::stream()
            .event(&text("one"))
            .send(format!("{:x}\r\n{}", event.len(), &event[..40]));
    let reply = ask(script, STREAM);
    reply.assert_breaks_off(&frame(&text("one")), "upstream_truncated");
}

#[test]
fn a_cut_inside_a_character_drops_the_unfinished_event_alone() {
    let script = Script::stream().event(&text("one"));
    let cut = script.chunk(cut_in_the_character());
    for script in [cut.clone(), cut.end()] {
        let reply = ask(script, STREAM);
        reply.assert_breaks_off(&frame(&text("one")), "upstream_truncated");
    }
}

#[test]
fn an_event_without_its_blank_line_is_dropped_at_the_end() {
    let event = frame(&text("one"));
    let finish = frame(&finish());
    let script = Script::stream().chunk(&event).chunk(finish.trim_end());
    let reply = ask(script.end(), STREAM);
    reply.assert_breaks_off(&event, "upstream_truncated");
}

#[test]
fn an_end_before_the_finish_is_upstream_truncated() {
    let script = Script::stream().event(&text("one"));
    for script in [script.clone().end(), script.done()] {
        let reply = ask(script, STREAM);
        reply.assert_breaks_off(&frame(&text("one")), "upstream_truncated");
    }
}

#[test]
fn an_end_after_the_finish_needs_no_sentinel() {
    let script = Script::stream().event(&text("one")).event(&finish());
    let whole = frame(&text("one")) + &frame(&finish());
    for script in [
        script.clone().end(),
        script.clone(),
        script.half_close().linger(),
    ] {
        ask(script, STREAM).assert_streams(&whole);
    }
}

#[test]
fn an_answer_without_length_or_chunks_ends_where_the_connection_does() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    let whole = frame(&text("one")) + &frame(&finish());
    let script = Script::silent().send(head).send(&whole[..]).send(DONE);
    ask(script, STREAM).assert_streams(&whole);
}

#[test]
fn an_upstream_that_lingers_after_the_sentinel_keeps_nobody_waiting() {
    let script = Script::stream().event(&text("one")).event(&finish());
    let settings = before(script.chunk(DONE).linger()).clock("after_finish", "1m");
    let proxy = settings.start();
    let reply = proxy.ask(STREAM);
    reply.assert_streams(&(frame(&text("one")) + &frame(&finish())));
    proxy.upstream.departure();
}

#[test]
fn an_upstream_that_lingers_after_the_finish_is_given_after_finish() {
    let script = Script::stream().event(&text("one")).event(&finish());
    let settings = before(script.linger()).clock("after_finish", "50ms");
    let proxy = settings.start();
    let start = Instant::now();
    let reply = proxy.ask(STREAM);
    // Less than the default.
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    reply.assert_streams(&(frame(&text("one")) + &frame(&finish())));
    proxy.upstream.departure();
}

#[test]
fn what_follows_the_sentinel_is_not_shown() {
    let script = Script::stream().event(&text("one")).event(&finish());
    let script = script.chunk(DONE).event(&text("two")).chunk(DONE).end();
    let reply = ask(script, STREAM);
    reply.assert_streams(&(frame(&text("one")) + &frame(&finish())));
}

#[test]
fn a_cut_inside_a_whole_reply_is_upstream_truncated() {
    let json = completion();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let length = format!("content-length: {}\r\n\r\n", json.len());
    let script = Script::silent().send(head).send(length).send(&json[..50]);
    ask(script, WHOLE).assert_refused(502, "upstream_truncated");
}
