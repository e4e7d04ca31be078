//! Who has read enough stops the answer where it is made, too.

use std::{
    io::{BufRead, BufReader, Read},
    process::Child,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokenfall::testing::{TestServer, spawn};

use super::{Told, chat, command};
use crate::{
    chunks::text,
    gate::wait_until,
    upstream::{Script, Upstream},
};

/// Some tokens a second, so that an answer takes longer than a test.
const SLOW: &str = "
mock.profile = 'slow'
[mock.profiles.slow]
first_token = '1ms'
tokens_per_second = 4
";

fn begun(url: &str, args: &[&str]) -> (Child, String) {
    let mut child = command(url, args).spawn().expect("the binary runs");
    let mut first = [0; 1];
    let stdout = child.stdout.as_mut().expect("piped");
    stdout.read_exact(&mut first).expect("an answer");
    (child, String::from_utf8_lossy(&first).into_owned())
}

fn interrupt(child: &Child) {
    kill_process(Pid::from_child(child), Signal::INT).expect("it runs");
}

fn slow() -> TestServer {
    let server = spawn(SLOW).expect("it starts");
    assert_eq!(server.generations(), 0);
    server
}

#[test]
fn ctrl_c_cancels_the_answer_on_the_server() {
    let server = slow();
    let (child, first) = begun(&server.base_url(), &["Tell me a long story."]);
    assert_eq!(server.generations(), 1);
    interrupt(&child);
    let told = Told::from(child.wait_with_output().expect("it ends"));
    assert_eq!(told.code, Some(130));
    assert!(
        told.notes.ends_with("tokenfall: stopped\n"),
        "{}",
        told.notes
    );
    assert!((first + &told.answer).ends_with('\n'));
    // Without a cancel it would go on for a minute, for a reader that can come back.
    wait_until("the generation to end", || server.generations() == 0);
}

#[test]
fn ctrl_c_before_anything_has_come_cancels_it_too() {
    let profile = "[mock.profiles.slow]\nfirst_token = '60s'";
    let server = spawn(&format!(
        "mock.profile = 'slow'\nstream.commit_after = '500ms'\n{profile}"
    ));
    let server = server.expect("it starts");
    // A mock's first answer takes its time.
    let at_once = ["Hi", "--header", "x-mock-profile: instant"];
    assert_eq!(chat(&server.base_url(), &at_once).code, Some(0));
    wait_until("its end", || server.generations() == 0);
    let child = command(&server.base_url(), &["Hi"]).spawn();
    let child = child.expect("the binary runs");
    wait_until("a generation", || server.generations() == 1);
    interrupt(&child);
    let told = Told::from(child.wait_with_output().expect("it ends"));
    assert_eq!((told.answer.as_str(), told.code), ("", Some(130)));
    assert!(told.notes.contains("stopping"), "{}", told.notes);
    wait_until("the generation to end", || server.generations() == 0);
}

#[test]
fn a_closed_pipe_cancels_it_too_and_is_no_failure() {
    let server = slow();
    let (mut child, _) = begun(&server.base_url(), &["Tell me a long story."]);
    drop(child.stdout.take());
    let mut notes = String::new();
    let stderr = child.stderr.take().expect("piped");
    let mut stderr = BufReader::new(stderr);
    stderr.read_line(&mut notes).expect("its end");
    assert_eq!(notes, "");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    wait_until("the generation to end", || server.generations() == 0);
}

#[test]
fn a_server_that_cannot_cancel_is_left() {
    let script =
        Script::stream().for_ever(format!("data: {}\n\n", text("a")), Duration::from_millis(1));
    let upstream = Upstream::play(script);
    let url = format!("http://{}/v1", upstream.address);
    let (child, _) = begun(&url, &["--model", "m", "Hi"]);
    interrupt(&child);
    let told = Told::from(child.wait_with_output().expect("it ends"));
    assert_eq!(told.code, Some(130));
    upstream.departure();
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn a_second_ctrl_c_does_not_wait_for_the_cancel() {
    let named = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                 x-completion-id: chatcmpl-1\r\ntransfer-encoding: chunked\r\n\r\n";
    let begin = Script::silent().send(named).event(&text("a"));
    let upstream = Upstream::play_each(vec![begin.linger(), Script::silent().linger()]);
    let url = format!("http://{}/v1", upstream.address);
    let (child, _) = begun(&url, &["--model", "m", "Hi"]);
    interrupt(&child);
    wait_until("the cancel", || upstream.requests().len() == 2);
    let cancel = &upstream.requests()[1];
    assert!(
        cancel
            .head
            .starts_with("POST /v1/chat/completions/chatcmpl-1/cancel ")
    );
    interrupt(&child);
    let told = Told::from(child.wait_with_output().expect("it ends"));
    assert_eq!(told.code, Some(130));
    upstream.departure();
}
