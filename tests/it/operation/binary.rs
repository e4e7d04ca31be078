//! The binary itself, and what it logs.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::gate::Watched;

/// A running binary. It is killed when it is dropped.
pub(crate) struct Binary {
    pub(crate) child: Child,
    pub(crate) greeting: String,
    log: Arc<Watched<String>>,
}

impl Binary {
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tokenfall"))
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let log = Arc::new(Watched::default());
        let (lines, kept) = (child.stderr.take().expect("piped"), Arc::clone(&log));
        thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                kept.change(|log: &mut String| log.push_str(&format!("{line}\n")));
            }
        });
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut greeting = String::new();
        while !greeting.contains("messages") {
            let read = stdout.read_line(&mut greeting).expect("a line");
            assert!(read > 0, "it ended: {greeting}");
        }
        Self {
            child,
            greeting,
            log,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        let at = self.greeting.find("://").expect("a URL") + "://".len();
        let rest = &self.greeting[at..];
        let end = rest.find('/').expect("a path");
        rest[..end].parse().expect("an address")
    }

    /// The first line of the log that holds this, once it is there.
    pub(crate) fn logs(&self, what: &str) -> String {
        self.log.wait_for(what, |log| {
            let line = log.lines().find(|line| line.contains(what))?;
            Some(line.to_owned())
        })
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }
}

impl Drop for Binary {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the binary says when it does not start.
pub(crate) fn refused(args: &[&str]) -> String {
    let binary = env!("CARGO_BIN_EXE_tokenfall");
    let output = Command::new(binary).args(args).output();
    let output = output.expect("the binary runs");
    assert!(!output.status.success());
    String::from_utf8(output.stderr).expect("UTF-8")
}
