//! Clients that take their time, and connections that nobody uses.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::Duration,
};

use tokenfall::testing::spawn;

use super::{INSTANT, assert_serves};
use crate::{
    gate::{PATIENCE, let_pass},
    http::{Connection, request},
    proxy::wait_until_idle,
};

/// What the server sends until it closes the connection.
fn until_closed(mut socket: TcpStream) -> String {
    socket
        .set_read_timeout(Some(PATIENCE))
        .expect("an open socket");
    let mut text = String::new();
    // A reset is an end too.
    let _ = socket.read_to_string(&mut text);
    text
}

/// Sends one byte after the other until that fails, or for ten times as long as it may take.
fn drip(client: &mut Connection, bytes: &[u8]) {
    for byte in bytes.iter().cycle().take(50) {
        if client.try_send(&[*byte]).is_err() {
            return;
        }
        let_pass(Duration::from_millis(10));
    }
}

#[test]
fn an_upload_that_drips_is_408_however_steadily_it_drips() {
    let server = spawn("limits.body_timeout = '50ms'").expect("valid settings");
    let headers = [("content-length", "1000000")];
    let mut client = Connection::open(server.address());
    client.send(&request("POST", "/v1/chat/completions", &headers));
    drip(&mut client, b"{");
    let reply = client.reply();
    let error = reply.assert_refused(408, "body_timeout");
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.contains("50ms (limits.body_timeout)"), "{message}");
    wait_until_idle(&server);
    assert_serves(&server);
}

#[test]
fn an_upload_that_drips_where_nothing_is_read_is_cut() {
    let server = spawn(INSTANT).expect("valid settings");
    let headers = [("content-length", "1000000")];
    let mut client = Connection::open(server.address());
    client.send(&request("POST", "/nowhere", &headers));
    let reply = client.reply();
    reply.assert_refused(404, "unknown_url");
    // The server has closed: what is sent after its FIN is answered with a reset.
    let mut is_cut = false;
    for _ in 0..200 {
        is_cut = client.try_send(b"x").is_err();
        if is_cut {
            break;
        }
        let_pass(Duration::from_millis(10));
    }
    assert!(is_cut, "the server still reads");
}

/// Sends what may be the beginning of a head, byte by byte, and returns what comes until it is cut.
fn drip_a_head(socket: TcpStream) -> String {
    let mut sender = socket.try_clone().expect("an open socket");
    let dripping = thread::spawn(move || {
        let start = b"GET /v1/models HTTP/1.1\r\nx: ".iter();
        for byte in start.chain([b'x'; 300].iter()) {
            if sender.write_all(&[*byte]).is_err() {
                return true;
            }
            let_pass(Duration::from_millis(10));
        }
        false
    });
    let text = until_closed(socket);
    assert!(dripping.join().expect("no panic"), "all of it was read");
    text
}

#[test]
fn a_head_that_drips_is_cut() {
    let settings = format!("{INSTANT}limits.head_timeout = '1s'");
    let server = spawn(&settings).expect("valid settings");
    let socket = TcpStream::connect(server.address()).expect("the server listens");
    let text = drip_a_head(socket);
    assert!(
        text.is_empty() || text.starts_with("HTTP/1.1 408"),
        "{text}"
    );
    assert_serves(&server);
}

#[test]
fn a_connection_that_says_nothing_is_cut() {
    let settings = format!("{INSTANT}limits.head_timeout = '1s'");
    let server = spawn(&settings).expect("valid settings");
    let socket = TcpStream::connect(server.address()).expect("the server listens");
    let text = until_closed(socket);
    assert!(
        text.is_empty() || text.starts_with("HTTP/1.1 408"),
        "{text}"
    );
}

#[test]
fn an_idle_connection_is_closed() {
    let settings = format!("{INSTANT}limits.keep_alive = '300ms'");
    let server = spawn(&settings).expect("valid settings");
    let mut client = Connection::open(server.address());
    client.send(&request("GET", "/livez", &[]));
    assert_eq!(client.reply().head.status, 200);
    assert_eq!(until_closed(client.into_socket()), "");
}

#[test]
fn a_connection_beyond_the_limit_is_served_once_another_has_gone() {
    let settings = format!("{INSTANT}limits.connections = 1\nserver.workers = 1");
    let server = spawn(&settings).expect("valid settings");
    let livez = request("GET", "/livez", &[]);
    let mut first = Connection::open(server.address());
    first.send(&livez);
    assert_eq!(first.reply().head.status, 200);
    let mut second = Connection::open(server.address());
    second.send(&livez);
    let_pass(Duration::from_millis(200));
    assert!(second.is_silent(), "two are served at once");
    drop(first);
    assert_eq!(second.reply().head.status, 200);
}
