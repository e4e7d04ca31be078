//! Bodies in which something is wrong: the message says which field, and what is allowed.

use serde_json::Value;

use super::ask_mock;
use crate::http::post;

const MESSAGES: &str = r#""messages":[{"role":"user","content":"Hi"}]"#;

/// A good request with these members in addition.
fn with(members: &str) -> String {
    format!(r#"{{"model":"m",{MESSAGES},{members}}}"#)
}

/// The body is refused for this field (none for the body as a whole), in a message that holds
/// all of `says`; streaming or not.
#[track_caller]
fn assert_refused(body: impl AsRef<[u8]>, param: Option<&str>, says: &[&str]) {
    let reply = ask_mock(&post(body, &[]));
    let error = reply.assert_refused(400, Value::Null);
    assert_eq!(error["type"], "invalid_request_error", "{error}");
    assert_eq!(error["param"].as_str(), param, "{error}");
    let message = error["message"].as_str().unwrap_or_default();
    for part in param.iter().chain(says) {
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
}

#[test]
fn a_body_that_is_not_json_is_refused() {
    let bad = [
        "",
        "hello",
        "{",
        "{\"model\":",
        "{'model':'m'}",
        "{}{}",
        "model=m",
    ];
    for body in bad {
        assert_refused(body, None, &["not valid JSON", "at byte"]);
    }
    let trailing = with("\"n\":1") + " x";
    assert_refused(trailing, None, &["not valid JSON", "trailing"]);
}

#[test]
fn a_body_that_is_no_object_is_refused() {
    for body in ["[]", "[1]", "\"text\"", "null", "17", "true"] {
        assert_refused(body, None, &["The body"]);
    }
}

#[test]
fn what_is_required_must_be_there() {
    assert_refused("{}", Some("model"), &["missing", "required"]);
    let body = format!("{{{MESSAGES}}}");
    assert_refused(body, Some("model"), &["missing", "required"]);
    assert_refused(
        r#"{"model":"m"}"#,
        Some("messages"),
        &["missing", "required"],
    );
    let body = r#"{"model":"m","messages":[{"content":"Hi"}]}"#;
    assert_refused(body, Some("messages[0].role"), &["missing", "required"]);
}

#[test]
fn an_empty_model_is_refused() {
    let body = format!(r#"{{"model":"",{MESSAGES}}}"#);
    assert_refused(body, Some("model"), &["empty"]);
}

#[test]
fn empty_messages_are_refused() {
    let body = r#"{"model":"m","messages":[]}"#;
    assert_refused(body, Some("messages"), &["at least one"]);
}

#[test]
fn wrong_types_are_refused() {
    let cases = [
        (r#"{"model":7,"messages":[]}"#, "model", "string"),
        (r#"{"model":null,"messages":[]}"#, "model", "string"),
        (r#"{"model":"m","messages":"Hi"}"#, "messages", "sequence"),
        (r#"{"model":"m","messages":{}}"#, "messages", "sequence"),
        (r#"{"model":"m","messages":[7]}"#, "messages[0]", "message"),
        (
            r#"{"model":"m","messages":[null]}"#,
            "messages[0]",
            "message",
        ),
    ];
    for (body, param, allowed) in cases {
        assert_refused(body, Some(param), &["expected", allowed]);
    }
    let cases = [
        (r#""stream":"yes""#, "stream", "boolean"),
        (r#""stream":1"#, "stream", "boolean"),
        (r#""temperature":"hot""#, "temperature", "expected"),
        (r#""stop":7"#, "stop", "a string or an array of strings"),
        (r#""stop":["a",7]"#, "stop[1]", "string"),
        (r#""stream_options":true"#, "stream_options", "expected"),
        (
            r#""stream_options":{"include_usage":"yes"}"#,
            "stream_options.include_usage",
            "boolean",
        ),
        (r#""seed":"7""#, "seed", "integer"),
        (r#""seed":1.5"#, "seed", "integer"),
        (r#""include_sequence":1"#, "include_sequence", "boolean"),
    ];
    for (member, param, allowed) in cases {
        assert_refused(with(member), Some(param), &["expected", allowed]);
    }
}

#[test]
fn wrong_contents_of_a_message_are_refused() {
    let cases = [
        (
            r#""content":7"#,
            "content",
            "a string or an array of content parts",
        ),
        (r#""content":[7]"#, "content[0]", "expected"),
        (r#""content":[{"text":"x"}]"#, "content[0].type", "missing"),
        (r#""content":"x","name":7"#, "name", "string"),
    ];
    for (members, param, says) in cases {
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user",{members}}}]}}"#);
        assert_refused(body, Some(&format!("messages[0].{param}")), &[says]);
    }
}

#[test]
fn an_unknown_role_is_refused() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"Hi"},{"role":"narrator","content":"x"}]}"#;
    let known = [
        "narrator",
        "developer",
        "system",
        "user",
        "assistant",
        "tool",
    ];
    assert_refused(body, Some("messages[1].role"), &known);
}

#[test]
fn a_number_of_choices_out_of_range_is_refused() {
    for n in ["-1", "0", "129", "1.5", "99999999999999999999", "\"2\""] {
        let body = with(&format!("\"n\":{n}"));
        assert_refused(body, Some("n"), &["an integer from 1 to 128"]);
    }
}

#[test]
fn a_negative_number_of_tokens_is_refused() {
    for name in ["max_tokens", "max_completion_tokens"] {
        let body = with(&format!("\"{name}\":-1"));
        assert_refused(body, Some(name), &["an integer of at least 0"]);
    }
}

#[test]
fn a_member_that_stands_twice_is_refused() {
    assert_refused(with(r#""n":1,"n":2"#), Some("n"), &["given twice"]);
}

#[test]
fn deep_nesting_is_refused() {
    for depth in [200, 100_000] {
        let nested = "[".repeat(depth) + &"]".repeat(depth);
        let body = with(&format!("\"vendor\":{nested}"));
        assert_refused(body, None, &["nests deeper", "limits.json_depth"]);
    }
}

#[test]
fn invalid_utf_8_is_refused() {
    for bad in [&b"\xff"[..], b"\xc3", b"\xed\xa0\x80", b"\xf0\x9f\x8c"] {
        let body = r#"{"model":"m","messages":[{"role":"user","content":"?"}]}"#;
        let at = body.find('?').expect("the place");
        let body = [&body.as_bytes()[..at], bad, &body.as_bytes()[at + 1..]].concat();
        assert_refused(body, None, &["invalid UTF-8", &format!("at byte {at}")]);
    }
}
