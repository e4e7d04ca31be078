//! The binary itself, and what it logs.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Command, Stdio},
    sync::Arc,
    thread,
};

use crate::{gate::Watched, started::Started};

/// A running binary.
pub(crate) struct Binary {
    pub(crate) started: Started,
    log: Arc<Watched<String>>,
}

impl Binary {
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tokenfall"));
        command
            .args(args)
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        let mut started = Started::run(&mut command);
        let log = Arc::new(Watched::default());
        let lines = started.child.stderr.take().expect("piped");
        let kept = Arc::clone(&log);
        thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                kept.change(|log: &mut String| log.push_str(&format!("{line}\n")));
            }
        });
        Self { started, log }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.started.address().parse().expect("an address")
    }

    /// The first line of the log that holds this, once it is there.
    pub(crate) fn logs(&self, what: &str) -> String {
        self.log.wait_for(what, |log| {
            let line = log.lines().find(|line| line.contains(what))?;
            Some(line.to_owned())
        })
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
