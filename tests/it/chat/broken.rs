//! Answers that break: those that can be had again are, of the others it is said what is missing.

use tokenfall::testing::spawn;

use super::{Told, chat};
use crate::{
    chunks::{finish, frame, role, text},
    upstream::{Script, Upstream},
};

const QUESTION: &str = "Tell me something longer, please.";

/// The head of a stream that can be resumed.
fn named() -> Script {
    Script::silent().send(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-completion-id: chatcmpl-1\r\n\
         transfer-encoding: chunked\r\n\r\n",
    )
}

/// An event of this id.
fn event(id: &str, json: &str) -> String {
    format!("id: {id}\n{}", frame(json))
}

fn ask(upstream: &Upstream) -> Told {
    let url = format!("http://{}/v1", upstream.address);
    // Far more than a server here takes; one test waits for it.
    chat(&url, &["--model", "m", "Hi", "--timeout", "3s"])
}

fn ask_each(scripts: Vec<Script>) -> (Told, Upstream) {
    let upstream = Upstream::play_each(scripts);
    (ask(&upstream), upstream)
}

#[test]
fn whatever_breaks_a_connection_the_answer_is_whole() {
    let server = spawn("mock.profile = 'instant'").expect("it starts");
    let url = server.base_url();
    let whole = chat(&url, &[QUESTION]);
    assert_eq!((whole.code, whole.notes.as_str()), (Some(0), ""));
    for fault in [
        "cut@event=1",
        "cut@event=5",
        "cut@byte=777",
        "reset@event=4",
        "truncated@event=3",
        "malformed@event=6",
        "duplicate@event=4",
        "reorder@event=4",
        "drip@event=4",
        "done_twice",
        "no_done",
    ] {
        let header = format!("x-mock-fault: {fault}");
        let told = chat(&url, &[QUESTION, "--header", &header]);
        assert_eq!(told.answer, whole.answer, "{fault}: {}", told.notes);
        assert_eq!(told.code, Some(0), "{fault}: {}", told.notes);
        let is_cut = fault.starts_with("cut") || fault.starts_with("reset");
        assert!(!is_cut || told.notes.contains("resumed"), "{}", told.notes);
    }
}

#[test]
fn it_comes_back_with_the_last_id_and_passes_over_what_it_has() {
    let (told, upstream) = ask_each(vec![
        named()
            .chunk(event("1-1", &role()))
            .chunk(event("1-2", &text("a")))
            .reset(),
        Script::reply("503 Service Unavailable", &[], "draining"),
        named()
            .chunk(event("1-2", &text("a")))
            .chunk("id: 1-3\ndata: {\"choi"),
        named()
            .chunk(event("1-3", &text("b")))
            .chunk(event("2-4", &finish()))
            .done(),
    ]);
    assert_eq!(told.answer, "ab\n", "{}", told.notes);
    assert_eq!(told.code, Some(0));
    assert!(told.notes.contains("503: draining; asking for the rest"));
    let asked = upstream.requests();
    let follow = "GET /v1/chat/completions/chatcmpl-1/stream ";
    assert!(
        asked[1..]
            .iter()
            .all(|asked| asked.head.starts_with(follow))
    );
    let cursors: Vec<_> = asked
        .iter()
        .map(|asked| asked.header("last-event-id"))
        .collect();
    assert_eq!(cursors, [None, Some("1-2"), Some("1-2"), Some("1-2")]);
}

#[test]
fn a_server_that_cannot_resume_is_not_asked_again() {
    let begun = || Script::stream().event(&text("a"));
    for (script, why) in [
        (begun().reset(), "the connection broke: "),
        (begun(), "the connection broke: "),
        (
            begun().end(),
            "the connection ended before the answer did; ",
        ),
        (begun().event("{"), "an event is not the JSON of a chunk: "),
        (begun().linger(), "nothing came for 3s; "),
        // It names the answer, but not its events.
        (named().event(&text("a")).reset(), "the connection broke: "),
    ] {
        let (told, upstream) = ask_each(vec![script]);
        assert_eq!((told.answer.as_str(), told.code), ("a\n", Some(1)), "{why}");
        let is_said = told.notes.starts_with(&format!("tokenfall: {why}"));
        assert!(is_said, "{}", told.notes);
        let end = "this server cannot resume, so the rest of the answer is lost\n";
        assert!(told.notes.ends_with(end), "{}", told.notes);
        assert_eq!(upstream.requests().len(), 1);
    }
}

#[test]
fn a_server_that_has_not_the_rest_any_more_is_believed() {
    let gone = r#"{"error":{"message":"It is no longer kept.","type":"invalid_request_error","param":null,"code":"stream_expired"}}"#;
    let (told, upstream) = ask_each(vec![
        named().chunk(event("1-1", &text("a"))).reset(),
        Script::reply("410 Gone", &[], gone),
    ]);
    assert_eq!((told.answer.as_str(), told.code), ("a\n", Some(1)));
    let why =
        "the rest of the answer could not be had: 410: It is no longer kept. (stream_expired)\n";
    assert!(told.notes.ends_with(why), "{}", told.notes);
    assert_eq!(upstream.requests().len(), 2);
}

#[test]
fn an_error_event_and_an_end_without_a_reason_are_failures() {
    let error = r#"{"error":{"message":"out of memory","type":"server_error","param":null,"code":"upstream_error"}}"#;
    for (script, why) in [
        (
            Script::stream().event(&text("a")).event(error).done(),
            "the answer ended with an error: out of memory (upstream_error)",
        ),
        (
            Script::stream().event(&text("a")).done(),
            "the answer ended without a finish reason",
        ),
    ] {
        let (told, _) = ask_each(vec![script]);
        assert_eq!((told.answer.as_str(), told.code), ("a\n", Some(1)));
        assert_eq!(told.notes, format!("tokenfall: {why}\n"));
    }
}

#[test]
fn an_answer_that_has_finished_is_whole_whatever_follows() {
    let finished = || Script::stream().event(&text("a")).event(&finish());
    for script in [finished().end(), finished().reset(), finished().linger()] {
        let (told, _) = ask_each(vec![script]);
        assert_eq!((told.answer.as_str(), told.code), ("a\n", Some(0)));
        assert_eq!(told.notes, "");
    }
}

#[test]
fn a_refusal_by_the_server_is_told_with_its_words() {
    let body = r#"{"error":{"message":"Slow down.","type":"t","param":null,"code":null}}"#;
    let html = [("content-type", "text/html")];
    for (script, why) in [
        (
            Script::reply("429 Too Many Requests", &[], body),
            "429: Slow down.",
        ),
        (
            Script::reply("502 Bad Gateway", &html, ""),
            "502: Bad Gateway",
        ),
        (
            Script::reply("500 Oh", &html, "<h1>No</h1>"),
            "500: <h1>No</h1>",
        ),
        (
            Script::reply("200 OK", &html, "<h1>Hi</h1>"),
            "the server answered with text/html, not with a stream of events",
        ),
    ] {
        let (told, _) = ask_each(vec![script]);
        assert_eq!((told.answer.as_str(), told.code), ("", Some(1)));
        assert_eq!(told.notes, format!("tokenfall: {why}\n"));
    }
    let told = chat("http://127.0.0.1:1/v1", &["--model", "m", "Hi"]);
    assert_eq!(told.code, Some(1));
    let why = "tokenfall: no connection to http://127.0.0.1:1: Connection refused";
    assert!(told.notes.starts_with(why), "{}", told.notes);
}
