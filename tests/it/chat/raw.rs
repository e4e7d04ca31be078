//! The stream as it comes.

use std::time::Duration;

use super::chat;
use crate::{
    chunks::{finish, frame, text},
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
    let script = Script::stream()
        .chunk(begin)
        .pause(Duration::from_millis(80))
        .chunk(rest)
        .end();
    let upstream = Upstream::play(script);
    let url = format!("http://{}/v1", upstream.address);
    let told = chat(&url, &["--model", "m", "Hi", "--raw"]);
    assert_eq!((told.code, told.notes.as_str()), (Some(0), ""));
    let (mut bytes, mut gaps) = (String::new(), Vec::new());
    for line in told.answer.lines() {
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
