//! The document is held against the committed files, the served ones and live streams.

#![expect(clippy::expect_used, clippy::panic, reason = "a test may fail")]

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use jsonschema::Validator;
use serde_json::{Value, json};
use tokenfall::{
    api::openapi::{Edition, text},
    sse::Decoder,
    testing::{TestServer, spawn},
};

fn mock() -> TestServer {
    spawn("[mock]\nprofile = \"instant\"\n[server]\nlog = \"off\"").expect("a server")
}

async fn get(server: &TestServer, path: &str) -> String {
    let url = format!("http://{}{path}", server.address());
    let reply = client().get(url).send().await.expect("a reply");
    reply.text().await.expect("a text")
}

/// The JSON data of every event of a stream.
async fn stream(server: &TestServer, mut request: Value) -> Vec<String> {
    request["messages"] = json!([{"role": "user", "content": "Grüße 🌊"}]);
    stream_at(server, "/chat/completions", request).await
}

async fn stream_at(server: &TestServer, path: &str, request: Value) -> Vec<String> {
    stream_with(server, path, request, &[]).await
}

async fn stream_with(
    server: &TestServer,
    path: &str,
    mut request: Value,
    headers: &[(&str, &str)],
) -> Vec<String> {
    request["stream"] = true.into();
    let url = format!("{}{path}", server.base_url());
    let mut post = client().post(url).body(request.to_string());
    for (name, value) in headers {
        post = post.header(*name, *value);
    }
    let reply = post.send().await.expect("a reply");
    assert_eq!(reply.status(), 200);
    let mut decoder = Decoder::new(1 << 20);
    decoder.push(reply.bytes().await.expect("a body"));
    std::iter::from_fn(|| decoder.next())
        .map(|event| String::from_utf8(event.expect("an event").data.to_vec()).expect("UTF-8"))
        .collect()
}

