//! The built-in model: the same question has the same answer, streamed or not.

use std::sync::LazyLock;

use serde_json::Value;
use tokenfall::testing::{TestServer, spawn};

use crate::{
    chunks::DONE,
    http::{fetch, post},
    reply::Reply,
};

static MOCK: LazyLock<TestServer> = LazyLock::new(|| instant(""));

fn instant(more: &str) -> TestServer {
    // No heartbeat, however long the tokenizer takes to load.
    let settings = "mock.profile = 'instant'\nstream.commit_after = '1m'\n";
    spawn(&(settings.to_owned() + more)).expect("valid settings")
}

/// A request for a long answer, with these members in front.
fn request(members: &str) -> String {
    let question = r#"[{"role":"system","content":"Be kind."},{"role":"user","content":"Où est la gare? 🌊","name":"ann"}]"#;
    format!(r#"{{{members}"model":"any-model","messages":{question}}}"#)
}

fn ask(server: &TestServer, members: &str) -> Reply {
    let reply = fetch(server.address(), &post(request(members), &[]));
    assert_eq!(reply.head.status, 200, "{}", reply.text());
    reply
}

/// The same request streamed, with usage, and not.
fn both(members: &str) -> (Vec<Value>, Value) {
    let streaming = r#""stream":true,"stream_options":{"include_usage":true},"#;
    let streamed = ask(&MOCK, &format!("{streaming}{members}")).chunks();
    (streamed, ask(&MOCK, members).json())
}

/// The text of a choice, all its deltas together.
fn streamed_text(chunks: &[Value], index: usize) -> String {
    let choices = chunks.iter().filter_map(|chunk| chunk["choices"].get(0));
    let of_index = choices.filter(|choice| choice["index"] == index);
    of_index
        .filter_map(|choice| choice["delta"]["content"].as_str())
        .collect()
}

fn finish_reasons(chunks: &[Value]) -> Vec<(u64, &str)> {
    let choices = chunks.iter().filter_map(|chunk| chunk["choices"].get(0));
    choices
        .filter_map(|choice| {
            let reason = choice["finish_reason"].as_str()?;
            Some((choice["index"].as_u64()?, reason))
        })
        .collect()
}

fn whole_text(whole: &Value, index: usize) -> &str {
    let content = whole["choices"][index]["message"]["content"].as_str();
    content.expect("a text")
}

#[test]
fn a_seed_makes_the_same_bytes_on_every_server_and_every_time() {
    let servers = [instant(""), instant("")];
    for members in [r#""stream":true,"seed":7,"n":2,"#, r#""seed":7,"n":2,"#] {
        let first = ask(&servers[0], members);
        assert!(first.text().contains(r#""created":1700000000,"#));
        for server in [&servers[0], &servers[1]] {
            assert_eq!(ask(server, members).text(), first.text());
        }
    }
}

#[test]
fn deterministic_makes_the_same_bytes_without_a_seed() {
    let settings = "mock.deterministic = true";
    let servers = [instant(settings), instant(settings)];
    let [one, two] = servers.map(|server| ask(&server, r#""stream":true,"#));
    assert_eq!(one.text(), two.text());
}

#[test]
fn other_seeds_and_other_questions_have_other_answers() {
    let of = |members: &str| whole_text(&ask(&MOCK, members).json(), 0).to_owned();
    let answers = [of(r#""seed":1,"#), of(r#""seed":2,"#), of(r#""seed":3,"#)];
    assert_ne!(answers[0], answers[1]);
    assert_ne!(answers[1], answers[2]);
    let other = request(r#""seed":1,"#).replace("gare", "plage");
    let reply = fetch(MOCK.address(), &post(other, &[]));
    assert_ne!(whole_text(&reply.json(), 0), answers[0]);
}

#[test]
fn without_a_seed_every_completion_has_an_id_of_its_own() {
    let ids = [(); 3].map(|()| ask(&MOCK, "").json()["id"].clone());
    assert_ne!(ids[0], ids[1]);
    assert_ne!(ids[1], ids[2]);
    let created = ask(&MOCK, "").json()["created"].as_u64();
    assert_ne!(created, Some(1_700_000_000));
}

#[test]
fn the_streamed_text_is_the_whole_text() {
    for members in ["", r#""seed":5,"#, r#""n":3,"#, r#""max_tokens":9,"n":2,"#] {
        let (chunks, whole) = both(members);
        let choices = whole["choices"].as_array().expect("choices").len();
        for index in 0..choices {
            let text = streamed_text(&chunks, index);
            assert!(!text.is_empty());
            assert_eq!(text, whole_text(&whole, index));
        }
    }
}

#[test]
fn usage_is_the_same_streamed_and_whole() {
    for members in [
        "",
        r#""n":3,"#,
        r#""max_tokens":9,"n":2,"#,
        r#""max_tokens":0,"#,
    ] {
        let (chunks, whole) = both(members);
        let (last, others) = chunks.split_last().expect("chunks");
        assert_eq!(last["choices"], Value::Array(Vec::new()));
        assert_eq!(last["usage"], whole["usage"]);
        assert!(others.iter().all(|c| c.get("usage") == Some(&Value::Null)));
        let count = |name: &str| whole["usage"][name].as_u64().expect("a count");
        let parts = count("prompt_tokens") + count("completion_tokens");
        assert_eq!(parts, count("total_tokens"));
    }
}

#[test]
fn usage_is_not_shown_unless_it_was_asked_for() {
    let reply = ask(&MOCK, r#""stream":true,"#);
    assert!(!reply.text().contains("usage"), "{}", reply.text());
}

#[test]
fn every_choice_begins_with_its_role_and_ends_with_its_finish() {
    let (chunks, _) = both(r#""n":3,"#);
    let first = serde_json::json!({"role": "assistant", "content": "", "refusal": null});
    for (index, chunk) in chunks[..3].iter().enumerate() {
        assert_eq!(chunk["choices"][0]["index"], index);
        assert_eq!(chunk["choices"][0]["delta"], first);
    }
    let others = &chunks[3..];
    assert!(
        others
            .iter()
            .all(|c| c["choices"][0]["delta"].get("role").is_none())
    );
    assert_eq!(
        finish_reasons(&chunks),
        [(0, "stop"), (1, "stop"), (2, "stop")]
    );
    assert_ne!(streamed_text(&chunks, 0), streamed_text(&chunks, 1));
}

#[test]
fn max_tokens_ends_every_choice_with_length() {
    for name in ["max_tokens", "max_completion_tokens"] {
        let (chunks, whole) = both(&format!(r#""{name}":9,"n":2,"#));
        assert_eq!(finish_reasons(&chunks), [(0, "length"), (1, "length")]);
        assert_eq!(whole["usage"]["completion_tokens"], 18);
        assert_eq!(whole["choices"][1]["finish_reason"], "length");
    }
}

#[test]
fn no_tokens_at_all_is_an_empty_answer() {
    let (chunks, whole) = both(r#""max_tokens":0,"#);
    assert_eq!(streamed_text(&chunks, 0), "");
    assert_eq!(finish_reasons(&chunks), [(0, "length")]);
    assert_eq!(whole["usage"]["completion_tokens"], 0);
}

#[test]
fn an_answer_ends_before_a_stop_text() {
    let (_, free) = both(r#""seed":5,"#);
    let free = whole_text(&free, 0);
    let words: Vec<_> = free.split(' ').collect();
    let stop = words[words.len() - 2];
    let stops = [format!("\"{stop}\""), format!("[\"\u{2603}\",\"{stop}\"]")];
    for stop_json in stops {
        let (chunks, whole) = both(&format!(r#""seed":5,"stop":{stop_json},"#));
        let expected = &free[..free.find(stop).expect("the word")];
        assert_eq!(whole_text(&whole, 0), expected);
        assert_eq!(streamed_text(&chunks, 0), expected);
        assert_eq!(finish_reasons(&chunks), [(0, "stop")]);
    }
}

#[test]
fn chunks_have_the_members_of_openai_in_their_order() {
    let reply = ask(&MOCK, r#""stream":true,"seed":1,"max_tokens":1,"#);
    let id = reply.head.header("x-completion-id").expect("an id");
    let first = format!(
        "data: {{\"id\":\"{id}\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\
         \"model\":\"any-model\",\"service_tier\":\"default\",\
         \"system_fingerprint\":\"fp_tokenfall\",\"choices\":[{{\"index\":0,\
         \"delta\":{{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}},\
         \"logprobs\":null,\"finish_reason\":null}}]}}\n\n"
    );
    assert!(reply.text().starts_with(&first), "{}", reply.text());
    let last = "\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"length\"}]}\n\n";
    let last = last.to_owned() + DONE;
    assert!(reply.text().ends_with(&last), "{}", reply.text());
}

#[test]
fn the_text_arrives_in_tokens() {
    let (chunks, whole) = both("");
    let count = whole["usage"]["completion_tokens"].as_u64();
    let texts = chunks.iter().filter(|chunk| {
        let text = chunk["choices"][0]["delta"]["content"].as_str();
        text.is_some_and(|text| !text.is_empty())
    });
    // A character of several tokens arrives in one piece, so pieces may be fewer.
    let pieces = texts.count() as u64;
    assert!(
        count.is_some_and(|count| pieces <= count && pieces + 5 > count),
        "{pieces}"
    );
}
