//! Following a live stream, and every answer that is no stream.

use tokenfall::testing::spawn;

use super::{call, get, id_of, open, path};
use crate::{
    chunks::{DONE, STREAM, WHOLE, completion, finish, frame, role, text, usage},
    gate::{Gate, wait_until},
    http::{Connection, fetch, post},
    proxy::before,
    reply::Reply,
    upstream::Script,
};

/// An upstream that waits at a gate after its first word.
fn two_words(gate: &Gate) -> Script {
    let script = Script::stream().event(&role()).event(&text("one"));
    script
        .wait(gate)
        .event(&text("two"))
        .event(&finish())
        .done()
}

#[test]
fn a_second_reader_follows_a_live_stream_from_its_beginning() {
    let gate = Gate::default();
    let proxy = before(two_words(&gate)).start();
    let mut first = proxy.open(STREAM);
    let head = first.head();
    let mut body = first.chunks_until("one");
    let id = head.header("x-completion-id").expect("an id").to_owned();
    let mut second = open(proxy.address(), &path(&id, "?stream=true"), &[]);
    let second_head = second.head();
    let second_body = second.chunks_until("one");
    gate.open();
    let second = second.rest(second_head, second_body);
    let first = first.rest(head, std::mem::take(&mut body));
    assert_eq!(second.body, first.body);
    first.assert_streams(
        &[role(), text("one"), text("two"), finish()]
            .map(|c| frame(&c))
            .concat(),
    );
}

#[test]
fn a_second_cut_before_any_new_event_keeps_its_place() {
    let gate = Gate::default();
    let proxy = before(two_words(&gate)).start();
    let mut first = proxy.open(STREAM);
    let head = first.head();
    first.chunks_until("one");
    let id = head.header("x-completion-id").expect("an id").to_owned();
    let stream = path(&id, "/stream");
    let mut second = open(proxy.address(), &stream, &[("last-event-id", "1-2")]);
    second.head();
    let opening = second.chunks_until("\n\n");
    assert_eq!(opening, "retry: 2000\nid: 1-2\n\n");
    drop((first, second));
    gate.open();
    let third = get(proxy.address(), &stream, &[("last-event-id", "1-2")]);
    assert!(
        third
            .text()
            .starts_with("retry: 2000\nid: 1-2\n\nid: 1-3\ndata: {")
    );
    assert!(third.text().contains("two") && !third.text().contains("one"));
}

