//! Whose key goes upstream, and who is told when it is refused.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, ChildStdout, Command, Stdio},
};

use crate::{
    chunks::{STREAM, finish},
    http::{fetch, post},
    proxy::before,
    upstream::{Script, Upstream},
};

const OURS: &str = "sk-of-the-operator";
const THEIRS: &str = "sk-of-the-client";

const ENVELOPE: &str = r#"{"error":{"message":"Bad key.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#;

fn answer() -> Script {
    Script::stream().event(&finish()).done()
}

fn unauthorized() -> Script {
    let headers = [("content-type", "application/json")];
    Script::reply("401 Unauthorized", &headers, ENVELOPE)
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

/// The binary with a key in its environment, in front of `upstream`; ended when dropped.
struct Keyed {
    child: Child,
    address: SocketAddr,
    // Open as long as the server may write to it.
    _output: BufReader<ChildStdout>,
}

impl Keyed {
    fn before(upstream: &Upstream) -> Self {
        let url = format!("http://{}/v1", upstream.address);
        let mut child = Command::new(env!("CARGO_BIN_EXE_tokenfall"))
            .args(["serve", "--port", "0", "--upstream", &url])
            .args(["--upstream-key-env", "KEY_OF_THIS_TEST"])
            .env("KEY_OF_THIS_TEST", OURS)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        output.read_line(&mut line).expect("the start-up message");
        let address = line.trim().rsplit(' ').next().unwrap_or_default();
        let address = address.parse();
        Self {
            child,
            address: address.unwrap_or_else(|_| panic!("no address: {line}")),
            _output: output,
        }
    }
}

impl Drop for Keyed {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_clients_key_goes_upstream_where_there_is_no_other() {
    let proxy = before(answer()).start();
    proxy.ask_with(STREAM, &[("authorization", &bearer(THEIRS))]);
    let request = proxy.upstream.request();
    assert_eq!(request.header("authorization"), Some(&bearer(THEIRS)[..]));
}

#[test]
fn the_clients_key_stays_here_where_it_is_one_of_ours() {
    let keys = format!("[{{ name = 'ci', key = '{THEIRS}' }}]");
    let proxy = before(answer()).set("auth.keys", &keys).start();
    let reply = proxy.ask_with(STREAM, &[("authorization", &bearer(THEIRS))]);
    assert_eq!(reply.head.status, 200, "{}", reply.text());
    let request = proxy.upstream.request();
    assert!(!request.head.contains(THEIRS), "{}", request.head);
}

#[test]
fn the_operators_key_goes_upstream_instead_of_the_clients() {
    let upstream = Upstream::play(answer());
    let server = Keyed::before(&upstream);
    let theirs = bearer(THEIRS);
    let reply = fetch(server.address, &post(STREAM, &[("authorization", &theirs)]));
    assert_eq!(reply.head.status, 200, "{}", reply.text());
    let request = upstream.request();
    assert_eq!(request.header("authorization"), Some(&bearer(OURS)[..]));
    assert!(!request.head.contains(THEIRS), "{}", request.head);
}

#[test]
fn a_refusal_of_the_operators_key_is_upstream_auth() {
    let upstream = Upstream::play(unauthorized());
    let server = Keyed::before(&upstream);
    let reply = fetch(server.address, &post(STREAM, &[]));
    reply.assert_refused(502, "upstream_auth");
    assert_eq!(reply.head.header("x-should-retry"), Some("false"));
    assert!(!reply.text().contains(OURS), "{}", reply.text());
}

#[test]
fn a_refusal_of_a_key_in_the_configured_headers_is_upstream_auth() {
    let headers = format!("{{ authorization = 'Bearer {OURS}' }}");
    let proxy = before(unauthorized()).upstream("headers", &headers).start();
    let reply = proxy.ask_with(STREAM, &[("authorization", &bearer(THEIRS))]);
    reply.assert_refused(502, "upstream_auth");
}

#[test]
fn a_refusal_of_nobodys_key_is_upstream_auth_where_the_clients_is_one_of_ours() {
    let keys = format!("[{{ name = 'ci', key = '{THEIRS}' }}]");
    let proxy = before(unauthorized()).set("auth.keys", &keys).start();
    let reply = proxy.ask_with(STREAM, &[("authorization", &bearer(THEIRS))]);
    reply.assert_refused(502, "upstream_auth");
}

#[test]
fn a_refusal_of_the_clients_own_key_passes_through() {
    let proxy = before(unauthorized()).start();
    let reply = proxy.ask_with(STREAM, &[("authorization", &bearer(THEIRS))]);
    reply.assert_refused(401, "invalid_api_key");
    assert_eq!(reply.text(), ENVELOPE);
}
