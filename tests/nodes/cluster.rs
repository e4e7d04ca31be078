//! Nodes on one Redis, and what they reply.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::Signal;

pub(crate) use crate::redis::Redis;
use crate::started::Started;

const BINARY: &str = env!("CARGO_BIN_EXE_tokenfall");
pub(crate) const LEASE: Duration = Duration::from_secs(1);
pub(crate) const ASK: &str =
    r#"{"model":"m","stream":true,"seed":7,"messages":[{"role":"user","content":"Tell me é"}]}"#;

/// A node.
pub(crate) struct Node {
    started: Started,
    pub(crate) address: String,
}

impl Node {
    pub(crate) fn start(redis: &Redis, profile: &str) -> Self {
        Self::start_with(redis, profile, &[])
    }

    /// With more in its environment, by names behind `TOKENFALL__`.
    pub(crate) fn start_with(redis: &Redis, profile: &str, more: &[(&str, &str)]) -> Self {
        let more = more
            .iter()
            .map(|(name, value)| (format!("TOKENFALL__{name}"), *value));
        let mut command = Command::new(BINARY);
        command
            .args(["--port", "0"])
            .env("TOKENFALL__SERVER__LOG", "off")
            .env("TOKENFALL__STORE__KIND", "redis")
            .env("TOKENFALL__STORE__URL", redis.url())
            .env("TOKENFALL__STORE__LEASE", "1s")
            .env("TOKENFALL__STORE__POLL", "100ms")
            .env("TOKENFALL__AUTH__TICKET_SECRET", "the same on every node")
            .env("TOKENFALL__MOCK__PROFILE", profile)
            .env("TOKENFALL__SERVER__DRAIN", "100ms")
            .envs(more)
            .stderr(Stdio::null());
        let started = Started::run(&mut command);
        let node = Self {
            address: started.address().to_owned(),
            started,
        };
        node.becomes("200 ok");
        node
    }

    /// Waits until /readyz says so.
    pub(crate) fn becomes(&self, status: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.get("/readyz").head.contains(status) {
            assert!(Instant::now() < deadline, "not {status} in time");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.send("GET", path, "")
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Reply {
        self.send("POST", path, body)
    }

    pub(crate) fn send(&self, method: &str, path: &str, body: &str) -> Reply {
        self.send_with(method, path, "", body)
    }

    /// With more header lines.
    pub(crate) fn send_with(&self, method: &str, path: &str, more: &str, body: &str) -> Reply {
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n{more}\r\n{body}"
        )
        .expect("sent");
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
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

    pub(crate) fn signal(&self, signal: Signal) {
        self.started.signal(signal);
    }
}

/// A reply whose body is still to be read.
pub(crate) struct Reply {
    pub(crate) head: String,
    reader: BufReader<TcpStream>,
    /// What was read and not yet taken.
    text: String,
}

impl Reply {
    pub(crate) fn id(&self) -> String {
        let mut lines = self.head.lines();
        let line = lines.find_map(|line| line.strip_prefix("x-completion-id: "));
        line.expect("an id").to_owned()
    }

    /// The next events, as they came, without heartbeats.
    pub(crate) fn events(&mut self, count: usize) -> String {
        while self.text.matches("data: ").count() < count || !self.text.ends_with("\n\n") {
            assert!(self.read_on(), "it ended: {}", self.text);
        }
        let mut events = self.text.split_inclusive("\n\n");
        let head: String = events.by_ref().take(count).collect();
        self.text = events.collect();
        head
    }

    pub(crate) fn rest(mut self) -> String {
        while self.read_on() {}
        self.text
    }

    /// Reads one chunk more of the body; whether there was one.
    pub(crate) fn read_on(&mut self) -> bool {
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

/// The path that reads a stream on.
pub(crate) fn follow(id: &str, after: usize) -> String {
    format!("/v1/chat/completions/{id}?stream=true&starting_after={after}")
}
