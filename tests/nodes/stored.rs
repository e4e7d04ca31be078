//! Stored completions are every node's, and outlive the one that made them.

use std::{
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::cluster::{LEASE, Node, Redis};

const ALL: &str = "/v1/chat/completions";

/// A request for a completion that is kept, streamed or not.
fn kept(n: usize, is_streamed: bool) -> String {
    let body = json!({
        "model": if n.is_multiple_of(2) { "even" } else { "odd" },
        "stream": is_streamed,
        "store": true,
        "metadata": {"n": n.to_string()},
        "messages": [{"role": "user", "content": format!("Tell me {n}")}],
    });
    body.to_string()
}

/// Makes one and reads it to its end; its id.
fn make(node: &Node, n: usize) -> String {
    let reply = node.post(ALL, &kept(n, n.is_multiple_of(3)));
    let id = reply.id();
    reply.rest();
    id
}

fn json(node: &Node, path: &str) -> Value {
    serde_json::from_str(&node.get(path).rest()).expect("JSON")
}

fn ids(list: &Value) -> Vec<String> {
    let items = list["data"].as_array().expect("a list").iter();
    items
        .map(|item| item["id"].as_str().expect("an id").to_owned())
        .collect()
}

/// All ids, page by page.
fn pages(node: &Node, query: &str) -> Vec<String> {
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let list = json(node, &format!("{ALL}?limit=2{query}{after}"));
        found.extend(ids(&list));
        if list["has_more"] == false {
            return found;
        }
        after = format!("&after={}", list["last_id"].as_str().expect("an id"));
    }
}

