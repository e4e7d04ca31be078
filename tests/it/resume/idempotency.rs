//! The same `Idempotency-Key` and body again are the same completion.

use super::id_of;
use crate::{
    chunks::{STREAM, WHOLE, completion, finish, role, text},
    gate::Gate,
    proxy::{before, wait_until_idle},
    upstream::Script,
};

const KEY: (&str, &str) = ("idempotency-key", "order-17");

fn good() -> Script {
    Script::stream()
        .event(&role())
        .event(&text("a"))
        .event(&finish())
        .done()
}

#[test]
fn a_repeated_request_reads_the_finished_stream_from_its_beginning() {
    let proxy = before(good()).start();
    let first = proxy.ask_with(STREAM, &[KEY]);
    let second = proxy.ask_with(STREAM, &[KEY]);
    assert_eq!(second.body, first.body);
    assert_eq!(id_of(&second), id_of(&first));
    assert_eq!(proxy.upstream.counts().1, 1, "asked once");
}

#[test]
fn a_repeated_request_reads_a_live_stream_from_its_beginning() {
    let gate = Gate::default();
    let script = Script::stream()
        .event(&text("a"))
        .wait(&gate)
        .event(&finish())
        .done();
    let proxy = before(script).start();
    let mut first = proxy.open_with(STREAM, &[KEY]);
    let head = first.head();
    let body = first.chunks_until("\n\n");
    let mut second = proxy.open_with(STREAM, &[KEY]);
    let second_head = second.head();
    let second_body = second.chunks_until("\n\n");
    gate.open();
    let second = second.rest(second_head, second_body);
    assert_eq!(first.rest(head, body).body, second.body);
    assert_eq!(proxy.upstream.counts().1, 1);
}

#[test]
fn a_repeated_whole_request_gets_the_same_bytes() {
    let proxy = before(Script::json(&completion())).start();
    let first = proxy.ask_with(WHOLE, &[KEY]);
    let second = proxy.ask_with(WHOLE, &[KEY]);
    assert_eq!(second.body, first.body);
    assert_eq!(proxy.upstream.counts().1, 1);
}

#[test]
fn another_body_under_the_same_key_is_a_conflict_that_is_not_retried() {
    let proxy = before(good()).start();
    proxy.ask_with(STREAM, &[KEY]);
    let other = proxy.ask_with(&STREAM.replace("Hi", "Ho"), &[KEY]);
    other.assert_refused(409, "idempotency_key_mismatch");
    assert_eq!(other.head.header("x-should-retry"), Some("false"));
    let owner = proxy.ask_with(STREAM, &[KEY, ("authorization", "Bearer other")]);
    assert_eq!(owner.head.status, 200, "another owner's keys are others");
}

#[test]
fn a_failure_before_the_first_content_frees_the_key() {
    let proxy = before(Script::stream().event(&role()).end()).start();
    let first = proxy.ask_with(STREAM, &[KEY]);
    let second = proxy.ask_with(STREAM, &[KEY]);
    assert_ne!(id_of(&first), id_of(&second));
    wait_until_idle(&proxy.server);
    assert_eq!(proxy.upstream.counts().1, 2, "asked again");
}

#[test]
fn a_failure_after_content_keeps_it() {
    let proxy = before(Script::stream().event(&text("a")).end()).start();
    let first = proxy.ask_with(STREAM, &[KEY]);
    let second = proxy.ask_with(STREAM, &[KEY]);
    assert_eq!(second.body, first.body);
    assert!(first.text().contains("upstream_truncated"));
}

#[test]
fn a_key_at_the_limit_passes_and_others_are_refused() {
    let proxy = before(good()).start();
    let long = "k".repeat(255);
    assert_eq!(
        proxy
            .ask_with(STREAM, &[("idempotency-key", &long)])
            .head
            .status,
        200
    );
    for bad in ["", &"k".repeat(256)] {
        let reply = proxy.ask_with(STREAM, &[("idempotency-key", bad)]);
        let error = reply.assert_refused(400, serde_json::Value::Null);
        assert_eq!(error["param"], "idempotency-key");
    }
}
