//! Requests under way together.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use super::{
    Client, FINISHED, IN_FLIGHT, asked, asking, open_gate, outcome, sharing, stream, two_words,
    wait_for_shared, whole, with_done, words,
};
use crate::{
    chunks::{STREAM, finish, stream_with, text, usage},
    gate::{Gate, wait_until},
    http::{fetch, post},
    proxy::{before, wait_until_idle},
    upstream::Script,
};

#[test]
fn two_requests_are_one_of_the_upstream() {
    for cache in [IN_FLIGHT, FINISHED] {
        let gate = Gate::default();
        let proxy = sharing(two_words(&gate), cache).start();
        let first = Client::of(&proxy, &stream());
        let second = Client::of(&proxy, &stream());
        assert_eq!(first.outcome(), Some("miss"));
        assert_eq!(first.head.header("x-stream-attempts"), Some("1"));
        assert_eq!(second.outcome(), Some("shared"));
        assert_eq!(second.head.header("x-stream-attempts"), None);
        assert_ne!(first.id(), second.id());
        gate.open();
        first.rest().assert_streams(&words());
        second.rest().assert_streams(&words());
        assert_eq!(proxy.upstream.counts(), (1, 1));
        wait_until_idle(&proxy.server);
    }
}

#[test]
fn many_requests_on_several_threads_are_one_of_the_upstream() {
    const CLIENTS: usize = 24;
    let gate = Gate::default();
    let settings = sharing(two_words(&gate), IN_FLIGHT).set("server.workers", "2");
    let proxy = settings.start();
    let reading = AtomicUsize::new(0);
    let outcomes = thread::scope(|scope| {
        let ask = || {
            let client = Client::of(&proxy, &stream());
            reading.fetch_add(1, Ordering::Relaxed);
            let outcome = client.outcome().map(str::to_owned);
            client.rest().assert_streams(&words());
            outcome.expect("an outcome")
        };
        let asking: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(ask)).collect();
        wait_until("all to read", || reading.load(Ordering::Relaxed) == CLIENTS);
        gate.open();
        let join = |asking: thread::ScopedJoinHandle<'_, String>| asking.join().expect("a reply");
        asking.into_iter().map(join).collect::<Vec<_>>()
    });
    let misses = outcomes.iter().filter(|outcome| *outcome == "miss");
    assert_eq!(misses.count(), 1, "{outcomes:?}");
    let shared = outcomes.iter().filter(|outcome| *outcome == "shared");
    assert_eq!(shared.count(), CLIENTS - 1, "{outcomes:?}");
    assert_eq!(asked(&proxy), 1);
}

