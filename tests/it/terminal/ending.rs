//! The last bytes of a stream, and the connection after them.

use crate::{
    chunks::{DONE, STREAM, finish, frame, stream_with, text, usage},
    gate::Gate,
    http::post,
    proxy::{ask, before, wait_until_idle},
    upstream::Script,
};

fn answer() -> Script {
    Script::stream().event(&text("one")).event(&finish()).done()
}

#[test]
fn the_sentinel_and_the_end_of_the_body_are_one_write() {
    let gate = Gate::default();
    let script = Script::stream().event(&text("one")).event(&finish());
    let proxy = before(script.wait(&gate).done()).start();
    let mut client = proxy.open(STREAM);
    client.head();
    client.chunks_until("stop");
    gate.open();
    let last = client.read();
    let expected = format!("{:X}\r\n{DONE}\r\n0\r\n\r\n", DONE.len());
    assert_eq!(String::from_utf8(last).expect("UTF-8"), expected);
    wait_until_idle(&proxy.server);
}

#[test]
fn an_error_the_sentinel_and_the_end_of_the_body_are_one_write() {
    let gate = Gate::default();
    let script = Script::stream().event(&text("one")).wait(&gate);
    let proxy = before(script).start();
    let mut client = proxy.open(STREAM);
    client.head();
    client.chunks_until("one");
    gate.open();
    let last = String::from_utf8(client.read()).expect("UTF-8");
    let end = format!("}}}}\n\n{DONE}\r\n0\r\n\r\n");
    assert!(last.contains("data: {\"error\""), "{last}");
    assert!(last.ends_with(&end), "{last}");
    wait_until_idle(&proxy.server);
}

#[test]
fn the_connection_serves_the_next_request() {
    let proxy = before(answer()).start();
    let whole = frame(&text("one")) + &frame(&finish());
    let mut client = proxy.open(STREAM);
    client.reply().assert_streams(&whole);
    client.send(&post(STREAM, &[]));
    client.reply().assert_streams(&whole);
    wait_until_idle(&proxy.server);
}

#[test]
fn the_connection_serves_the_next_request_after_an_error_too() {
    let proxy = before(Script::stream().event(&text("one"))).start();
    let mut client = proxy.open(STREAM);
    for _ in 0..2 {
        let reply = client.reply();
        reply.assert_breaks_off(&frame(&text("one")), "upstream_truncated");
        client.send(&post(STREAM, &[]));
    }
    drop(client);
    wait_until_idle(&proxy.server);
}

#[test]
fn events_that_are_ready_go_out_together() {
    let gate = Gate::default();
    let all = frame(&text("one")) + &frame(&text("two")) + &frame(&text("three"));
    let script = Script::stream().event(&text("first")).wait(&gate);
    let proxy = before(script.chunk(&all).event(&finish()).done()).start();
    let mut client = proxy.open(STREAM);
    let head = client.head();
    client.chunks_until("first");
    gate.open();
    let chunk = client.chunk().expect("the next events");
    let chunk = String::from_utf8(chunk).expect("UTF-8");
    assert!(chunk.starts_with(&head.with_our_id(&all)), "{chunk}");
    if !chunk.ends_with(DONE) {
        client.chunks_until(DONE);
    }
    wait_until_idle(&proxy.server);
}

#[test]
fn chunks_are_numbered_from_one_where_it_was_asked_for() {
    let null_error = text("two").replacen('{', "{\"error\":null,", 1);
    let script = Script::stream().event(&text("one")).event(&null_error);
    let script = script.event("{}").event(&finish()).event(&usage()).done();
    let reply = ask(script, &stream_with(r#""include_sequence":true"#));
    let numbered = |json: &str, number| {
        let json = json.strip_suffix('}').expect("an object");
        let comma = if json == "{" { "" } else { "," };
        frame(&format!("{json}{comma}\"sequence_number\":{number}}}"))
    };
    // The usage chunk is hidden, so it is no event and has no number.
    let expected = numbered(&text("one"), 1)
        + &numbered(&text("two"), 2)
        + &numbered("{}", 3)
        + &numbered(&finish(), 4);
    reply.assert_streams(&expected);
}

#[test]
fn errors_are_numbered_too() {
    let script = Script::stream().event(&text("one"));
    let reply = ask(script, &stream_with(r#""include_sequence":true"#));
    let end = ",\"code\":\"upstream_truncated\"},\"sequence_number\":2}\n\n".to_owned() + DONE;
    assert!(reply.text().ends_with(&end), "{}", reply.text());
}
