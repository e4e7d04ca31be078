//! Bodies that are too large, too slow, or never come whole.

use tokenfall::testing::spawn;

use super::{INSTANT, MOCK, ask_mock, assert_serves};
use crate::{
    chunks::STREAM,
    http::{Connection, fetch, post, request},
    proxy::wait_until_idle,
};

const LIMIT: usize = 1_048_576;

/// A good request of exactly so many bytes.
fn body_of(length: usize) -> String {
    let body = r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"Hi"}],"x":""}"#;
    let padding = "x".repeat(length - body.len());
    body.replace(r#""x":"""#, &format!(r#""x":"{padding}""#))
}

/// The head of a request whose body has this length.
fn head_of(length: usize) -> Vec<u8> {
    let length = length.to_string();
    let headers = [("content-length", &length[..])];
    request("POST", "/v1/chat/completions", &headers)
}

#[test]
fn a_body_at_the_limit_is_served() {
    let reply = ask_mock(&post(body_of(LIMIT), &[]));
    assert_eq!(reply.head.status, 200, "{}", reply.text());
}

#[test]
fn a_body_over_the_limit_is_413() {
    let reply = ask_mock(&post(body_of(LIMIT + 1), &[]));
    let error = reply.assert_refused(413, "body_too_large");
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.contains("1048576"), "{message}");
}

#[test]
fn a_chunked_body_over_the_limit_is_413() {
    let headers = [("transfer-encoding", "chunked")];
    let mut client = Connection::open(MOCK.address());
    client.send(&request("POST", "/v1/chat/completions", &headers));
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    for _ in 0..=LIMIT / 0x10000 {
        client.send(chunk.as_bytes());
    }
    let reply = client.reply();
    reply.assert_refused(413, "body_too_large");
    assert_serves(&MOCK);
}

#[test]
fn a_client_that_is_still_sending_reads_why_its_body_was_refused() {
    let mut client = Connection::open(MOCK.address());
    client.send(&head_of(64 << 20));
    let piece = "x".repeat(1 << 20);
    for _ in 0..64 {
        // The server may have stopped reading.
        if client.try_send(piece.as_bytes()).is_err() {
            break;
        }
    }
    let reply = client.reply();
    reply.assert_refused(413, "body_too_large");
    assert_serves(&MOCK);
}

#[test]
fn a_chunked_body_within_the_limit_is_served() {
    let headers = [("transfer-encoding", "chunked")];
    let head = request("POST", "/v1/chat/completions", &headers);
    let body = body_of(100);
    let (one, two) = body.split_at(40);
    let chunks = format!("28\r\n{one}\r\n3c\r\n{two}\r\n0\r\n\r\n");
    let reply = ask_mock(&[head, chunks.into_bytes()].concat());
    assert_eq!(reply.head.status, 200, "{}", reply.text());
}

#[test]
fn a_client_that_asks_before_it_sends_is_told_to_go_on() {
    let body = body_of(100);
    let headers = [("content-length", "100"), ("expect", "100-continue")];
    let mut client = Connection::open(MOCK.address());
    client.send(&request("POST", "/v1/chat/completions", &headers));
    assert_eq!(client.head().status, 100);
    client.send(body.as_bytes());
    let reply = client.reply();
    assert_eq!(reply.head.status, 200, "{}", reply.text());
}

#[test]
fn a_body_that_arrives_too_slowly_is_408() {
    let server = spawn("limits.body_timeout = '50ms'").expect("valid settings");
    let mut client = Connection::open(server.address());
    client.send(&head_of(100));
    client.send(b"{\"model\":");
    let reply = client.reply();
    reply.assert_refused(408, "body_timeout");
    wait_until_idle(&server);
}

#[test]
fn a_body_cut_short_leaves_nothing_behind() {
    let server = spawn(INSTANT).expect("valid settings");
    for end in [Connection::reset, drop] {
        let mut client = Connection::open(server.address());
        client.send(&head_of(100));
        client.send(b"{\"model\":");
        end(client);
    }
    assert_serves(&server);
    wait_until_idle(&server);
}

#[test]
fn a_body_of_broken_chunks_is_refused() {
    let headers = [("transfer-encoding", "chunked")];
    let head = request("POST", "/v1/chat/completions", &headers);
    let reply = fetch(MOCK.address(), &[head, b"zz\r\n{}\r\n".to_vec()].concat());
    assert_eq!(reply.head.status, 400, "{}", reply.text());
    assert_serves(&MOCK);
}

#[test]
fn bytes_after_a_body_harm_nobody_else() {
    let mut client = Connection::open(MOCK.address());
    client.send(&post(STREAM, &[]));
    client.send(b"}}}}");
    drop(client);
    assert_serves(&MOCK);
}