#[test]
fn a_stream_and_a_whole_reply_share() {
    for (first, second) in [(stream(), whole()), (whole(), stream())] {
        let gate = Gate::default();
        let proxy = sharing(two_words(&gate), IN_FLIGHT).start();
        let mut one = proxy.open(&first);
        proxy.upstream.request();
        let mut two = proxy.open(&second);
        wait_for_shared(&proxy, 1);
        gate.open();
        let replies = [one.reply(), two.reply()];
        assert_eq!(
            replies.each_ref().map(outcome),
            [Some("miss"), Some("shared")]
        );
        let (streamed, folded) = match first == stream() {
            true => (&replies[0], &replies[1]),
            false => (&replies[1], &replies[0]),
        };
        streamed.assert_streams(&words());
        let json = folded.json();
        assert_eq!(json["choices"][0]["message"]["content"], "onetwo");
        assert_eq!(json["object"], "chat.completion");
        assert_eq!(json["usage"]["total_tokens"], 5);
        assert_eq!(
            Some(&json["id"]),
            folded
                .head
                .header("x-completion-id")
                .map(Into::into)
                .as_ref()
        );
        assert_eq!(proxy.upstream.counts(), (1, 1));
        assert!(proxy.upstream.request().body.contains(r#""stream":true"#));
    }
}

#[test]
fn each_has_what_it_asked_for() {
    let gate = Gate::default();
    let proxy = sharing(two_words(&gate), IN_FLIGHT).start();
    let plain = Client::of(&proxy, &stream());
    let counted = Client::of(
        &proxy,
        &asking(r#""stream_options":{"include_usage":true}"#),
    );
    let numbered = Client::of(&proxy, &asking(r#""include_sequence":true,"store":true"#));
    let id = numbered.id();
    gate.open();
    plain.rest().assert_streams(&words());
    let all = [text("one"), text("two"), finish(), usage()];
    let counted = counted.rest();
    assert_eq!(counted.text(), counted.head.with_our_id(&with_done(&all)));
    let numbered = numbered.rest();
    let numbers = numbered.chunks().into_iter();
    let numbers: Vec<_> = numbers
        .map(|chunk| chunk["sequence_number"].as_u64())
        .collect();
    assert_eq!(numbers, [Some(1), Some(2), Some(3)]);
    let path = format!("/v1/chat/completions/{id}/messages");
    let get = crate::http::request("GET", &path, &[]);
    assert_eq!(fetch(proxy.address(), &get).head.status, 200);
    assert_eq!(asked(&proxy), 1);
}

#[test]
fn another_key_another_request_and_another_header_have_answers_of_their_own() {
    let gate = Gate::default();
    let keys = "[{ name = 'a', key = 'a' }, { name = 'b', key = 'b' }]";
    let settings = sharing(two_words(&gate), FINISHED).set("auth.keys", keys);
    let proxy = settings.start();
    let ask = |body: &str, headers: &[(&str, &str)]| proxy.open_with(body, headers);
    let (a, b) = (("authorization", "Bearer a"), ("authorization", "Bearer b"));
    let mut clients = vec![
        ask(&stream(), &[a]),
        ask(&stream(), &[b]),
        ask(&stream().replace("Hi", "Ho"), &[a]),
        ask(&asking(r#""user":"u""#), &[a]),
        ask(
            &asking(r#""stream_options":{"include_obfuscation":true}"#),
            &[a],
        ),
        ask(&stream(), &[a, ("openai-project", "p")]),
    ];
    // And one that differs in nothing that matters.
    let traced = ask(&stream(), &[a, ("traceparent", "00-0-0-00")]);
    let misses = clients.len();
    clients.push(traced);
    for client in &mut clients {
        client.head();
        client.chunks_until("one");
    }
    assert_eq!(asked(&proxy), misses);
    let mut again = ask(&stream(), &[b]);
    assert_eq!(again.head().header("x-stream-cache"), Some("shared"));
    gate.open();
}

#[test]
fn what_is_not_deterministic_or_not_to_be_shared_is_not() {
    let script = || two_words(&open_gate());
    for (settings, body) in [
        (sharing(script(), FINISHED), STREAM.to_owned()),
        (
            sharing(script(), FINISHED),
            stream_with(r#""temperature":0.1"#),
        ),
        (sharing(script(), "{ share = 'off' }"), stream()),
        (before(script()), stream()),
    ] {
        let proxy = settings.start();
        for _ in 0..2 {
            let reply = proxy.ask(&body);
            reply.assert_streams(&words());
            assert_eq!(outcome(&reply), None);
        }
        assert_eq!(asked(&proxy), 2, "{body}");
    }
}

#[test]
fn a_legacy_completion_shares_with_its_like_alone() {
    let legacy = r#"{"model":"m","seed":1,"stream":true,"prompt":"a"}"#;
    let text =
        r#"{"id":"chatcmpl-upstream","choices":[{"text":"one","index":0,"finish_reason":"stop"}]}"#;
    let script = Script::stream().event(text).done();
    let proxy = sharing(script, FINISHED).start();
    let ask = || {
        let post = crate::http::post_to("/v1/completions", legacy, &[]);
        let reply = fetch(proxy.address(), &post);
        wait_until_idle(&proxy.server);
        outcome(&reply).map(str::to_owned)
    };
    assert_eq!(ask().as_deref(), Some("miss"));
    assert_eq!(ask().as_deref(), Some("hit"));
    let chat = fetch(proxy.address(), &post(stream(), &[]));
    assert_eq!(outcome(&chat), Some("miss"));
}
