//! An upstream that is lost in the middle, and the next one that goes on with what it has said.

use serde_json::{Value, json};
use tokenfall::testing::TestServer;

use crate::{
    chunks::{STREAM, finish, frame, role, stream_with, text, usage},
    failover::Pool,
    http::{fetch, post_to, request},
    reply::Reply,
    upstream::{Script, Upstream},
};

const CONTINUE: &str = "on_upstream_loss = 'continue'\n";

fn begun() -> Script {
    Script::stream().event(&role()).event(&text("Hel"))
}

/// Goes on with "lo", as a new answer begins.
fn rest() -> Script {
    let script = Script::stream().event(&role()).event(&text("lo"));
    script.event(&finish()).event(&usage()).done()
}

/// What a client gets of both.
fn both() -> String {
    [role(), text("Hel"), text("lo"), finish()]
        .map(|json| frame(&json))
        .concat()
}

fn body_of(upstream: &Upstream) -> Value {
    serde_json::from_str(&upstream.request().body).expect("JSON")
}

fn view(server: &TestServer, reply: &Reply) -> Value {
    let id = reply.head.header("x-completion-id").expect("an id");
    let path = format!("/v1/chat/completions/{id}");
    fetch(server.address(), &request("GET", &path, &[])).json()
}

#[test]
fn the_next_upstream_goes_on_with_the_same_stream() {
    let losses = [
        ("reset", begun().reset()),
        ("end", begun().end()),
        ("no finish", begun().done()),
        ("silence", begun().linger()),
        ("bad JSON", begun().event("{")),
        ("an error", begun().event(r#"{"error":{"message":"no"}}"#)),
    ];
    for (name, lost) in losses {
        let pool = Pool::of(vec![lost, rest()], CONTINUE);
        let reply = pool.ask(STREAM);
        reply.assert_streams(&both());
        assert_eq!(pool.requests(), [1, 1], "{name}");
        let messages = &body_of(&pool.upstreams[1])["messages"];
        let expected =
            json!([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hel"}]);
        assert_eq!(messages, &expected, "{name}");
    }
}

#[test]
fn the_seam_and_the_sum_are_told() {
    let pool = Pool::of(vec![begun().reset(), rest()], CONTINUE);
    let reply = pool.ask(&stream_with(r#""stream_options":{"include_usage":true}"#));
    // Of the first: eight tokens of the request and one that was said.
    let sum = r#""usage":{"prompt_tokens":11,"completion_tokens":3,"total_tokens":14}"#;
    let own = r#""usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}"#;
    reply.assert_streams(&(both() + &frame(&usage().replace(own, sum))));
    let view = view(&pool.server, &reply);
    assert_eq!(view["continued_after"], json!([2]), "{view}");
    assert_eq!(view["usage_source"], "estimated");
    assert_eq!(view["usage"]["total_tokens"], 14);
    assert_eq!(view["attempts"], 2);
    let metrics = fetch(pool.server.address(), &request("GET", "/metrics", &[]));
    let line = format!(
        "tokenfall_continuations_total{{upstream=\"{}\"}} 1",
        pool.upstreams[1].address
    );
    assert!(metrics.text().contains(&line), "{}", metrics.text());
}

#[test]
fn a_third_goes_on_where_the_second_fails() {
    // Before its first content and after it.
    for second in [
        Script::stream().event(&role()).reset(),
        Script::stream().event(&role()).event(&text("l")).reset(),
    ] {
        let pool = Pool::of(vec![begun().reset(), second, rest()], CONTINUE);
        let reply = pool.ask(STREAM);
        let text = reply.text();
        assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
        assert_eq!(text.matches("\"role\"").count(), 1, "{text}");
        assert!(!text.contains("error"), "{text}");
        assert_eq!(pool.requests(), [1, 1, 1]);
    }
}

#[test]
fn who_cannot_go_on_ends_with_what_was_lost() {
    let gone = || Script::reply("500 Oops", &[], "");
    let first = Upstream::play_each(vec![begun().reset(), gone()]);
    let pool = Pool::over(vec![first, Upstream::play(gone())], CONTINUE);
    let reply = pool.ask(STREAM);
    let before = [role(), text("Hel")].map(|json| frame(&json)).concat();
    reply.assert_breaks_off(&before, "upstream_truncated");
    // The last one asked is the one that was lost.
    assert_eq!(pool.requests(), [2, 1]);
}

#[test]
fn an_upstream_that_is_always_lost_is_not_asked_for_ever() {
    let pool = Pool::of(vec![begun().reset()], CONTINUE);
    let reply = pool.ask(STREAM);
    let before = frame(&role()) + &frame(&text("Hel")).repeat(5);
    reply.assert_breaks_off(&before, "upstream_truncated");
    assert_eq!(pool.requests(), [5]);
}

#[test]
fn what_has_a_form_is_not_gone_on_with() {
    let call = r#"{"tool_calls":[{"index":0,"id":"t","type":"function","function":{"name":"f","arguments":"{"}}]}"#;
    let call = text("").replace(r#"{"content":""}"#, call);
    let with_call = Script::stream().event(&role()).event(&call).reset();
    for (body, first) in [
        (
            stream_with(r#""response_format":{"type":"json_object"}"#),
            begun().reset(),
        ),
        (stream_with(r#""n":2"#), begun().reset()),
        (STREAM.to_owned(), with_call),
    ] {
        let pool = Pool::of(vec![first, rest()], CONTINUE);
        let reply = pool.ask(&body);
        assert!(
            reply.text().contains("upstream_truncated"),
            "{}",
            reply.text()
        );
        assert_eq!(pool.requests(), [1, 0], "{body}");
    }
}

#[test]
fn a_legacy_completion_goes_on_from_its_prompt() {
    let chunk = |text: &str, reason: &str| {
        format!(
            r#"{{"id":"chatcmpl-upstream","object":"text_completion","created":7,"model":"m","choices":[{{"index":0,"text":"{text}","finish_reason":{reason}}}]}}"#
        )
    };
    let first = Script::stream().event(&chunk("Hel", "null")).reset();
    let second = Script::stream().event(&chunk("lo", "null"));
    let second = second.event(&chunk("", "\"stop\"")).done();
    let pool = Pool::of(vec![first, second], CONTINUE);
    let body = r#"{"model":"m","stream":true,"prompt":"Say: ","max_tokens":9}"#;
    let reply = fetch(
        pool.server.address(),
        &post_to("/v1/completions", body, &[]),
    );
    let expected = [
        chunk("Hel", "null"),
        chunk("lo", "null"),
        chunk("", "\"stop\""),
    ];
    reply.assert_streams(&expected.map(|json| frame(&json)).concat());
    let asked = body_of(&pool.upstreams[1]);
    assert_eq!(
        (&asked["prompt"], &asked["max_tokens"]),
        (&json!("Say: Hel"), &json!(8))
    );
}
