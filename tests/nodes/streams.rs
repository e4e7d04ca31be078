//! A stream outlives the node it was made on.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::cluster::{ASK, LEASE, Node, Redis, follow};

#[test]
fn what_one_node_makes_is_read_on_another_from_every_cut() {
    let redis = Redis::start();
    let (a, b) = (Node::start(&redis, "hosted"), Node::start(&redis, "hosted"));
    let mut made = a.post("/v1/chat/completions", ASK);
    let id = made.id();
    let head = made.events(5);
    let live = b.get(&follow(&id, 5));
    assert!(live.head.contains("200 ok"), "{}", live.head);
    let whole = head.clone() + &made.rest();
    assert!(whole.ends_with("data: [DONE]\n\n"), "{whole}");
    assert_eq!(head + &live.rest(), whole, "while it is made");
    let events: Vec<_> = whole.split_inclusive("\n\n").collect();
    for cut in 0..events.len() {
        let tail = b.get(&follow(&id, cut)).rest();
        assert_eq!(events[..cut].concat() + &tail, whole, "after {cut}");
    }
    let past = b.get(&follow(&id, events.len() + 1));
    assert!(past.head.contains("410"), "{}", past.head);
    let unknown = b.get("/v1/chat/completions/chatcmpl-0?stream=true");
    assert!(unknown.head.contains("404"), "{}", unknown.head);
    // The same request again has the same content, but is another completion.
    let again = b.post("/v1/chat/completions", ASK);
    let again_id = again.id();
    assert_ne!(again_id, id);
    assert_eq!(again.rest().replace(&again_id, &id), whole);
}