fn client() -> reqwest::Client {
    // An error means that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

/// Judges events by the `itemSchema` of the served document, contents included.
struct Judge {
    event: Validator,
    chunk: Validator,
    error: Validator,
}

impl Judge {
    async fn of(server: &TestServer) -> Self {
        Self::at(server, "~1v1~1chat~1completions").await
    }

    /// Of the stream at a path, written as in JSON pointers.
    async fn at(server: &TestServer, path: &str) -> Self {
        let document: Value =
            serde_json::from_str(&get(server, "/openapi.json").await).expect("JSON");
        let stream = "post/responses/200/content/text~1event-stream";
        let item = document.pointer(&format!("/paths/{path}/{stream}/itemSchema"));
        let item = item.expect("the stream is described")["$ref"].clone();
        let event = document.pointer(&item.as_str().expect("a reference")[1..]);
        let data = &event.expect("the schema of events")["properties"]["data"]["oneOf"];
        let content = &data[1]["contentSchema"]["oneOf"];
        let validator = |reference: &Value| {
            let schema = json!({"$ref": reference, "components": document["components"]});
            jsonschema::validator_for(&schema).expect("a schema")
        };
        Self {
            event: validator(&item),
            chunk: validator(&content[0]["$ref"]),
            error: validator(&content[1]["$ref"]),
        }
    }

    /// Says of each event which branch it is; fails where it is none or two.
    fn sorts(&self, events: &[String]) -> String {
        events.iter().map(|data| self.sort(data)).collect()
    }

    fn sort(&self, data: &str) -> char {
        let event = json!({"data": data});
        assert!(self.event.is_valid(&event), "not an event: {data}");
        if data == "[DONE]" {
            return '.';
        }
        let content: Value = serde_json::from_str(data).expect("JSON");
        match (self.chunk.is_valid(&content), self.error.is_valid(&content)) {
            (true, false) => 'c',
            (false, true) => 'e',
            both => panic!("chunk and error are {both:?} for {data}"),
        }
    }
}

#[tokio::test]
async fn every_event_that_is_followed_is_described() {
    let server = mock();
    let url = format!("{}/chat/completions", server.base_url());
    let body = json!({
        "model": "m", "stream": true,
        "messages": [{"role": "user", "content": "Follow me"}],
    });
    let reply = client().post(&url).body(body.to_string()).send().await;
    let reply = reply.expect("a reply");
    let id = reply.headers()["x-completion-id"]
        .to_str()
        .expect("a text")
        .to_owned();
    reply.bytes().await.expect("a body");
    let document: Value = serde_json::from_str(&get(&server, "/openapi.json").await).expect("JSON");
    let described = |path: &str| {
        let place = format!(
            "/paths/~1v1~1chat~1completions~1{}",
            path.replace('/', "~1")
        );
        let content = format!("{place}/get/responses/200/content/text~1event-stream/itemSchema");
        let item = document.pointer(&content).expect("the stream is described");
        let schema = json!({"$ref": item["$ref"], "components": document["components"]});
        jsonschema::validator_for(&schema).expect("a schema")
    };
    let (retrieved, streamed) = (described("{id}"), described("{id}/stream"));
    let judge = Judge::of(&server).await;
    for path in [
        "?stream=true",
        "?stream=true&starting_after=3",
        "/stream",
        "/stream?events=named",
    ] {
        let mut decoder = Decoder::new(1 << 20);
        let text = get(&server, &format!("/v1/chat/completions/{id}{path}")).await;
        decoder.push(text.into());
        let events: Vec<String> = std::iter::from_fn(|| decoder.next())
            .map(|event| String::from_utf8(event.expect("an event").data.to_vec()).expect("UTF-8"))
            .collect();
        let sorts = judge.sorts(&events);
        assert!(sorts.len() > 5 && sorts.ends_with("c."), "{path}: {sorts}");
        let validator = if path.starts_with('?') {
            &retrieved
        } else {
            &streamed
        };
        for data in events {
            assert!(validator.is_valid(&json!({"data": data})), "{path}: {data}");
        }
    }
}

const DIALECTS: [&str; 7] = [
    "openai",
    "azure",
    "vllm",
    "llama.cpp",
    "ollama",
    "openrouter",
    "deepseek",
];

#[tokio::test]
async fn every_event_of_every_scenario_in_every_dialect_is_as_described() {
    let prompts = concat!(env!("CARGO_MANIFEST_DIR"), "/prompts");
    let settings = format!("mock.profile = 'instant'\nmock.prompts = '{prompts}'");
    let server = spawn(&settings).expect("a server");
    let judge = Judge::of(&server).await;
    let list: Value = serde_json::from_str(&get(&server, "/_mock/scenarios").await).expect("JSON");
    let mut seen = 0;
    for scenario in list["data"].as_array().expect("scenarios") {
        if scenario["name"] == "rate-limit" {
            continue;
        }
        for dialect in DIALECTS {
            let mut request = scenario["example"].clone();
            request["stream_options"] = json!({"include_usage": true});
            request["logprobs"] = true.into();
            request["top_logprobs"] = 2.into();
            let headers = [("x-mock-dialect", dialect), ("x-mock-fault", "")];
            let events = stream_with(&server, "/chat/completions", request, &headers).await;
            let sorts = judge.sorts(&events);
            assert!(
                sorts.ends_with("c.") && !sorts.contains('e'),
                "{dialect}: {sorts}"
            );
            seen += 1;
        }
    }
    assert!(seen >= 11 * DIALECTS.len(), "{seen}");
}

#[test]
fn the_committed_documents_are_what_the_code_says() {
    let hint = "run `cargo run -- openapi --write` and look at the difference";
    assert!(
        text(Edition::V3_2) == include_str!("../openapi/openapi.json"),
        "{hint}"
    );
    assert!(
        text(Edition::V3_1) == include_str!("../openapi/openapi-3.1.json"),
        "{hint}"
    );
}

#[tokio::test]
async fn the_served_documents_are_the_committed_ones() {
    let server = mock();
    assert_eq!(
        get(&server, "/openapi.json").await,
        include_str!("../openapi/openapi.json")
    );
    assert_eq!(
        get(&server, "/openapi-3.1.json").await,
        include_str!("../openapi/openapi-3.1.json")
    );
}

#[tokio::test]
async fn every_event_of_a_mocked_stream_is_described() {
    let server = mock();
    let judge = Judge::of(&server).await;
    let requests = [
        json!({"model": "m"}),
        json!({"model": "m", "n": 3, "max_tokens": 2}),
        json!({"model": "m", "stream_options": {"include_usage": true, "include_obfuscation": true}}),
        json!({"model": "m", "include_sequence": true, "stop": "river"}),
    ];
    for request in requests {
        let sorts = judge.sorts(&stream(&server, request.clone()).await);
        let is_good = sorts.len() > 3 && sorts.trim_end_matches('.').chars().all(|c| c == 'c');
        assert!(is_good && sorts.ends_with("c."), "{request}: {sorts}");
    }
}

#[tokio::test]
async fn every_event_of_a_legacy_stream_is_described() {
    let server = mock();
    let judge = Judge::at(&server, "~1v1~1completions").await;
    let requests = [
        json!({"model": "m", "prompt": "Grüße"}),
        json!({"model": "m", "prompt": ["a", "b"], "n": 2, "echo": true, "max_tokens": 2}),
        json!({"model": "m", "prompt": [1, 2], "stream_options": {"include_usage": true}}),
        json!({"model": "m", "include_sequence": true}),
    ];
    for request in requests {
        let events = stream_at(&server, "/completions", request.clone()).await;
        let sorts = judge.sorts(&events);
        let is_good = sorts.len() > 2 && sorts.trim_end_matches('.').chars().all(|c| c == 'c');
        assert!(is_good && sorts.ends_with("c."), "{request}: {sorts}");
    }
}

#[tokio::test]
async fn the_error_that_ends_a_proxied_stream_is_described() {
    let chunk = r#"{"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}],"vendor":1}"#;
    for (tail, expected) in [
        ("", "ce."),
        ("data: {\"error\":\"plain\"}\n\n", "ce."),
        (
            "data: {\"error\":{\"code\":5,\"message\":\"m\"}}\n\n",
            "ce.",
        ),
        ("data: nonsense\n\n", "ce."),
    ] {
        let upstream = upstream(format!("data: {chunk}\n\n{tail}"));
        let settings = format!(
            "[server]\nlog = \"off\"\n[[models]]\nname = \"*\"\nupstreams = [{{ base_url = \"{upstream}\" }}]"
        );
        let server = spawn(&settings).expect("a server");
        let judge = Judge::of(&server).await;
        for sequence in [false, true] {
            let request = json!({"model": "m", "include_sequence": sequence});
            let events = stream(&server, request).await;
            assert_eq!(judge.sorts(&events), expected, "{events:?}");
            assert_eq!(
                events[1].contains("\"sequence_number\":2"),
                sequence,
                "{events:?}"
            );
        }
    }
}

/// A server that answers everything with this event stream and hangs up.
fn upstream(stream: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for connection in listener.incoming().take(2) {
            let mut connection = connection.expect("a connection");
            let mut request = Vec::new();
            while !String::from_utf8_lossy(&request).contains("\"messages\"") {
                let mut read = [0; 4096];
                let count = connection.read(&mut read).expect("a request");
                request.extend_from_slice(&read[..count]);
            }
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
            let reply = format!("{head}{stream}");
            connection.write_all(reply.as_bytes()).expect("written");
        }
    });
    url
}
