//! The stream as it comes.

use std::{
    io::{BufRead, BufReader, Read},
    time::Duration,
};

use super::{chat, command};
use crate::{
    chunks::{finish, frame, text},
    gate::Gate,
    upstream::{Script, Upstream},
};

#[test]
fn raw_shows_the_bytes_of_the_stream_comments_too_each_line_with_its_gap() {
    let stream = format!(
        ": hello\n\n{}:\n{}id: x\nretry: 7\n\n{}data: [DONE]\n\n",
        frame(&text("a\\u001b")),
        frame(&text("b")),
        frame(&finish()),
    );
    let (begin, rest) = stream.split_at(70);
    let is_shown = Gate::default();
    let script = Script::stream()
        .chunk(begin)
        .wait(&is_shown)
        .pause(Duration::from_millis(80))
        .chunk(rest)
        .end();
    let upstream = Upstream::play(script);
    let url = format!("http://{}/v1", upstream.address);
    let mut child = command(&url, &["--model", "m", "Hi", "--raw"]).spawn();
    let child = child.as_mut().expect("the binary runs");
    let mut answer = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    stdout.read_line(&mut answer).expect("a line");
    is_shown.open();
    stdout.read_to_string(&mut answer).expect("the rest");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    let (mut bytes, mut gaps) = (String::new(), Vec::new());
    for line in answer.lines() {
        if let Some((gap, line)) = line.split_once(" ms  ") {
            gaps.push(gap.trim().parse::<u64>().expect(gap));
            bytes.push_str(line);
        }
        bytes.push('\n');
    }
    assert_eq!(bytes, stream);
    assert!(
        gaps[1] >= 80,
        "the first event came when all of it had: {gaps:?}"
    );
    assert!(gaps[2..].iter().all(|gap| *gap < 80), "{gaps:?}");
}

#[test]
fn raw_shows_a_line_that_was_cut() {
    let script = Script::stream().chunk("data: {\"choices\"");
    let upstream = Upstream::play(script);
    let url = format!("http://{}/v1", upstream.address);
    let told = chat(&url, &["--model", "m", "Hi", "--raw"]);
    assert_eq!(told.code, Some(1));
    assert!(
        told.answer.ends_with(" ms  data: {\"choices\"\n"),
        "{}",
        told.answer
    );
}
