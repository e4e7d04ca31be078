//! A key's limits hold for all nodes together.

use rustix::process::Signal;

use crate::cluster::{ASK, Node, Redis, Reply};

const PATH: &str = "/v1/chat/completions";

fn start(redis: &Redis, profile: &str, members: &str, more: &[(&str, &str)]) -> Node {
    let keys = format!("[{{ name = 'ci', key = 'k', {members} }}]");
    let mut all = vec![("AUTH__KEYS", &keys[..])];
    all.extend(more);
    Node::start_with(redis, profile, &all)
}

fn ask(node: &Node) -> Reply {
    node.send_with("POST", PATH, "authorization: Bearer k\r\n", ASK)
}

fn remaining(reply: &Reply) -> u64 {
    let mut lines = reply.head.lines();
    let line = lines.find_map(|line| line.strip_prefix("x-ratelimit-remaining-requests: "));
    line.expect("a header").parse().expect("a number")
}

#[test]
fn requests_are_counted_together() {
    let redis = Redis::start();
    let nodes = ["instant"; 2].map(|profile| start(&redis, profile, "rpm = 4", &[]));
    for (turn, left) in [3, 2, 1, 0].into_iter().enumerate() {
        let reply = ask(&nodes[turn % 2]);
        assert!(reply.head.contains("200 ok"), "{}", reply.head);
        // One comes back every 15 seconds.
        assert!(
            (left..=left + 1).contains(&remaining(&reply)),
            "{}",
            reply.head
        );
        reply.rest();
    }
    for node in &nodes {
        let refused = ask(node);
        assert!(refused.head.contains("429"), "{}", refused.head);
        assert!(
            refused.head.contains("retry-after-ms: "),
            "{}",
            refused.head
        );
        assert!(refused.rest().contains("rate_limit_exceeded"));
    }
}

#[test]
fn a_stream_of_one_node_counts_on_the_other_until_its_node_ends_it_or_is_gone() {
    let redis = Redis::start();
    let (a, b) = (
        start(&redis, "hosted", "streams = 1", &[]),
        start(&redis, "hosted", "streams = 1", &[]),
    );
    let mut first = ask(&a);
    first.events(1);
    let refused = ask(&b);
    assert!(refused.head.contains("429"), "{}", refused.head);
    let begun = |node: &Node| {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        loop {
            let reply = ask(node);
            if reply.head.contains("200 ok") {
                return reply;
            }
            assert!(std::time::Instant::now() < deadline, "{}", reply.head);
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    };
    assert!(first.rest().ends_with("[DONE]\n\n"));
    let mut second = begun(&b);
    second.events(1);
    b.signal(Signal::KILL);
    begun(&a).events(1);
}

#[test]
fn without_redis_a_key_is_refused_or_its_limits_are_the_nodes() {
    let mut redis = Redis::start();
    let unshared = [("STORE__ON_UNAVAILABLE", "unshared")];
    let strict = start(&redis, "instant", "rpm = 2", &[]);
    let tolerant = start(&redis, "instant", "rpm = 2", &unshared);
    redis.stop();
    strict.becomes("503");
    let refused = ask(&strict);
    assert!(refused.head.contains("503"), "{}", refused.head);
    assert!(refused.head.contains("retry-after: 1"), "{}", refused.head);
    for status in ["200 ok", "200 ok", "429"] {
        let reply = ask(&tolerant);
        assert!(reply.head.contains(status), "{}", reply.head);
    }
}
