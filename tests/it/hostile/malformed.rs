//! Upstreams that send something else than was asked for.

use crate::{
    chunks::{STREAM, WHOLE, chunk, completion, finish, frame, text},
    proxy::ask,
    upstream::Script,
};

const HTML: &str = "<!doctype html><title>It works!</title>";

/// What is no chunk, as data of an event.
const BAD: [&[u8]; 9] = [
    b"{\"id\":",
    b"not JSON at all",
    b"[{\"id\":\"x\"}]",
    b"\"text\"",
    b"null",
    b"{} {}",
    b"{\"x\":\"\xff\xfe\"}",
    b"{\"choices\":[{\"delta\":{}}]}",
    b"{\"id\":\"a\",\"id\":\"b\"}",
];

fn event(data: &[u8]) -> Vec<u8> {
    [b"data: ", data, b"\n\n"].concat()
}

#[test]
fn a_first_event_that_is_no_chunk_is_upstream_malformed() {
    for bad in BAD {
        let reply = ask(Script::stream().chunk(event(bad)).done(), STREAM);
        reply.assert_refused(502, "upstream_malformed");
    }
}

#[test]
fn a_later_event_that_is_no_chunk_breaks_the_stream_off() {
    for bad in BAD {
        let script = Script::stream().event(&text("one")).chunk(event(bad));
        let reply = ask(script.event(&finish()).done(), STREAM);
        reply.assert_breaks_off(&frame(&text("one")), "upstream_malformed");
    }
}

#[test]
fn html_with_status_200_is_upstream_malformed() {
    for body in [STREAM, WHOLE] {
        let script = Script::reply("200 OK", &[("content-type", "text/html")], HTML);
        ask(script, body).assert_refused(502, "upstream_malformed");
    }
}

#[test]
fn html_that_says_it_is_what_was_asked_for_never_passes() {
    let script = Script::reply("200 OK", &[("content-type", "text/event-stream")], HTML);
    ask(script, STREAM).assert_refused(502, "upstream_truncated");
    ask(Script::json(HTML), WHOLE).assert_refused(502, "upstream_malformed");
}

#[test]
fn a_whole_reply_where_a_stream_was_asked_for_is_upstream_malformed() {
    let reply = ask(Script::json(&completion()), STREAM);
    reply.assert_refused(502, "upstream_malformed");
}

#[test]
fn a_stream_where_a_whole_reply_was_asked_for_is_upstream_malformed() {
    let script = Script::stream().event(&text("one")).event(&finish()).done();
    ask(script, WHOLE).assert_refused(502, "upstream_malformed");
}

#[test]
fn a_stream_without_a_content_type_is_believed() {
    let whole = frame(&text("one")) + &frame(&finish());
    let script = Script::reply("200 OK", &[], &(whole.clone() + "data: [DONE]\n\n"));
    ask(script, STREAM).assert_streams(&whole);
}

#[test]
fn a_chunk_that_says_nothing_is_passed_on() {
    let odd = chunk(r#""choices":[],"vendor":{"progress":0.50}"#);
    let script = Script::stream().event(&odd).event(&finish()).done();
    ask(script, STREAM).assert_streams(&(frame(&odd) + &frame(&finish())));
}

#[test]
fn an_answer_that_is_not_http_is_upstream_unreachable() {
    let script = Script::silent().send("SSH-2.0-OpenSSH_9.6\r\n");
    ask(script, STREAM).assert_refused(502, "upstream_unreachable");
}
