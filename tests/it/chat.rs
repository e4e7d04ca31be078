//! `tokenfall chat`: what a terminal's user or a script gets of any server.

mod answers;
mod broken;
mod raw;
mod stopping;

use std::{
    io::Write,
    process::{Child, Command, Output, Stdio},
};

/// The command, asking this server, with pipes in place of a terminal.
fn command(base_url: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokenfall"));
    command
        .args(["chat", "--base-url", base_url])
        .args(args)
        .env_remove("OPENAI_API_KEY")
        .env_remove("OPENAI_BASE_URL")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// What came of it.
struct Told {
    answer: String,
    notes: String,
    code: Option<i32>,
}

impl From<Output> for Told {
    fn from(output: Output) -> Self {
        Self {
            answer: String::from_utf8(output.stdout).expect("UTF-8"),
            notes: String::from_utf8(output.stderr).expect("UTF-8"),
            code: output.status.code(),
        }
    }
}

fn chat(base_url: &str, args: &[&str]) -> Told {
    let output = command(base_url, args).output();
    output.expect("the binary runs").into()
}

/// With this on standard input.
fn chat_with(input: &[u8], base_url: &str, args: &[&str]) -> Told {
    let mut command = command(base_url, args);
    let child = command.stdin(Stdio::piped()).spawn();
    let mut child: Child = child.expect("the binary runs");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input).expect("read");
    drop(stdin);
    child.wait_with_output().expect("it ends").into()
}
