//! Bodies at the bounds, and one over.

use super::*;

const BOUNDS: Bounds = Bounds {
    depth: 6,
    messages: 3,
    tools: 2,
    schema_bytes: 40,
};

#[track_caller]
fn fits(body: &str) {
    assert_eq!(BOUNDS.check(body.as_bytes()), Ok(()), "{body}");
}

#[track_caller]
fn is_refused(body: &str, param: Option<&str>, says: &str) {
    let invalid = BOUNDS.check(body.as_bytes()).expect_err(body);
    assert_eq!(invalid.param.as_deref(), param, "{invalid}");
    assert!(invalid.message.contains(says), "{invalid}");
}

/// An object that holds this many levels, itself included.
fn nested(levels: usize) -> String {
    let inner = levels - 1;
    format!("{{\"x\":{}{}}}", "[".repeat(inner), "]".repeat(inner))
}

#[test]
fn depth_at_the_limit_fits_and_one_more_does_not() {
    fits(&nested(6));
    is_refused(&nested(7), None, "6 levels at byte 11 (limits.json_depth)");
    is_refused(&nested(100_000), None, "limits.json_depth");
}

#[test]
fn lists_at_the_limit_fit_and_one_more_does_not() {
    fits(r#"{"messages":[1,2,3],"tools":[{},{}],"functions":[{},{}]}"#);
    let messages = r#"{"messages":[1,2,3,4]}"#;
    is_refused(
        messages,
        Some("messages"),
        "at most 3, got 4 (limits.messages)",
    );
    for name in ["tools", "functions"] {
        let body = format!(r#"{{"{name}":[{{}},{{}},{{}}]}}"#);
        is_refused(&body, Some(name), "at most 2, got 3 (limits.tools)");
    }
}

#[test]
fn schemas_at_the_limit_fit_and_one_more_byte_does_not() {
    let schema = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    let both = |length| {
        let schema = schema(length);
        [
            (format!(r#"{{"tools":[1,{schema}]}}"#), "tools[1]"),
            (
                format!(r#"{{"response_format":{schema}}}"#),
                "response_format",
            ),
        ]
    };
    for (body, _) in both(40) {
        fits(&body);
    }
    for (body, param) in both(41) {
        is_refused(&body, Some(param), "at most 40 bytes of JSON, got 41");
    }
}

#[test]
fn a_key_written_with_escapes_is_the_same_key() {
    is_refused(r#"{"\u006dessages":[1,2,3,4]}"#, Some("messages"), "got 4");
    is_refused(r#"{"tool\u0073":[1,2,3]}"#, Some("tools"), "got 3");
}

#[test]
fn what_stands_twice_is_looked_at_twice() {
    is_refused(r#"{"tools":[],"tools":[1,2,3]}"#, Some("tools"), "got 3");
    is_refused(r#"{"tools":[1,2,3],"tools":[]}"#, Some("tools"), "got 3");
}

#[test]
fn what_is_wrong_in_another_way_is_the_parsers_to_say() {
    for body in ["", "[]", "{", "{\"messages\":{}}", "{\"tools\":7}", "nul"] {
        fits(body);
    }
}
