//! Several processes on one real Redis: a stream outlives the node it was made on.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may fail, and waits for processes in real time"
)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use redis::Redis;
use rustix::process::{Pid, Signal, kill_process};

#[path = "nodes/frozen.rs"]
mod frozen;
#[path = "it/redis.rs"]
mod redis;

const BINARY: &str = env!("CARGO_BIN_EXE_tokenfall");
const LEASE: Duration = Duration::from_secs(1);
const ASK: &str =
    r#"{"model":"m","stream":true,"seed":7,"messages":[{"role":"user","content":"Tell me é"}]}"#;

/// A node. It is killed when it is dropped.
struct Node {
    child: Child,
    address: String,
}

impl Node {
    fn start(redis: &Redis, profile: &str) -> Self {
        Self::start_with(redis, profile, &[])
    }

    fn start_with(redis: &Redis, profile: &str, settings: &[(&str, &str)]) -> Self {
        let mut child = Command::new(BINARY)
            .args(["--port", "0"])
            .envs(settings.iter().copied())
            .env("TOKENFALL__SERVER__LOG", "off")
            .env("TOKENFALL__STORE__KIND", "redis")
            .env("TOKENFALL__STORE__URL", redis.url())
            .env("TOKENFALL__STORE__LEASE", "1s")
            .env("TOKENFALL__STORE__POLL", "100ms")
            .env("TOKENFALL__AUTH__TICKET_SECRET", "the same on every node")
            .env("TOKENFALL__MOCK__PROFILE", profile)
            .env("TOKENFALL__SERVER__DRAIN", "100ms")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut greeting = String::new();
        while !greeting.contains("messages") {
            let read = stdout.read_line(&mut greeting).expect("a line");
            assert!(read > 0, "it ended: {greeting}");
        }
        let at = greeting.find("http://").expect("a URL") + "http://".len();
        let end = at + greeting[at..].find('/').expect("a path");
        let node = Self {
            child,
            address: greeting[at..end].to_owned(),
        };
        node.becomes("200 ok");
        node
    }

