//! Upstreams that say no, before their stream or in it.

use crate::{
    chunks::{DONE, STREAM, WHOLE, finish, frame, role, text},
    gate::Gate,
    proxy::{ask, before, wait_until_idle},
    reply::Reply,
    upstream::{Script, Upstream},
};

const JSON: (&str, &str) = ("content-type", "application/json");

const ENVELOPE: &str = r#"{
  "error": {"message": "Slow down.", "type": "rate_limit_error", "param": null, "code": "rate_limited"}
}"#;

#[test]
fn an_error_page_becomes_an_envelope_of_the_same_status() {
    for body in [STREAM, WHOLE] {
        let html = "<h1>Internal Server Error</h1>";
        let headers = [("content-type", "text/html")];
        let script = Script::reply("500 Internal Server Error", &headers, html);
        let reply = ask(script, body);
        let error = reply.assert_refused(500, "upstream_error");
        assert!(!reply.text().contains("<h1>"), "{error}");
    }
}

#[test]
fn a_rate_limit_passes_through_with_its_headers() {
    for body in [STREAM, WHOLE] {
        let headers = [
            JSON,
            ("retry-after", "17"),
            ("retry-after-ms", "16500"),
            ("x-ratelimit-remaining-requests", "0"),
        ];
        let script = Script::reply("429 Too Many Requests", &headers, ENVELOPE);
        let reply = ask(script, body);
        assert_eq!(reply.text(), ENVELOPE);
        reply.assert_refused(429, "rate_limited");
        for (name, value) in headers {
            assert_eq!(reply.head.header(name), Some(value), "{name}");
        }
    }
}

#[test]
fn other_refusals_pass_through_too() {
    for status in [
        "400 Bad Request",
        "404 Not Found",
        "503 Service Unavailable",
    ] {
        let reply = ask(Script::reply(status, &[JSON], ENVELOPE), STREAM);
        assert_eq!(reply.text(), ENVELOPE);
        reply.assert_refused(status[..3].parse().expect("a status"), "rate_limited");
    }
}

/// A refusal with this envelope, which comes only after the commit.
fn refused_late(envelope: &str) -> Reply {
    let gate = Gate::default();
    let refusal = Script::reply("429 Too Many Requests", &[JSON], envelope);
    let settings = before(Script::silent().wait(&gate).and(refusal));
    let proxy = settings.set("stream.commit_after", "'10ms'").start();
    let mut client = proxy.open(STREAM);
    let head = client.head();
    let heartbeat = client.chunks_until("\n\n");
    gate.open();
    let reply = client.rest(head, heartbeat);
    wait_until_idle(&proxy.server);
    reply
}

#[test]
fn a_refusal_after_the_commit_is_an_error_event() {
    let envelope =
        r#"{"error":{"message":"Slow down.","type":"x","param":null,"code":"rate_limited"}}"#;
    let reply = refused_late(envelope);
    let error = reply.assert_breaks_off(":\n\n", "rate_limited");
    assert_eq!(error["message"], "Slow down.");
}

#[test]
fn a_refusal_of_few_words_after_the_commit_is_completed() {
    let reply = refused_late(r#"{"error":{"message":"Slow down.","code":"rate_limited"}}"#);
    let error = reply.assert_breaks_off(":\n\n", "rate_limited");
    assert_eq!(error["message"], "Slow down.");
}

#[test]
fn an_error_among_other_members_goes_out_alone() {
    let event = r#"{"id":"chatcmpl-upstream","choices":[],"error":{"message":"No.","type":"t","param":null,"code":503}}"#;
    let early = ask(Script::stream().event(event).done(), STREAM);
    early.assert_refused(502, "503");
    let late = ask(
        Script::stream().event(&text("a")).event(event).done(),
        STREAM,
    );
    late.assert_breaks_off(&frame(&text("a")), "503");
}

#[test]
fn a_reason_outside_of_an_envelope_is_passed_on() {
    for body in [
        r#"{"object":"error","message":"too long"}"#,
        r#"{"detail":"too long"}"#,
    ] {
        let reply = ask(Script::reply("400 Bad Request", &[JSON], body), STREAM);
        let error = reply.assert_refused(400, "upstream_error");
        let message = error["message"].as_str().unwrap_or_default();
        assert!(message.ends_with("too long"), "{message}");
    }
}

#[test]
fn a_whole_reply_without_choices_is_malformed() {
    for body in ["{}", r#"{"choices":[]}"#] {
        ask(Script::json(body), WHOLE).assert_refused(502, "upstream_malformed");
    }
}

#[test]
fn a_refused_permission_passes_through_with_its_reason() {
    let body =
        r#"{"error":{"message":"Not in your region.","type":"t","param":null,"code":"region"}}"#;
    let reply = ask(Script::reply("403 Forbidden", &[JSON], body), STREAM);
    reply.assert_refused(403, "region");
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = Upstream::play(Script::json("{}"));
    let location = format!("http://{}/v1/chat/completions", elsewhere.address);
    for status in ["302 Found", "307 Temporary Redirect"] {
        let script = Script::reply(status, &[("location", &location[..])], "");
        ask(script, STREAM).assert_refused(502, "upstream_malformed");
    }
    assert_eq!(elsewhere.counts(), (0, 0));
}

#[test]
fn an_error_event_at_the_beginning_is_a_status() {
    let events = [
        r#"{"error":{"message":"No.","type":"server_error","param":null,"code":"broken"}}"#,
        // As some servers have it: no code, no param.
        r#"{"error":{"message":"No.","type":"server_error","code":"broken"}}"#,
    ];
    for event in events {
        let reply = ask(Script::stream().event(event).done(), STREAM);
        let error = reply.assert_refused(502, "broken");
        assert_eq!(error["message"], "No.");
    }
}

#[test]
fn an_error_event_after_content_breaks_the_stream_off() {
    let event = r#"{"error":{"message":"No.","type":"server_error","param":null,"code":"broken"}}"#;
    let script = Script::stream().event(&role()).event(&text("one"));
    let script = script.event(event).event(&finish()).done();
    let reply = ask(script, STREAM);
    let shown = frame(&role()) + &frame(&text("one"));
    reply.assert_breaks_off(&shown, "broken");
    assert!(reply.text().ends_with(&(frame(event) + DONE)));
}

#[test]
fn an_error_of_few_words_is_completed() {
    let errors = [
        (
            r#"{"error":"Out of memory."}"#,
            "Out of memory.",
            "upstream_error",
        ),
        (
            r#"{"error":{"message":"Busy.","code":503}}"#,
            "Busy.",
            "503",
        ),
        (
            r#"{"error":{}}"#,
            "The upstream reported an error.",
            "upstream_error",
        ),
    ];
    for (event, message, code) in errors {
        let reply = ask(
            Script::stream().event(&text("one")).event(event).done(),
            STREAM,
        );
        let error = reply.assert_breaks_off(&frame(&text("one")), code);
        assert_eq!(error["message"], message);
    }
}

#[test]
fn an_error_in_a_whole_reply_of_status_200_is_a_status() {
    let error = r#"{"error":{"message":"No.","type":"server_error","param":null,"code":"broken"}}"#;
    let reply = ask(Script::json(error), WHOLE);
    reply.assert_refused(502, "broken");
}
