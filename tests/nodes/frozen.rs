//! A Redis that does not answer, although it is there: connections stay, new ones are accepted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{ASK, LEASE, Node, follow, redis::Redis};

/// How long `/livez` may take.
const ALIVE_WITHIN: Duration = Duration::from_millis(100);
/// With one worker, whatever blocks it holds up everything.
const ONE_WORKER: (&str, &str) = ("TOKENFALL__SERVER__WORKERS", "1");

/// Asks a node all the time whether it lives.
struct Pulse {
    stop: Arc<AtomicBool>,
    asking: Option<JoinHandle<(Duration, Duration)>>,
}

impl Pulse {
    fn of(node: &Node) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, address) = (Arc::clone(&stop), node.address.clone());
        let asking = thread::spawn(move || {
            let (mut longest, mut machine) = (Duration::ZERO, Duration::ZERO);
            let pause = Duration::from_millis(5);
            while !stopped.load(Relaxed) {
                let asked = Instant::now();
                let alive = crate::send(&address, "GET", "/livez", "");
                longest = longest.max(asked.elapsed());
                assert!(alive.head.contains("200 ok"), "{}", alive.head);
                // How late the machine is by itself, when it is busy.
                let slept = Instant::now();
                thread::sleep(pause);
                machine = machine.max(slept.elapsed().saturating_sub(pause));
            }
            (longest, machine)
        });
        let asking = Some(asking);
        Self { stop, asking }
    }

    /// It was never long in answering.
    fn was_steady(mut self) {
        self.stop.store(true, Relaxed);
        let asking = self.asking.take().expect("it asks");
        let (longest, machine) = asking.join().expect("no panic");
        let bound = ALIVE_WITHIN + machine * 2;
        assert!(longest < bound, "{longest:?}, the machine {machine:?}");
    }
}

#[test]
fn redis_may_freeze_for_a_moment() {
    let redis = Redis::start();
    let node = || Node::start_with(&redis, "local", &[ONE_WORKER]);
    let (a, b) = (node(), node());
    let mut made = a.post("/v1/chat/completions", ASK);
    let id = made.id();
    let mut there = b.get(&follow(&id, 0));
    let head = made.events(8);
    assert_eq!(there.events(8), head);
    let pulses = [&a, &b].map(Pulse::of);
    redis.signal(Signal::STOP);
    let frozen = Instant::now();
    let more = made.events(4);
    assert!(frozen.elapsed() < LEASE / 2, "the owner's stream goes on");
    redis.signal(Signal::CONT);
    let rest = more + &made.rest();
    assert_eq!(there.rest(), rest);
    assert!(rest.ends_with("data: [DONE]\n\n") && !rest.contains("error"));
    pulses.into_iter().for_each(Pulse::was_steady);
}

#[test]
fn redis_may_be_frozen_for_longer_than_the_lease() {
    let redis = Redis::start();
    let node = |more| Node::start_with(&redis, "local", &[ONE_WORKER, more]);
    let policy = "TOKENFALL__STORE__ON_UNAVAILABLE";
    let [a, b, c] = ["refuse", "refuse", "unshared"].map(|how| node((policy, how)));
    let mut made = a.post("/v1/chat/completions", ASK);
    let id = made.id();
    let mut there = b.get(&follow(&id, 0));
    let head = made.events(4);
    assert_eq!(there.events(4), head);
    let pulses = [&a, &b, &c].map(Pulse::of);
    redis.signal(Signal::STOP);
    let frozen = Instant::now();
    let mut more = String::new();
    while frozen.elapsed() < LEASE * 2 {
        let asked = Instant::now();
        more.push_str(&made.events(1));
        let took = asked.elapsed();
        assert!(
            took < LEASE,
            "the owner's stream goes on, not after {took:?}"
        );
    }
    for node in [&a, &b] {
        node.becomes("503");
        let unavailable = node.get("/readyz").rest();
        assert!(unavailable.contains("store_unavailable"), "{unavailable}");
        let refused = node.post("/v1/chat/completions", ASK);
        assert!(refused.head.contains("503"), "{}", refused.head);
    }
    c.becomes("200 ok");
    let mut unshared = c.post("/v1/chat/completions", ASK);
    assert!(unshared.head.contains("200 ok"), "{}", unshared.head);
    let (unshared_id, unshared_head) = (unshared.id(), unshared.events(4));
    redis.signal(Signal::CONT);
    for node in [&a, &b] {
        node.becomes("200 ok");
    }
    let rest = more + &made.rest();
    assert_eq!(there.rest(), rest, "the others catch up");
    assert!(rest.ends_with("data: [DONE]\n\n") && !rest.contains("error"));
    let unshared = unshared_head + &unshared.rest();
    assert!(unshared.ends_with("data: [DONE]\n\n") && !unshared.contains("error"));
    let shared = b.get(&follow(&unshared_id, 0)).rest();
    assert_eq!(shared, unshared, "it is shared later");
    pulses.into_iter().for_each(Pulse::was_steady);
}
