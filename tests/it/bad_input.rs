//! Requests that cannot be served: each gets an envelope that says what is wrong, and the
//! server goes on.

mod bodies;
mod fields;
mod keys;
mod origins;
mod paths;
mod sizes;
mod slow;

use std::sync::LazyLock;

use tokenfall::testing::{TestServer, spawn};

use crate::{
    http::{fetch, post},
    reply::Reply,
};

/// A mock that is never slow enough for a heartbeat.
const INSTANT: &str = "mock.profile = 'instant'\nstream.commit_after = '1m'\n";

/// One mock for all of these tests: no request may keep it from answering the next.
static MOCK: LazyLock<TestServer> = LazyLock::new(|| {
    let settings = format!("{INSTANT}limits.body_bytes = 1048576");
    spawn(&settings).expect("valid settings")
});

/// The reply of the shared mock to a request, after which it has answered a good one.
fn ask_mock(request: &[u8]) -> Reply {
    let reply = fetch(MOCK.address(), request);
    assert_serves(&MOCK);
    reply
}

/// The server answers a good request.
#[track_caller]
fn assert_serves(server: &TestServer) {
    let body =
        r#"{"model":"m","stream":true,"max_tokens":1,"messages":[{"role":"user","content":"Hi"}]}"#;
    let reply = fetch(server.address(), &post(body, &[]));
    assert_eq!(reply.head.status, 200, "{}", reply.text());
    assert_eq!(reply.chunks().len(), 3);
}
