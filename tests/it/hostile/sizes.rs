//! Upstreams that send more than anybody can hold.

use std::time::Duration;

use crate::{
    chunks::{STREAM, WHOLE, completion, finish, frame, text},
    gate::Gate,
    http::{fetch, post},
    proxy::before,
    upstream::Script,
};

#[test]
fn a_line_without_end_is_log_too_large() {
    let script = Script::stream().chunk("data: ");
    let script = script.for_ever("x".repeat(1 << 16), Duration::ZERO);
    let proxy = before(script).start();
    let reply = proxy.ask(STREAM);
    reply.assert_refused(502, "log_too_large");
    // It was not read to the end: there is none.
    proxy.upstream.departure();
}

#[test]
fn a_line_of_20_mib_in_the_middle_is_log_too_large() {
    let script = Script::stream().event(&text("one"));
    let script = script.chunk("data: ".to_owned() + &"x".repeat(20 << 20) + "\n\n");
    let proxy = before(script.event(&finish()).done()).start();
    let reply = proxy.ask(STREAM);
    reply.assert_breaks_off(&frame(&text("one")), "log_too_large");
}

#[test]
fn an_event_of_many_lines_without_end_is_log_too_large() {
    let line = format!("data: {}\n", "x".repeat(200));
    let script = Script::stream().for_ever(line.repeat(300), Duration::ZERO);
    let proxy = before(script).start();
    let reply = proxy.ask(STREAM);
    reply.assert_refused(502, "log_too_large");
    proxy.upstream.departure();
}

#[test]
fn an_event_below_the_limit_passes() {
    let long = text(&"x".repeat(4_000_000));
    let script = Script::stream().event(&long).event(&finish()).done();
    let reply = before(script).start().ask(STREAM);
    reply.assert_streams(&(frame(&long) + &frame(&finish())));
}

#[test]
fn a_stream_over_the_log_cap_is_log_too_large() {
    let event = frame(&text("more "));
    let script = Script::stream().for_ever(&event, Duration::ZERO);
    let settings = before(script).set("stream.event_bytes", "1024");
    let proxy = settings.set("stream.log_bytes", "4096").start();
    let reply = proxy.ask(STREAM);
    let chunks = reply.text().matches("more ").count();
    reply.assert_breaks_off(&event.repeat(chunks), "log_too_large");
    assert!(chunks > 1 && reply.body.len() < 8192, "{}", reply.text());
    proxy.upstream.departure();
}

#[test]
fn a_whole_reply_over_the_log_cap_is_log_too_large() {
    let long = completion().replace("Hello", &"x".repeat(4096));
    let settings = before(Script::json(&long)).set("stream.event_bytes", "1024");
    let proxy = settings.set("stream.log_bytes", "4096").start();
    proxy.ask(WHOLE).assert_refused(502, "log_too_large");
}

#[test]
fn new_requests_are_refused_while_live_streams_fill_the_budget() {
    let gate = Gate::default();
    let script = Script::stream().event(&text(&"x".repeat(900)));
    let settings = before(script.wait(&gate).event(&finish()).done())
        .set("stream.event_bytes", "2048")
        .set("stream.log_bytes", "2048")
        .set("stream.budget_bytes", "2048");
    let proxy = settings.start();
    let mut client = proxy.open(STREAM);
    let head = client.head();
    let first = client.chunks_until("\n\n");
    for body in [STREAM, WHOLE] {
        let reply = fetch(proxy.address(), &post(body, &[]));
        reply.assert_refused(503, "overloaded");
        assert_eq!(reply.head.header("retry-after"), Some("1"));
    }
    gate.open();
    let shown = frame(&text(&"x".repeat(900))) + &frame(&finish());
    client.rest(head, first).assert_streams(&shown);
    // A finished log makes room for a new one.
    proxy.ask(STREAM).assert_streams(&shown);
}