    /// Waits until /readyz says so.
    fn becomes(&self, status: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.get("/readyz").head.contains(status) {
            assert!(Instant::now() < deadline, "not {status} in time");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn get(&self, path: &str) -> Reply {
        self.send("GET", path, "")
    }

    fn post(&self, path: &str, body: &str) -> Reply {
        self.send("POST", path, body)
    }

    fn send(&self, method: &str, path: &str, body: &str) -> Reply {
        send(&self.address, method, path, body)
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One request on a connection of its own; the reply up to its body.
fn send(address: &str, method: &str, path: &str, body: &str) -> Reply {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .expect("sent");
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("a timeout");
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let read = reader.read_line(&mut head).expect("a line");
        assert!(read > 0, "it ended: {head}");
    }
    Reply {
        head: head.to_lowercase(),
        reader,
        text: String::new(),
    }
}

/// A reply whose body is still to be read.
struct Reply {
    head: String,
    reader: BufReader<TcpStream>,
    /// What was read and not yet taken.
    text: String,
}

impl Reply {
    fn id(&self) -> String {
        let mut lines = self.head.lines();
        let line = lines.find_map(|line| line.strip_prefix("x-completion-id: "));
        line.expect("an id").to_owned()
    }

    /// The next events, as they came, without heartbeats.
    fn events(&mut self, count: usize) -> String {
        while self.text.matches("data: ").count() < count || !self.text.ends_with("\n\n") {
            assert!(self.read_on(), "it ended: {}", self.text);
        }
        let mut events = self.text.split_inclusive("\n\n");
        let head: String = events.by_ref().take(count).collect();
        self.text = events.collect();
        head
    }

    fn rest(mut self) -> String {
        while self.read_on() {}
        self.text
    }

    /// Reads one chunk more of the body; whether there was one.
    fn read_on(&mut self) -> bool {
        let mut bytes = Vec::new();
        if self.head.contains("transfer-encoding: chunked") {
            let mut size = String::new();
            self.reader.read_line(&mut size).expect("a line");
            let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
            bytes.resize(size, 0);
            self.reader.read_exact(&mut bytes).expect("a chunk");
            self.reader.read_line(&mut String::new()).expect("its end");
        } else {
            self.reader.read_to_end(&mut bytes).expect("an end");
        }
        let text = String::from_utf8(bytes).expect("whole characters");
        self.text.push_str(&text.replace(":\n\n", ""));
        !text.is_empty()
    }
}

fn follow(id: &str, after: usize) -> String {
    format!("/v1/chat/completions/{id}?stream=true&starting_after={after}")
}

#[test]
fn what_one_node_makes_is_read_on_another_from_every_cut() {
    let redis = Redis::start();
    let (a, b) = (Node::start(&redis, "hosted"), Node::start(&redis, "hosted"));
    let mut made = a.post("/v1/chat/completions", ASK);
    let id = made.id();
    let head = made.events(5);
    let live = b.get(&follow(&id, 5));
    assert!(live.head.contains("200 ok"), "{}", live.head);
    let whole = head.clone() + &made.rest();
    assert!(whole.ends_with("data: [DONE]\n\n"), "{whole}");
    assert_eq!(head + &live.rest(), whole, "while it is made");
    let events: Vec<_> = whole.split_inclusive("\n\n").collect();
    for cut in 0..events.len() {
        let tail = b.get(&follow(&id, cut)).rest();
        assert_eq!(events[..cut].concat() + &tail, whole, "after {cut}");
    }
    let past = b.get(&follow(&id, events.len() + 1));
    assert!(past.head.contains("410"), "{}", past.head);
    let unknown = b.get("/v1/chat/completions/chatcmpl-0?stream=true");
    assert!(unknown.head.contains("404"), "{}", unknown.head);
    // The same request again has the same content, but is another completion.
    let again = b.post("/v1/chat/completions", ASK);
    let again_id = again.id();
    assert_ne!(again_id, id);
    assert_eq!(again.rest().replace(&again_id, &id), whole);
}

#[test]
fn a_completion_is_cancelled_from_any_node() {
    let redis = Redis::start();
    let (a, b) = (Node::start(&redis, "local"), Node::start(&redis, "local"));
    let mut made = a.post("/v1/chat/completions", ASK);
    let id = made.id();
    made.events(2);
    let asked = Instant::now();
    let cancelled = b
        .post(&format!("/v1/chat/completions/{id}/cancel"), "")
        .rest();
    assert!(cancelled.contains(r#""status":"cancelled""#), "{cancelled}");
    let rest = made.rest();
    assert!(
        asked.elapsed() < Duration::from_secs(1),
        "{:?}",
        asked.elapsed()
    );
    assert!(rest.contains(r#""code":"cancelled""#) && rest.ends_with("data: [DONE]\n\n"));
}

#[test]
fn when_a_node_is_killed_its_readers_elsewhere_are_told_within_the_lease() {
    let redis = Redis::start();
    let (a, b) = (Node::start(&redis, "local"), Node::start(&redis, "local"));
    let mut made = a.post("/v1/chat/completions", ASK);
    let id = made.id();
    let mut there = b.get(&follow(&id, 0));
    let head = made.events(8);
    assert_eq!(there.events(8), head);
    std::thread::sleep(LEASE);
    a.signal(Signal::KILL);
    let killed = Instant::now();
    let rest = there.rest();
    let took = killed.elapsed();
    assert!(took < LEASE + Duration::from_millis(300), "{took:?}");
    assert!(rest.contains(r#""code":"upstream_lost""#), "{rest}");
    assert!(rest.ends_with("data: [DONE]\n\n"), "{rest}");
    // Who comes back finds the same, and the completion says so.
    let again = b.get(&follow(&id, 0)).rest();
    assert_eq!(again, head + &rest);
    let view = b.get(&format!("/v1/chat/completions/{id}")).rest();
    assert!(view.contains(r#""status":"failed""#), "{view}");
}

#[test]
fn a_node_that_is_asked_to_stop_shares_how_its_streams_ended() {
    let redis = Redis::start();
    let (a, b) = (Node::start(&redis, "local"), Node::start(&redis, "local"));
    let mut made = a.post("/v1/chat/completions", ASK);
    let mut there = b.get(&follow(&made.id(), 0));
    let head = made.events(8);
    assert_eq!(there.events(8), head);
    a.signal(Signal::TERM);
    let rest = there.rest();
    assert_eq!(made.rest(), rest);
    assert!(rest.contains(r#""code":"shutting_down""#), "{rest}");
}

#[test]
fn a_node_that_was_stopped_past_its_lease_is_fenced() {
    let redis = Redis::start();
    let (a, b) = (Node::start(&redis, "local"), Node::start(&redis, "local"));
    let mut made = a.post("/v1/chat/completions", ASK);
    let id = made.id();
    let mut there = b.get(&follow(&id, 0));
    let head = made.events(8);
    assert_eq!(there.events(8), head);
    std::thread::sleep(LEASE);
    a.signal(Signal::STOP);
    let rest = there.rest();
    assert!(rest.contains(r#""code":"upstream_lost""#), "{rest}");
    a.signal(Signal::CONT);
    let late = made.rest();
    assert!(
        !late.contains("[DONE]") && !late.contains("error"),
        "{late}"
    );
    // What was sent before the stop may still come. The last of it, of the 20 ms that a batch
    // may wait, may be lost to the others: who has seen that is told when coming back.
    let count = |text: &str| text.matches("data: ").count();
    let (seen, kept) = (8 + count(&late), 8 + count(&rest) - 2);
    assert!(seen <= kept + 2, "{seen} of {kept}: served past the stop");
    let events: Vec<_> = rest.split_inclusive("\n\n").collect();
    let common = seen.min(kept) - 8;
    assert!(late.starts_with(&events[..common].concat()), "{late}");
    let back = b.get(&follow(&id, seen));
    let expected = if seen > kept { "410" } else { "200" };
    assert!(
        back.head.contains(expected),
        "{} at {seen} of {kept}",
        back.head
    );
    let again = a.get(&follow(&id, 0)).rest();
    assert_eq!(again, head + &rest, "it serves what became of it");
}

#[test]
fn redis_may_be_away_for_longer_than_the_lease() {
    let mut redis = Redis::start();
    let (a, b) = (Node::start(&redis, "local"), Node::start(&redis, "local"));
    let mut made = a.post("/v1/chat/completions", ASK);
    let id = made.id();
    let mut there = b.get(&follow(&id, 0));
    let head = made.events(8);
    assert_eq!(there.events(8), head);
    redis.stop();
    a.becomes("503");
    let unavailable = a.get("/readyz").rest();
    assert!(unavailable.contains("store_unavailable"), "{unavailable}");
    let refused = a.post("/v1/chat/completions", ASK);
    assert!(refused.head.contains("503"), "{}", refused.head);
    made.events(8);
    std::thread::sleep(LEASE * 2);
    redis.start_again();
    a.becomes("200 ok");
    let rest = there.rest();
    assert!(
        rest.ends_with("data: [DONE]\n\n") && !rest.contains("error"),
        "{rest}"
    );
    let whole = a.get(&follow(&id, 0)).rest();
    assert_eq!(
        head + &rest,
        whole,
        "the owner's stream went on and the others caught up"
    );
    let c = Node::start(&redis, "local");
    assert_eq!(
        c.get(&follow(&id, 0)).rest(),
        whole,
        "it was filled again from the first"
    );
}
