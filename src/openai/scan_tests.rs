//! Facts and rewrites, held against `serde_json` as the judge of what the bytes mean.

use super::*;
use proptest::prelude::*;
use serde_json::Value;

fn rewritten(json: &str, sequence: Option<u64>) -> String {
    let facts = scan(json.as_bytes()).expect(json);
    let mut out = BytesMut::new();
    facts.rewrite(json.as_bytes(), "chatcmpl-1", sequence, &mut out);
    String::from_utf8(out.to_vec()).expect("UTF-8")
}

#[test]
fn the_id_is_replaced_wherever_it_stands_and_nothing_else_changes() {
    let cases = [
        (r#"{"id":"x","n":1.50}"#, r#"{"id":"chatcmpl-1","n":1.50}"#),
        (
            r#"{"a":{"id":"in"},"id":"x"}"#,
            r#"{"a":{"id":"in"},"id":"chatcmpl-1"}"#,
        ),
        (r#" { "id" : null } "#, r#" { "id" : "chatcmpl-1" } "#),
        (
            r#"{"choices":[{"index":0,"id":"c"}] , "id":7}"#,
            r#"{"choices":[{"index":0,"id":"c"}] , "id":"chatcmpl-1"}"#,
        ),
        (r#"{"x":"\u00e9é"}"#, r#"{"x":"\u00e9é"}"#),
    ];
    for (json, expected) in cases {
        assert_eq!(rewritten(json, None), expected);
    }
}

#[test]
fn a_null_error_is_cut_out_with_its_comma() {
    let cases = [
        (r#"{"error":null}"#, "{}"),
        (r#"{"error": null , "a":1}"#, r#"{ "a":1}"#),
        (r#"{"a":1,"error":null}"#, r#"{"a":1}"#),
        (
            r#"{"a":1, "error":null, "id":"x"}"#,
            r#"{"a":1, "id":"chatcmpl-1"}"#,
        ),
        (
            r#"{"id":"x","error":null,"a":1}"#,
            r#"{"id":"chatcmpl-1","a":1}"#,
        ),
        (
            r#"{"choices":[{"index":0,"error":null}]}"#,
            r#"{"choices":[{"index":0,"error":null}]}"#,
        ),
    ];
    for (json, expected) in cases {
        assert_eq!(rewritten(json, None), expected);
    }
}

#[test]
fn a_sequence_number_becomes_the_last_member() {
    assert_eq!(
        rewritten(r#"{"a":1}"#, Some(7)),
        r#"{"a":1,"sequence_number":7}"#
    );
    assert_eq!(rewritten("{}", Some(7)), r#"{"sequence_number":7}"#);
    assert_eq!(
        rewritten(r#"{"error":null}"#, Some(7)),
        r#"{"sequence_number":7}"#
    );
}

#[test]
fn finish_reasons_are_told_per_choice() {
    let json = r#"{"choices":[{"index":0,"finish_reason":"stop"},{"index":127,"finish_reason":""},{"finish_reason":null,"index":2}]}"#;
    let facts = scan(json.as_bytes()).expect("valid");
    assert_eq!(facts.seen, 1 | 1 << 127 | 1 << 2);
    assert_eq!(
        facts.finished, 1,
        "neither null nor \"\" is a finish reason"
    );
}

#[test]
fn content_is_any_non_empty_delta_but_the_role() {
    let has_content = |delta: &str| {
        let json = format!(r#"{{"choices":[{{"index":0,"delta":{delta}}}]}}"#);
        scan(json.as_bytes()).expect("valid").has_content
    };
    for empty in [
        "{}",
        "null",
        r#"{"role":"assistant","content":"","refusal":null,"tool_calls":[]}"#,
    ] {
        assert!(!has_content(empty), "{empty}");
    }
    for filled in [
        r#"{"content":"a"}"#,
        r#"{"reasoning":"a"}"#,
        r#"{"tool_calls":[{}]}"#,
        r#"{"refusal":"no"}"#,
    ] {
        assert!(has_content(filled), "{filled}");
    }
}

#[test]
fn errors_and_usage_are_found() {
    let facts = scan(br#"{"choices":[],"usage":{"total_tokens":3}}"#).expect("valid");
    assert!(facts.is_usage_only());
    assert!(
        !scan(br#"{"choices":[],"usage":null}"#)
            .expect("valid")
            .is_usage_only()
    );
    let json = br#"{"error":{"message":"m"}}"#;
    let error = scan(json).expect("valid").error.expect("found");
    assert_eq!(&json[error.range()], br#"{"message":"m"}"#);
    let facts = scan(br#"{"choices":[{"index":0,"finish_reason":"error"}]}"#).expect("valid");
    assert!(facts.choice_failed);
    let facts = scan(br#"{"choices":[{"index":0,"error":{"code":502}}]}"#).expect("valid");
    assert!(facts.choice_failed);
}

#[test]
fn what_cannot_be_trusted_is_refused() {
    for bad in [
        "[1]",
        "\"x\"",
        r#"{"id":"a","id":"b"}"#,
        r#"{"error":null,"error":{}}"#,
        r#"{"choices":[{"index":128}]}"#,
        r#"{"choices":[{"index":-1}]}"#,
        r#"{"choices":[{"delta":{}}]}"#,
        r#"{"choices":[5]}"#,
        r#"{"a":1} {"b":2}"#,
        "{\"a\":\"\u{1}\"}",
    ] {
        assert!(scan(bad.as_bytes()).is_err(), "{bad}");
    }
}

fn json_object() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("null".to_owned()),
        Just("1.50".to_owned()),
        Just("\"é\\\"\"".to_owned()),
        Just("{\"id\":1,\"error\":null}".to_owned()),
        Just("[ ]".to_owned()),
    ];
    let key = prop::sample::subsequence(vec!["a", "id", "b", "error", "usage", "c"], 0..=6);
    (
        key.prop_shuffle(),
        prop::collection::vec(value, 6),
        "[ \n]{0,2}",
    )
        .prop_map(|(keys, values, space)| {
            let member =
                |(key, value): (&str, &String)| format!("{space}\"{key}\"{space}:{value}{space}");
            let members: Vec<_> = keys.into_iter().zip(&values).map(member).collect();
            format!("{{{}}}", members.join(","))
        })
}

proptest! {
    #[test]
    fn a_rewrite_changes_the_meaning_only_as_it_should(json in json_object(), sequence in prop::option::of(0_u64..9)) {
        let mut expected: Value = serde_json::from_str(&json).expect("valid");
        let object = expected.as_object_mut().expect("an object");
        if object.contains_key("id") {
            object.insert("id".to_owned(), "chatcmpl-1".into());
        }
        if object.get("error") == Some(&Value::Null) {
            object.remove("error");
        }
        if let Some(number) = sequence {
            object.insert("sequence_number".to_owned(), number.into());
        }
        let out = rewritten(&json, sequence);
        prop_assert_eq!(serde_json::from_str::<Value>(&out).expect(&out), expected);
    }
}
