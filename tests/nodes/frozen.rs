//! A Redis that does not answer, although it is there: connections stay, new ones are accepted.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::cluster::{ASK, LEASE, Node, Redis, follow};

/// How long `/livez` may take, but for what a busy machine takes now and then.
const ALIVE_WITHIN: Duration = Duration::from_millis(100);
/// How long Redis may take for an answer: so long at least is whoever blocks held up by it.
const PATIENCE: Duration = Duration::from_millis(500);
/// On a machine that holds up a node without Redis too, how often as long as that one.
const AS_LONG: u32 = 3;
/// With one worker, whatever blocks it holds up everything.
const ONE_WORKER: (&str, &str) = ("SERVER__WORKERS", "1");

fn ask(address: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    Ok(reply)
}

/// Asks a node all the time whether it lives, and how long it takes to say so.
struct Pulse {
    stop: Arc<AtomicBool>,
    asking: JoinHandle<Vec<Duration>>,
}

impl Pulse {
    fn of(node: &Node) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, address) = (Arc::clone(&stop), node.address.clone());
        let asking = thread::spawn(move || {
            let mut taken = Vec::new();
            while !stopped.load(Relaxed) {
                let asked = Instant::now();
                let alive = ask(&address).expect("an answer");
                taken.push(asked.elapsed());
                assert!(alive.contains("200 OK"), "{alive}");
                thread::sleep(Duration::from_millis(5));
            }
            taken
        });
        Self { stop, asking }
    }

    /// What 99 of 100 answers took at most, and the longest.
    fn taken(self) -> (Duration, Duration) {
        self.stop.store(true, Relaxed);
        let mut taken = self.asking.join().expect("no panic");
        taken.sort_unstable();
        (taken[taken.len() * 99 / 100], taken[taken.len() - 1])
    }

    /// It was never held up, but for what held up `other` too.
    fn was_steady(self, other: (Duration, Duration)) {
        let (usual, longest) = self.taken();
        let is_steady = usual < ALIVE_WITHIN.max(other.0 * AS_LONG)
            && longest < PATIENCE.max(other.1 * AS_LONG);
        assert!(
            is_steady,
            "99 of 100 within {usual:?}, one {longest:?}; without Redis {other:?}"
        );
    }
}

#[test]
fn redis_may_freeze_for_a_moment() {
    let redis = Redis::start();
    let (a, b) = (Node::start(&redis, "local"), Node::start(&redis, "local"));
    let mut made = a.post("/v1/chat/completions", ASK);
    let id = made.id();
    let mut there = b.get(&follow(&id, 0));
    let head = made.events(8);
    assert_eq!(there.events(8), head);
    redis.signal(Signal::STOP);
    let frozen = Instant::now();
    let more = made.events(4);
    assert!(frozen.elapsed() < LEASE, "the owner's stream goes on");
    redis.signal(Signal::CONT);
    let rest = more + &made.rest();
    assert_eq!(there.rest(), rest);
    assert!(rest.ends_with("data: [DONE]\n\n") && !rest.contains("error"));
}

#[test]
fn redis_may_be_frozen_for_longer_than_the_lease() {
    let redis = Redis::start();
    let node = |more| Node::start_with(&redis, "local", &[ONE_WORKER, more]);
    let policy = "STORE__ON_UNAVAILABLE";
    let [a, b, c] = ["refuse", "refuse", "unshared"].map(|how| node((policy, how)));
    let mut made = a.post("/v1/chat/completions", ASK);
    let id = made.id();
    let mut there = b.get(&follow(&id, 0));
    let head = made.events(4);
    assert_eq!(there.events(4), head);
    let apart = node(("STORE__KIND", "memory"));
    let pulses = [&a, &b, &c].map(Pulse::of);
    let other = Pulse::of(&apart);
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
    let other = other.taken();
    for pulse in pulses {
        pulse.was_steady(other);
    }
}
