//! Requests and tokens per minute, and tokens per day.

use super::{answering, ask, keyed, number};
use crate::{
    chunks::{STREAM, WHOLE, completion, finish, text, usage},
    http::{fetch, post_to},
    upstream::Script,
};

/// Takes 1 token of prompt and 99 of an answer.
const HUNDRED: &str =
    r#"{"model":"m","max_tokens":99,"messages":[{"role":"user","content":"Hi"}]}"#;

#[test]
fn what_is_left_stands_on_every_reply() {
    let proxy = answering("rpm = 60, tpm = 6000");
    let reply = ask(&proxy, HUNDRED);
    assert_eq!(reply.head.status, 200, "{}", reply.text());
    for (name, value) in [
        ("limit-requests", "60"),
        ("remaining-requests", "59"),
        ("reset-requests", "1s"),
        ("limit-tokens", "6000"),
        ("remaining-tokens", "5900"),
        ("reset-tokens", "0ms"),
    ] {
        let name = format!("x-ratelimit-{name}");
        assert_eq!(reply.head.header(&name), Some(value), "{name}");
    }
}

#[test]
fn a_stream_has_them_and_settles_at_its_end() {
    let script = Script::stream().event(&text("one")).event(&finish());
    let script = script.event(&usage()).done();
    let proxy = keyed(script, "tpm = 1100").start();
    // One of the prompt, and a thousand that are assumed.
    let first = ask(&proxy, STREAM);
    first.assert_streams(
        &[text("one"), finish()]
            .map(|json| format!("data: {json}\n\n"))
            .concat(),
    );
    assert_eq!(number(&first, "x-ratelimit-remaining-tokens"), 99);
    assert_eq!(first.head.header("x-ratelimit-limit-requests"), None);
    let second = ask(&proxy, STREAM);
    assert_eq!(second.head.status, 200, "it took five, not a thousand");
    let left = number(&second, "x-ratelimit-remaining-tokens");
    assert!((94..=99).contains(&left), "{left}");
}

#[test]
fn an_upstreams_limits_are_not_the_clients() {
    let headers = [
        ("content-type", "application/json"),
        ("x-ratelimit-limit-requests", "7"),
        ("x-ratelimit-limit-tokens", "7"),
        ("openai-version", "1"),
    ];
    let script = Script::reply("200 OK", &headers, &completion());
    let limited = ask(&keyed(script.clone(), "rpm = 60").start(), WHOLE);
    assert_eq!(number(&limited, "x-ratelimit-limit-requests"), 60);
    assert_eq!(limited.head.header("x-ratelimit-limit-tokens"), None);
    assert_eq!(limited.head.header("openai-version"), Some("1"));
    let free = ask(&keyed(script, "admin = true").start(), WHOLE);
    assert_eq!(number(&free, "x-ratelimit-limit-requests"), 7);
}

#[test]
fn too_many_requests_are_told_which_limit_and_when() {
    let proxy = answering("rpm = 1");
    assert_eq!(ask(&proxy, WHOLE).head.status, 200);
    for body in [WHOLE, STREAM] {
        let reply = ask(&proxy, body);
        let error = reply.assert_refused(429, "rate_limit_exceeded");
        assert_eq!(error["type"], "requests");
        let message = error["message"].as_str().expect("a text");
        for part in ["requests per minute", "limit 1,", "used 1,", "try again in"] {
            assert!(message.contains(part), "{message} lacks {part}");
        }
        let millis = number(&reply, "retry-after-ms");
        assert!((30_000..=60_000).contains(&millis), "{millis}");
        assert_eq!(number(&reply, "retry-after"), millis.div_ceil(1000));
        assert_eq!(number(&reply, "x-ratelimit-remaining-requests"), 0);
        assert_eq!(reply.head.header("x-should-retry"), None);
    }
    assert_eq!(proxy.upstream.counts().1, 1, "it heard of one");
}

#[test]
fn too_many_tokens_are_told_so_and_for_ever_too_many_too() {
    let proxy = answering("tpm = 104");
    assert_eq!(ask(&proxy, HUNDRED).head.status, 200);
    let reply = ask(&proxy, HUNDRED);
    let error = reply.assert_refused(429, "rate_limit_exceeded");
    assert_eq!(error["type"], "tokens");
    assert!(number(&reply, "retry-after-ms") <= 600, "one of 104 tokens");
    let large = HUNDRED.replace("99", "104");
    let reply = ask(&proxy, &large);
    let error = reply.assert_refused(429, "rate_limit_exceeded");
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|m| m.contains("too large"))
    );
    assert_eq!(reply.head.header("x-should-retry"), Some("false"));
    assert_eq!(reply.head.header("retry-after"), None);
}

#[test]
fn a_days_tokens_end_with_an_error_that_sdks_do_not_retry() {
    let proxy = answering("tokens_per_day = 104");
    let first = ask(&proxy, HUNDRED);
    assert_eq!(first.head.status, 200, "{}", first.text());
    let reply = ask(&proxy, HUNDRED);
    let error = reply.assert_refused(429, "insufficient_quota");
    assert_eq!(error["type"], "insufficient_quota");
    assert_eq!(reply.head.header("x-should-retry"), Some("false"));
    assert!((1..=86_400).contains(&number(&reply, "retry-after")));
}

#[test]
fn who_failed_without_a_word_has_used_nothing() {
    let script = Script::reply("500 Internal Server Error", &[], "");
    let proxy = keyed(script, "tokens_per_day = 100").start();
    for body in [HUNDRED, &HUNDRED.replacen('{', r#"{"stream":true,"#, 1)] {
        for _ in 0..3 {
            assert_eq!(ask(&proxy, body).head.status, 500);
        }
    }
}

#[test]
fn without_a_reported_usage_what_was_held_counts() {
    let script = Script::stream().event(&text("one")).event(&finish()).done();
    let proxy = keyed(script, "tokens_per_day = 199").start();
    let stream = HUNDRED.replacen('{', r#"{"stream":true,"#, 1);
    assert_eq!(ask(&proxy, &stream).head.status, 200);
    ask(&proxy, &stream).assert_refused(429, "insufficient_quota");
}

#[test]
fn what_is_answered_in_one_piece_counts_too() {
    let body =
        r#"{"object":"list","data":[],"model":"m","usage":{"prompt_tokens":2,"total_tokens":2}}"#;
    let proxy = keyed(Script::json(body), "rpm = 1, tpm = 600").start();
    let request = post_to(
        "/v1/embeddings",
        r#"{"model":"m","input":"12345678"}"#,
        &[super::KEY],
    );
    let reply = fetch(proxy.address(), &request);
    assert_eq!(reply.head.status, 200, "{}", reply.text());
    assert_eq!(number(&reply, "x-ratelimit-remaining-tokens"), 598);
    let reply = fetch(proxy.address(), &request);
    reply.assert_refused(429, "rate_limit_exceeded");
}
