//! When things are said: plans that are the same on every run, and what load does to them.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokenfall::testing::TestServer;

use super::{ask, chat, serve, streamed};
use crate::http::{Connection, fetch, post, request};

const PROFILES: &str = "
mock.deterministic = true
[mock.profiles.shaky]
first_token = '200ms'
prefill_per_token = '3ms'
tokens_per_second = 50
jitter = 'lognormal'
spread = 0.5
[mock.profiles.narrow]
first_token = '1s'
concurrency = 1
queue = 1
[mock.profiles.tired]
tokens_per_second = 100
slow_down = 1.0
";

fn journal(server: &TestServer) -> Vec<Value> {
    let journal = fetch(server.address(), &request("GET", "/_mock/requests", &[])).json();
    journal["data"].as_array().expect("a list").clone()
}

#[test]
fn the_plan_of_times_is_a_function_of_seed_and_request() {
    let server = serve("", &format!("mock.virtual_time = true\n{PROFILES}"));
    for seed in ["1", "1", "2"] {
        let headers = [("x-mock-profile", "shaky"), ("x-mock-seed", seed)];
        ask(server.address(), &streamed(chat("Hi")), &headers);
    }
    let plans: Vec<Value> = journal(&server)
        .iter()
        .map(|entry| entry["sent"]["planned_ms"].clone())
        .collect();
    assert_eq!(plans[0], plans[1]);
    assert_ne!(plans[0], plans[2]);
    let first: Vec<_> = plans[0].as_array().expect("times").iter().take(5).collect();
    // Held, so that another machine, compiler or release that plans otherwise is noticed.
    assert_eq!(serde_json::json!(first), serde_json::json!(GOLDEN));
}

const GOLDEN: [f64; 5] = [234.38, 234.38, 246.748, 269.655, 294.319];

#[test]
fn speed_is_a_factor() {
    let server = serve("", &format!("mock.virtual_time = true\n{PROFILES}"));
    for speed in ["1", "4"] {
        let headers = [("x-mock-profile", "local"), ("x-mock-speed", speed)];
        ask(server.address(), &streamed(chat("Hi")), &headers);
    }
    let journal = journal(&server);
    let time = |entry: usize, event: usize| {
        let time = &journal[entry]["sent"]["planned_ms"][event];
        time.as_f64().expect("a time")
    };
    for event in [0, 3, 9] {
        assert!(
            (time(0, event) - 4.0 * time(1, event)).abs() < 0.02,
            "{event}"
        );
    }
}

#[test]
fn answers_wait_for_their_turn_and_more_than_the_queue_holds_are_refused() {
    let server = serve("", PROFILES);
    let headers = [("x-mock-profile", "narrow")];
    // The tokenizer is loaded once this is answered.
    ask(server.address(), &chat("warm"), &headers);
    let begin = || {
        let mut connection = Connection::open(server.address());
        connection.send(&post(streamed(chat("Hi")).to_string(), &headers));
        std::thread::sleep(Duration::from_millis(60));
        connection
    };
    let start = Instant::now();
    let (mut first, mut second) = (begin(), begin());
    let refused = ask(server.address(), &streamed(chat("Hi")), &headers);
    refused.assert_refused(503, "overloaded");
    assert_eq!(refused.head.header("retry-after"), Some("1"));
    first.reply();
    let between = start.elapsed();
    second.reply();
    assert!(
        start.elapsed() > between + Duration::from_millis(500),
        "one after the other"
    );
    assert_eq!(
        ask(server.address(), &chat("Hi"), &headers).head.status,
        200
    );
}

#[test]
fn one_that_leaves_the_queue_gives_its_place_back() {
    let server = serve("", PROFILES);
    let headers = [
        ("x-mock-profile", "narrow"),
        ("x-stream-on-disconnect", "cancel"),
    ];
    ask(server.address(), &chat("warm"), &headers[..1]);
    for _ in 0..3 {
        let mut first = Connection::open(server.address());
        first.send(&post(streamed(chat("Hi")).to_string(), &headers));
        let mut second = Connection::open(server.address());
        second.send(&post(streamed(chat("Hi")).to_string(), &headers));
        std::thread::sleep(Duration::from_millis(60));
    }
    let start = Instant::now();
    while server.generations() > 0 {
        assert!(start.elapsed() < Duration::from_secs(60), "they never end");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(
        ask(server.address(), &chat("Hi"), &headers).head.status,
        200
    );
}

#[test]
fn other_answers_make_gaps_longer() {
    let server = serve("", PROFILES);
    let headers = [("x-mock-profile", "tired")];
    ask(server.address(), &chat("warm"), &headers);
    let begin = || {
        let mut connection = Connection::open(server.address());
        connection.send(&post(streamed(chat("Hi")).to_string(), &headers));
        connection
    };
    let mut together = [begin(), begin(), begin()];
    together
        .iter_mut()
        .for_each(|connection| drop(connection.reply()));
    let gap = |entry: &Value| {
        let planned = entry["sent"]["planned_ms"]
            .as_array()
            .expect("times")
            .clone();
        let time = |at: usize| planned[at].as_f64().expect("a time");
        time(12) - time(11)
    };
    let journal = journal(&server);
    assert!((gap(&journal[0]) - 10.0).abs() < 0.1);
    assert!(gap(&journal[1]) > 15.0, "{}", gap(&journal[1]));
}

#[test]
fn what_was_sent_is_compared_with_what_was_planned() {
    let server = serve("", PROFILES);
    let headers = [("x-mock-profile", "hosted"), ("x-mock-speed", "4")];
    ask(server.address(), &streamed(chat("warm")), &headers);
    ask(server.address(), &streamed(chat("Hi")), &headers);
    let entry = &journal(&server)[1];
    let late = &entry["sent"]["late_ms"];
    assert!(late["p50"].as_f64().is_some_and(|p50| p50 < 20.0), "{late}");
    assert!(late["max"].as_f64() >= late["p99"].as_f64(), "{late}");
}
