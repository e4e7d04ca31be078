//! What is asked, and what is shown of an answer that comes whole.

use std::process::Stdio;

use serde_json::{Value, json};
use tokenfall::testing::spawn;

use super::{chat, chat_with};
use crate::{
    chunks::{chunk, finish, finish_of, role, text, usage},
    upstream::{Script, Upstream},
};

fn base_url(upstream: &Upstream) -> String {
    format!("http://{}/v1", upstream.address)
}

fn hello() -> Script {
    let script = Script::stream().event(&role()).event(&text("Hel"));
    script.event(&text("lo")).event(&finish()).done()
}

/// A server that answers with these chunks, and what is shown of it.
fn shown(chunks: &[String], args: &[&str]) -> super::Told {
    let script = chunks
        .iter()
        .fold(Script::stream(), |script, json| script.event(json));
    let upstream = Upstream::play(script.done());
    chat(
        &base_url(&upstream),
        &[&["--model", "m", "Hi"], args].concat(),
    )
}

fn delta(delta: &str) -> String {
    chunk(&format!(
        r#""choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]"#
    ))
}

#[test]
fn a_pipe_gets_the_answer_alone() {
    let told = shown(&[role(), text("a\\u001b[31m"), text("b"), finish()], &[]);
    assert_eq!(
        told.answer, "a\u{1b}[31mb\n",
        "as it is, and a last line end"
    );
    assert_eq!((told.notes.as_str(), told.code), ("", Some(0)));
}

#[test]
fn what_is_asked_is_what_the_arguments_say() {
    let upstream = Upstream::play(hello());
    let args = [
        "--model",
        "gpt",
        "--system",
        "Be brief.",
        "--max-tokens",
        "9",
        "--temperature",
        "0.5",
        "--api-key",
        "sk-1",
        "--header",
        "x-team: blue",
        "Say",
        "hello",
    ];
    assert_eq!(chat(&base_url(&upstream), &args).answer, "Hello\n");
    let request = upstream.request();
    assert_eq!(request.header("authorization"), Some("Bearer sk-1"));
    assert_eq!(request.header("x-team"), Some("blue"));
    let body: Value = serde_json::from_str(&request.body).expect("JSON");
    let expected = json!({
        "model": "gpt", "stream": true, "max_tokens": 9, "temperature": 0.5,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Say hello"},
        ],
    });
    assert_eq!(body, expected);
}

#[test]
fn the_environment_says_whom_to_ask_and_the_key_is_never_shown() {
    let upstream = Upstream::play(hello());
    let run = |args: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_tokenfall"))
            .args(args)
            .env("OPENAI_BASE_URL", base_url(&upstream))
            .env("OPENAI_API_KEY", "sk-hidden")
            .stdin(Stdio::null())
            .output();
        super::Told::from(output.expect("it runs"))
    };
    assert_eq!(run(&["chat", "--model", "m", "Hi"]).answer, "Hello\n");
    let asked = upstream.request();
    assert_eq!(asked.header("authorization"), Some("Bearer sk-hidden"));
    for args in [&["chat", "--help"][..], &["chat", "--frobnicate"]] {
        let told = run(args);
        let said = told.answer + &told.notes;
        assert!(!said.contains("sk-hidden"), "{said}");
    }
}

