//! Answers that have ended, and which of them are given again.

use std::time::{Duration, Instant};

use super::{
    Client, FINISHED, IN_FLIGHT, asked, asking, open_gate, outcome, sharing, stream, two_words,
    whole, with_done, words,
};
use crate::{
    chunks::{finish, finish_of, text, text_of, usage},
    gate::{Gate, let_pass},
    proxy::{Proxy, before, wait_until_idle},
    upstream::Script,
};

/// What became of the same request twice.
fn twice(proxy: &Proxy, body: &str) -> [Option<String>; 2] {
    [(); 2].map(|()| outcome(&proxy.ask(body)).map(str::to_owned))
}

#[track_caller]
fn assert_asks_again(proxy: &Proxy) {
    let missed = Some("miss".to_owned());
    assert_eq!(twice(proxy, &stream()), [missed.clone(), missed]);
    assert_eq!(asked(proxy), 2);
}

#[test]
fn the_same_request_again_has_the_same_bytes_and_its_own_id() {
    let proxy = sharing(two_words(&open_gate()), FINISHED).start();
    let first = proxy.ask(&stream());
    let second = proxy.ask(&stream());
    assert_eq!(outcome(&second), Some("hit"));
    for reply in [&first, &second] {
        reply.assert_streams(&words());
    }
    let id = |reply: &crate::reply::Reply| reply.head.header("x-completion-id").map(str::to_owned);
    assert_ne!(id(&first), id(&second));
    let counted = proxy.ask(&asking(r#""stream_options":{"include_usage":true}"#));
    let all = [text("one"), text("two"), finish(), usage()];
    assert_eq!(counted.text(), counted.head.with_our_id(&with_done(&all)));
    let folded = proxy.ask(&whole());
    assert_eq!(outcome(&folded), Some("hit"));
    assert_eq!(folded.json()["choices"][0]["message"]["content"], "onetwo");
    assert_eq!(folded.json()["usage"]["total_tokens"], 5);
    assert_eq!(asked(&proxy), 1);
}

#[test]
fn odd_chunks_are_the_same_bytes_as_without_a_cache() {
    let script = || {
        let script = Script::stream()
            .chunk("id: 7\nevent: x\ndata: {\"id\":\"chatcmpl-upstream\",\ndata: \"choices\":[]}\r\n\r\n")
            .event(r#"{"error":null,"choices":[{"index":0,"delta":{"content":"é"}}],"v":1.50e+2}"#)
            .event(r#"{ "choices" : [] , "id" : 5 }"#)
            .event(r#"{"choices":[{"index":0,"delta":{"content":"one","x":"data: [DONE]\n\n"}}]}"#);
        script.event(&finish()).event(&usage()).done()
    };
    let text = |reply: &crate::reply::Reply| {
        let id = reply.head.header("x-completion-id").expect("an id");
        reply.text().replace(id, "ID")
    };
    let expected = text(&before(script()).start().ask(&stream()));
    assert!(expected.contains("data: \"choices\":[]}"), "{expected}");
    let proxy = sharing(script(), FINISHED).start();
    for _ in 0..2 {
        assert_eq!(text(&proxy.ask(&stream())), expected);
    }
    assert_eq!(asked(&proxy), 1);
}

#[test]
fn an_answer_is_given_again_at_once_or_at_its_own_pace() {
    const GAP: Duration = Duration::from_secs(2);
    for (pace, is_slow) in [("instant", false), ("recorded", true)] {
        let gate = Gate::default();
        let cache = format!("{{ share = 'finished', pace = '{pace}' }}");
        let proxy = sharing(two_words(&gate), &cache).start();
        let first = Client::of(&proxy, &stream());
        let_pass(GAP);
        gate.open();
        first.rest().assert_streams(&words());
        wait_until_idle(&proxy.server);
        let start = Instant::now();
        let second = Client::of(&proxy, &stream());
        let begun = start.elapsed();
        assert_eq!(second.outcome(), Some("hit"));
        second.rest().assert_streams(&words());
        assert_eq!(start.elapsed() >= GAP, is_slow, "{:?}", start.elapsed());
        assert!(!is_slow || begun < GAP, "{begun:?}");
        // Nobody sees the pace of a whole reply.
        let start = Instant::now();
        proxy.ask(&whole());
        assert!(start.elapsed() < GAP, "{:?}", start.elapsed());
        assert_eq!(asked(&proxy), 1);
    }
}

#[test]
fn an_answer_at_its_own_pace_can_be_cancelled() {
    let gate = Gate::default();
    let cache = "{ share = 'finished', pace = 'recorded' }";
    let proxy = sharing(two_words(&gate), cache).start();
    let first = Client::of(&proxy, &stream());
    let_pass(Duration::from_millis(500));
    gate.open();
    first.rest();
    wait_until_idle(&proxy.server);
    let second = Client::of(&proxy, &stream());
    assert_eq!(second.cancel(&proxy).json()["status"], "cancelled");
    let third = proxy.ask(&stream());
    third.assert_streams(&words());
}

#[test]
fn what_was_cut_short_is_not_given_again() {
    for reason in ["length", "content_filter"] {
        let script = Script::stream().event(&text("one"));
        let script = script.event(&finish_of(0, reason)).event(&usage()).done();
        assert_asks_again(&sharing(script, FINISHED).start());
    }
    // One choice is enough.
    let script = Script::stream().event(&text_of(1, "a"));
    let script = script.event(&finish_of(1, "length")).event(&text("b"));
    let proxy = sharing(script.event(&finish()).done(), FINISHED).start();
    twice(&proxy, &asking(r#""n":2"#));
    assert_eq!(asked(&proxy), 2);
}

#[test]
fn what_failed_is_not_given_again() {
    for script in [
        Script::silent(),
        Script::stream().event(&text("one")).end(),
        Script::reply("500 Oops", &[], "{}"),
    ] {
        let proxy = sharing(script, FINISHED).start();
        proxy.ask(&stream());
        proxy.ask(&stream());
        assert_eq!(asked(&proxy), 2);
    }
}

#[test]
fn what_was_cancelled_is_not_given_again() {
    let script = Script::stream().event(&text("one")).linger();
    let settings = sharing(script, FINISHED);
    let proxy = settings.set("stream.on_disconnect", "'cancel'").start();
    let first = Client::of(&proxy, &stream());
    first.cancel(&proxy);
    wait_until_idle(&proxy.server);
    let second = Client::of(&proxy, &stream());
    assert_eq!(second.outcome(), Some("miss"));
    assert_eq!(asked(&proxy), 2);
}

#[test]
fn an_answer_is_given_again_for_its_lifetime() {
    let script = || two_words(&open_gate());
    let cache = "{ share = 'finished', lifetime = '200ms' }";
    let proxy = sharing(script(), cache).start();
    proxy.ask(&stream());
    let_pass(Duration::from_millis(250));
    assert_eq!(outcome(&proxy.ask(&stream())), Some("miss"));
    assert_eq!(asked(&proxy), 2);
    // No longer than its stream is kept.
    let settings = sharing(script(), FINISHED).set("stream.retention", "'200ms'");
    let proxy = settings.start();
    proxy.ask(&stream());
    let_pass(Duration::from_millis(250));
    assert_eq!(outcome(&proxy.ask(&stream())), Some("miss"));
    // And not at all where only those under way are shared.
    assert_asks_again(&sharing(script(), IN_FLIGHT).start());
}
