//! The ways to end.

use serde_json::{Value, json};

use super::{Records, metrics::scrape};
use crate::{
    chunks::{STREAM, WHOLE, completion, finish, role, stream_with, text, usage},
    gate::wait_until,
    http::{Connection, fetch, request},
    proxy::{Proxy, Settings, before, wait_until_idle},
    upstream::Script,
};

/// "user" is one token, "Hi" another; six are around them.
const PROMPT: u64 = 8;

/// A server whose records are kept, and its only upstream.
struct Case {
    proxy: Proxy,
    records: Records,
}

/// What is expected of a record.
struct Expected {
    end: &'static str,
    source: &'static str,
    tokens: Option<(u64, u64)>,
    status: &'static str,
}

impl Case {
    fn of(script: Script, more: impl FnOnce(Settings) -> Settings) -> Self {
        let records = Records::new();
        let settings = before(script).set("usage.sink", &records.setting());
        let proxy = more(settings).start();
        Self { proxy, records }
    }

    /// A client that has read the first token, and the completion's id.
    fn reader(&self, body: &str) -> (Connection, String) {
        let mut client = self.proxy.open(body);
        let id = client.head().header("x-completion-id").map(str::to_owned);
        client.chunks_until("world");
        (client, id.expect("an id"))
    }

    fn view(&self, id: &str) -> Value {
        let path = format!("/v1/chat/completions/{id}");
        fetch(self.proxy.address(), &request("GET", &path, &[])).json()
    }

    /// The metrics say the same, and that nothing is under way any more.
    #[track_caller]
    fn assert_counted(&self, expected: &Expected) {
        let text = scrape(self.proxy.address());
        let (prompt, answer) = expected.tokens.unwrap_or_default();
        let (end, source) = (expected.end, expected.source);
        for line in [
            format!("tokenfall_completions_total{{model=\"*\",end=\"{end}\"}} 1"),
            tokens_line("prompt", source, prompt),
            tokens_line("completion", source, answer),
            "tokenfall_streams_open{state=\"waiting\"} 0".to_owned(),
            "tokenfall_streams_open{state=\"streaming\"} 0".to_owned(),
        ] {
            assert!(text.lines().any(|known| known == line), "{line} in {text}");
        }
    }

    /// The only record there is, which is as expected, as is the completion afterwards.
    #[track_caller]
    fn assert(self, name: &str, expected: &Expected) -> Value {
        wait_until_idle(&self.proxy.server);
        let record = self.records.wait_for(1)[0].clone();
        let id = record["id"].as_str().expect("an id");
        let view = self.view(id);
        let (prompt, answer) = expected.tokens.unzip();
        assert_eq!(record["end"], expected.end, "{name}: {record}");
        assert_eq!(record["usage_source"], expected.source, "{name}: {record}");
        assert_eq!(record["prompt_tokens"], json!(prompt), "{name}: {record}");
        assert_eq!(
            record["completion_tokens"],
            json!(answer),
            "{name}: {record}"
        );
        assert_eq!(record["model"], "m", "{name}");
        assert_eq!(record["key"], Value::Null, "{name}");
        let upstream = self.proxy.upstream.address.to_string();
        let label = record["upstream"].as_str().expect("a label");
        assert!(label.contains(&upstream), "{name}: {label}");
        let (started, ended) = (record["started_ms"].as_u64(), record["ended_ms"].as_u64());
        assert!(
            started <= ended && started > Some(1_700_000_000_000),
            "{name}: {record}"
        );
        assert_eq!(view["status"], expected.status, "{name}: {view}");
        assert_eq!(view["usage_source"], expected.source, "{name}: {view}");
        if expected.tokens.is_some() {
            assert_eq!(
                view["usage"]["prompt_tokens"],
                json!(prompt),
                "{name}: {view}"
            );
            assert_eq!(view["usage"]["completion_tokens"], json!(answer), "{name}");
        }
        self.assert_counted(expected);
        let Self { proxy, records } = self;
        proxy.server.stop();
        assert_eq!(records.text().lines().count(), 1, "{name}: once");
        assert!(!records.text().contains("world"), "{name}: {record}");
        record
    }
}

fn tokens_line(kind: &str, source: &str, count: u64) -> String {
    format!("tokenfall_tokens_total{{model=\"*\",kind=\"{kind}\",source=\"{source}\"}} {count}")
}

fn begun() -> Script {
    let script = Script::stream().event(&role());
    script.event(&text("hel")).event(&text("lo world"))
}

fn plain(settings: Settings) -> Settings {
    settings
}

fn ended(end: &'static str, status: &'static str, answer: u64) -> Expected {
    Expected {
        end,
        status,
        source: "estimated",
        tokens: Some((PROMPT, answer)),
    }
}

fn reported() -> Expected {
    Expected {
        source: "reported",
        tokens: Some((3, 2)),
        ..ended("completed", "completed", 0)
    }
}

#[test]
fn a_stream_with_usage_has_what_was_reported() {
    let case = Case::of(begun().event(&finish()).event(&usage()).done(), plain);
    case.proxy.ask(STREAM);
    let record = case.assert("reported", &reported());
    assert_eq!(record["attempts"], 1);
    assert!(record["first_token_ms"].as_u64() >= record["started_ms"].as_u64());
}

