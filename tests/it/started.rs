//! The binary in a process of its own, as a server that listens.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

/// A running server, and what it printed when it was ready. It is killed when it is dropped.
pub(crate) struct Started {
    pub(crate) child: Child,
    pub(crate) stdout: BufReader<ChildStdout>,
    pub(crate) greeting: String,
}

impl Started {
    /// Runs the command until it says where it listens.
    pub(crate) fn run(command: &mut Command) -> Self {
        let child = command.stdout(Stdio::piped()).spawn();
        let mut child = child.expect("the binary runs");
        let stdout = child.stdout.take().expect("piped");
        let mut started = Self {
            child,
            stdout: BufReader::new(stdout),
            greeting: String::new(),
        };
        while !started.greeting.contains("messages") {
            let read = started.stdout.read_line(&mut started.greeting);
            assert!(read.expect("a line") > 0, "it ended: {}", started.greeting);
        }
        started
    }

    /// The host and port that it listens at.
    pub(crate) fn address(&self) -> &str {
        let at = self.greeting.find("://").expect("a URL") + "://".len();
        let rest = &self.greeting[at..];
        &rest[..rest.find('/').expect("a path")]
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
