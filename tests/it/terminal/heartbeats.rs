//! What is written where nothing is there to be written.

use std::time::Duration;

use crate::{
    chunks::{DONE, STREAM, finish, frame, stream_with, text},
    gate::{Gate, let_pass},
    proxy::{Proxy, before, wait_until_idle},
    upstream::Script,
};

const SDK: (&str, &str) = ("x-stainless-lang", "python");

/// A proxy whose upstream waits at each of the gates.
fn waiting(first: &Gate, second: &Gate, form: &str) -> Proxy {
    let script = Script::silent().wait(first);
    let script = script.and(Script::stream().event(&text("one")));
    let script = script.wait(second).event(&finish()).done();
    before(script)
        .set("stream.commit_after", "'10ms'")
        .set("stream.heartbeat", "'20ms'")
        .set("stream.heartbeat_form", &format!("'{form}'"))
        .start()
}

/// A stream has `beat`s in every gap, each a write of its own, and is whole without them.
#[track_caller]
fn assert_beats(form: &str, headers: &[(&str, &str)], beat: &str) {
    let gates = [Gate::default(), Gate::default()];
    let proxy = waiting(&gates[0], &gates[1], form);
    let mut client = proxy.open_with(STREAM, headers);
    let head = client.head();
    for _ in 0..3 {
        assert_eq!(client.chunk().as_deref(), Some(beat.as_bytes()));
    }
    gates[0].open();
    let one = client.chunks_until("one");
    assert_eq!(
        one.trim_start_matches(beat),
        head.with_our_id(&frame(&text("one")))
    );
    for _ in 0..2 {
        assert_eq!(client.chunk().as_deref(), Some(beat.as_bytes()));
    }
    gates[1].open();
    let rest = client.chunks_until(DONE);
    let finish = head.with_our_id(&frame(&finish())) + DONE;
    assert_eq!(rest.trim_start_matches(beat), finish);
    assert_eq!(client.chunk(), None);
    wait_until_idle(&proxy.server);
}

#[test]
fn hand_written_clients_get_a_block() {
    assert_beats("auto", &[], ":\n\n");
}

#[test]
fn official_sdks_get_a_line() {
    assert_beats("auto", &[SDK], ":\n");
}

#[test]
fn a_line_can_be_set_for_all() {
    assert_beats("line", &[], ":\n");
}

#[test]
fn a_block_can_be_set_for_all() {
    assert_beats("block", &[SDK], ":\n\n");
}

#[test]
fn off_means_none_at_all() {
    let gates = [Gate::default(), Gate::default()];
    let proxy = waiting(&gates[0], &gates[1], "off");
    let mut client = proxy.open(STREAM);
    let head = client.head();
    // Long enough for several.
    let_pass(Duration::from_millis(60));
    gates.iter().for_each(Gate::open);
    let reply = client.rest(head, "");
    reply.assert_streams(&(frame(&text("one")) + &frame(&finish())));
    wait_until_idle(&proxy.server);
}

#[test]
fn a_stream_that_never_pauses_has_none() {
    let script = Script::stream().event(&text("one")).event(&finish()).done();
    let proxy = before(script).set("stream.heartbeat", "'10s'").start();
    let reply = proxy.ask(STREAM);
    reply.assert_streams(&(frame(&text("one")) + &frame(&finish())));
}

#[test]
fn heartbeats_are_not_numbered() {
    let gates = [Gate::default(), Gate::default()];
    let proxy = waiting(&gates[0], &gates[1], "block");
    let mut client = proxy.open(&stream_with(r#""include_sequence":true"#));
    let head = client.head();
    client.chunks_until(":\n\n:\n\n");
    gates[0].open();
    let one = client.chunks_until("one");
    client.chunks_until(":\n\n:\n\n");
    gates[1].open();
    let rest = client.chunks_until(DONE);
    let number = |json: &str, number| {
        let numbered = format!(",\"sequence_number\":{number}}}");
        head.with_our_id(&frame(json))
            .replace("}\n\n", &(numbered + "\n\n"))
    };
    assert_eq!(one.trim_start_matches(":\n\n"), number(&text("one"), 1));
    let finish = number(&finish(), 2) + DONE;
    assert_eq!(rest.trim_start_matches(":\n\n"), finish);
    wait_until_idle(&proxy.server);
}
