//! Servers that are asked to stop while streams are under way.

use crate::{
    chunks::{DONE, STREAM, WHOLE, completion, finish, frame, text},
    gate::{Gate, wait_until},
    http::{fetch, post, request},
    proxy::{Proxy, before},
    upstream::Script,
};

/// A stop was asked for, and the server knows.
fn begin_stop(proxy: &mut Proxy) {
    let address = proxy.address();
    let ready = request("GET", "/readyz", &[]);
    assert_eq!(fetch(address, &ready).head.status, 200);
    proxy.server.begin_stop();
    wait_until("the server to be unready", || {
        fetch(address, &ready).head.status == 503
    });
}

#[test]
fn a_live_stream_finishes_within_the_drain() {
    let gate = Gate::default();
    let script = Script::stream().event(&text("one")).wait(&gate);
    let mut proxy = before(script.event(&finish()).done()).start();
    let mut client = proxy.open(STREAM);
    let head = client.head();
    let first = client.chunks_until("\n\n");
    begin_stop(&mut proxy);
    gate.open();
    let rest = client.chunks_until(DONE);
    let whole = head.with_our_id(&(frame(&text("one")) + &frame(&finish())));
    assert_eq!(first + &rest, whole + DONE);
    assert_eq!(client.chunk(), None);
    proxy.server.stop();
}

#[test]
fn a_whole_reply_finishes_within_the_drain() {
    let gate = Gate::default();
    let script = Script::silent()
        .wait(&gate)
        .and(Script::json(&completion()));
    let mut proxy = before(script).start();
    let mut client = proxy.open(WHOLE);
    proxy.upstream.request();
    begin_stop(&mut proxy);
    gate.open();
    let reply = client.reply();
    assert_eq!(reply.text(), reply.head.with_our_id(&completion()));
    proxy.server.stop();
}

#[test]
fn what_is_left_after_the_drain_ends_with_shutting_down() {
    let script = Script::stream().event(&text("one")).linger();
    let settings = before(script).set("server.drain", "'50ms'");
    let mut proxy = settings.start();
    let mut client = proxy.open(STREAM);
    let head = client.head();
    let first = client.chunks_until("\n\n");
    assert_eq!(first, head.with_our_id(&frame(&text("one"))));
    proxy.server.begin_stop();
    let reply = client.rest(head, first);
    reply.assert_breaks_off(&frame(&text("one")), "shutting_down");
    proxy.upstream.departure();
    proxy.server.stop();
}

#[test]
fn what_waits_for_its_first_token_after_the_drain_is_refused() {
    for body in [STREAM, WHOLE] {
        let settings = before(Script::silent().linger());
        let mut proxy = settings.set("server.drain", "'50ms'").start();
        let mut client = proxy.open(body);
        proxy.upstream.request();
        proxy.server.begin_stop();
        let reply = client.reply();
        reply.assert_refused(503, "shutting_down");
        assert_eq!(reply.head.header("retry-after"), Some("1"));
        proxy.upstream.departure();
        proxy.server.stop();
    }
}

#[test]
fn new_requests_are_refused_during_the_drain() {
    let gate = Gate::default();
    let script = Script::stream().event(&text("one")).wait(&gate);
    let mut proxy = before(script.event(&finish()).done()).start();
    let mut client = proxy.open(STREAM);
    client.head();
    client.chunks_until("one");
    begin_stop(&mut proxy);
    let reply = fetch(proxy.address(), &post(STREAM, &[]));
    reply.assert_refused(503, "shutting_down");
    assert_eq!(reply.head.header("retry-after"), Some("1"));
    let alive = fetch(proxy.address(), &request("GET", "/livez", &[]));
    assert_eq!(alive.head.status, 200);
    gate.open();
    client.chunks_until(DONE);
    proxy.server.stop();
}

#[test]
fn an_idle_server_stops_at_once() {
    let proxy = before(Script::silent()).start();
    let start = std::time::Instant::now();
    proxy.server.stop();
    let took = start.elapsed();
    assert!(took < std::time::Duration::from_secs(20), "{took:?}");
}

#[test]
fn those_who_send_work_have_the_delay_to_notice() {
    let settings = before(Script::json(&completion())).set("server.drain_delay", "'2s'");
    let mut proxy = settings.start();
    begin_stop(&mut proxy);
    let reply = fetch(proxy.address(), &post(WHOLE, &[]));
    assert_eq!(reply.head.status, 200, "{}", reply.text());
    proxy.server.stop();
}

#[test]
fn a_reader_with_ids_stays_where_no_other_node_has_its_stream() {
    let gate = Gate::default();
    let script = Script::stream().event(&text("one")).wait(&gate);
    let mut proxy = before(script.event(&finish()).done()).start();
    let mut client = proxy.open_with(STREAM, &[("x-stream-ids", "1")]);
    client.head();
    client.chunks_until("one");
    begin_stop(&mut proxy);
    gate.open();
    let rest = client.chunks_until(DONE);
    assert!(rest.contains("\"finish_reason\":\"stop\""), "{rest}");
    proxy.server.stop();
}
