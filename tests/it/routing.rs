//! What an operator adds to an upstream's requests.

use std::{env, fs, process};

use crate::{
    chunks::{STREAM, WHOLE, completion, stream_with},
    http::{fetch, post_to},
    proxy::before,
    upstream::Script,
};

#[test]
fn a_query_stands_in_the_url_of_every_request() {
    let proxy = before(Script::json(&completion()))
        .upstream("query", "{ api-version = '2024-10-21', q = 'a b&c' }")
        .start();
    assert_eq!(proxy.ask(WHOLE).head.status, 200);
    let head = proxy.upstream.request().head;
    let expected = "POST /v1/chat/completions?api-version=2024-10-21&q=a+b%26c HTTP/1.1";
    assert!(head.starts_with(expected), "{head}");
}

#[test]
fn members_that_are_set_win_over_the_clients_and_the_stream_stays_one() {
    let proxy = before(Script::stream().done())
        .upstream("body", "{ top_k = 20, kw = { think = false } }")
        .start();
    proxy.ask(&stream_with(r#""top_k":1,"seed":7"#));
    let expected = format!(
        r#"{}"top_k":20,"stream_options":{{"include_usage":true}}}}"#,
        r#"{"seed":7,"model":"m","stream":true,"messages":[{"role":"user","content":"Hi"}],"kw":{"think":false},"#
    );
    assert_eq!(proxy.upstream.request().body, expected);
}

#[test]
fn members_are_set_in_what_is_answered_in_one_piece_too() {
    let proxy = before(Script::json(r#"{"object":"list","data":[]}"#))
        .upstream("body", "{ dimensions = 256 }")
        .start();
    let body = r#"{"model":"m","input":"x"}"#;
    let reply = fetch(proxy.address(), &post_to("/v1/embeddings", body, &[]));
    assert_eq!(reply.head.status, 200);
    let expected = r#"{"model":"m","input":"x","dimensions":256}"#;
    assert_eq!(proxy.upstream.request().body, expected);
}

#[test]
fn a_key_from_a_file_goes_upstream() {
    let file = env::temp_dir().join(format!("tokenfall-it-key-{}", process::id()));
    fs::write(&file, "sk-file\n").expect("written");
    let path = format!("'{}'", file.display());
    let proxy = before(Script::stream().done())
        .upstream("key_file", &path)
        .start();
    fs::remove_file(&file).expect("removed");
    proxy.ask(STREAM);
    let request = proxy.upstream.request();
    assert_eq!(request.header("authorization"), Some("Bearer sk-file"));
}
