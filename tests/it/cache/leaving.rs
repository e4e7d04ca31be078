//! Whoever leaves or is cancelled, be it the first: the others get their answer.

use super::{Client, IN_FLIGHT, asked, sharing, stream, two_words, wait_for_generations, words};
use crate::{
    chunks::{frame, text},
    gate::{Gate, wait_until},
    http::{fetch, request},
    proxy::{Proxy, wait_until_idle},
    upstream::Script,
};

/// Two clients that have read the first word, of a server that cancels what nobody reads.
fn pair(gate: &Gate) -> (Proxy, Client, Client) {
    let settings = sharing(two_words(gate), IN_FLIGHT);
    let proxy = settings.set("stream.on_disconnect", "'cancel'").start();
    let (first, second) = (Client::of(&proxy, &stream()), Client::of(&proxy, &stream()));
    assert_eq!(second.outcome(), Some("shared"));
    (proxy, first, second)
}

#[test]
fn cancelling_either_leaves_the_other() {
    for cancels_first in [true, false] {
        let gate = Gate::default();
        let (proxy, first, second) = pair(&gate);
        let (cancelled, other) = match cancels_first {
            true => (first, second),
            false => (second, first),
        };
        let view = cancelled.cancel(&proxy).json();
        assert_eq!(view["status"], "cancelled");
        cancelled
            .rest()
            .assert_breaks_off(&frame(&text("one")), "cancelled");
        gate.open();
        other.rest().assert_streams(&words());
        assert_eq!(proxy.upstream.counts(), (1, 1));
        wait_until_idle(&proxy.server);
    }
}

#[test]
fn cancelling_the_first_before_anything_is_said_leaves_the_other() {
    let gate = Gate::default();
    let script = Script::stream().wait(&gate).and(two_words_at_once());
    let settings = sharing(script, IN_FLIGHT).set("stream.commit_after", "'10ms'");
    let proxy = settings.start();
    let mut first = proxy.open(&stream());
    let head = first.head();
    let mut second = proxy.open(&stream());
    let second_head = second.head();
    assert_eq!(second_head.header("x-stream-cache"), Some("shared"));
    let id = head.header("x-completion-id").expect("an id").to_owned();
    let path = format!("/v1/chat/completions/{id}/cancel");
    fetch(proxy.address(), &request("POST", &path, &[]));
    wait_for_generations(&proxy, 2);
    gate.open();
    let reply = second.rest(second_head, "");
    let text = reply.text().replace(":\n\n", "");
    assert_eq!(text, reply.head.with_our_id(&words()) + crate::chunks::DONE);
    assert_eq!(asked(&proxy), 1);
}

/// [`two_words`] without its head.
fn two_words_at_once() -> Script {
    let script = Script::silent().event(&text("one")).event(&text("two"));
    script.event(&crate::chunks::finish()).done()
}

#[test]
fn hanging_up_on_either_leaves_the_other() {
    for leaves_first in [true, false] {
        let gate = Gate::default();
        let (proxy, first, second) = pair(&gate);
        let (left, other) = match leaves_first {
            true => (first, second),
            false => (second, first),
        };
        drop(left);
        wait_for_generations(&proxy, 2);
        gate.open();
        other.rest().assert_streams(&words());
        assert_eq!(proxy.upstream.counts(), (1, 1));
    }
}

#[test]
fn who_comes_after_the_first_has_left_still_reads_from_the_beginning() {
    let gate = Gate::default();
    let (proxy, first, second) = pair(&gate);
    drop(first);
    wait_for_generations(&proxy, 2);
    let third = Client::of(&proxy, &stream());
    assert_eq!(third.outcome(), Some("shared"));
    drop(second);
    wait_for_generations(&proxy, 2);
    gate.open();
    third.rest().assert_streams(&words());
    assert_eq!(asked(&proxy), 1);
}

#[test]
fn when_the_last_has_left_the_upstream_is_cancelled_and_the_next_asks_anew() {
    let script = Script::stream().event(&text("one")).linger();
    let settings = sharing(script, IN_FLIGHT);
    let proxy = settings.set("stream.on_disconnect", "'cancel'").start();
    let first = Client::of(&proxy, &stream());
    let second = Client::of(&proxy, &stream());
    drop((first, second));
    proxy.upstream.departure();
    wait_until_idle(&proxy.server);
    let third = Client::of(&proxy, &stream());
    assert_eq!(third.outcome(), Some("miss"));
    assert_eq!(asked(&proxy), 2);
}

#[test]
fn leaving_and_coming_at_the_same_time_fails_nobody() {
    let script = Script::stream().event(&text("one")).linger();
    let settings = sharing(script, IN_FLIGHT).set("server.workers", "2");
    let proxy = settings.set("stream.on_disconnect", "'cancel'").start();
    let mut before = Client::of(&proxy, &stream());
    for _ in 0..100 {
        let mut next = proxy.open(&stream());
        drop(before);
        let head = next.head();
        assert_eq!(head.status, 200);
        let read = next.chunks_until("one");
        assert!(!read.contains("error"), "{read}");
        before = Client {
            connection: next,
            head,
            read,
        };
    }
    drop(before);
    wait_until("all to be over", || proxy.server.generations() == 0);
}
