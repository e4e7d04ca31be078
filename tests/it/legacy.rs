//! Legacy completions: the same log, pump and readers, by other names.

use std::sync::LazyLock;

use serde_json::{Value, json};
use tokenfall::testing::{TestServer, spawn};

use crate::{
    chunks::{DONE, frame},
    http::{fetch, post_to, request},
    proxy::{before, wait_until_idle},
    reply::Reply,
    upstream::Script,
};

static MOCK: LazyLock<TestServer> = LazyLock::new(|| {
    // No heartbeat, however long the tokenizer takes to load.
    let settings = "mock.profile = 'instant'\nstream.commit_after = '1m'";
    spawn(settings).expect("valid settings")
});

/// The id that upstreams give, in [`crate::chunks`] and here.
const ID: &str = crate::chunks::ID;
const PROMPT: &str = r#"{"model":"m","prompt":"Once upon"}"#;
const STREAM: &str = r#"{"model":"m","stream":true,"prompt":"Once upon"}"#;

fn post(body: &str) -> Vec<u8> {
    post_to("/v1/completions", body, &[])
}

fn ask(members: &str) -> Reply {
    let body = format!(r#"{{"model":"m",{members}}}"#);
    let reply = fetch(MOCK.address(), &post(&body));
    assert_eq!(reply.head.status, 200, "{}", reply.text());
    reply
}

/// The same request streamed, with usage, and not.
fn both(members: &str) -> (Vec<Value>, Value) {
    let streaming = r#""stream":true,"stream_options":{"include_usage":true},"#;
    let chunks = ask(&format!("{streaming}{members}")).chunks();
    (chunks, ask(members).json())
}

/// Text and finish reason of a choice, of a stream or of a whole completion.
fn choice(chunks: &[Value], index: usize) -> (String, Option<String>) {
    let choices = chunks.iter().flat_map(|chunk| {
        let choices = chunk["choices"].as_array().expect("choices");
        choices.iter().filter(|choice| choice["index"] == index)
    });
    let (mut text, mut finish) = (String::new(), None);
    for choice in choices {
        assert_eq!(finish, None, "after its finish, choice {index} goes on");
        text.push_str(choice["text"].as_str().expect("a text"));
        finish = choice["finish_reason"].as_str().map(str::to_owned);
    }
    (text, finish)
}

#[test]
fn a_completion_has_the_members_of_openai() {
    let mut whole = ask(r#""prompt":"Once upon","seed":1"#).json();
    let usage = whole["usage"].as_object_mut().expect("a usage");
    usage.retain(|name, _| !name.ends_with("_details"));
    let id = whole["id"].as_str().expect("an id").to_owned();
    assert!(id.starts_with("cmpl-") && id.len() == 37, "{id}");
    let text = whole["choices"][0]["text"].clone();
    let expected = json!({
        "id": id, "object": "text_completion", "created": 1_700_000_000, "model": "m",
        "choices": [{"text": text, "index": 0, "logprobs": null, "finish_reason": "length"}],
        "system_fingerprint": "fp_tokenfall",
        "usage": {"prompt_tokens": 2, "completion_tokens": 16, "total_tokens": 18},
    });
    assert_eq!(whole, expected);
}

#[test]
fn a_stream_has_the_bytes_of_openai() {
    let reply = ask(r#""stream":true,"prompt":"a","seed":1,"max_tokens":1"#);
    let id = reply.head.header("x-completion-id").expect("an id");
    let event = |choice: &str| {
        frame(&format!(
            r#"{{"id":"{id}","object":"text_completion","created":1700000000,"model":"m","choices":[{choice}],"system_fingerprint":"fp_tokenfall"}}"#
        ))
    };
    let text = event(r#"{"text":"You","index":0,"logprobs":null,"finish_reason":null}"#);
    let finish = event(r#"{"text":"","index":0,"logprobs":null,"finish_reason":"length"}"#);
    assert_eq!(reply.text(), text + &finish + DONE);
}

#[test]
fn the_streamed_text_is_the_whole_text_for_every_prompt_and_choice() {
    for (members, choices) in [
        (r#""prompt":"a""#, 1),
        (r#""prompt":["a","b"],"n":3,"max_tokens":40"#, 6),
        (r#""prompt":[24912,2375],"echo":true"#, 1),
        (r#""prompt":[[24912],[2375]],"n":2,"echo":true"#, 4),
        (r#""prompt":null"#, 1),
    ] {
        let (chunks, whole) = both(members);
        assert_eq!(whole["choices"].as_array().map(Vec::len), Some(choices));
        for index in 0..choices {
            let streamed = choice(&chunks, index);
            assert!(!streamed.0.is_empty() && streamed.1.is_some(), "{members}");
            assert_eq!(streamed, choice(std::slice::from_ref(&whole), index));
        }
        let (last, others) = chunks.split_last().expect("chunks");
        assert_eq!(
            (&last["choices"], &last["usage"]),
            (&json!([]), &whole["usage"])
        );
        assert!(others.iter().all(|chunk| chunk["usage"] == Value::Null));
    }
}

#[test]
fn a_prompt_is_continued_alike_alone_and_among_others() {
    let text = |members: &str, index: usize| {
        choice(
            &[ask(&format!(r#"{members},"max_tokens":100"#)).json()],
            index,
        )
    };
    let alone = text(r#""prompt":"b","seed":3"#, 0);
    assert_eq!(text(r#""prompt":["a","b"],"seed":3"#, 1), alone);
    assert_ne!(text(r#""prompt":["a","b"],"seed":3"#, 0), alone);
    assert_ne!(text(r#""prompt":"b","seed":3,"suffix":"end""#, 0), alone);
    assert_ne!(text(r#""prompt":"b","seed":3,"n":2"#, 1), alone);
}

#[test]
fn an_echo_begins_with_the_prompt_and_is_not_counted() {
    let prompt = |prompt: &str| format!(r#""prompt":{prompt},"echo":true,"max_tokens":0"#);
    for (given, text) in [
        (r#""hello world""#, "hello world"),
        ("[24912,2375]", "hello world"),
    ] {
        let whole = ask(&prompt(given)).json();
        let length = Some("length".to_owned());
        assert_eq!(
            choice(std::slice::from_ref(&whole), 0),
            (text.to_owned(), length)
        );
        let count = |name: &str| whole["usage"][name].as_u64();
        assert_eq!(
            (count("prompt_tokens"), count("total_tokens")),
            (Some(2), Some(2))
        );
    }
}

#[test]
fn an_answer_ends_at_its_limit_or_before_a_stop_text() {
    let (free, _) = choice(
        &[ask(r#""prompt":"a","seed":2,"max_tokens":100"#).json()],
        0,
    );
    let word = free.split(' ').nth(4).expect("a word");
    let stopped = ask(&format!(
        r#""prompt":"a","seed":2,"max_tokens":100,"stop":"{word}""#
    ))
    .json();
    let expected = (
        free[..free.find(word).expect("the word")].to_owned(),
        Some("stop".to_owned()),
    );
    assert_eq!(choice(&[stopped], 0), expected);
    assert_eq!(
        ask(r#""prompt":"a""#).json()["usage"]["completion_tokens"],
        16
    );
    assert_eq!(
        ask(r#""prompt":"a","max_tokens":3"#).json()["usage"]["completion_tokens"],
        3
    );
}

#[test]
fn what_the_official_sdks_send_is_tolerated() {
    let members = r#""prompt":"This is a test.","best_of":0,"echo":true,"frequency_penalty":-2,"logit_bias":{"foo":0},"logprobs":0,"max_tokens":16,"n":1,"presence_penalty":-2,"seed":0,"stop":"\n","stream_options":{"include_obfuscation":true,"include_usage":true},"suffix":"test.","temperature":1,"top_p":1,"user":"user-1234""#;
    let whole = ask(members).json();
    assert!(
        whole["choices"][0]["text"]
            .as_str()
            .is_some_and(|text| text.starts_with("This is a test."))
    );
}

#[test]
fn a_stream_is_followed_described_and_cancelled_like_any_other() {
    let reply = ask(r#""prompt":"a","stream":true"#);
    let id = reply
        .head
        .header("x-completion-id")
        .expect("an id")
        .to_owned();
    let path = format!("/v1/chat/completions/{id}");
    let get = |path: &str| fetch(MOCK.address(), &request("GET", path, &[]));
    let events: Vec<_> = reply.text().split_inclusive("\n\n").collect();
    for read in [0, 1, 5, events.len()] {
        let rest = get(&format!("{path}?stream=true&starting_after={read}"));
        let expected = events[read..].concat();
        let expected = if expected.is_empty() {
            DONE.to_owned()
        } else {
            expected
        };
        assert_eq!(rest.text(), expected);
    }
    let view = get(&path).json();
    assert_eq!(
        (&view["object"], &view["status"]),
        (&json!("text_completion"), &json!("completed"))
    );
    assert_eq!(choice(&[view], 0), choice(&reply.chunks(), 0));
    let cancel = request("POST", &format!("{path}/cancel"), &[]);
    assert_eq!(fetch(MOCK.address(), &cancel).json()["status"], "completed");
}

#[test]
fn an_idempotency_key_counts_on_its_own_path() {
    let ask = |path: &str, body: &str| {
        let headers = [("idempotency-key", "legacy")];
        let reply = fetch(MOCK.address(), &post_to(path, body, &headers));
        assert_eq!(reply.head.status, 200, "{}", reply.text());
        reply.json()["id"].clone()
    };
    let chat = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#;
    let first = ask("/v1/completions", PROMPT);
    assert_eq!(ask("/v1/completions", PROMPT), first);
    assert_ne!(ask("/v1/chat/completions", chat), first);
}

#[test]
fn faults_are_those_of_chats() {
    let with = |fault: &str| {
        let headers = [("x-mock-fault", fault)];
        fetch(
            MOCK.address(),
            &post_to("/v1/completions", STREAM, &headers),
        )
    };
    assert_eq!(with("status=429").head.status, 429);
    let failed = with("error@event=2");
    let events: Vec<_> = failed.text().split_terminator("\n\n").collect();
    assert!(events[0].contains("\"text_completion\"") && events[1].contains("\"error\""));
}

#[test]
fn background_is_answered_at_once() {
    let body = r#"{"model":"m","prompt":"a","background":true}"#;
    let reply = fetch(MOCK.address(), &post(body));
    assert_eq!(reply.head.status, 202);
    let url = reply.json()["stream_url"]
        .as_str()
        .expect("a URL")
        .to_owned();
    let path = url
        .strip_prefix("http://localhost")
        .expect("of the Host header");
    let stream = fetch(MOCK.address(), &request("GET", path, &[]));
    assert!(stream.text().contains("\"text_completion\"") && stream.text().ends_with("[DONE]\n\n"));
}

#[test]
fn bad_input_is_refused_with_its_reason() {
    for (body, param, says) in [
        (r#"{"prompt":"a"}"#, "model", "missing, but required"),
        (
            r#"{"model":"m","prompt":{}}"#,
            "prompt",
            "a string, an array of strings",
        ),
        (r#"{"model":"m","prompt":["a",1]}"#, "prompt", "mixture"),
        (r#"{"model":"m","prompt":"a","n":0}"#, "n", "from 1 to 128"),
        (
            r#"{"model":"m","prompt":["a","b"],"n":100}"#,
            "n",
            "at most 128 choices",
        ),
        (
            r#"{"model":"m","prompt":"a","max_tokens":-1}"#,
            "max_tokens",
            "at least 0",
        ),
    ] {
        let reply = fetch(MOCK.address(), &post(body));
        let error = reply.assert_refused(400, Value::Null);
        assert_eq!(error["param"], param, "{error}");
        assert!(
            error["message"].as_str().is_some_and(|m| m.contains(says)),
            "{error}"
        );
    }
}

fn event(members: &str) -> String {
    format!(
        r#"{{"id":"{ID}","object":"text_completion","created":7,"model":"m",{members},"vendor":1.50}}"#
    )
}

fn text(text: &str, finish: &str) -> String {
    event(&format!(
        r#""choices":[{{"index":0,"text":"{text}","finish_reason":{finish}}}]"#
    ))
}

#[test]
fn a_proxied_stream_is_the_upstreams_but_for_its_id() {
    let chunks = [text("a", "null"), text("b", "\"stop\"")];
    let script = chunks
        .iter()
        .fold(Script::stream(), |script, chunk| script.event(chunk));
    let usage = event(r#""choices":[],"usage":{"prompt_tokens":1}"#);
    let proxy = before(script.event(&usage).done())
        .upstream("model", "'real'")
        .start();
    let reply = fetch(proxy.address(), &post(STREAM));
    assert_eq!(
        reply.text(),
        reply.head.with_our_id(&chunks.map(|c| frame(&c)).concat()) + DONE
    );
    assert!(
        reply
            .head
            .header("x-completion-id")
            .is_some_and(|id| id.starts_with("cmpl-"))
    );
    let request = proxy.upstream.request();
    assert_eq!(
        request.head.lines().next(),
        Some("POST /v1/completions HTTP/1.1")
    );
    let expected = r#"{"model":"real","stream":true,"prompt":"Once upon","stream_options":{"include_usage":true}}"#;
    assert_eq!(request.body, expected);
}

#[test]
fn a_proxied_whole_is_the_upstreams_but_for_its_id() {
    let whole = text("a", "\"stop\"");
    let proxy = before(Script::json(&whole)).start();
    let reply = fetch(proxy.address(), &post(PROMPT));
    assert_eq!(reply.text(), reply.head.with_our_id(&whole));
    assert_eq!(proxy.upstream.request().body, PROMPT);
}

#[test]
fn every_way_a_proxied_stream_can_break_is_told() {
    let begun = || Script::stream().event(&text("a", "null"));
    for (script, code) in [
        (begun().end(), "upstream_truncated"),
        (begun().done(), "upstream_truncated"),
        (begun().reset(), "upstream_truncated"),
        (begun().event("nonsense").linger(), "upstream_malformed"),
    ] {
        let proxy = before(script).start();
        let reply = fetch(proxy.address(), &post(STREAM));
        reply.assert_breaks_off(&frame(&text("a", "null")), code);
        wait_until_idle(&proxy.server);
    }
}
