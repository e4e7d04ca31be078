//! Requests at the limits of what may be in them, and one over.

use serde_json::{Value, json};
use tokenfall::testing::{TestServer, spawn};

use super::INSTANT;
use crate::{
    http::{fetch, post, post_to, request},
    reply::Reply,
};

const SMALL: &str = "limits.json_depth = 8\nlimits.messages = 3\nlimits.tools = 2\n\
     limits.schema_bytes = 1024\nlimits.target_bytes = 1024\nlimits.header_bytes = 1024\n";

fn small() -> TestServer {
    spawn(&format!("{INSTANT}{SMALL}")).expect("valid settings")
}

/// A good request with one more member.
fn with(name: &str, value: Value) -> Value {
    let mut body =
        json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]});
    body[name] = value;
    body
}

/// What fits is served, on every way in; what does not is refused with these words.
#[track_caller]
fn assert_limit(fits: &Value, excess: &Value, (param, says): (Option<&str>, &str)) {
    let server = small();
    let reply = fetch(server.address(), &post(fits.to_string(), &[]));
    assert_eq!(reply.head.status, 200, "{}", reply.text());
    let reply = fetch(server.address(), &post(excess.to_string(), &[]));
    assert_says(&reply, param, says);
}

#[track_caller]
fn assert_says(reply: &Reply, param: Option<&str>, says: &str) {
    let error = reply.assert_refused(400, Value::Null);
    assert_eq!(error["param"].as_str(), param, "{error}");
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.contains(says), "no `{says}` in: {message}");
}

/// A value of so many levels.
fn nested(levels: usize) -> Value {
    (1..levels).fold(json!([]), |inner, _| json!([inner]))
}

#[test]
fn depth() {
    let says = "nests deeper than 8 levels";
    assert_limit(&with("x", nested(7)), &with("x", nested(8)), (None, says));
}

#[test]
fn depth_is_looked_at_wherever_a_body_is_read() {
    let server = small();
    let body = with("x", nested(100)).to_string();
    for path in ["/v1/completions", "/v1/embeddings", "/v1/moderations"] {
        let reply = fetch(server.address(), &post_to(path, &body, &[]));
        assert_says(&reply, None, "limits.json_depth");
    }
    let length = body.len().to_string();
    let session = [("x-mock-session", "a"), ("content-length", &length[..])];
    let head = request("PUT", "/_mock/scenarios", &session);
    let reply = fetch(server.address(), &[head, body.into_bytes()].concat());
    assert_says(&reply, None, "limits.json_depth");
}

#[test]
fn messages() {
    let messages = |count: usize| {
        with(
            "messages",
            json!(vec![json!({"role": "user", "content": "Hi"}); count]),
        )
    };
    let says = "at most 3, got 4 (limits.messages)";
    assert_limit(&messages(3), &messages(4), (Some("messages"), says));
}

#[test]
fn tools() {
    let tool = json!({"type": "function", "function": {"name": "f"}});
    let tools = |count: usize| with("tools", json!(vec![tool.clone(); count]));
    let says = "at most 2, got 3 (limits.tools)";
    assert_limit(&tools(2), &tools(3), (Some("tools"), says));
}

/// A tool of so many bytes.
fn tool_of(length: usize) -> Value {
    let tool =
        |text: String| json!({"type": "function", "function": {"name": "f", "description": text}});
    tool("x".repeat(length - tool(String::new()).to_string().len()))
}

#[test]
fn the_schema_of_a_tool() {
    let tools = |length| with("tools", json!([tool_of(10 + 90), tool_of(length)]));
    let says = "at most 1024 bytes of JSON, got 1025 (limits.schema_bytes)";
    assert_limit(&tools(1024), &tools(1025), (Some("tools[1]"), says));
}

#[test]
fn the_schema_of_a_response_format() {
    let format = |text: String| json!({"type": "text", "x": text});
    let empty = format(String::new()).to_string().len();
    let of = |length: usize| with("response_format", format("x".repeat(length - empty)));
    let says = "got 1025 (limits.schema_bytes)";
    assert_limit(&of(1024), &of(1025), (Some("response_format"), says));
}

