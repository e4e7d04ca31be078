//! Until the commit a failure has a status of its own; after it, it is an event.

use std::time::Duration;

use crate::{
    chunks::{DONE, STREAM, WHOLE, finish, frame, role, text},
    gate::{Gate, let_pass},
    proxy::{before, wait_until_idle},
    upstream::Script,
};

#[test]
fn a_failure_before_the_commit_has_its_status() {
    let settings = before(Script::silent().linger()).clock("first_chunk", "50ms");
    let proxy = settings.set("stream.commit_after", "'1m'").start();
    let reply = proxy.ask(STREAM);
    reply.assert_refused(504, "upstream_timeout");
}

#[test]
fn a_failure_after_the_commit_is_an_event_before_the_sentinel() {
    let gate = Gate::default();
    let settings = before(Script::silent().wait(&gate));
    let proxy = settings.set("stream.commit_after", "'10ms'").start();
    let mut client = proxy.open(STREAM);
    let head = client.head();
    let heartbeat = client.chunks_until("\n\n");
    gate.open();
    let reply = client.rest(head, heartbeat);
    reply.assert_breaks_off(":\n\n", "upstream_unreachable");
    wait_until_idle(&proxy.server);
}

#[test]
fn the_commit_and_its_heartbeat_are_one_write() {
    let gate = Gate::default();
    let settings = before(Script::silent().wait(&gate));
    let proxy = settings.set("stream.commit_after", "'10ms'").start();
    let mut client = proxy.open(STREAM);
    let first = String::from_utf8(client.read()).expect("UTF-8");
    gate.open();
    wait_until_idle(&proxy.server);
    assert!(first.starts_with("HTTP/1.1 200 OK\r\n"), "{first}");
    assert!(first.ends_with("\r\n\r\n3\r\n:\n\n\r\n"), "{first}");
}

#[test]
fn a_whole_reply_never_commits_early() {
    let gate = Gate::default();
    let settings = before(Script::silent().wait(&gate));
    let proxy = settings.set("stream.commit_after", "'10ms'").start();
    let mut client = proxy.open(WHOLE);
    proxy.upstream.request();
    let_pass(Duration::from_millis(50));
    gate.open();
    let reply = client.reply();
    reply.assert_refused(502, "upstream_unreachable");
    wait_until_idle(&proxy.server);
}

#[test]
fn the_first_chunk_commits_even_without_content() {
    let gate = Gate::default();
    let script = Script::stream().event(&role()).wait(&gate).event(&finish());
    let settings = before(script.done()).set("stream.commit_after", "'1m'");
    let proxy = settings.start();
    let mut client = proxy.open(STREAM);
    let head = client.head();
    assert_eq!(head.status, 200);
    let first = client.chunks_until("\n\n");
    assert_eq!(first, head.with_our_id(&frame(&role())));
    gate.open();
    let rest = client.chunks_until(DONE);
    assert_eq!(rest, head.with_our_id(&frame(&finish())) + DONE);
    wait_until_idle(&proxy.server);
}

#[test]
fn every_stream_has_the_head_of_one() {
    let answer = Script::stream().event(&text("one")).event(&finish()).done();
    let proxy = before(answer).start();
    let reply = proxy.ask(STREAM);
    let expected = [
        ("content-type", "text/event-stream; charset=utf-8"),
        ("cache-control", "no-cache, no-transform"),
        ("x-accel-buffering", "no"),
        ("transfer-encoding", "chunked"),
    ];
    for (name, value) in expected {
        assert_eq!(reply.head.header(name), Some(value), "{name}");
    }
    for name in ["content-length", "content-encoding"] {
        assert_eq!(reply.head.header(name), None, "{name}");
    }
    let id = reply.head.header("x-request-id").unwrap_or_default();
    assert!(id.starts_with("req_"), "{id}");
    let id = reply.head.header("x-completion-id").unwrap_or_default();
    let digits = id.strip_prefix("chatcmpl-").unwrap_or_default();
    assert!(digits.len() == 32, "{id}");
}

#[test]
fn streaming_is_asked_for_by_the_body_alone() {
    let answer = Script::stream().event(&text("one")).event(&finish()).done();
    let proxy = before(answer).start();
    let reply = proxy.ask_with(STREAM, &[("accept", "application/json")]);
    reply.assert_streams(&(frame(&text("one")) + &frame(&finish())));
}
