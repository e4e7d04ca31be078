//! Paths that lead nowhere, and methods that do not apply.

use super::ask_mock;
use crate::http::request;

#[test]
fn an_unknown_path_is_a_404_that_says_what_is_served() {
    for path in [
        "/v1",
        "/v1/",
        "/v1/embedding",
        "/v1/chat/completions/",
        "/%00",
    ] {
        for method in ["GET", "POST"] {
            let reply = ask_mock(&request(method, path, &[]));
            let error = reply.assert_refused(404, "unknown_url");
            let message = error["message"].as_str().unwrap_or_default();
            assert!(message.contains("POST /v1/chat/completions"), "{message}");
            assert!(message.contains("GET /v1/models"), "{message}");
        }
    }
}

#[test]
fn a_wrong_method_is_a_405_that_says_which_is_right() {
    let cases = [
        ("PUT", "/v1/chat/completions", "GET, POST"),
        ("DELETE", "/v1/chat/completions", "GET, POST"),
        ("GET", "/v1/chat/completions/some-id/cancel", "POST"),
        ("POST", "/v1/models", "GET"),
        ("PUT", "/v1/models/some/model", "GET, DELETE"),
        ("GET", "/v1/embeddings", "POST"),
        ("POST", "/readyz", "GET"),
        ("POST", "/openapi.json", "GET"),
        ("POST", "/docs", "GET"),
    ];
    for (method, path, allowed) in cases {
        let reply = ask_mock(&request(method, path, &[]));
        let error = reply.assert_refused(405, "method_not_allowed");
        assert_eq!(reply.head.header("allow"), Some(allowed), "{path}");
        let message = error["message"].as_str().unwrap_or_default();
        assert!(message.contains(method), "{message}");
        assert!(message.contains(allowed), "{message}");
    }
}

#[test]
fn every_reply_carries_a_request_id() {
    let own = [("x-request-id", "trace-1.2:3")];
    let unfit = [("x-request-id", "a b\u{e9}")];
    for path in ["/v1/models", "/nowhere", "/v1/chat/completions"] {
        let reply = ask_mock(&request("GET", path, &own));
        assert_eq!(reply.head.header("x-request-id"), Some("trace-1.2:3"));
        for headers in [&unfit[..], &[]] {
            let reply = ask_mock(&request("GET", path, headers));
            let id = reply.head.header("x-request-id").unwrap_or_default();
            assert!(id.starts_with("req_") && id.len() == 36, "{id}");
        }
    }
}
