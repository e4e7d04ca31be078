//! What is written is what is read, whatever bytes it is of.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn cassette(frames: Vec<RawFrame>) -> Cassette {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "a\u{7f}\u{feff}\u{2028}\n🌊\""}]});
    Cassette {
        request: Request::of("/v1/chat/completions", body),
        response: Response {
            status: 200,
            headers: vec![("content-type".to_owned(), "text/event-stream".to_owned())],
            frames,
        },
    }
}

fn frame(after: u64, bytes: &[u8]) -> RawFrame {
    RawFrame {
        after: Duration::from_millis(after),
        bytes: Bytes::copy_from_slice(bytes),
    }
}

fn read(text: &str) -> Cassette {
    Cassette::parse("a.yaml", text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn refused(text: &str) -> String {
    let error = Cassette::parse("a.yaml", text).expect_err(text);
    error.to_string()
}

/// Bytes of the sorts that are written in different ways.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let text = "[ \t\n\r:#|>'\"\\\\{}\\[\\]-]{0,12}|\\PC{0,12}|(data: [a-z {}\"]{0,9}\n{0,3}){0,4}";
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..24),
        text.prop_map(String::into_bytes),
        any::<String>().prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn any_frames_are_read_as_they_were_written(
        frames in prop::collection::vec((0..5_000_u64, bytes()), 0..6),
        header in any::<String>(),
    ) {
        let frames = frames.iter().map(|(after, bytes)| frame(*after, bytes));
        let mut written = cassette(frames.collect());
        written.response.headers.push(("retry-after".to_owned(), header));
        prop_assert_eq!(read(&written.to_text()), written);
    }
}

#[test]
fn a_cassette_is_a_text_for_people() {
    let written = cassette(vec![
        frame(12, b"data: {\"id\":\"a\"}\n\n"),
        frame(0, "data: é\n: x".as_bytes()),
        frame(3, b"\n"),
        frame(1, b"\xf0\x9f"),
        frame(2, b"a\r\n"),
    ]);
    let expected = r#"# One exchange with a model server, kept by `tokenfall record`.
version: 1
request:
  path: "/v1/chat/completions"
  body: |
    {
      "messages": [
        {
          "content": "a\u007f\ufeff\u2028\n🌊\"",
          "role": "user"
        }
      ],
      "model": "m"
    }
response:
  status: 200
  headers:
    content-type: "text/event-stream"
  frames:
    - after: 12ms
      text: |+
        data: {"id":"a"}

    - after: 0ms
      text: |-
        data: é
        : x
    - after: 3ms
      text: "\n"
    - after: 1ms
      base64: 8J8=
    - after: 2ms
      text: "a\r\n"
"#;
    assert_eq!(written.to_text(), expected);
}

#[test]
fn what_is_wrong_is_told_with_file_and_line() {
    let good = cassette(vec![frame(1, b"x")]).to_text();
    let cases = [
        (
            "version: 1",
            "version: 2",
            "a.yaml:2: version: expected 1, got 2",
        ),
        (
            "status: 200",
            "status: 302",
            "a.yaml:16: response.status: expected a status from 200",
        ),
        ("after: 1ms", "after: soon", "a.yaml:20: response.frames[0]"),
        (
            "after: 1ms",
            "after: 2h",
            "an hour after the one before at most",
        ),
        ("text: |-", "txt: |-", "unknown field `txt`"),
        (
            "\"model\": \"m\"",
            "\"model\": m",
            "a.yaml:6: request.body: the request's body is no JSON",
        ),
        ("response:", "reply:", "unknown field `reply`"),
    ];
    for (from, to, expected) in cases {
        assert!(good.contains(from), "{good}");
        let error = refused(&good.replacen(from, to, 1));
        assert!(
            error.starts_with("a.yaml:") && error.contains(expected),
            "{error}"
        );
    }
}

#[test]
fn frames_have_a_limit_and_the_most_there_can_be_are_read() {
    let most: Vec<_> = (0..MAX_FRAMES).map(|_| frame(0, b"x")).collect();
    let mut written = cassette(most);
    assert_eq!(read(&written.to_text()), written);
    written.response.frames.push(frame(0, b"x"));
    let error = refused(&written.to_text());
    assert!(
        error.contains("20001 frames, and 20000 at most can be"),
        "{error}"
    );
}
