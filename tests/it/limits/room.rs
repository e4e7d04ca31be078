//! As many answers under way as the server may have: the next wait, and the rest are shed.

use std::{thread, time::Instant};

use super::{KEY, ask_beside, keyed};
use crate::{
    chunks::{STREAM, WHOLE, finish, text},
    gate::{Gate, PATIENCE, wait_until},
    http::{Connection, fetch, post},
    proxy::{Proxy, Settings, before, wait_until_idle},
    reply::Reply,
    upstream::Script,
};

fn waiting(gate: &Gate) -> Script {
    Script::stream()
        .event(&text("one"))
        .wait(gate)
        .event(&finish())
        .done()
}

fn narrow(script: Script, queue: usize) -> Settings {
    let settings = before(script).set("limits.streams", "1");
    settings.set("limits.queue", &queue.to_string())
}

/// A client that has read the first token.
fn reader_of(proxy: &Proxy) -> Connection {
    let mut client = proxy.open(STREAM);
    assert_eq!(client.head().status, 200);
    client.chunks_until("one");
    client
}

#[track_caller]
fn assert_shed(reply: &Reply) {
    let error = reply.assert_refused(503, "overloaded");
    assert_eq!(error["type"], "server_error");
    assert_eq!(reply.head.header("retry-after"), Some("1"));
}

#[test]
fn what_there_is_no_room_for_is_shed_at_once() {
    let gate = Gate::default();
    let proxy = narrow(waiting(&gate), 0).start();
    let mut first = reader_of(&proxy);
    for body in [STREAM, WHOLE] {
        let asked = Instant::now();
        assert_shed(&fetch(proxy.address(), &post(body, &[])));
        assert!(asked.elapsed() < PATIENCE / 2);
    }
    gate.open();
    first.chunks_until("[DONE]");
    wait_until_idle(&proxy.server);
    assert_eq!(proxy.ask(STREAM).head.status, 200);
    assert_eq!(proxy.upstream.counts().1, 2, "it never heard of the others");
}

#[test]
fn who_waits_is_next() {
    let gate = Gate::default();
    let settings = narrow(waiting(&gate), 1);
    let proxy = settings.set("limits.queue_timeout", "'1m'").start();
    let _first = reader_of(&proxy);
    let mut second = proxy.open(STREAM);
    // Of two more, one waits and one is shed, or both are where the second waits already.
    let shed = |_| {
        let address = proxy.address();
        thread::spawn(move || fetch(address, &post(STREAM, &[])))
    };
    let others: Vec<_> = (0..2).map(shed).collect();
    wait_until("one to be shed", || {
        others.iter().any(thread::JoinHandle::is_finished)
    });
    assert_eq!(proxy.server.generations(), 1);
    gate.open();
    let mut replies: Vec<_> = others
        .into_iter()
        .map(|o| o.join().expect("a reply"))
        .collect();
    replies.push({
        let head = second.head();
        second.rest(head, "")
    });
    replies.sort_by_key(|reply| reply.head.status);
    assert_eq!(replies[0].head.status, 200);
    assert_shed(&replies[2]);
}

#[test]
fn who_waits_too_long_is_shed_and_its_key_keeps_its_tokens() {
    let gate = Gate::default();
    let settings = keyed(waiting(&gate), "tpm = 2002, streams = 5");
    let settings = settings.set("limits.streams", "1");
    let proxy = settings.set("limits.queue_timeout", "'20ms'").start();
    let mut first = Connection::open(proxy.address());
    first.send(&post(STREAM, &[KEY]));
    first.head();
    for _ in 0..3 {
        // Each would take half of its minute's tokens, and one of its five answers.
        for _ in 0..2 {
            assert_shed(&ask_beside(&proxy, STREAM));
        }
    }
    gate.open();
}

#[test]
fn a_rush_is_answered_or_shed_and_leaves_nothing() {
    let script = Script::stream().event(&text("one")).event(&finish()).done();
    let proxy = before(script)
        .set("limits.streams", "2")
        .set("limits.queue", "3")
        .set("limits.queue_timeout", "'1m'")
        .start();
    let address = proxy.address();
    let asking = (0..60).map(|_| thread::spawn(move || fetch(address, &post(STREAM, &[]))));
    let asking: Vec<_> = asking.collect();
    let mut answered = 0;
    for reply in asking
        .into_iter()
        .map(|asking| asking.join().expect("a reply"))
    {
        match reply.head.status {
            200 => answered += 1,
            _ => assert_shed(&reply),
        }
    }
    assert!(answered >= 2, "{answered}");
    wait_until_idle(&proxy.server);
    assert_eq!(proxy.ask(STREAM).head.status, 200);
}
