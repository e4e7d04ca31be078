//! Servers with keys of their own.

use tokenfall::testing::{TestServer, spawn};

use crate::{
    chunks::{STREAM, WHOLE},
    http::{fetch, post, request},
    reply::Reply,
};

const KEY: &str = "sk-tokenfall-secret";

fn keyed() -> TestServer {
    let keys = format!("auth.keys = [{{ name = 'ci', key = '{KEY}' }}]\n");
    spawn(&keys).expect("valid settings")
}

#[track_caller]
fn assert_unauthorized(reply: &Reply) {
    let error = reply.assert_refused(401, "invalid_api_key");
    assert_eq!(error["type"], "invalid_request_error");
    assert_eq!(reply.head.header("www-authenticate"), Some("Bearer"));
}

#[test]
fn a_missing_key_is_401() {
    let server = keyed();
    for request in [
        post(STREAM, &[]),
        post(WHOLE, &[]),
        request("GET", "/v1/models", &[]),
    ] {
        assert_unauthorized(&fetch(server.address(), &request));
    }
}

#[test]
fn a_wrong_key_is_401_and_never_in_the_reply() {
    let server = keyed();
    let wrong = [
        "Bearer sk-wrong-key",
        "Bearer sk-tokenfall-secre",
        "Bearer sk-tokenfall-secret2",
        "Basic sk-tokenfall-secret",
        "sk-tokenfall-secret",
        "Bearer",
        "Bearer  ",
    ];
    for key in wrong {
        let reply = fetch(server.address(), &post(STREAM, &[("authorization", key)]));
        assert_unauthorized(&reply);
        for secret in [KEY, "sk-wrong-key"] {
            assert!(!reply.text().contains(secret), "{}", reply.text());
        }
    }
}

#[test]
fn a_key_in_the_query_is_not_taken() {
    let path = format!("/v1/models?api_key={KEY}&key={KEY}");
    let reply = fetch(keyed().address(), &request("GET", &path, &[]));
    assert_unauthorized(&reply);
    assert!(!reply.text().contains(KEY), "{}", reply.text());
}

#[test]
fn a_right_key_is_let_in() {
    let server = keyed();
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let key = format!("{scheme} {KEY}");
        let headers = [("authorization", &key[..])];
        let reply = fetch(server.address(), &request("GET", "/v1/models", &headers));
        assert_eq!(reply.head.status, 200, "{}", reply.text());
    }
}

#[test]
fn what_needs_no_key_is_open() {
    let server = keyed();
    for path in [
        "/livez",
        "/readyz",
        "/openapi.json",
        "/openapi-3.1.json",
        "/",
        "/docs",
        "/web/sse.js",
    ] {
        let reply = fetch(server.address(), &request("GET", path, &[]));
        assert_eq!(reply.head.status, 200, "{path}: {}", reply.text());
    }
}

#[test]
fn a_key_is_asked_for_before_the_body_is_read() {
    let server = keyed();
    let reply = fetch(server.address(), &post("not JSON", &[]));
    assert_unauthorized(&reply);
}
