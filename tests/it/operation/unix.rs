//! A server on a Unix socket.

use std::{
    fs,
    io::{Read, Write},
    os::unix::{fs::FileTypeExt, net::UnixListener, net::UnixStream},
    path::{Path, PathBuf},
};

use rustix::process::Signal;
use tokenfall::testing::{TestServer, spawn};

use super::binary::{Binary, refused};
use crate::{
    chunks::{DONE, STREAM, finish, text},
    gate::{PATIENCE, wait_until},
    http::post,
    proxy::before,
    upstream::Script,
};

/// Short: a path of a socket has 107 bytes at most.
fn path(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("tokenfall-{}-{name}", std::process::id()));
    // There is none where the last run ended well.
    let _ = fs::remove_file(&path);
    path
}

fn serve(path: &Path) -> TestServer {
    spawn(&format!("server.unix = '{}'", path.display())).expect("it starts")
}

fn ask(path: &Path, request: &[u8], until: &str) -> (UnixStream, String) {
    let mut socket = UnixStream::connect(path).expect("the server listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
    socket.write_all(request).expect("sent");
    let mut read = String::new();
    let mut buffer = [0; 4096];
    while !read.contains(until) {
        let count = socket.read(&mut buffer).expect("bytes");
        assert!(count > 0, "cut after {read}");
        read.push_str(std::str::from_utf8(&buffer[..count]).expect("UTF-8"));
    }
    (socket, read)
}

fn assert_alive(path: &Path) {
    ask(
        path,
        b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "ok",
    );
}

fn assert_refused(path: &Path) {
    let said = refused(&["--unix", &path.display().to_string()]);
    assert!(said.contains("cannot listen on"), "{said}");
}

#[test]
fn streams_come_over_it_and_the_file_goes_with_the_server() {
    let path = path("streams");
    let script = Script::stream().event(&text("one")).event(&finish()).done();
    let proxy = before(script)
        .set("server.unix", &format!("'{}'", path.display()))
        .start();
    assert_eq!(proxy.server.address().port(), 0);
    let (_, reply) = ask(&path, &post(STREAM, &[]), DONE);
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
    proxy.server.stop();
    assert!(!path.exists());
}

#[test]
fn who_leaves_is_noticed() {
    let path = path("leaving");
    let proxy = before(Script::stream().event(&text("one")).linger())
        .set("server.unix", &format!("'{}'", path.display()))
        .set("stream.on_disconnect", "'cancel'")
        .start();
    drop(ask(&path, &post(STREAM, &[]), "one"));
    proxy.upstream.departure();
}

#[test]
fn a_socket_that_nobody_listens_on_is_replaced() {
    let path = path("stale");
    drop(UnixListener::bind(&path).expect("a socket"));
    assert!(path.exists(), "it is left behind");
    let server = serve(&path);
    assert_alive(&path);
    drop(server);
}

#[test]
fn a_socket_that_somebody_listens_on_is_not() {
    let path = path("taken");
    let server = serve(&path);
    assert_refused(&path);
    assert_alive(&path);
    drop(server);
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let path = path("file");
    fs::write(&path, "mine").expect("written");
    assert_refused(&path);
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "mine");
    let _ = fs::remove_file(&path);
}

#[test]
fn the_binary_says_where_it_listens_and_removes_it() {
    let path = path("binary");
    let text = path.display().to_string();
    let mut binary = Binary::start(&["--unix", &text]);
    assert!(
        binary
            .started
            .greeting
            .contains(&format!("listens on unix:{text}"))
    );
    let file = fs::symlink_metadata(&path).expect("a file");
    assert!(file.file_type().is_socket());
    binary.started.signal(Signal::TERM);
    wait_until("its end", || {
        binary.started.child.try_wait().expect("a child").is_some()
    });
    assert!(!path.exists());
}

#[test]
fn what_it_cannot_do_is_said() {
    for more in ["--port=1", "--host=::1"] {
        assert!(refused(&["--unix", "x", more]).contains("cannot be used with"));
    }
}
