//! A node that dies in the middle of an answer, and another one that goes on with it.

use rustix::process::Signal;

use crate::cluster::{ASK, LEASE, Node, Redis, follow};

/// Three nodes, and a model server that outlives them.
fn three() -> (Redis, Node, [Node; 3]) {
    let redis = Redis::start();
    let model = Node::start(&redis, "local");
    let models = format!(
        "[{{ name = 'm', on_owner_loss = 'continue', upstreams = [{{ base_url = 'http://{}/v1' }}] }}]",
        model.address
    );
    let nodes = [(); 3].map(|()| Node::start_with(&redis, "local", &[("MODELS", &models)]));
    (redis, model, nodes)
}

fn assert_is_one_stream(whole: &str) {
    assert!(whole.ends_with("data: [DONE]\n\n"), "{whole}");
    assert!(!whole.contains("error"), "{whole}");
    assert_eq!(whole.matches(r#""role":"#).count(), 1, "{whole}");
    assert_eq!(whole.matches(r#""finish_reason":"stop""#).count(), 1);
}

fn stream(id: &str, cursor: &str) -> String {
    format!("/v1/chat/completions/{id}/stream?last_event_id={cursor}")
}

fn data_of(text: &str) -> String {
    let lines = text.lines().filter(|line| line.starts_with("data: "));
    lines.map(|line| format!("{line}\n\n")).collect()
}

#[test]
fn readers_elsewhere_read_on() {
    let (_redis, _model, [a, b, c]) = three();
    let mut made = a.post("/v1/chat/completions", ASK);
    let id = made.id();
    let (mut on_b, mut on_c) = (b.get(&follow(&id, 0)), c.get(&follow(&id, 0)));
    let head = made.events(6);
    assert_eq!(on_b.events(6), head);
    assert_eq!(on_c.events(6), head);
    std::thread::sleep(LEASE / 2);
    a.signal(Signal::KILL);
    let rest = on_b.rest();
    assert_eq!(on_c.rest(), rest);
    let whole = head + &rest;
    assert_is_one_stream(&whole);
    // Who comes back is served the same, on any node, from any place.
    let with_ids = b.get(&stream(&id, "1-0")).rest();
    assert_eq!(data_of(&with_ids), whole);
    assert!(
        with_ids.contains("id: 1-1\n") && with_ids.contains("id: 2-"),
        "{with_ids}"
    );
    let ids = with_ids
        .lines()
        .filter_map(|line| line.strip_prefix("id: "));
    // The first is the cursor's own.
    let ids: Vec<_> = ids.skip(1).collect();
    let events: Vec<_> = whole.split_inclusive("\n\n").collect();
    assert_eq!(ids.len(), events.len());
    for (at, cursor) in ids.iter().enumerate() {
        let tail = c.get(&stream(&id, cursor)).rest();
        assert_eq!(data_of(&tail), events[at + 1..].concat(), "after {cursor}");
    }
    let view = c.get(&format!("/v1/chat/completions/{id}")).rest();
    assert!(view.contains(r#""status":"completed""#), "{view}");
    let seam = ids
        .iter()
        .position(|id| id.starts_with("2-"))
        .expect("an epoch");
    assert!(
        view.contains(&format!(r#""continued_after":[{seam}]"#)),
        "{view}"
    );
}

#[test]
fn also_when_that_node_dies_too() {
    let (_redis, _model, [a, b, c]) = three();
    let mut made = a.post("/v1/chat/completions", ASK);
    let id = made.id();
    let mut on_c = c.get(&follow(&id, 0));
    let mut head = made.events(4);
    assert_eq!(on_c.events(4), head);
    // Only this one reads, so it goes on.
    let mut on_b = b.get(&follow(&id, 0));
    assert_eq!(on_b.events(4), head);
    drop(on_b);
    a.signal(Signal::KILL);
    head += &on_c.events(4);
    let mut on_b = b.get(&follow(&id, 0));
    assert_eq!(on_b.events(8), head);
    drop(c);
    let whole = head + &on_b.rest();
    assert_is_one_stream(&whole);
}

#[test]
fn a_node_that_only_slept_is_fenced() {
    let (_redis, _model, [a, b, _]) = three();
    let mut made = a.post("/v1/chat/completions", ASK);
    let mut there = b.get(&follow(&made.id(), 0));
    let head = made.events(6);
    assert_eq!(there.events(6), head);
    std::thread::sleep(LEASE);
    a.signal(Signal::STOP);
    let rest = there.rest();
    assert_is_one_stream(&(head + &rest));
    a.signal(Signal::CONT);
    let late = made.rest();
    assert!(
        !late.contains("[DONE]") && !late.contains("error"),
        "{late}"
    );
}

#[test]
fn a_model_that_does_not_say_so_ends_as_lost() {
    let redis = Redis::start();
    let model = Node::start(&redis, "local");
    let models = format!(
        "[{{ name = 'm', upstreams = [{{ base_url = 'http://{}/v1' }}] }}]",
        model.address
    );
    let [a, b] = [(); 2].map(|()| Node::start_with(&redis, "local", &[("MODELS", &models)]));
    let mut made = a.post("/v1/chat/completions", ASK);
    let there = b.get(&follow(&made.id(), 0));
    made.events(4);
    std::thread::sleep(LEASE / 2);
    a.signal(Signal::KILL);
    assert!(there.rest().contains(r#""code":"upstream_lost""#));
}
