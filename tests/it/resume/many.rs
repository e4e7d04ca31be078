//! Many readers, slow ones among them, and many streams.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    thread,
};

use tokenfall::testing::spawn;

use super::{get, id_of, open, path};
use crate::{
    chunks::{STREAM, finish, text},
    gate::wait_until,
    http::{Connection, fetch, post},
    proxy::before,
    upstream::Script,
};

/// Far more than the sockets' buffers hold: 24 MB.
fn flood() -> Script {
    let event = text(&"x".repeat(60_000));
    let script = (0..400).fold(Script::stream(), |script, _| script.event(&event));
    script.event(&finish()).done()
}

/// A server in a process of its own, so that its memory can be told from the tests'.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start(settings: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tokenfall"))
            .args(["--port", "0"])
            .envs(settings.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        stdout.read_line(&mut line).expect("a greeting");
        let address = line.trim().rsplit(' ').next().and_then(|a| a.parse().ok());
        Self {
            child,
            address: address.unwrap_or_else(|| panic!("no address in {line}")),
        }
    }

    /// What it holds in memory, in bytes.
    fn resident(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("Linux");
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1));
        kib.and_then(|kib| kib.parse::<usize>().ok())
            .expect("a number")
            * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_reader_that_takes_nothing_is_cut_off_and_can_resume_and_costs_the_others_nothing() {
    let proxy = before(flood())
        .set("stream.write_deadline", "'300ms'")
        .start();
    let slow = proxy.open(STREAM);
    wait_until("the stream to begin", || proxy.server.streams() == 1);
    let other = proxy.open_with(STREAM, &[("idempotency-key", "other")]);
    drop(other);
    let mut fast = proxy.open(STREAM);
    let whole = fast.reply();
    assert!(whole.text().ends_with("data: [DONE]\n\n"));
    wait_until("the slow reader to be cut off", || {
        proxy.server.streams() == 0
    });
    drop(slow);
    let id = id_of(&whole);
    let tail = get(
        proxy.address(),
        &path(&id, "?stream=true&starting_after=399"),
        &[],
    );
    assert!(tail.text().len() < 70_000 && tail.text().ends_with("data: [DONE]\n\n"));
}

#[test]
fn a_thousand_readers_of_one_stream_get_the_same_bytes_in_little_memory() {
    // No heartbeat, however busy the machine is.
    let patient = ("TOKENFALL__STREAM__COMMIT_AFTER", "1m");
    let server = Process::start(&[("TOKENFALL__MOCK__PROFILE", "local"), patient]);
    let mut first = Connection::open(server.address);
    first.send(&post(STREAM, &[]));
    let head = first.head();
    let id = head.header("x-completion-id").expect("an id").to_owned();
    let before = server.resident();
    let mut readers: Vec<Connection> = (0..1000)
        .map(|_| open(server.address, &path(&id, "?stream=true"), &[]))
        .collect();
    let heads: Vec<_> = readers.iter_mut().map(Connection::head).collect();
    let per_reader = server.resident().saturating_sub(before) / 1000;
    assert!(per_reader < 40 * 1024, "{per_reader} bytes per reader");
    let whole = first.rest(head, "");
    for (reader, head) in readers.iter_mut().zip(heads) {
        assert_eq!(reader.rest(head, "").body, whole.body);
    }
}

#[test]
fn a_thousand_streams_stay_within_the_budget() {
    let settings = "[mock]\nprofile = 'instant'\n[stream]\nevent_bytes = 65536\nlog_bytes = 262144\nbudget_bytes = 2097152";
    let server = spawn(settings).expect("a server");
    let body = STREAM.replace("Hi", &"water ".repeat(100));
    let address = server.address();
    let asks: Vec<_> = (0..4)
        .map(|_| {
            let body = body.clone();
            thread::spawn(move || {
                let ask = |_| id_of(&fetch(address, &post(&body, &[])));
                (0..250).map(ask).collect::<Vec<_>>()
            })
        })
        .collect();
    let ids: Vec<_> = asks
        .into_iter()
        .flat_map(|ask| ask.join().expect("no panic"))
        .collect();
    let status = |id: &str| get(address, &path(id, ""), &[]).head.status;
    let kept = ids.iter().filter(|id| status(id) == 200).count();
    let gone = ids.iter().filter(|id| status(id) == 410).count();
    assert_eq!(kept + gone, 1000, "none is unknown");
    // A stream of these has some 15 KB.
    assert!((50..400).contains(&kept), "{kept} of 2 MiB are kept");
    let newest = id_of(&fetch(address, &post(&body, &[])));
    assert_eq!(status(&newest), 200);
}
