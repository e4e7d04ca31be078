//! Answers under way: each has ended, and is free, on whatever way out.

use super::{KEY, ask_beside, keyed};
use crate::{
    chunks::{STREAM, WHOLE, finish, text},
    gate::{Gate, wait_until},
    http::{Connection, fetch, request},
    proxy::{Proxy, wait_until_idle},
    upstream::Script,
};

const ONE: &str = "streams = 1";

fn talking() -> Script {
    Script::stream().event(&text("one"))
}

/// A client that has read the first token.
fn reader_of(proxy: &Proxy) -> (Connection, String) {
    let mut client = proxy.open_with(STREAM, &[KEY]);
    let head = client.head();
    client.chunks_until("one");
    let id = head.header("x-completion-id").expect("an id").to_owned();
    (client, id)
}

#[track_caller]
fn assert_is_taken(proxy: &Proxy) {
    for body in [STREAM, WHOLE] {
        let reply = ask_beside(proxy, body);
        let error = reply.assert_refused(429, "rate_limit_exceeded");
        assert_eq!(error["type"], "requests");
        let message = error["message"].as_str().expect("a text");
        assert!(message.contains("under way at once: limit 1,"), "{message}");
        assert_eq!(reply.head.header("retry-after"), Some("1"));
    }
}

#[track_caller]
fn assert_is_free(proxy: &Proxy) {
    wait_until_idle(&proxy.server);
    let _next = reader_of(proxy);
}

#[test]
fn it_is_free_when_the_answer_is_complete() {
    let gate = Gate::default();
    let script = talking().wait(&gate).event(&finish()).done();
    let proxy = keyed(script, ONE).start();
    let (mut client, _) = reader_of(&proxy);
    assert_is_taken(&proxy);
    gate.open();
    client.chunks_until("[DONE]");
    // Who has read the end is let in at once.
    assert_eq!(ask_beside(&proxy, STREAM).head.status, 200);
}

#[test]
fn it_is_free_when_the_upstream_breaks_off() {
    let gate = Gate::default();
    let proxy = keyed(talking().wait(&gate).reset(), ONE).start();
    let (mut client, _) = reader_of(&proxy);
    assert_is_taken(&proxy);
    gate.open();
    client.chunks_until("[DONE]");
    assert_is_free(&proxy);
}

#[test]
fn it_is_free_when_the_upstream_refuses() {
    let script = Script::reply("400 Bad Request", &[], r#"{"error":{"message":"no"}}"#);
    let proxy = keyed(script, ONE).start();
    for body in [STREAM, WHOLE, STREAM] {
        assert_eq!(ask_beside(&proxy, body).head.status, 400);
    }
}

#[test]
fn it_is_free_when_it_is_cancelled() {
    let proxy = keyed(talking().linger(), ONE).start();
    let (_client, id) = reader_of(&proxy);
    assert_is_taken(&proxy);
    let path = format!("/v1/chat/completions/{id}/cancel");
    let reply = fetch(proxy.address(), &request("POST", &path, &[KEY]));
    assert_eq!(reply.head.status, 200, "{}", reply.text());
    assert_is_free(&proxy);
}

#[test]
fn it_is_free_when_everyone_has_left() {
    let settings = keyed(talking().linger(), ONE);
    let proxy = settings.set("stream.on_disconnect", "'cancel'").start();
    let (client, _) = reader_of(&proxy);
    assert_is_taken(&proxy);
    drop(client);
    assert_is_free(&proxy);
}

#[test]
fn it_is_the_generation_that_counts_and_not_the_connection() {
    let settings = keyed(talking().linger(), ONE);
    let proxy = settings.set("stream.on_disconnect", "'detach'").start();
    let (client, id) = reader_of(&proxy);
    drop(client);
    wait_until("the reader to be gone", || proxy.server.streams() == 0);
    assert_is_taken(&proxy);
    // To read it once more takes nothing.
    let path = format!("/v1/chat/completions/{id}?stream=true");
    for _ in 0..3 {
        let mut again = Connection::open(proxy.address());
        again.send(&request("GET", &path, &[KEY]));
        assert_eq!(again.head().status, 200);
    }
}

#[test]
fn the_same_idempotency_key_takes_nothing_twice() {
    let proxy = keyed(talking().linger(), "streams = 1, rpm = 1").start();
    let headers = [KEY, ("idempotency-key", "once")];
    let mut first = proxy.open_with(STREAM, &headers);
    let id = first
        .head()
        .header("x-completion-id")
        .expect("an id")
        .to_owned();
    let mut second = proxy.open_with(STREAM, &headers);
    assert_eq!(second.head().header("x-completion-id"), Some(&id[..]));
}