#[test]
fn the_first_model_that_is_listed_is_asked() {
    let models = Script::json(r#"{"object":"list","data":[{"id":"first"},{"id":"second"}]}"#);
    let upstream = Upstream::play_each(vec![models, hello()]);
    assert_eq!(chat(&base_url(&upstream), &["Hi"]).answer, "Hello\n");
    let asked = upstream.requests();
    assert!(asked[0].head.starts_with("GET /v1/models "));
    assert!(asked[1].body.contains(r#""model":"first""#));
    for (reply, why) in [
        (
            r#"{"data":[]}"#,
            "the server lists no models; --model names one",
        ),
        (r#"{"error":"no"}"#, "--model names one"),
    ] {
        let told = chat(&base_url(&Upstream::play(Script::json(reply))), &["Hi"]);
        assert_eq!(told.code, Some(1));
        assert!(told.notes.contains(why), "{}", told.notes);
    }
}

#[test]
fn what_is_piped_in_is_appended_to_the_prompt() {
    for (args, input, expected) in [
        (&["Sum", "up:"][..], "a\nb\n", "Sum up:\n\na\nb"),
        (&["-"], "a\n", "a"),
        (&[], "a\n", "a"),
        (&["Sum up:", "-"], "a\n", "Sum up:\n\na"),
        (&["Hi"], "", "Hi"),
    ] {
        let upstream = Upstream::play(hello());
        let args = [&["--model", "m"], args].concat();
        let told = chat_with(input.as_bytes(), &base_url(&upstream), &args);
        assert_eq!(told.answer, "Hello\n", "{}", told.notes);
        let body: Value = serde_json::from_str(&upstream.request().body).expect("JSON");
        assert_eq!(body["messages"][0]["content"], expected);
    }
}

#[test]
fn wrong_input_is_code_2_and_nobody_is_asked() {
    let upstream = Upstream::play(hello());
    let url = base_url(&upstream);
    for (input, args) in [
        (&b""[..], &[][..]),
        (b" \n", &["-"]),
        (b"\xff", &["Hi"]),
        (b"", &["Hi", "--max-tokens", "0"]),
        (b"", &["Hi", "--temperature", "NaN"]),
        (b"", &["Hi", "--header", "nothing"]),
        (b"", &["Hi", "--header", "a b: c"]),
        (b"", &["Hi", "--timeout", "soon"]),
        (b"", &["Hi", "--api-key", "a\nb"]),
    ] {
        let told = chat_with(input, &url, args);
        assert_eq!(told.code, Some(2), "{args:?}: {}", told.notes);
    }
    let too_much = vec![b'a'; 16 * 1024 * 1024 + 1];
    let told = chat_with(&too_much, &url, &[]);
    assert_eq!(told.code, Some(2), "{}", told.notes);
    assert!(told.notes.contains("more than 16777216 bytes"));
    assert_eq!(chat("ftp://x", &["Hi"]).code, Some(2));
    assert_eq!(upstream.counts(), (0, 0));
}

#[test]
fn reasoning_tool_calls_and_refusals_are_told_beside_the_answer() {
    let call = |call: &str| delta(&format!(r#"{{"tool_calls":[{{"index":0,{call}}}]}}"#));
    let told = shown(
        &[
            delta(r#"{"reasoning_content":"Let me"}"#),
            delta(r#"{"reasoning_content":" see."}"#),
            text("Yes."),
            call(r#""id":"c","type":"function","function":{"name":"look","arguments":""}"#),
            call(r#""function":{"arguments":"{\"at\":"}"#),
            call(r#""function":{"arguments":"1}"}"#),
            finish_of(0, "tool_calls"),
        ],
        &[],
    );
    assert_eq!((told.answer.as_str(), told.code), ("Yes.\n", Some(0)));
    assert_eq!(
        told.notes,
        "Let me see.\n\ntokenfall: tool call: look({\"at\":1})\n"
    );
    let told = shown(&[delta(r#"{"refusal":"I will not."}"#), finish()], &[]);
    assert_eq!((told.answer.as_str(), told.code), ("", Some(0)));
    assert_eq!(told.notes, "tokenfall: refused: I will not.\n");
    let told = shown(&[text("On"), finish_of(0, "length")], &[]);
    assert_eq!((told.answer.as_str(), told.code), ("On\n", Some(0)));
    assert!(told.notes.contains("cut short"), "{}", told.notes);
}

#[test]
fn stats_are_one_line_beside_the_answer() {
    let told = shown(&[text("a"), text("b"), finish(), usage()], &["--stats"]);
    assert_eq!(told.answer, "ab\n");
    let line = told
        .notes
        .strip_prefix("tokenfall: 2 tokens, the first after ");
    assert!(
        line.is_some_and(|line| line.ends_with("s\n")),
        "{}",
        told.notes
    );
    let told = shown(&[text("a"), text("b"), text("c"), finish()], &["--stats"]);
    assert!(told.notes.contains(" 3 chunks, "), "{}", told.notes);
    assert_eq!(told.notes.lines().count(), 1);
}

#[test]
fn the_mock_and_a_proxy_of_it_are_spoken_to() {
    let mock = spawn("mock.profile = 'instant'").expect("it starts");
    let direct = chat(&mock.base_url(), &["Hello!"]);
    assert_eq!(direct.code, Some(0), "{}", direct.notes);
    let upstream = mock.base_url();
    let models = format!("[[models]]\nname = '*'\nupstreams = [{{ base_url = '{upstream}' }}]");
    let proxy = spawn(&models).expect("it starts");
    assert_eq!(chat(&proxy.base_url(), &["Hello!"]).answer, direct.answer);
}