#[test]
fn a_stream_without_usage_is_counted() {
    let case = Case::of(begun().event(&finish()).done(), plain);
    case.proxy.ask(STREAM);
    case.assert("counted", &ended("completed", "completed", 2));
}

#[test]
fn one_that_is_kept_is_counted_before() {
    let case = Case::of(begun().event(&finish()).done(), |settings| {
        // The tokenizer takes its time to be loaded.
        settings.set("stream.commit_after", "'1m'")
    });
    // The first one loads it.
    case.proxy.ask(STREAM);
    case.records.wait_for(1);
    let reply = case.proxy.ask(&stream_with("\"store\":true"));
    let id = reply.head.header("x-completion-id").expect("an id");
    let view = case.view(id);
    assert_eq!(view["usage_source"], "estimated", "{view}");
    assert_eq!(view["usage"]["completion_tokens"], 2, "{view}");
}

#[test]
fn one_that_is_cancelled_is_counted() {
    let case = Case::of(begun().linger(), plain);
    let (client, id) = case.reader(STREAM);
    let path = format!("/v1/chat/completions/{id}/cancel");
    let cancel = request("POST", &path, &[("content-length", "0")]);
    assert_eq!(fetch(case.proxy.address(), &cancel).head.status, 200);
    drop(client);
    case.assert("cancelled", &ended("cancelled", "cancelled", 2));
}

#[test]
fn one_whose_client_leaves_is_counted() {
    let case = Case::of(begun().linger(), |settings| {
        settings.set("stream.on_disconnect", "'cancel'")
    });
    let (client, _) = case.reader(STREAM);
    drop(client);
    case.assert("left", &ended("cancelled", "cancelled", 2));
}

#[test]
fn leaving_before_the_first_token_has_used_the_prompt() {
    let case = Case::of(Script::stream().linger(), |settings| {
        settings.set("stream.on_disconnect", "'cancel'")
    });
    let client = case.proxy.open(STREAM);
    case.proxy.upstream.request();
    drop(client);
    let record = case.assert("left early", &ended("cancelled", "cancelled", 0));
    assert_eq!(record["first_token_ms"], Value::Null);
}

#[test]
fn one_that_is_cut_is_counted() {
    let case = Case::of(begun().reset(), plain);
    case.proxy.ask(STREAM);
    case.assert("cut", &ended("upstream_truncated", "failed", 2));
}

#[test]
fn one_whose_time_runs_out_is_counted() {
    let case = Case::of(begun().linger(), |settings| settings.clock("total", "1s"));
    case.proxy.ask(STREAM);
    case.assert("late", &ended("upstream_timeout", "failed", 2));
}

#[test]
fn one_that_is_refused_has_used_nothing() {
    let case = Case::of(Script::reply("429 Too Many", &[], "{}"), plain);
    assert_eq!(case.proxy.ask(STREAM).head.status, 429);
    let nothing = Expected {
        source: "none",
        tokens: None,
        ..ended("upstream_error", "failed", 0)
    };
    case.assert("refused", &nothing);
}

#[test]
fn a_whole_reply_has_what_was_reported_or_is_counted() {
    let case = Case::of(Script::json(&completion()), plain);
    case.proxy.ask(WHOLE);
    case.assert("whole", &reported());
    let usage = r#","usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}"#;
    let without = completion()
        .replace(usage, "")
        .replace("Hello", "hello world");
    let case = Case::of(Script::json(&without), plain);
    let reply = case.proxy.ask(WHOLE);
    assert_eq!(
        reply.json().get("usage"),
        None,
        "the client gets what was sent"
    );
    case.assert("whole, counted", &ended("completed", "completed", 2));
}

#[test]
fn what_a_stop_ends_is_counted_and_written() {
    let Case { mut proxy, records } = Case::of(begun().linger(), |settings| {
        settings.set("server.drain", "'10ms'")
    });
    let mut client = proxy.open(STREAM);
    let head = client.head();
    let first = client.chunks_until("world");
    proxy.server.begin_stop();
    let reply = client.rest(head, first);
    assert!(reply.text().contains("shutting_down"), "{}", reply.text());
    proxy.server.stop();
    let written = records.wait_for(1);
    assert_eq!(written.len(), 1, "once");
    assert_eq!(written[0]["end"], "shutting_down");
    // The tokenizer may be too slow for a stop; that it was not counted is told then.
    let source = &written[0]["usage_source"];
    assert!(source == "estimated" || source == "none", "{source}");
}

#[test]
fn without_estimates_nothing_is_counted() {
    let case = Case::of(begun().reset(), |settings| {
        settings.set("usage.estimate", "false")
    });
    case.proxy.ask(STREAM);
    let unknown = Expected {
        source: "none",
        tokens: None,
        ..ended("upstream_truncated", "failed", 0)
    };
    case.assert("not counted", &unknown);
}

#[test]
fn the_end_does_not_wait_for_the_count() {
    // Enough to be counted for a while, in a build for tests.
    let long = "hello world, ".repeat(20_000);
    let case = Case::of(
        Script::stream().event(&text(&long)).event(&finish()).done(),
        plain,
    );
    let mut client = case.proxy.open(STREAM);
    client.head();
    client.chunks_until("[DONE]");
    assert_eq!(
        case.records.text(),
        "",
        "the count has not ended, but the stream has"
    );
    wait_until("the record", || !case.records.text().is_empty());
}
