//! The same through a proxy model: the upstream's own answer, and its own refusal.

use crate::{
    http::{Connection, fetch, post_to, request},
    proxy::{Proxy, before, wait_until_idle},
    reply::Reply,
    upstream::Script,
};

const LIST: &str = r#"{"object":"list","data":[{"index":0,"embedding":[1.50e-1]}],"model":"real","usage":{"prompt_tokens":1},"vendor":1.0}"#;
const EMBED: &str = r#"{"model":"m","input":["a"],"vendor":{"x":1.50}}"#;

fn ask(proxy: &Proxy, path: &str, body: &str) -> Reply {
    fetch(proxy.address(), &post_to(path, body, &[]))
}

fn first_line(proxy: &Proxy) -> String {
    let request = proxy.upstream.request();
    request.head.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn body_and_answer_pass_as_they_are() {
    let headers = [
        ("content-type", "application/json"),
        ("x-ratelimit-limit-tokens", "9"),
    ];
    let proxy = before(Script::reply("200 OK", &headers, LIST)).start();
    let reply = ask(&proxy, "/v1/embeddings", EMBED);
    assert_eq!((reply.head.status, reply.text()), (200, LIST));
    assert_eq!(reply.head.header("x-ratelimit-limit-tokens"), Some("9"));
    assert_eq!(first_line(&proxy), "POST /v1/embeddings HTTP/1.1");
    assert_eq!(proxy.upstream.request().body, EMBED);
}

#[test]
fn the_model_has_its_name_there_and_the_key_is_the_operators() {
    let settings = before(Script::json(LIST)).upstream("model", "'llama/3'");
    let proxy = settings.upstream("headers", "{ api-key = 'ours' }").start();
    let headers = [
        ("authorization", "Bearer theirs"),
        ("openai-project", "p"),
        ("cookie", "c=1"),
    ];
    fetch(proxy.address(), &post_to("/v1/embeddings", EMBED, &headers));
    let request = proxy.upstream.request();
    assert_eq!(request.body, EMBED.replace(r#""m""#, r#""llama/3""#));
    assert_eq!(request.header("api-key"), Some("ours"));
    assert_eq!(request.header("openai-project"), Some("p"));
    assert_eq!(request.header("authorization"), None);
    assert_eq!(request.header("cookie"), None);
}

#[test]
fn moderations_without_a_model_get_the_one_that_is_configured() {
    let answer = r#"{"id":"modr-1","model":"x","results":[],"error":null}"#;
    let proxy = before(Script::json(answer))
        .upstream("model", "'guard'")
        .start();
    let reply = ask(&proxy, "/v1/moderations", r#"{"input":"a"}"#);
    // `"error": null` is cut out, as on chat completions; the id stays.
    assert_eq!(reply.text(), r#"{"id":"modr-1","model":"x","results":[]}"#);
    assert_eq!(first_line(&proxy), "POST /v1/moderations HTTP/1.1");
    assert_eq!(
        proxy.upstream.request().body,
        r#"{"input":"a","model":"guard"}"#
    );
}

#[test]
fn a_model_is_deleted_there_and_its_name_leads_nowhere_else() {
    for (path, expected) in [
        ("ft:a:b", "/v1/models/ft:a:b"),
        ("org/model", "/v1/models/org%2Fmodel"),
        ("..%2Ffiles%2F1", "/v1/models/..%2Ffiles%2F1"),
        ("a%3Fb%23c", "/v1/models/a%3Fb%23c"),
    ] {
        let proxy = before(Script::json(r#"{"id":"x","deleted":true}"#)).start();
        let path = format!("/v1/models/{path}");
        let reply = fetch(proxy.address(), &request("DELETE", &path, &[]));
        assert_eq!(reply.text(), r#"{"id":"x","deleted":true}"#);
        assert_eq!(first_line(&proxy), format!("DELETE {expected} HTTP/1.1"));
    }
    let proxy = before(Script::json("{}")).start();
    let reply = fetch(
        proxy.address(),
        &request("DELETE", "/v1/models/%2e%2e", &[]),
    );
    assert_eq!(reply.head.status, 404, "{}", reply.text());
    assert_eq!(proxy.upstream.counts(), (0, 0));
}

#[test]
fn a_refusal_passes_with_its_status_and_body() {
    let envelope = r#"{"error":{"message":"slow down","type":"t","param":null,"code":"c"}}"#;
    let headers = [("retry-after", "3"), ("content-type", "application/json")];
    let proxy = before(Script::reply("429 Too Many Requests", &headers, envelope)).start();
    let reply = ask(&proxy, "/v1/embeddings", EMBED);
    assert_eq!((reply.head.status, reply.text()), (429, envelope));
    assert_eq!(reply.head.header("retry-after"), Some("3"));
}

#[test]
fn what_is_no_answer_is_an_error_with_its_code() {
    let html = [("content-type", "text/html")];
    let cases = [
        (Script::json("nonsense"), 502, "upstream_malformed"),
        (
            Script::reply("200 OK", &html, "{}"),
            502,
            "upstream_malformed",
        ),
        (
            Script::json(r#"{"error":{"message":"m","code":"boom"}}"#),
            502,
            "boom",
        ),
        (
            Script::silent().send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"),
            502,
            "upstream_truncated",
        ),
        (Script::silent().reset(), 502, "upstream_unreachable"),
        (
            Script::reply("401 Unauthorized", &[], ""),
            401,
            "upstream_error",
        ),
    ];
    for (script, status, code) in cases {
        let proxy = before(script).start();
        ask(&proxy, "/v1/embeddings", EMBED).assert_refused(status, code);
    }
}

#[test]
fn the_answer_is_bounded_in_size_and_time() {
    let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(5000));
    let settings = before(Script::json(&large)).set("stream.log_bytes", "4096");
    let proxy = settings.set("stream.event_bytes", "4096").start();
    ask(&proxy, "/v1/embeddings", EMBED).assert_refused(502, "log_too_large");
    let proxy = before(Script::silent().linger())
        .clock("total", "20ms")
        .start();
    ask(&proxy, "/v1/embeddings", EMBED).assert_refused(504, "upstream_timeout");
    proxy.upstream.departure();
}

#[test]
fn a_client_that_leaves_takes_its_upstream_request_with_it() {
    let proxy = before(Script::silent().linger()).start();
    let mut connection = Connection::open(proxy.address());
    connection.send(&post_to("/v1/embeddings", EMBED, &[]));
    proxy.upstream.request();
    drop(connection);
    proxy.upstream.departure();
    wait_until_idle(&proxy.server);
}

#[test]
fn a_stop_waits_for_what_is_under_way_and_then_ends_it() {
    let settings = before(Script::silent().linger());
    let mut proxy = settings.set("server.drain", "'50ms'").start();
    let mut connection = Connection::open(proxy.address());
    connection.send(&post_to("/v1/embeddings", EMBED, &[]));
    proxy.upstream.request();
    proxy.server.begin_stop();
    connection.reply().assert_refused(503, "shutting_down");
}
