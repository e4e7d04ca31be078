//! Completions that are kept.

use serde_json::{Value, json};
use tokenfall::testing::{TestServer, spawn};

use super::{call, get, id_of, open, path};
use crate::{
    chunks::{STREAM, WHOLE, stream_with, text},
    http::{fetch, post, request},
    proxy::before,
    upstream::Script,
};

fn server() -> TestServer {
    spawn("[mock]\nprofile = 'instant'\n[stream]\nretention = '10ms'").expect("a server")
}

fn store(server: &TestServer, n: usize) -> String {
    let metadata = format!(r#"{{"store":true,"metadata":{{"n":"{n}"}},"#);
    let body = WHOLE.replacen('{', &metadata, 1);
    id_of(&fetch(server.address(), &post(body, &[])))
}

fn ids(list: &Value) -> Vec<&str> {
    let items = list["data"].as_array().expect("a list");
    items
        .iter()
        .map(|item| item["id"].as_str().expect("an id"))
        .collect()
}

#[test]
fn kept_completions_are_listed_filtered_and_paged() {
    let server = server();
    let made: Vec<_> = (0..3).map(|n| store(&server, n)).collect();
    fetch(server.address(), &post(WHOLE, &[]));
    let list = |query: &str| {
        get(
            server.address(),
            &format!("/v1/chat/completions{query}"),
            &[],
        )
        .json()
    };
    assert_eq!(ids(&list("")), made);
    assert_eq!(ids(&list("?order=desc&limit=1")), [&made[2][..]]);
    assert_eq!(ids(&list(&format!("?after={}", made[0]))), made[1..]);
    assert_eq!(ids(&list("?metadata%5Bn%5D=1&model=m")), [&made[1][..]]);
    assert_eq!(ids(&list("?model=other")), [] as [&str; 0]);
    let first = list("?limit=2");
    assert_eq!(
        (&first["has_more"], &first["last_id"]),
        (&json!(true), &json!(made[1]))
    );
}

#[test]
fn what_is_kept_outlives_its_stream_with_labels_and_messages() {
    let server = server();
    let id = store(&server, 7);
    crate::gate::wait_until("the stream to expire", || {
        get(server.address(), &path(&id, "/stream"), &[])
            .head
            .status
            == 410
    });
    let kept = get(server.address(), &path(&id, ""), &[]).json();
    assert_eq!(
        (&kept["id"], &kept["metadata"]),
        (&json!(id), &json!({"n": "7"}))
    );
    let body = r#"{"metadata":{"color":"blue"}}"#;
    let length = body.len().to_string();
    let head = request("POST", &path(&id, ""), &[("content-length", &length)]);
    let labelled = fetch(server.address(), &[&head[..], body.as_bytes()].concat()).json();
    assert_eq!(labelled["metadata"], json!({"color": "blue"}));
    let messages = get(server.address(), &path(&id, "/messages"), &[]).json();
    let expected = json!([{"role": "user", "content": "Hi", "id": format!("{id}-0")}]);
    assert_eq!(messages["data"], expected);
    let deleted = call(server.address(), "DELETE", &path(&id, ""), &[]);
    assert_eq!(
        deleted.json(),
        json!({"object": "chat.completion.deleted", "id": id, "deleted": true})
    );
    assert_eq!(
        ids(&get(server.address(), "/v1/chat/completions", &[]).json()),
        [] as [&str; 0]
    );
}

#[test]
fn what_is_kept_has_its_labels_while_its_stream_is_there_too() {
    let server = spawn("[mock]\nprofile = 'instant'").expect("a server");
    let id = store(&server, 3);
    let kept = get(server.address(), &path(&id, ""), &[]).json();
    assert_eq!(
        (&kept["metadata"], &kept["status"]),
        (&json!({"n": "3"}), &json!("completed"))
    );
}

#[test]
fn a_streamed_completion_is_kept_whole() {
    let server = server();
    let reply = fetch(server.address(), &post(stream_with(r#""store":true"#), &[]));
    let list = get(server.address(), "/v1/chat/completions", &[]).json();
    assert_eq!(ids(&list), [id_of(&reply)]);
    let said: String = reply
        .chunks()
        .iter()
        .filter_map(|c| c["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(list["data"][0]["choices"][0]["message"]["content"], said);
}

#[test]
fn deleting_a_live_completion_cancels_it_first() {
    let proxy = before(Script::stream().event(&text("a")).linger()).start();
    let mut reader = proxy.open(STREAM);
    let head = reader.head();
    let body = reader.chunks_until("\n\n");
    let id = head.header("x-completion-id").expect("an id").to_owned();
    let deleted = call(proxy.address(), "DELETE", &path(&id, ""), &[]);
    assert_eq!(deleted.json()["deleted"], true);
    proxy.upstream.departure();
    assert!(reader.rest(head, body).text().contains("\"cancelled\""));
    get(proxy.address(), &path(&id, ""), &[]).assert_refused(404, "not_found");
}

#[test]
fn what_was_not_asked_to_be_kept_is_not() {
    let server = spawn("[mock]\nprofile = 'instant'").expect("a server");
    let id = id_of(&fetch(server.address(), &post(WHOLE, &[])));
    get(server.address(), &path(&id, "/messages"), &[]).assert_refused(404, "not_stored");
    let _ = open(server.address(), &path(&id, ""), &[]).reply();
    for bad in ["limit=-1", "limit=101", "limit=x", "order=up"] {
        let reply = get(
            server.address(),
            &format!("/v1/chat/completions?{bad}"),
            &[],
        );
        let error = reply.assert_refused(400, Value::Null);
        assert_eq!(error["param"], bad.split('=').next().expect("a name"));
    }
    let after = get(server.address(), "/v1/chat/completions?after=nothing", &[]);
    after.assert_refused(404, "not_found");
}
