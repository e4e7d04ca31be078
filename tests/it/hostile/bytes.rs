//! What of an upstream's bytes is changed: the id, an error that is null, and nothing else.

use crate::{
    chunks::{ID, STREAM, WHOLE, completion, finish, frame, role, stream_with, text, usage},
    proxy::ask,
    upstream::Script,
};

/// Streams one event and the finish; the event as it came out, `ID` standing for the id.
fn through(event: &str) -> String {
    let reply = ask(
        Script::stream().event(event).event(&finish()).done(),
        STREAM,
    );
    let end = reply.head.with_our_id(&frame(&finish())) + "data: [DONE]\n\n";
    let event = reply.text().strip_suffix(&end[..]).expect("the finish");
    let event = event.strip_prefix("data: ").expect("an event").trim_end();
    let id = reply.head.header("x-completion-id").expect("an id");
    assert!(!event.contains(ID), "{event}");
    event.replace(id, "ID")
}

#[test]
fn the_id_is_rewritten_wherever_it_stands() {
    let cases = [
        (
            r#"{"id":"chatcmpl-upstream","a":1}"#,
            r#"{"id":"ID","a":1}"#,
        ),
        (
            r#"{"a":1,"id":"chatcmpl-upstream","b":2}"#,
            r#"{"a":1,"id":"ID","b":2}"#,
        ),
        (
            r#"{"a":1,"id":"chatcmpl-upstream"}"#,
            r#"{"a":1,"id":"ID"}"#,
        ),
        (r#"{ "id" : "" , "a" : 1 }"#, r#"{ "id" : "ID" , "a" : 1 }"#),
        (r#"{"id":null}"#, r#"{"id":"ID"}"#),
        (r#"{"id":17}"#, r#"{"id":"ID"}"#),
        (r#"{"id":"\"},{\u0022"}"#, r#"{"id":"ID"}"#),
    ];
    for (event, expected) in cases {
        assert_eq!(through(event), expected);
    }
}

#[test]
fn other_ids_stay() {
    let event = r#"{"request":{"id":"a"},"choices":[{"index":0,"id":"b","delta":{"tool_calls":[{"index":0,"id":"c"}]}}],"ids":["id"],"x":"\"id\":\"d\""}"#;
    assert_eq!(through(event), event);
}

#[test]
fn a_missing_id_is_not_put_in() {
    assert_eq!(through(r#"{"a":1}"#), r#"{"a":1}"#);
}

#[test]
fn vendor_fields_number_formats_and_space_survive() {
    let event = "{\"a\" :\t1.50e+2, \"big\":123456789012345678901234567890, \"e\":\"\\u00e9\\/\", \"\u{1f30a}\":[ ], \"a\":-0.0}";
    assert_eq!(through(event), event);
}

#[test]
fn an_error_that_is_null_is_cut_out_wherever_it_stands() {
    let cases = [
        (r#"{"error":null,"a":1,"b":2}"#, r#"{"a":1,"b":2}"#),
        (r#"{"a":1,"error":null,"b":2}"#, r#"{"a":1,"b":2}"#),
        (r#"{"a":1,"b":2,"error":null}"#, r#"{"a":1,"b":2}"#),
        (r#"{"error":null}"#, "{}"),
        (r#"{"a":1 , "error" : null , "b":2}"#, r#"{"a":1  , "b":2}"#),
        (
            r#"{"id":"chatcmpl-upstream","error":null}"#,
            r#"{"id":"ID"}"#,
        ),
        (
            r#"{"error":null,"id":"chatcmpl-upstream"}"#,
            r#"{"id":"ID"}"#,
        ),
    ];
    for (event, expected) in cases {
        assert_eq!(through(event), expected);
    }
}

#[test]
fn other_nulls_stay() {
    let event = r#"{"a":{"error":null},"choices":[{"index":0,"delta":{"error":null},"error":null}],"usage":null}"#;
    assert_eq!(through(event), event);
}

#[test]
fn the_id_is_the_same_in_every_chunk_and_the_heads() {
    let script = Script::stream().event(&role()).event(&text("one"));
    let script = script.event(&finish()).event(&usage()).done();
    let reply = ask(
        script,
        &stream_with(r#""stream_options":{"include_usage":true}"#),
    );
    let chunks = reply.chunks();
    assert_eq!(chunks.len(), 4);
    let id = reply.head.header("x-completion-id");
    assert!(chunks.iter().all(|chunk| chunk["id"].as_str() == id));
}

#[test]
fn two_completions_have_two_ids() {
    let script = Script::stream().event(&finish()).done();
    let [one, two] = [ask(script.clone(), STREAM), ask(script, STREAM)];
    assert_ne!(
        one.head.header("x-completion-id"),
        two.head.header("x-completion-id")
    );
}

#[test]
fn usage_is_hidden_unless_it_was_asked_for() {
    let shown = frame(&text("one")) + &frame(&finish());
    let script = Script::stream().chunk(&shown).event(&usage()).done();
    for body in [
        STREAM.to_owned(),
        stream_with(r#""stream_options":null"#),
        stream_with(r#""stream_options":{"include_usage":false}"#),
    ] {
        ask(script.clone(), &body).assert_streams(&shown);
    }
}

#[test]
fn usage_is_shown_where_it_was_asked_for() {
    let shown = frame(&text("one")) + &frame(&finish()) + &frame(&usage());
    let script = Script::stream().chunk(&shown).done();
    let body = stream_with(r#""stream_options":{"include_usage":true}"#);
    ask(script, &body).assert_streams(&shown);
}

#[test]
fn usage_beside_choices_stays() {
    let beside = finish().replace("\"choices\"", "\"usage\":{\"total_tokens\":5},\"choices\"");
    let shown = frame(&text("one")) + &frame(&beside);
    let script = Script::stream().chunk(&shown).done();
    ask(script, STREAM).assert_streams(&shown);
}

#[test]
fn a_whole_reply_keeps_its_bytes_but_for_the_id() {
    let reply = ask(Script::json(&completion()), WHOLE);
    assert_eq!(reply.head.header("content-type"), Some("application/json"));
    assert_eq!(reply.text(), reply.head.with_our_id(&completion()));
}

#[test]
fn an_error_that_is_null_is_cut_out_of_a_whole_reply() {
    let with_null = completion().replacen('{', "{\"error\":null,", 1);
    let reply = ask(Script::json(&with_null), WHOLE);
    assert_eq!(reply.text(), reply.head.with_our_id(&completion()));
}