#[test]
fn a_completion_is_cancelled_from_any_node() {
    let redis = Redis::start();
    let (a, b) = (Node::start(&redis, "local"), Node::start(&redis, "local"));
    let mut made = a.post("/v1/chat/completions", ASK);
    let id = made.id();
    made.events(2);
    let asked = Instant::now();
    let cancelled = b
        .post(&format!("/v1/chat/completions/{id}/cancel"), "")
        .rest();
    assert!(cancelled.contains(r#""status":"cancelled""#), "{cancelled}");
    let rest = made.rest();
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "{:?}",
        asked.elapsed()
    );
    assert!(rest.contains(r#""code":"cancelled""#) && rest.ends_with("data: [DONE]\n\n"));
}

#[test]
fn when_a_node_is_killed_its_readers_elsewhere_are_told_within_the_lease() {
    let redis = Redis::start();
    let (a, b) = (Node::start(&redis, "local"), Node::start(&redis, "local"));
    let mut made = a.post("/v1/chat/completions", ASK);
    let id = made.id();
    let mut there = b.get(&follow(&id, 0));
    let head = made.events(8);
    assert_eq!(there.events(8), head);
    std::thread::sleep(LEASE);
    a.signal(Signal::KILL);
    let killed = Instant::now();
    let rest = there.rest();
    let took = killed.elapsed();
    // And what a busy machine takes.
    assert!(took < LEASE * 3, "{took:?}");
    assert!(rest.contains(r#""code":"upstream_lost""#), "{rest}");
    assert!(rest.ends_with("data: [DONE]\n\n"), "{rest}");
    // Who comes back finds the same, and the completion says so.
    let again = b.get(&follow(&id, 0)).rest();
    assert_eq!(again, head + &rest);
    let view = b.get(&format!("/v1/chat/completions/{id}")).rest();
    assert!(view.contains(r#""status":"failed""#), "{view}");
}

#[test]
fn of_several_that_are_left_one_takes_over_and_all_tell_the_same() {
    let redis = Redis::start();
    let [a, b, c] = [(); 3].map(|()| Node::start(&redis, "local"));
    let mut made = a.post("/v1/chat/completions", ASK);
    let id = made.id();
    let (mut on_b, mut on_c) = (b.get(&follow(&id, 0)), c.get(&follow(&id, 0)));
    let head = made.events(6);
    assert_eq!(on_b.events(6), head);
    assert_eq!(on_c.events(6), head);
    a.signal(Signal::KILL);
    let (rest_of_b, rest_of_c) = (on_b.rest(), on_c.rest());
    assert_eq!(rest_of_b, rest_of_c);
    assert!(
        rest_of_b.contains(r#""code":"upstream_lost""#),
        "{rest_of_b}"
    );
    assert_eq!(rest_of_b.matches("data: [DONE]").count(), 1, "{rest_of_b}");
    for node in [&b, &c] {
        assert_eq!(node.get(&follow(&id, 0)).rest(), head.clone() + &rest_of_b);
    }
}

#[test]
fn a_node_that_is_asked_to_stop_shares_how_its_streams_ended() {
    let redis = Redis::start();
    let (a, b) = (Node::start(&redis, "local"), Node::start(&redis, "local"));
    let mut made = a.post("/v1/chat/completions", ASK);
    let mut there = b.get(&follow(&made.id(), 0));
    let head = made.events(8);
    assert_eq!(there.events(8), head);
    a.signal(Signal::TERM);
    let rest = there.rest();
    assert_eq!(made.rest(), rest);
    assert!(rest.contains(r#""code":"shutting_down""#), "{rest}");
}

#[test]
fn a_node_that_was_stopped_past_its_lease_is_fenced() {
    let redis = Redis::start();
    let (a, b) = (Node::start(&redis, "local"), Node::start(&redis, "local"));
    let mut made = a.post("/v1/chat/completions", ASK);
    let id = made.id();
    let mut there = b.get(&follow(&id, 0));
    let head = made.events(8);
    assert_eq!(there.events(8), head);
    std::thread::sleep(LEASE);
    a.signal(Signal::STOP);
    let rest = there.rest();
    assert!(rest.contains(r#""code":"upstream_lost""#), "{rest}");
    a.signal(Signal::CONT);
    let late = made.rest();
    assert!(
        !late.contains("[DONE]") && !late.contains("error"),
        "{late}"
    );
    // What was sent before the stop may still come. The last of it, of the 20 ms that a batch
    // may wait, may be lost to the others: who has seen that is told when coming back.
    let count = |text: &str| text.matches("data: ").count();
    let (seen, kept) = (8 + count(&late), 8 + count(&rest) - 2);
    assert!(seen <= kept + 2, "{seen} of {kept}: served past the stop");
    let events: Vec<_> = rest.split_inclusive("\n\n").collect();
    let common = seen.min(kept) - 8;
    assert!(late.starts_with(&events[..common].concat()), "{late}");
    let back = b.get(&follow(&id, seen));
    let expected = if seen > kept { "410" } else { "200" };
    assert!(
        back.head.contains(expected),
        "{} at {seen} of {kept}",
        back.head
    );
    let again = a.get(&follow(&id, 0)).rest();
    assert_eq!(again, head + &rest, "it serves what became of it");
}

#[test]
fn redis_may_be_away_for_longer_than_the_lease() {
    let mut redis = Redis::start();
    let (a, b) = (Node::start(&redis, "local"), Node::start(&redis, "local"));
    let mut made = a.post("/v1/chat/completions", ASK);
    let id = made.id();
    let mut there = b.get(&follow(&id, 0));
    let head = made.events(8);
    assert_eq!(there.events(8), head);
    redis.stop();
    a.becomes("503");
    let unavailable = a.get("/readyz").rest();
    assert!(unavailable.contains("store_unavailable"), "{unavailable}");
    let refused = a.post("/v1/chat/completions", ASK);
    assert!(refused.head.contains("503"), "{}", refused.head);
    made.events(8);
    std::thread::sleep(LEASE * 2);
    redis.start_again();
    a.becomes("200 ok");
    let rest = there.rest();
    assert!(
        rest.ends_with("data: [DONE]\n\n") && !rest.contains("error"),
        "{rest}"
    );
    let whole = a.get(&follow(&id, 0)).rest();
    assert_eq!(
        head + &rest,
        whole,
        "the owner's stream went on and the others caught up"
    );
    let c = Node::start(&redis, "local");
    assert_eq!(
        c.get(&follow(&id, 0)).rest(),
        whole,
        "it was filled again from the first"
    );
}
