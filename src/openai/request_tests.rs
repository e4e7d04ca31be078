//! What is accepted, and what a refusal says.

use super::*;

fn refused(body: &str) -> (String, Option<String>) {
    let invalid = ChatRequest::parse(Bytes::copy_from_slice(body.as_bytes())).expect_err(body);
    (invalid.message, invalid.param)
}

fn accepted(body: &str) -> ChatRequest {
    ChatRequest::parse(Bytes::copy_from_slice(body.as_bytes())).expect(body)
}

/// One field beside a valid request; the path and the reason that a refusal names.
const FIELDS: [(&str, &str, &str); 8] = [
    (r#""n":-1"#, "n", "an integer from 1 to 128"),
    (r#""n":129"#, "n", "an integer from 1 to 128"),
    (r#""n":1.5"#, "n", "an integer from 1 to 128"),
    (
        r#""max_tokens":-1"#,
        "max_tokens",
        "an integer of at least 0",
    ),
    (r#""stream":"yes""#, "stream", "expected a boolean"),
    (r#""stop":5"#, "stop", "a string or an array of strings"),
    (r#""stop":["a",1]"#, "stop[1]", "expected a string"),
    (
        r#""stream_options":{"include_usage":1}"#,
        "stream_options.include_usage",
        "a boolean",
    ),
];

/// Whole bodies; the path and the reason that a refusal names.
const BODIES: [(&str, &str, &str); 10] = [
    (
        r#"{"model":"m","messages":[["user"]]}"#,
        "messages[0]",
        "expected an object",
    ),
    (
        r#"{"model":"m","messages":[{"role":"user"}],"stream_options":[null,null]}"#,
        "stream_options",
        "expected an object",
    ),
    ("{}", "model", "missing, but required"),
    (r#"{"model":"m"}"#, "messages", "missing, but required"),
    (
        r#"{"model":"m","messages":[]}"#,
        "messages",
        "at least one message",
    ),
    (
        r#"{"model":"m","messages":"hi"}"#,
        "messages",
        "expected a sequence",
    ),
    (
        r#"{"model":"","messages":[{"role":"user"}]}"#,
        "model",
        "an empty string",
    ),
    (
        r#"{"model":"m","messages":[{"role":"robot"}]}"#,
        "messages[0].role",
        "unknown variant `robot`, expected one of",
    ),
    (
        r#"{"model":"m","messages":[{"role":"user","content":5}]}"#,
        "messages[0].content",
        "a string or an array of content parts",
    ),
    (
        r#"{"model":"m","messages":[{"role":"user","content":[{"text":"a"}]}]}"#,
        "messages[0].content[0].type",
        "missing, but required",
    ),
];

#[test]
fn a_refusal_names_the_field_and_what_is_allowed() {
    let with = |field: &str| {
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":"a"}}],{field}}}"#)
    };
    let fields = FIELDS.map(|(field, param, why)| (with(field), param, why));
    let bodies = BODIES.map(|(body, param, why)| (body.to_owned(), param, why));
    for (body, param, why) in fields.into_iter().chain(bodies) {
        let (message, at) = refused(&body);
        assert_eq!(at.as_deref(), Some(param), "{body}: {message}");
        assert!(
            message.starts_with(param) && message.contains(why),
            "{body}: {message}"
        );
    }
}

#[test]
fn what_is_no_object_of_json_is_refused_without_a_field() {
    let deep = format!(
        r#"{{"model":"m","messages":[],"x":{}{}}}"#,
        "[".repeat(5000),
        "]".repeat(5000)
    );
    for (body, why) in [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        (
            r#"{"model":"m","messages":[{"role":"user"}]} x"#,
            "not valid JSON",
        ),
        ("nope", "not valid JSON"),
        ("[]", "The body"),
        ("\"x\"", "The body"),
        (&deep, "nested too deep"),
    ] {
        let (message, param) = refused(body);
        assert_eq!(param, None, "{body}: {message}");
        assert!(message.contains(why), "{body}: {message}");
    }
    assert!(ChatRequest::parse(Bytes::from_static(b"{\"model\":\"\xff\"}")).is_err());
}

#[test]
fn nulls_are_the_same_as_nothing_and_whole_floats_are_integers() {
    let request = accepted(
        r#"{"model":"m","messages":[{"role":"assistant","content":null}],"n":2.0,"stop":null,"stream":null,"seed":-9007199254740991,"max_tokens":0,"unknown":{"a":1}}"#,
    );
    assert_eq!(request.choices(), 2);
    assert_eq!(request.max_tokens(), Some(0));
    assert!(!request.is_streaming());
}

#[test]
fn content_is_a_text_or_the_texts_of_its_parts() {
    let request = accepted(
        r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"x"}},{"type":"text","text":"b"}]}]}"#,
    );
    let content = request.params.messages[0].content.as_ref().expect("given");
    assert_eq!(content.text(), "a\nb");
}
