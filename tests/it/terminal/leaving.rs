//! Clients that go away, and what becomes of the generation that they asked for.

use std::time::{Duration, Instant};

use crate::{
    chunks::{STREAM, WHOLE, finish, frame, text},
    gate::{Gate, wait_until},
    http::Connection,
    proxy::{Proxy, before, wait_until_idle},
    upstream::Script,
};

fn silent() -> Script {
    Script::silent().linger()
}

fn talking() -> Script {
    Script::stream().event(&text("one")).linger()
}

fn start(script: Script, on_disconnect: &str) -> Proxy {
    let policy = format!("'{on_disconnect}'");
    before(script).set("stream.on_disconnect", &policy).start()
}

/// A client that has read the first token.
fn reader_of(proxy: &Proxy) -> Connection {
    let mut client = proxy.open(STREAM);
    client.head();
    client.chunks_until("one");
    client
}

/// Long before the next heartbeat could tell, which is due after 15 s.
const SOON: Duration = Duration::from_secs(8);

/// The upstream's connection was closed too, soon.
#[track_caller]
fn assert_cancelled(proxy: &Proxy, since: Instant) {
    proxy.upstream.departure();
    assert!(since.elapsed() < SOON, "{:?}", since.elapsed());
    wait_until_idle(&proxy.server);
}

#[test]
fn leaving_before_the_first_token_cancels_the_upstream() {
    for body in [STREAM, WHOLE] {
        let proxy = start(silent(), "cancel");
        let client = proxy.open(body);
        proxy.upstream.request();
        let left = Instant::now();
        drop(client);
        assert_cancelled(&proxy, left);
    }
}

#[test]
fn leaving_between_heartbeats_cancels_the_upstream() {
    let policy = before(silent()).set("stream.on_disconnect", "'cancel'");
    let proxy = policy.set("stream.commit_after", "'10ms'").start();
    let mut client = proxy.open(STREAM);
    client.head();
    client.chunks_until(":\n\n");
    let left = Instant::now();
    drop(client);
    assert_cancelled(&proxy, left);
}

#[test]
fn leaving_after_the_first_token_cancels_the_upstream() {
    let proxy = start(talking(), "cancel");
    let client = reader_of(&proxy);
    let left = Instant::now();
    drop(client);
    assert_cancelled(&proxy, left);
}

#[test]
fn a_reset_is_a_way_to_leave() {
    let proxy = start(talking(), "cancel");
    let client = reader_of(&proxy);
    let left = Instant::now();
    client.reset();
    assert_cancelled(&proxy, left);
}

#[test]
fn a_half_close_is_a_way_to_leave() {
    let proxy = start(talking(), "cancel");
    let client = reader_of(&proxy);
    let left = Instant::now();
    client.half_close();
    assert_cancelled(&proxy, left);
}

#[test]
fn leaving_while_the_upstream_talks_cancels_it() {
    let script = Script::stream().for_ever(frame(&text("one")), Duration::from_millis(1));
    let proxy = start(script, "cancel");
    let client = reader_of(&proxy);
    let left = Instant::now();
    drop(client);
    assert_cancelled(&proxy, left);
}

#[test]
fn the_upstream_is_cancelled_once_grace_is_over() {
    let proxy = start(talking(), "grace=300ms");
    let client = reader_of(&proxy);
    let left = Instant::now();
    drop(client);
    proxy.upstream.departure();
    let grace = Duration::from_millis(300);
    assert!(left.elapsed() >= grace, "{:?}", left.elapsed());
    assert_cancelled(&proxy, left);
}

#[test]
fn a_detached_generation_goes_on_to_its_end() {
    let gate = Gate::default();
    let script = Script::stream().event(&text("one")).wait(&gate);
    let proxy = start(script.event(&finish()).done().linger(), "detach");
    drop(reader_of(&proxy));
    wait_until("the reader to be gone", || proxy.server.streams() == 0);
    assert_eq!(proxy.server.generations(), 1);
    gate.open();
    wait_until_idle(&proxy.server);
}

#[test]
fn a_detached_generation_is_cancelled_after_max_detached() {
    let settings = before(talking()).set("stream.on_disconnect", "'detach'");
    let proxy = settings.set("stream.max_detached", "'300ms'").start();
    let client = reader_of(&proxy);
    let left = Instant::now();
    drop(client);
    proxy.upstream.departure();
    let limit = Duration::from_millis(300);
    assert!(left.elapsed() >= limit, "{:?}", left.elapsed());
    assert_cancelled(&proxy, left);
}

#[test]
fn a_client_that_takes_nothing_is_cut_off() {
    // More than the sockets between us hold.
    let event = frame(&text(&"x".repeat(1 << 20)));
    let script = (0..16).fold(Script::stream(), |script, _| script.chunk(&event));
    let settings = before(script.linger()).set("stream.on_disconnect", "'cancel'");
    let proxy = settings.set("stream.write_deadline", "'300ms'").start();
    let _client = proxy.open(STREAM);
    proxy.upstream.departure();
    wait_until_idle(&proxy.server);
}
