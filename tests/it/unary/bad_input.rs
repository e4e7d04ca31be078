//! Requests that cannot be answered say what is wrong, where, and what is allowed.

use serde_json::Value;

use super::MOCK;
use crate::http::{fetch, post_to};

#[track_caller]
fn assert_refused(path: &str, body: &str, param: Option<&str>, says: &[&str]) {
    let reply = fetch(MOCK.address(), &post_to(path, body, &[]));
    let error = reply.assert_refused(400, Value::Null);
    assert_eq!(error["type"], "invalid_request_error", "{error}");
    assert_eq!(error["param"].as_str(), param, "{error}");
    let message = error["message"].as_str().unwrap_or_default();
    for part in param.iter().chain(says) {
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
}

#[test]
fn embeddings_of_nothing_or_of_too_much_are_refused() {
    let forms = "a string, an array of strings, an array of token ids, or an array of such";
    let many = format!(r#""model":"m","input":[{}"a"]"#, r#""a","#.repeat(2048));
    let long = format!(r#""model":"m","input":["a","{}"]"#, "a b ".repeat(5000));
    let together = format!(
        r#""model":"m","input":[{}[1]]"#,
        format!("[{}1],", "1,".repeat(8191)).repeat(37)
    );
    let wide = format!(
        r#""model":"m","dimensions":8192,"input":[{}"a"]"#,
        r#""a","#.repeat(999)
    );
    let cases: [(&str, &str, &[&str]); 17] = [
        ("", "model", &["missing, but required"]),
        (r#""model":"m""#, "input", &["missing, but required"]),
        (r#""model":"","input":"a""#, "model", &["empty"]),
        (r#""model":"m","input":"""#, "input", &["empty"]),
        (r#""model":"m","input":["a",""]"#, "input", &["empty"]),
        (r#""model":"m","input":[]"#, "input", &["at least one"]),
        (r#""model":"m","input":[[1],[]]"#, "input", &["empty"]),
        (r#""model":"m","input":7"#, "input", &[forms]),
        (
            r#""model":"m","input":["a",7]"#,
            "input",
            &[forms, "mixture"],
        ),
        (
            r#""model":"m","input":[[1,-7]]"#,
            "input[0][1]",
            &["from 0 to 4294967295"],
        ),
        (
            r#""model":"m","input":[{}]"#,
            "input[0]",
            &["a string, a token id"],
        ),
        (
            r#""model":"m","input":"a","dimensions":0"#,
            "dimensions",
            &["from 1 to 8192"],
        ),
        (
            r#""model":"m","input":"a","encoding_format":"hex""#,
            "encoding_format",
            &["`float`", "`base64`"],
        ),
        (&many, "input", &["at most 2048", "2049"]),
        (&long, "input", &["input[1]", "at most 8192 tokens"]),
        (&together, "input", &["at most 300000 tokens together"]),
        (&wide, "dimensions", &["at most 6291", "1000 inputs"]),
    ];
    for (members, param, says) in cases {
        assert_refused(
            "/v1/embeddings",
            &format!("{{{members}}}"),
            Some(param),
            says,
        );
    }
    assert_refused("/v1/embeddings", "nonsense", None, &["not valid JSON"]);
    assert_refused("/v1/embeddings", "[]", None, &["expected an object"]);
}

#[test]
fn moderations_of_nothing_or_of_something_else_are_refused() {
    let forms = "a string, an array of strings, or an array of parts";
    let cases: [(&str, &str, &[&str]); 7] = [
        ("", "input", &["missing, but required"]),
        (r#""input":[]"#, "input", &["at least one"]),
        (r#""input":7"#, "input", &[forms]),
        (
            r#""input":["a",{"type":"text","text":"b"}]"#,
            "input",
            &["mixture"],
        ),
        (
            r#""input":[{"type":"sound"}]"#,
            "input[0].type",
            &["`text` or `image_url`"],
        ),
        (
            r#""input":[{"type":"text"}]"#,
            "input[0].text",
            &["missing"],
        ),
        (r#""input":"a","model":"""#, "model", &["empty"]),
    ];
    for (members, param, says) in cases {
        assert_refused(
            "/v1/moderations",
            &format!("{{{members}}}"),
            Some(param),
            says,
        );
    }
}