#[test]
fn the_number_of_choices() {
    let of = |n: u32| with("n", json!(n));
    assert_limit(&of(128), &of(129), (Some("n"), "from 1 to 128"));
}

#[test]
fn the_number_of_texts_to_moderate() {
    let server = small();
    for (count, status) in [(2048, 200), (2049, 400)] {
        let body = json!({"input": vec!["a"; count]}).to_string();
        let reply = fetch(server.address(), &post_to("/v1/moderations", body, &[]));
        assert_eq!(reply.head.status, status, "{}", reply.text());
    }
}

#[test]
fn a_schema_as_deep_as_may_be_is_answered_or_refused() {
    let settings = format!("{INSTANT}limits.json_depth = 128");
    let server = spawn(&settings).expect("valid settings");
    for keyword in ["items", "not", "additionalProperties"] {
        let schema = (0..122).fold(
            json!({"type": "string"}),
            |inner, _| json!({keyword: inner}),
        );
        for inner in [schema.clone(), json!({"allOf": [schema]})] {
            let schema = json!({"name": "s", "schema": inner});
            let format = json!({"type": "json_schema", "json_schema": schema});
            let body = with("response_format", format).to_string();
            let reply = fetch(server.address(), &post(body, &[]));
            assert!([200, 400].contains(&reply.head.status), "{}", reply.text());
        }
    }
}

#[test]
fn the_path_and_the_query() {
    let server = small();
    let path = |length: usize| "/v1/models?x=".to_owned() + &"x".repeat(length - 13);
    let reply = fetch(server.address(), &request("GET", &path(1024), &[]));
    assert_eq!(reply.head.status, 200, "{}", reply.text());
    let reply = fetch(server.address(), &request("GET", &path(1025), &[]));
    let error = reply.assert_refused(414, "target_too_large");
    let message = error["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("1024 bytes (limits.target_bytes)"),
        "{message}"
    );
    assert!(reply.head.header("x-request-id").is_some());
}

#[test]
fn a_header() {
    let server = small();
    for name in ["x-any", "authorization", "last-event-id", "idempotency-key"] {
        let value = "x".repeat(1025);
        let headers = [(name, &value[..])];
        let reply = fetch(server.address(), &request("GET", "/v1/models", &headers));
        let error = reply.assert_refused(431, "header_too_large");
        assert_eq!(error["param"], name);
        let message = error["message"].as_str().unwrap_or_default();
        assert!(
            message.contains("1024 bytes (limits.header_bytes)"),
            "{message}"
        );
        let headers = [(name, &value[1..])];
        let reply = fetch(server.address(), &request("GET", "/v1/models", &headers));
        assert_eq!(reply.head.status, 200, "{}", reply.text());
    }
}

#[test]
fn the_number_of_headers() {
    let server = small();
    // One of them is `host`.
    for (count, status) in [(95, 200), (96, 431)] {
        let names: Vec<String> = (0..count).map(|number| format!("x-{number}")).collect();
        let headers: Vec<_> = names.iter().map(|name| (&name[..], "x")).collect();
        let reply = fetch(server.address(), &request("GET", "/v1/models", &headers));
        assert_eq!(reply.head.status, status, "{}", reply.text());
    }
}

#[test]
fn a_whole_head() {
    let server = spawn(INSTANT).expect("valid settings");
    let value = "x".repeat(16_000);
    let names: Vec<String> = (0..9).map(|number| format!("x-{number}")).collect();
    for (count, status) in [(8, 200), (9, 431)] {
        let headers: Vec<_> = names[..count]
            .iter()
            .map(|name| (&name[..], &value[..]))
            .collect();
        let reply = fetch(server.address(), &request("GET", "/v1/models", &headers));
        assert_eq!(reply.head.status, status, "{}", reply.text());
    }
}
