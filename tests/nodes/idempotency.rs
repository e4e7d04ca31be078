//! The same `Idempotency-Key` is the same completion, whichever node is asked.

use std::thread;

use rustix::process::Signal;

use crate::cluster::{ASK, Node, Redis, Reply, follow};

const KEY: &str = "idempotency-key: order-17\r\n";

fn ask(node: &Node, body: &str) -> Reply {
    node.send_with("POST", "/v1/chat/completions", KEY, body)
}

/// A request that is answered before anything is said.
fn in_background() -> String {
    ASK.replacen('{', r#"{"background":true,"#, 1)
}

#[test]
fn a_repeated_request_reads_what_another_node_makes_from_its_beginning() {
    let redis = Redis::start();
    let (a, b) = (Node::start(&redis, "hosted"), Node::start(&redis, "hosted"));
    let mut first = ask(&a, ASK);
    let head = first.events(5);
    let live = ask(&b, ASK);
    let other = ask(&b, &ASK.replace("Tell", "Ask"));
    assert!(other.head.contains("409"), "{}", other.head);
    assert!(
        other.head.contains("x-should-retry: false"),
        "{}",
        other.head
    );
    let (id, whole) = (first.id(), head + &first.rest());
    assert_eq!(live.id(), id);
    assert_eq!(live.rest(), whole, "while it was made");
    for node in [&a, &b] {
        let again = ask(node, ASK);
        assert_eq!((again.id(), again.rest()), (id.clone(), whole.clone()));
    }
    let keys = redis.ask("KEYS *").expect("an answer");
    assert!(keys.contains("{idempotency}"), "{keys}");
    assert!(!keys.contains("order-17"), "{keys}");
}

#[test]
fn of_two_nodes_that_are_asked_at_once_one_makes_it() {
    let redis = Redis::start();
    let nodes = [
        Node::start(&redis, "instant"),
        Node::start(&redis, "instant"),
    ];
    for round in 0..20 {
        let key = format!("idempotency-key: race-{round}\r\n");
        let replies = thread::scope(|scope| {
            let asking = [0, 1, 0, 1].map(|at: usize| {
                let (node, key) = (&nodes[at], &key);
                scope.spawn(move || node.send_with("POST", "/v1/chat/completions", key, ASK))
            });
            asking.map(|asking| asking.join().expect("a reply"))
        });
        let replies = replies.map(|reply| (reply.id(), reply.rest()));
        for reply in &replies {
            assert_eq!(reply, &replies[0], "round {round}");
        }
    }
}

#[test]
fn a_failure_before_the_first_content_frees_the_key_on_every_node() {
    let redis = Redis::start();
    let (a, b) = (Node::start(&redis, "local"), Node::start(&redis, "local"));
    let id = ask(&a, &in_background()).id();
    let cancelled = b.post(&format!("/v1/chat/completions/{id}/cancel"), "");
    assert!(cancelled.rest().contains(r#""status":"cancelled""#));
    let again = ask(&b, ASK);
    assert!(again.head.contains("200 ok"), "{}", again.head);
    assert_ne!(again.id(), id, "of another body, even");
}

#[test]
fn a_killed_node_leaves_no_key_taken() {
    let redis = Redis::start();
    let (a, b) = (Node::start(&redis, "local"), Node::start(&redis, "local"));
    let id = ask(&a, &in_background()).id();
    a.signal(Signal::KILL);
    let lost = b.get(&follow(&id, 0)).rest();
    assert!(lost.contains(r#""code":"upstream_lost""#), "{lost}");
    let again = ask(&b, ASK);
    assert_ne!(again.id(), id);
    let whole = again.rest();
    assert!(
        whole.ends_with("data: [DONE]\n\n") && !whole.contains("error"),
        "{whole}"
    );
}

#[test]
fn without_redis_a_key_is_refused_or_counts_on_its_node() {
    let mut redis = Redis::start();
    let strict = Node::start(&redis, "instant");
    let unshared = [("STORE__ON_UNAVAILABLE", "unshared")];
    let tolerant = Node::start_with(&redis, "instant", &unshared);
    redis.stop();
    strict.becomes("503");
    let refused = ask(&strict, ASK);
    assert!(refused.head.contains("503"), "{}", refused.head);
    assert!(refused.head.contains("retry-after: 1"), "{}", refused.head);
    let first = ask(&tolerant, ASK);
    assert!(first.head.contains("200 ok"), "{}", first.head);
    let id = first.id();
    assert_eq!(ask(&tolerant, ASK).id(), id);
    redis.start_again();
    strict.becomes("200 ok");
    assert_eq!(ask(&tolerant, ASK).id(), id, "it is still known there");
}