#[test]
fn events_are_named_where_that_is_asked_for() {
    let script = Script::stream()
        .event(&text("a"))
        .event(&finish())
        .event(&usage());
    let proxy = before(script.end()).start();
    let request = crate::chunks::stream_with(r#""n":2,"stream_options":{"include_usage":true}"#);
    let id = id_of(&proxy.ask(&request));
    let named = get(proxy.address(), &path(&id, "/stream?events=named"), &[]);
    let names: Vec<_> = named
        .text()
        .lines()
        .filter_map(|l| l.strip_prefix("event: "))
        .collect();
    assert_eq!(names, ["chunk", "chunk", "usage", "failure", "done"]);
}

#[test]
fn the_accept_header_asks_for_the_event_source_profile_too() {
    let proxy = before(two_words(&{
        let gate = Gate::default();
        gate.open();
        gate
    }))
    .start();
    let id = id_of(&proxy.ask(STREAM));
    let by_header = get(
        proxy.address(),
        &path(&id, ""),
        &[("accept", "text/event-stream")],
    );
    let by_path = get(proxy.address(), &path(&id, "/stream"), &[]);
    assert_eq!(by_header.body, by_path.body);
}

#[test]
fn the_header_comes_before_the_query_and_an_empty_one_is_none() {
    let gate = Gate::default();
    gate.open();
    let proxy = before(two_words(&gate)).start();
    let id = id_of(&proxy.ask(STREAM));
    let begins = |query: &str, header: &str| {
        let stream = path(&id, &format!("/stream{query}"));
        let reply = get(proxy.address(), &stream, &[("last-event-id", header)]);
        let opening = reply.text().split("\n\n").next().unwrap_or_default();
        opening.rsplit("id: ").next().unwrap_or_default().to_owned()
    };
    assert_eq!(begins("?last_event_id=1-2", "1-3"), "1-3");
    assert_eq!(begins("?last_event_id=1-2", ""), "1-2");
    assert_eq!(begins("?lastEventId=2&starting_after=1", ""), "1-2");
    assert_eq!(begins("?starting_after=1", ""), "1-1");
    assert_eq!(begins("", ""), "1-0");
}

#[test]
fn what_cannot_be_followed_is_told_and_never_restarted() {
    let gate = Gate::default();
    gate.open();
    let proxy = before(two_words(&gate)).start();
    let id = id_of(&proxy.ask(STREAM));
    let ask = |rest: &str| get(proxy.address(), &path(&id, rest), &[]);
    for malformed in ["x", "1-", "-1", "0-1", "1:2", "1.5", "99999999999999999999"] {
        ask(&format!("/stream?last_event_id={malformed}")).assert_refused(400, "cursor_malformed");
        let sdk = format!("?stream=true&starting_after={malformed}");
        ask(&sdk).assert_refused(400, "cursor_malformed");
    }
    for gone in ["1-6", "1-999", "2-1", "2-0"] {
        ask(&format!("/stream?last_event_id={gone}")).assert_refused(410, "cursor_invalid");
    }
    ask("?stream=perhaps").assert_refused(400, serde_json::Value::Null);
    let unknown = path("chatcmpl-00000000000000000000000000000000", "/stream");
    get(proxy.address(), &unknown, &[]).assert_refused(404, "not_found");
    get(proxy.address(), &path("a:b", ""), &[]).assert_refused(404, "not_found");
}

#[test]
fn what_was_not_streamed_is_read_as_json_alone() {
    let proxy = before(Script::json(&completion())).start();
    let reply = proxy.ask(WHOLE);
    let id = id_of(&reply);
    let stream = get(proxy.address(), &path(&id, "?stream=true"), &[]);
    stream.assert_refused(400, "not_streamed");
    let view = get(proxy.address(), &path(&id, ""), &[]).json();
    assert_eq!(view["status"], "completed");
    assert_eq!(view["choices"], reply.json()["choices"]);
    assert_eq!(view["timings"], reply.json()["timings"]);
}

#[test]
fn retention_over_is_410_and_not_404() {
    let gate = Gate::default();
    gate.open();
    let proxy = before(two_words(&gate))
        .set("stream.retention", "'50ms'")
        .start();
    let id = id_of(&proxy.ask(STREAM));
    wait_until("the stream to expire", || {
        get(proxy.address(), &path(&id, "/stream"), &[]).head.status == 410
    });
    get(proxy.address(), &path(&id, ""), &[]).assert_refused(410, "stream_expired");
}

#[test]
fn the_view_tells_how_far_a_completion_has_come() {
    let gate = Gate::default();
    let script = Script::stream()
        .wait(&gate)
        .event(&role())
        .event(&text("one"));
    let end = Gate::default();
    let script = script.wait(&end).event(&finish()).event(&usage()).done();
    let proxy = before(script).set("stream.commit_after", "'10ms'").start();
    let mut reader = proxy.open(STREAM);
    let head = reader.head();
    let id = head.header("x-completion-id").expect("an id").to_owned();
    let view = || get(proxy.address(), &path(&id, ""), &[]).json();
    let queued = view();
    assert_eq!(queued["status"], "queued");
    assert_eq!(
        (&queued["id"], &queued["model"]),
        (&id.clone().into(), &"m".into())
    );
    gate.open();
    reader.chunks_until("one");
    let live = view();
    assert_eq!(live["status"], "in_progress");
    assert_eq!(live["choices"][0]["message"]["content"], "one");
    end.open();
    reader.rest(head, "");
    let done = view();
    assert_eq!(done["status"], "completed");
    assert_eq!(
        done["usage"]["total_tokens"], 5,
        "kept beside the log though hidden"
    );
    assert_eq!(
        (&done["usage_source"], &done["attempts"]),
        (&"reported".into(), &1.into())
    );
    assert!(done.get("error").is_none());
}

#[test]
fn a_failed_completion_says_why() {
    let proxy = before(Script::stream().event(&text("a")).end()).start();
    let id = id_of(&proxy.ask(STREAM));
    let view = get(proxy.address(), &path(&id, ""), &[]).json();
    assert_eq!(view["status"], "failed");
    assert_eq!(view["error"]["code"], "upstream_truncated");
    assert_eq!(view["choices"][0]["message"]["content"], "a");
}

#[test]
fn a_cancel_reaches_the_upstream_and_every_reader_and_is_idempotent() {
    let script = Script::stream().event(&text("a")).linger();
    let proxy = before(script).start();
    let mut reader = proxy.open(STREAM);
    let head = reader.head();
    let body = reader.chunks_until("\n\n");
    let id = head.header("x-completion-id").expect("an id").to_owned();
    let cancel = || {
        call(
            proxy.address(),
            "POST",
            &path(&id, "/cancel"),
            &[("content-length", "0")],
        )
    };
    let first = cancel();
    assert_eq!(first.head.status, 200);
    assert_eq!(first.json()["status"], "cancelled");
    assert_eq!(first.json()["choices"][0]["message"]["content"], "a");
    proxy.upstream.departure();
    let reply = reader.rest(head, body);
    reply.assert_breaks_off(&frame(&text("a")), "cancelled");
    assert!(reply.text().ends_with(DONE));
    // What it has used is counted meanwhile.
    let said = |reply: &Reply| {
        let mut said = reply.json();
        let members = said.as_object_mut().expect("an object");
        members.retain(|name, _| !name.starts_with("usage"));
        said
    };
    assert_eq!(said(&cancel()), said(&first));
}

#[test]
fn a_reader_that_leaves_costs_the_others_nothing() {
    let gate = Gate::default();
    let proxy = before(two_words(&gate))
        .set("stream.on_disconnect", "'cancel'")
        .start();
    let mut first = proxy.open(STREAM);
    let head = first.head();
    first.chunks_until("one");
    let id = head.header("x-completion-id").expect("an id").to_owned();
    let mut second = open(proxy.address(), &path(&id, "?stream=true"), &[]);
    let second_head = second.head();
    let body = second.chunks_until("one");
    first.reset();
    gate.open();
    let reply = second.rest(second_head, body);
    assert!(reply.text().contains("two") && reply.text().ends_with(DONE));
}

#[test]
fn another_key_gets_what_an_unknown_id_gets() {
    let keys = "[auth]\nkeys = [{ name = 'a', key = 'ka' }, { name = 'b', key = 'kb' }]\n";
    let server = spawn(&format!("{keys}[mock]\nprofile = 'instant'")).expect("a server");
    let (a, b) = (
        ("authorization", "Bearer ka"),
        ("authorization", "Bearer kb"),
    );
    let id = id_of(&fetch(server.address(), &post(STREAM, &[a])));
    let unknown = path("chatcmpl-00000000000000000000000000000000", "");
    let expected = get(server.address(), &unknown, &[b]);
    let text = |reply: &crate::reply::Reply, id: &str| reply.text().replace(id, "ID");
    for rest in ["", "/stream", "?stream=true"] {
        let other = get(server.address(), &path(&id, rest), &[b]);
        assert_eq!(other.head.status, 404);
        assert_eq!(
            text(&other, &id),
            text(&expected, "chatcmpl-00000000000000000000000000000000")
        );
    }
    for (method, rest) in [("POST", "/cancel"), ("DELETE", "")] {
        let other = call(
            server.address(),
            method,
            &path(&id, rest),
            &[b, ("content-length", "0")],
        );
        assert_eq!(other.head.status, 404);
    }
    assert_eq!(get(server.address(), &path(&id, ""), &[a]).head.status, 200);
    get(server.address(), &path(&id, ""), &[]).assert_refused(401, "invalid_api_key");
}

#[test]
fn thousands_that_attach_while_it_is_written_miss_and_repeat_nothing() {
    let server = spawn("[mock]\nprofile = 'instant'").expect("a server");
    for round in 0..60 {
        let body = STREAM.replace("Hi", &"water ".repeat(20 + round));
        let mut first = Connection::open(server.address());
        first.send(&post(&body, &[]));
        let head = first.head();
        let id = head.header("x-completion-id").expect("an id").to_owned();
        let readers: Vec<_> = (0..20)
            .map(|_| open(server.address(), &path(&id, "?stream=true"), &[]))
            .collect();
        let whole = first.rest(head, "");
        for mut reader in readers {
            assert_eq!(reader.reply().body, whole.body);
        }
    }
}
