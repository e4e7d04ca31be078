//! Nothing that a server writes anywhere has a key, a ticket, or a word of what was said.

use std::{
    fs,
    io::{Read, Write},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    thread::{self, JoinHandle},
};

use crate::{
    chunks::{STREAM, finish, stream_with, text},
    gate::wait_until,
    http::{Connection, fetch, post, request},
    upstream::{Script, Upstream},
    usage::Records,
};

const CLIENTS: &str = "sk-client-3f81c2";
const ADMINS: &str = "sk-admin-77aa01";
const OURS: &str = "sk-upstream-90bb1d";
const WRONG: &str = "sk-wrong-55e0f4";
const IN_A_QUERY: &str = "sk-query-19c4d2";
const TICKET_SECRET: &str = "ticket-secret-0d2c9e41aa";
const ASKED: &str = "the-prompt-b81e";
const ANSWERED: &str = "the-answer-c702";

/// The binary, logging all that it can, and what it has written.
struct Loud {
    child: Child,
    address: SocketAddr,
    written: Vec<JoinHandle<String>>,
}

impl Loud {
    fn before(upstream: &Upstream, records: &Records) -> Self {
        let config = format!(
            "server.log = 'trace'\nserver.port = 0\nusage.sink = {}\n\
             auth.ticket_secret = '{TICKET_SECRET}'\n\
             auth.keys = [{{ name = 'a', key = '{CLIENTS}' }}, {{ name = 'b', key = '{ADMINS}', admin = true }}]\n\
             [[models]]\nname = '*'\nupstreams = [{{ base_url = 'http://{}/v1', key_env = 'KEY_OF_THIS_TEST' }}]\n",
            records.setting(),
            upstream.address
        );
        let path = records.setting().trim_matches('\'').to_owned() + ".toml";
        fs::write(&path, config).expect("a file");
        let mut child = Command::new(env!("CARGO_BIN_EXE_tokenfall"))
            .args(["serve", "--config", &path])
            .env("KEY_OF_THIS_TEST", OURS)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut output = child.stdout.take().expect("a pipe");
        let mut start = [0; 128];
        let count = output.read(&mut start).expect("the start-up message");
        let line = String::from_utf8_lossy(&start[..count]).into_owned();
        let address = line.lines().next().and_then(|l| l.rsplit(' ').next());
        let address = address.and_then(|text| text.parse().ok());
        let address = address.unwrap_or_else(|| panic!("no address: {line}"));
        fs::remove_file(path).expect("a file");
        let errors = child.stderr.take().expect("a pipe");
        Self {
            child,
            address,
            written: vec![collect(output), collect(errors)],
        }
    }

    /// Everything it has written by its end.
    fn stop(mut self) -> String {
        let pid = rustix::process::Pid::from_child(&self.child);
        let stopped = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        stopped.expect("it runs");
        assert!(self.child.wait().expect("it ends").success());
        let written = self.written.drain(..);
        written.map(|all| all.join().expect("no panic")).collect()
    }
}

impl Drop for Loud {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(mut output: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut all = Vec::new();
        output.read_to_end(&mut all).expect("a pipe");
        String::from_utf8_lossy(&all).into_owned()
    })
}

