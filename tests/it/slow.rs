//! Clients that read more slowly than an answer is made: what the socket does not take waits, in its order.

use std::{thread, time::Duration};

use crate::{
    chunks::{DONE, STREAM, finish, frame, role, text},
    http::{Connection, post},
    proxy::{Proxy, before},
    reply::Reply,
    upstream::Script,
};

/// How many events there are, and how long their texts are: together more than sockets hold.
const EVENTS: usize = 300;
const LENGTH: usize = 20_000;

/// Each comes alone, so that it is written alone.
fn script() -> (Script, String) {
    let mut script = Script::stream().event(&role());
    let mut events = vec![frame(&role())];
    for number in 0..EVENTS {
        let chunk = text(&format!("{number} {}", "x".repeat(LENGTH)));
        script = script.event(&chunk).pause(Duration::from_millis(1));
        events.push(frame(&chunk));
    }
    events.push(frame(&finish()));
    events.push(DONE.to_owned());
    (script.event(&finish()).done().end(), events.concat())
}

/// A client that reads nothing yet of what is sent, which comes last.
fn ask(headers: &[(&str, &str)]) -> (Proxy, Connection, String) {
    let (script, sent) = script();
    let proxy = before(script).set("stream.heartbeat", "'20ms'").start();
    let mut client = Connection::narrow(proxy.address());
    client.send(&post(STREAM, headers));
    (proxy, client, sent)
}

/// The events between heartbeats.
fn events(body: &str) -> Vec<&str> {
    let blocks = body.split_inclusive("\n\n");
    blocks.filter(|block| *block != ":\n\n").collect()
}

/// What came is what was sent, each event once.
fn check(reply: &Reply, sent: &str) {
    let sent = reply.head.with_our_id(sent);
    assert_eq!(events(reply.text()), events(&sent));
}

#[test]
fn a_client_that_reads_late_gets_every_byte_in_its_order() {
    let (_proxy, mut client, sent) = ask(&[]);
    // Long enough for its socket to be full.
    thread::sleep(Duration::from_millis(200));
    let reply = client.reply();
    assert!(reply.head.is_chunked());
    check(&reply, &sent);
}

#[test]
fn so_does_one_that_reads_in_fits_and_starts() {
    let (_proxy, mut client, sent) = ask(&[]);
    let head = client.head();
    let mut body = Vec::new();
    for turn in 0..150 {
        if turn % 5 == 0 {
            thread::sleep(Duration::from_millis(10));
        }
        match client.chunk() {
            Some(chunk) => body.extend(chunk),
            None => break,
        }
    }
    check(&client.rest(head, body), &sent);
}

#[test]
fn the_events_of_a_late_reader_have_their_ids() {
    let (_proxy, mut client, sent) = ask(&[("x-stream-ids", "1")]);
    thread::sleep(Duration::from_millis(100));
    let reply = client.reply();
    let sent = reply.head.with_our_id(&sent);
    let (came, sent) = (events(reply.text()), events(&sent));
    assert_eq!(came.len(), sent.len());
    for (number, (event, sent)) in (1..).zip(came.into_iter().zip(sent)) {
        // A heartbeat is a line alone here.
        let event = event.trim_start_matches(":\n");
        assert_eq!(event, format!("id: 1-{number}\n{sent}"));
    }
}
