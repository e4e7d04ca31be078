//! What proxies say of a request's client, and who is believed.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
};

use serde_json::Value;
use tokenfall::testing::spawn;

use super::{File, binary::Binary};
use crate::{
    chunks::completion,
    gate::PATIENCE,
    http::{fetch, post, request},
    proxy::before,
    upstream::Script,
};

const BACKGROUND: &str =
    r#"{"model":"m","background":true,"messages":[{"role":"user","content":"Hi"}]}"#;
const FORWARDED: [(&str, &str); 3] = [
    ("x-forwarded-proto", "https"),
    ("x-forwarded-host", "chat.example.org:8443"),
    ("x-forwarded-for", "6.6.6.6, 1.2.3.4"),
];

/// Where a background answer is to be read, by a server that trusts these.
fn stream_url(trusted: &str) -> String {
    let server = spawn(&format!("server.trusted_proxies = {trusted}")).expect("it starts");
    let reply = fetch(server.address(), &post(BACKGROUND, &FORWARDED));
    assert_eq!(reply.head.status, 202, "{}", reply.text());
    reply.json()["stream_url"]
        .as_str()
        .expect("a URL")
        .to_owned()
}

#[test]
fn urls_are_those_that_the_client_knows_if_the_proxy_is_trusted() {
    for trusted in ["['127.0.0.1']", "['10.0.0.0/8', '127.0.0.0/8']"] {
        let url = stream_url(trusted);
        let start = "https://chat.example.org:8443/v1/chat/completions/";
        assert!(url.starts_with(start), "{url}");
    }
}

#[test]
fn who_is_not_trusted_is_not_believed() {
    for trusted in ["[]", "['10.0.0.0/8', '::1']"] {
        let url = stream_url(trusted);
        let start = "http://localhost/v1/chat/completions/";
        assert!(url.starts_with(start), "{url}");
    }
}

#[test]
fn the_last_value_counts_and_only_if_it_can_stand_in_a_url() {
    let server = spawn("server.trusted_proxies = ['127.0.0.1']").expect("it starts");
    let url = |host: &str, proto: &str| {
        let headers = [("x-forwarded-host", host), ("x-forwarded-proto", proto)];
        let reply = fetch(server.address(), &post(BACKGROUND, &headers)).json();
        let url = reply["stream_url"].as_str().expect("a URL").to_owned();
        url.split("/v1").next().expect("a base").to_owned()
    };
    assert_eq!(
        url("evil.example, good.example", "http, https"),
        "https://good.example"
    );
    assert_eq!(url("a@b", "gopher"), "http://localhost");
    assert_eq!(url("a/b", ""), "http://localhost");
}

#[test]
fn host_rules_are_about_the_name_that_the_client_used() {
    let status = |trusted: &str, host: &str, forwarded: &str| {
        let proxy = before(Script::json(&completion()))
            .set("server.trusted_proxies", trusted)
            .start();
        let headers = [("host", host), ("x-forwarded-host", forwarded)];
        let asked = request("GET", "/v1/chat/completions", &headers);
        fetch(proxy.address(), &asked).head.status
    };
    let (all, none) = ("['127.0.0.1']", "[]");
    assert_eq!(status(all, "backend", "localhost"), 200);
    assert_eq!(status(all, "localhost", "evil.example"), 403);
    assert_eq!(status(none, "backend", "localhost"), 403);
    assert_eq!(status(none, "localhost", "evil.example"), 200);
}

#[test]
fn a_cookie_for_https_is_one_of_other_sites_too() {
    let cookie = |trusted: &str| {
        let settings = format!("server.trusted_proxies = {trusted}\nmock.profile = 'instant'");
        let server = spawn(&settings).expect("it starts");
        let headers = [("x-stream-cookie", "1"), FORWARDED[0]];
        let body = crate::chunks::STREAM;
        let reply = fetch(server.address(), &post(body, &headers));
        let cookie = reply.head.header("set-cookie").expect("a cookie");
        cookie.to_owned()
    };
    let told = cookie("['127.0.0.1']");
    assert!(told.ends_with("SameSite=None; Secure"), "{told}");
    let shown = cookie("[]");
    assert!(shown.ends_with("SameSite=Lax"), "{shown}");
}

#[test]
fn a_unix_socket_is_trusted_if_that_is_said() {
    for (trusted, scheme) in [
        ("['unix']", "https://chat"),
        ("['127.0.0.1']", "http://local"),
    ] {
        let path = std::env::temp_dir().join(format!("tokenfall-{}-told", std::process::id()));
        let settings = format!(
            "server.unix = '{}'\nserver.trusted_proxies = {trusted}",
            path.display()
        );
        let server = spawn(&settings).expect("it starts");
        let mut socket = UnixStream::connect(&path).expect("it listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let headers = [FORWARDED[0], FORWARDED[1], ("connection", "close")];
        socket.write_all(&post(BACKGROUND, &headers)).expect("sent");
        let mut reply = String::new();
        socket.read_to_string(&mut reply).expect("a reply");
        let json = reply.split("\r\n\r\n").nth(1).expect("a body");
        let json: Value = serde_json::from_str(json).expect("JSON");
        let url = json["stream_url"].as_str().expect("a URL");
        assert!(url.starts_with(scheme), "{url}");
        drop(server);
    }
}

#[test]
fn entries_that_name_nobody_are_refused() {
    for (entry, reason) in [
        ("proxy.local", "expected an address"),
        ("unix", "only with server.unix"),
    ] {
        let settings = format!("server.trusted_proxies = ['{entry}']");
        let error = spawn(&settings).expect_err(entry).to_string();
        assert!(error.contains("server.trusted_proxies"), "{error}");
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn the_log_of_requests_names_the_client_and_no_ticket() {
    let settings = "server = { log = 'tokenfall::access=debug', trusted_proxies = ['127.0.0.1'] }";
    let file = File::new("access.toml", settings);
    let binary = Binary::start(&["--port", "0", "--config", file.path()]);
    let path = "/v1/chat/completions/chatcmpl-0?ticket=secret";
    fetch(binary.address(), &request("GET", path, &FORWARDED));
    let line = binary.logs("/v1/chat/completions/chatcmpl-0");
    assert!(line.contains(r#""client":"1.2.3.4""#), "{line}");
    assert!(line.contains(r#""status":4"#), "{line}");
    assert!(!line.contains("secret"), "{line}");
}