/// The ticket of a stream that has been read to its end, and the path that it opens.
fn ticket_of(address: SocketAddr) -> (String, String) {
    let body = stream_with(r#""metadata":{"x":"y"}"#).replace("Hi", ASKED);
    let key = bearer(CLIENTS);
    let reply = fetch(address, &post(body, &[("authorization", &key)]));
    assert!(reply.text().contains(ANSWERED), "{}", reply.text());
    let header = |name: &str| reply.head.header(name).expect(name).to_owned();
    let id = header("x-completion-id");
    (
        header("x-stream-ticket"),
        format!("/v1/chat/completions/{id}"),
    )
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

/// What goes wrong in every way that there is; all replies to it.
fn provoke(address: SocketAddr, (ticket, path): &(String, String)) -> String {
    let (key, wrong, in_query) = (
        bearer(CLIENTS),
        bearer(WRONG),
        format!("/v1/models?key={IN_A_QUERY}"),
    );
    let mut bad = ticket.clone();
    bad.replace_range(..1, if ticket.starts_with('A') { "B" } else { "A" });
    let known = [("authorization", &key[..])];
    let cookie = format!("tokenfall_ticket={ticket}");
    let requests = [
        request("GET", &format!("{path}/stream?ticket={ticket}"), &[]),
        request(
            "GET",
            &format!("{path}/stream?ticket={ticket}&last_event_id=9-9"),
            &[],
        ),
        request("GET", &format!("{path}/stream?ticket={bad}"), &[]),
        request(
            "GET",
            &format!("{path}?ticket={ticket}&starting_after=x"),
            &[],
        ),
        request(
            "GET",
            &format!("/nowhere?ticket={ticket}&key={IN_A_QUERY}"),
            &known,
        ),
        request("GET", path, &[("cookie", &cookie)]),
        request("POST", &format!("{path}/cancel?ticket={ticket}"), &[]),
        request("GET", &in_query, &[]),
        request("GET", "/v1/models", &[("authorization", &wrong)]),
        request("GET", "/metrics", &known),
        request("DELETE", "/v1/models", &known),
        post(STREAM.replace("Hi", ASKED), &[("authorization", &wrong)]),
        post(STREAM.replace("\"m\"", "7").replace("Hi", ASKED), &known),
        post(format!("{{\"api_key\":\"{IN_A_QUERY}\",{ASKED}"), &known),
        post(
            STREAM.replace("Hi", ASKED),
            &[known[0], ("x-stream-on-disconnect", ASKED)],
        ),
    ];
    let replies = requests.map(|request| fetch(address, &request).text().to_owned());
    // A body that breaks off, and bytes that are no request.
    let mut cut = Connection::open(address);
    cut.send(&request(
        "POST",
        "/v1/chat/completions",
        &[known[0], ("content-length", "100")],
    ));
    cut.send(ASKED.as_bytes());
    cut.reset();
    let mut noise = std::net::TcpStream::connect(address).expect("the server listens");
    let sent = noise.write_all(format!("{WRONG}\r\nauthorization: {key}\r\n\r\n").as_bytes());
    sent.expect("the server listens");
    drop(noise);
    replies.concat()
}

#[test]
fn keys_tickets_and_words_are_written_nowhere() {
    let good = Script::stream()
        .event(&text(ANSWERED))
        .event(&finish())
        .done();
    let upstream = Upstream::play(good);
    let records = Records::new();
    let server = Loud::before(&upstream, &records);
    let address = server.address;
    let of_stream = ticket_of(address);
    assert!(upstream.request().head.contains(OURS));
    let replies = provoke(address, &of_stream);
    records.wait_for(1);
    let admin = bearer(ADMINS);
    let metrics = fetch(
        address,
        &request("GET", "/metrics", &[("authorization", &admin)]),
    );
    let metrics = metrics.text().to_owned();
    assert!(metrics.contains("tokenfall_http_requests"), "{metrics}");
    let logged = server.stop();
    for sign in ["\"level\":\"TRACE\"", "completion ended"] {
        assert!(logged.contains(sign), "no `{sign}` in {logged}");
    }
    let ticket = &of_stream.0[..];
    let secrets = [
        CLIENTS,
        ADMINS,
        OURS,
        WRONG,
        IN_A_QUERY,
        TICKET_SECRET,
        ticket,
    ];
    for (name, text) in [
        ("logs", &logged),
        ("metrics", &metrics),
        ("records", &records.text()),
    ] {
        for secret in secrets.iter().chain(&[ASKED, ANSWERED]) {
            let around = text
                .find(secret)
                .map(|at| &text[at.saturating_sub(300)..(at + 60).min(text.len())]);
            assert_eq!(around, None, "`{secret}` in the {name}");
        }
    }
    for secret in secrets {
        assert!(!replies.contains(secret), "`{secret}` in {replies}");
    }
}

#[test]
fn a_refusal_by_the_upstream_tells_nobody_our_key() {
    // Servers quote the key that they refuse.
    let envelope = format!(
        r#"{{"error":{{"message":"Bad key {OURS}.","type":"t","param":null,"code":"c"}}}}"#
    );
    let json = [("content-type", "application/json")];
    let records = Records::new();
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let upstream = Upstream::play(Script::reply(status, &json, &envelope));
        let server = Loud::before(&upstream, &records);
        let key = bearer(CLIENTS);
        let reply = fetch(server.address, &post(STREAM, &[("authorization", &key)]));
        assert!(reply.head.status >= 400, "{}", reply.text());
        assert!(
            status.starts_with("403") || !reply.text().contains(OURS),
            "{}",
            reply.text()
        );
        wait_until("the record", || !records.text().is_empty());
        let logged = server.stop();
        assert!(!logged.contains(OURS), "{logged}");
    }
}
