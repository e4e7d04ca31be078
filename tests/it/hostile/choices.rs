//! When an answer of one or several choices is complete.

use crate::{
    chunks::{STREAM, chunk, finish, finish_of, frame, stream_with, text, text_of},
    proxy::{ask, before},
    upstream::Script,
};

/// Two choices begin; the events of `more` follow.
fn two(more: &[String]) -> (Script, String) {
    let begun = [text_of(0, "a"), text_of(1, "b")];
    let all = || begun.iter().chain(more);
    let script = all().fold(Script::stream(), |script, json| script.event(json));
    (script, all().map(|json| frame(json)).collect())
}

fn ask_for_two() -> String {
    stream_with(r#""n":2"#)
}

#[test]
fn an_empty_finish_reason_is_none() {
    let unfinished = finish_of(0, "");
    let script = Script::stream().event(&text("one")).event(&unfinished);
    let shown = frame(&text("one")) + &frame(&unfinished);
    for script in [script.clone().done(), script.end()] {
        ask(script, STREAM).assert_breaks_off(&shown, "upstream_truncated");
    }
}

#[test]
fn an_empty_finish_reason_may_be_followed_by_a_real_one() {
    let events = [
        text("one"),
        finish_of(0, ""),
        text("two"),
        finish_of(0, "length"),
    ];
    let script = events
        .iter()
        .fold(Script::stream(), |s, json| s.event(json));
    let shown: String = events.iter().map(|json| frame(json)).collect();
    ask(script.done(), STREAM).assert_streams(&shown);
}

#[test]
fn every_choice_may_finish_in_its_own_time() {
    let more = [
        finish_of(1, "stop"),
        text_of(0, "c"),
        finish_of(0, "length"),
    ];
    let (script, shown) = two(&more);
    for script in [script.clone().done(), script.end()] {
        ask(script, &ask_for_two()).assert_streams(&shown);
    }
}

#[test]
fn a_choice_that_never_finishes_breaks_the_stream_off() {
    let (script, shown) = two(&[finish_of(0, "stop")]);
    for script in [script.clone().done(), script.clone().end(), script] {
        let reply = ask(script, &ask_for_two());
        reply.assert_breaks_off(&shown, "upstream_truncated");
    }
}

#[test]
fn a_choice_that_is_still_to_come_is_waited_for() {
    let (script, shown) = two(&[finish_of(0, "stop")]);
    let settings = before(script.linger()).clock("after_finish", "10ms");
    let proxy = settings.clock("between", "100ms").start();
    let reply = proxy.ask(&ask_for_two());
    reply.assert_breaks_off(&shown, "upstream_timeout");
}

#[test]
fn fewer_choices_than_asked_for_are_complete_with_a_sentinel_alone() {
    let script = Script::stream().event(&text("one")).event(&finish());
    let shown = frame(&text("one")) + &frame(&finish());
    ask(script.clone().done(), &ask_for_two()).assert_streams(&shown);
    let reply = ask(script.end(), &ask_for_two());
    reply.assert_breaks_off(&shown, "upstream_truncated");
}

#[test]
fn one_choice_that_fails_fails_the_stream() {
    let failed = [
        finish_of(1, "error"),
        chunk(r#""choices":[{"index":1,"delta":{},"error":{"code":502},"finish_reason":null}]"#),
    ];
    for failed in failed {
        let (script, shown) = two(&[failed, finish_of(0, "stop")]);
        let shown = shown.strip_suffix(&frame(&finish_of(0, "stop")));
        let reply = ask(script.done(), &ask_for_two());
        reply.assert_breaks_off(shown.expect("the last event"), "upstream_error");
    }
}