#[test]
fn what_one_node_stores_another_lists_changes_and_deletes() {
    let redis = Redis::start();
    let (a, b) = (
        Node::start(&redis, "instant"),
        Node::start(&redis, "instant"),
    );
    // Each is there on the other node as soon as its end was read.
    let mut made = Vec::new();
    for n in 0..7 {
        made.push(make(if n < 4 { &a } else { &b }, n));
        for node in [&a, &b] {
            assert_eq!(ids(&json(node, ALL)), made);
        }
    }
    let mut backwards = made.clone();
    backwards.reverse();
    let odd = [&made[1], &made[3], &made[5]];
    for node in [&a, &b] {
        assert_eq!(pages(node, ""), made);
        assert_eq!(pages(node, "&order=desc"), backwards);
        assert!(pages(node, "&model=odd").iter().eq(odd));
        assert_eq!(pages(node, "&metadata%5Bn%5D=4"), made[4..5]);
    }
    let path = format!("{ALL}/{}", made[1]);
    let labelled = b.post(&path, r#"{"metadata":{"color":"blue"}}"#).rest();
    assert!(
        labelled.contains(r#""metadata":{"color":"blue"}"#),
        "{labelled}"
    );
    let there = json(&a, &path);
    assert_eq!(there["metadata"], json!({"color": "blue"}));
    assert_eq!(
        (&there["id"], &there["status"]),
        (&json!(made[1]), &json!("completed"))
    );
    assert_eq!(pages(&a, "&metadata%5Bcolor%5D=blue"), made[1..2]);
    assert_eq!(pages(&a, ""), made, "its place is the same");
    let messages = json(&b, &format!("{path}/messages"));
    assert_eq!(messages["data"][0]["content"], "Tell me 1");
    let deleted = b.send("DELETE", &path, "");
    assert!(deleted.head.contains("200 ok"), "{}", deleted.head);
    for node in [&a, &b] {
        assert!(node.get(&path).head.contains("404"));
        assert!(node.post(&path, r#"{"metadata":{}}"#).head.contains("404"));
        assert!(node.send("DELETE", &path, "").head.contains("404"));
        assert_eq!(pages(node, "").len(), 6);
    }
}

#[test]
fn stored_completions_outlive_every_node() {
    let redis = Redis::start();
    let a = Node::start(&redis, "instant");
    let made: Vec<_> = (0..3).map(|n| make(&a, n)).collect();
    a.signal(Signal::KILL);
    drop(a);
    let b = Node::start(&redis, "instant");
    assert_eq!(ids(&json(&b, ALL)), made);
    let completion = json(&b, &format!("{ALL}/{}", made[2]));
    assert_eq!(completion["metadata"]["n"], "2");
}

#[test]
fn labels_that_are_given_at_once_are_not_mixed() {
    let redis = Redis::start();
    let nodes = [
        Node::start(&redis, "instant"),
        Node::start(&redis, "instant"),
    ];
    let path = format!("{ALL}/{}", make(&nodes[0], 0));
    let given = thread::scope(|scope| {
        let (nodes, path) = (&nodes, &path);
        let giving: Vec<_> = (0..20)
            .map(|n: usize| {
                scope.spawn(move || {
                    let labels = json!({"metadata": {format!("k{n}"): n.to_string()}});
                    let labelled = nodes[n % 2].post(path, &labels.to_string()).rest();
                    let labelled: Value = serde_json::from_str(&labelled).expect("JSON");
                    assert_eq!(labelled["metadata"], labels["metadata"], "its own");
                    labels["metadata"].clone()
                })
            })
            .collect();
        let given = giving.into_iter().map(|giving| giving.join());
        given.collect::<Result<Vec<_>, _>>().expect("no panic")
    });
    let [a, b] = [0, 1].map(|at: usize| json(&nodes[at], &path)["metadata"].clone());
    assert_eq!(a, b);
    assert!(given.contains(&a), "{a}");
}

#[test]
fn a_live_one_that_is_deleted_from_another_node_is_cancelled_first() {
    let redis = Redis::start();
    let (a, b) = (Node::start(&redis, "local"), Node::start(&redis, "local"));
    let mut made = a.post(ALL, &kept(0, true));
    let path = format!("{ALL}/{}", made.id());
    made.events(2);
    let deleted = b.send("DELETE", &path, "");
    assert!(deleted.head.contains("200 ok"), "{}", deleted.head);
    let rest = made.rest();
    assert!(rest.contains(r#""code":"cancelled""#), "{rest}");
    for node in [&a, &b] {
        assert_eq!(ids(&json(node, ALL)), [] as [&str; 0]);
        assert!(node.get(&path).head.contains("404"));
    }
}

#[test]
fn what_ends_while_redis_is_away_is_stored_when_it_is_back() {
    let mut redis = Redis::start();
    let (a, b) = (Node::start(&redis, "local"), Node::start(&redis, "local"));
    let mut made = a.post(ALL, &kept(0, true));
    let mut deleted = a.post(ALL, &kept(0, true));
    let (id, unwanted) = (made.id(), format!("{ALL}/{}", deleted.id()));
    made.events(2);
    deleted.events(2);
    redis.stop();
    let whole = made.rest();
    assert!(
        whole.ends_with("data: [DONE]\n\n") && !whole.contains("error"),
        "{whole}"
    );
    deleted.rest();
    for path in [ALL, &format!("{ALL}/{id}/messages")] {
        let asked = Instant::now();
        let list = a.get(path);
        assert!(list.head.contains("503"), "{}", list.head);
        assert!(list.head.contains("retry-after: 1"), "{}", list.head);
        assert!(asked.elapsed() < LEASE * 5, "{:?}", asked.elapsed());
    }
    assert!(a.send("DELETE", &unwanted, "").head.contains("503"));
    let here = json(&a, &format!("{ALL}/{id}"));
    assert_eq!(here["status"], "completed", "it can be read where it is");
    redis.start_again();
    a.becomes("200 ok");
    let gone = a.send("DELETE", &unwanted, "");
    assert!(gone.head.contains("200 ok"), "{}", gone.head);
    b.becomes("200 ok");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !ids(&json(&b, ALL)).contains(&id) {
        assert!(Instant::now() < deadline, "not stored in time");
        thread::sleep(Duration::from_millis(50));
    }
    // The other says the same, so it was tried at the same times.
    thread::sleep(LEASE);
    assert_eq!(ids(&json(&b, ALL)), [id], "what was deleted stays so");
}
