//! What becomes of all of them when the upstream fails.

use super::{
    Client, FINISHED, asked, open_gate, outcome, sharing, stream, two_words, wait_for_shared, whole,
};
use crate::{
    chunks::{frame, text},
    gate::Gate,
    http::{fetch, post},
    proxy::{Proxy, wait_until_idle},
    upstream::Script,
};

const ERROR: &str = r#"{"error":{"message":"slow down","type":"x","param":null,"code":"c"}}"#;

/// Two requests that wait for the same, which then comes.
fn both(proxy: &Proxy, gate: &Gate, bodies: [String; 2]) -> [crate::reply::Reply; 2] {
    let mut first = proxy.open(&bodies[0]);
    proxy.upstream.request();
    let mut second = proxy.open(&bodies[1]);
    wait_for_shared(proxy, 1);
    gate.open();
    [first.reply(), second.reply()]
}

#[test]
fn a_refusal_is_everyones_with_its_status_and_headers() {
    let gate = Gate::default();
    let headers = [("content-type", "application/json"), ("retry-after", "7")];
    let refusal = Script::reply("429 Too Many Requests", &headers, ERROR);
    let proxy = sharing(Script::silent().wait(&gate).and(refusal), FINISHED).start();
    for reply in both(&proxy, &gate, [stream(), whole()]) {
        reply.assert_refused(429, "c");
        assert_eq!(reply.head.header("retry-after"), Some("7"));
    }
    assert_eq!(asked(&proxy), 1);
}

#[test]
fn a_clock_that_runs_out_is_everyones() {
    let settings = sharing(Script::silent().linger(), FINISHED).clock("first_chunk", "1s");
    let proxy = settings.start();
    for reply in both(&proxy, &open_gate(), [stream(), whole()]) {
        reply.assert_refused(504, "upstream_timeout");
    }
    assert_eq!(asked(&proxy), 1);
}

#[test]
fn what_breaks_off_after_content_breaks_off_for_everyone() {
    let gate = Gate::default();
    let script = Script::stream().event(&text("one")).wait(&gate).end();
    let proxy = sharing(script, FINISHED).start();
    let (first, second) = (Client::of(&proxy, &stream()), Client::of(&proxy, &stream()));
    let mut third = proxy.open(&whole());
    wait_for_shared(&proxy, 2);
    gate.open();
    for client in [first, second] {
        let reply = client.rest();
        reply.assert_breaks_off(&frame(&text("one")), "upstream_truncated");
    }
    third.reply().assert_refused(502, "upstream_truncated");
    assert_eq!(asked(&proxy), 1);
}

#[test]
fn an_error_inside_the_stream_is_everyones() {
    let gate = Gate::default();
    let script = Script::stream().event(&text("one")).wait(&gate);
    let proxy = sharing(script.event(ERROR).done(), FINISHED).start();
    let (first, second) = (Client::of(&proxy, &stream()), Client::of(&proxy, &stream()));
    gate.open();
    for client in [first, second] {
        let error = client.rest().assert_breaks_off(&frame(&text("one")), "c");
        assert_eq!(error["message"], "slow down");
    }
}

#[test]
fn the_next_upstream_is_asked_for_all_of_them() {
    let bad = crate::upstream::Upstream::play(Script::silent());
    let good = crate::upstream::Upstream::play(two_words(&open_gate()));
    let settings = format!(
        "[[models]]\nname = '*'\ncache = {FINISHED}\nupstreams = [{{ base_url = 'http://{}/v1' }}, {{ base_url = 'http://{}/v1' }}]",
        bad.address, good.address
    );
    let server = tokenfall::testing::spawn(&settings).expect("valid settings");
    let first = fetch(server.address(), &post(stream(), &[]));
    assert_eq!(first.head.header("x-stream-attempts"), Some("2"));
    wait_until_idle(&server);
    let second = fetch(server.address(), &post(stream(), &[]));
    assert_eq!(outcome(&second), Some("hit"));
    assert_eq!((bad.counts().1, good.counts().1), (1, 1));
}

#[test]
fn a_stop_ends_all_of_them() {
    let script = Script::stream().event(&text("one")).linger();
    let settings = sharing(script, FINISHED).set("server.drain", "'50ms'");
    let mut proxy = settings.start();
    let (first, second) = (Client::of(&proxy, &stream()), Client::of(&proxy, &stream()));
    proxy.server.begin_stop();
    for client in [first, second] {
        let reply = client.rest();
        reply.assert_breaks_off(&frame(&text("one")), "shutting_down");
    }
}
