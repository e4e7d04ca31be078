//! HTTP/1.0: no transfer chunks, and the connection ends with the body.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use crate::{
    chunks::{STREAM, WHOLE, completion, finish, frame, text},
    proxy::before,
    reply::Head,
    upstream::Script,
};

/// All that comes until the connection is closed.
fn ask(script: Script, body: &str) -> (Head, String) {
    let proxy = before(script).start();
    let mut socket = TcpStream::connect(proxy.address()).expect("the server listens");
    let length = body.len();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.0\r\nhost: localhost\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    let request = head + body;
    socket
        .write_all(request.as_bytes())
        .expect("the server reads");
    let mut reply = String::new();
    socket.read_to_string(&mut reply).expect("a reply");
    let (head, body) = reply.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.0 200"), "{head}");
    (Head::parse(head.as_bytes()), body.to_owned())
}

#[test]
fn a_stream_has_no_chunks_and_ends_with_its_connection() {
    let events = [text("one"), finish()];
    let script = Script::stream()
        .event(&events[0])
        .event(&events[1])
        .done()
        .end();
    let (head, body) = ask(script, STREAM);
    assert_eq!(head.header("transfer-encoding"), None);
    assert_eq!(head.header("content-length"), None);
    let expected = events.map(|json| frame(&json)).concat() + "data: [DONE]\n\n";
    assert_eq!(body, head.with_our_id(&expected));
}

#[test]
fn a_whole_reply_has_a_length() {
    let (head, body) = ask(Script::json(&completion()), WHOLE);
    assert_eq!(head.content_length(), Some(body.len()));
}
