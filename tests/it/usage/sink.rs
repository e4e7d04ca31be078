//! Where records go.

use std::fs;

use tokenfall::testing::spawn;

use super::{Records, metrics::scrape};
use crate::{
    chunks::{STREAM, finish, text, usage},
    http::{fetch, post},
    proxy::before,
    upstream::{Script, Upstream},
};

fn good() -> Script {
    let script = Script::stream().event(&text("hello"));
    script.event(&finish()).event(&usage()).done()
}

#[test]
fn a_record_has_the_name_of_the_key_and_nothing_of_the_key() {
    let records = Records::new();
    let keys = "[{ name = 'ci', key = 'secret' }]";
    let settings = before(good()).set("auth.keys", keys);
    let proxy = settings.set("usage.sink", &records.setting()).start();
    proxy.ask_with(STREAM, &[("authorization", "Bearer secret")]);
    let record = &records.wait_for(1)[0];
    assert_eq!(record["key"], "ci");
    assert!(!records.text().contains("secret"), "{record}");
    let members: Vec<_> = record.as_object().expect("an object").keys().collect();
    let known = [
        "id",
        "key",
        "model",
        "upstream",
        "started_ms",
        "first_token_ms",
        "ended_ms",
        "prompt_tokens",
        "completion_tokens",
        "usage_source",
        "attempts",
        "continued",
        "cache",
        "end",
    ];
    assert_eq!(members, known);
}

#[test]
fn a_file_is_written_at_its_end_and_made_again_when_it_is_taken_away() {
    let records = Records::new();
    let path = records.setting().trim_matches('\'').to_owned();
    fs::write(&path, "{\"from\":\"before\"}\n").expect("a file");
    let proxy = before(good()).set("usage.sink", &records.setting()).start();
    proxy.ask(STREAM);
    assert_eq!(records.wait_for(2)[0]["from"], "before");
    fs::remove_file(&path).expect("a file");
    proxy.ask(STREAM);
    assert_eq!(records.wait_for(1).len(), 1);
}

#[test]
fn after_a_failover_the_record_is_of_the_one_that_answered() {
    let records = Records::new();
    let (bad, good) = (Upstream::play(Script::silent()), Upstream::play(good()));
    let settings = format!(
        "usage.sink = {}\n[[models]]\nname = '*'\nupstreams = [{{ base_url = 'http://{}/v1' }}, {{ base_url = 'http://{}/v1' }}]",
        records.setting(),
        bad.address,
        good.address
    );
    let server = spawn(&settings).expect("valid settings");
    fetch(server.address(), &post(STREAM, &[]));
    let record = &records.wait_for(1)[0];
    assert_eq!(record["attempts"], 2);
    assert_eq!(record["usage_source"], "reported");
    let label = record["upstream"].as_str().expect("a label");
    assert!(label.contains(&good.address.to_string()), "{label}");
    server.stop();
    assert_eq!(records.text().lines().count(), 1);
}

#[test]
fn a_hundred_streams_are_a_hundred_records() {
    let records = Records::new();
    let proxy = before(good()).set("usage.sink", &records.setting()).start();
    let (address, request) = (proxy.address(), post(STREAM, &[]));
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| (0..10).for_each(|_| drop(fetch(address, &request))));
        }
    });
    let written = records.wait_for(100);
    let ids: std::collections::BTreeSet<_> = written
        .iter()
        .map(|record| record["id"].to_string())
        .collect();
    assert_eq!((written.len(), ids.len()), (100, 100));
}

#[test]
fn a_sink_that_cannot_be_opened_stops_the_start() {
    assert!(spawn("usage.sink = '/nowhere/at/all/usage.jsonl'").is_err());
    assert!(spawn("usage.sink = 'stderr'").is_err());
    assert!(spawn("usage.queue = 0").is_err());
}

#[test]
fn a_slow_sink_delays_nobody_and_what_is_lost_is_counted() {
    let records = Records::new();
    let path = records.setting().trim_matches('\'').to_owned();
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.expect("mkfifo runs").success());
    // A pipe that nobody reads from.
    let mut options = fs::OpenOptions::new();
    let reader = options.read(true).write(true).open(&path).expect("a pipe");
    let settings = before(good()).set("usage.sink", &records.setting());
    let proxy = settings.set("usage.queue", "1").start();
    let key = "x".repeat(40_000);
    let body = STREAM.replace("\"m\"", &format!("\"{key}\""));
    // Two fill the pipe, one waits, one is on its way; each has the model's long name.
    for _ in 0..8 {
        proxy.ask(&body);
    }
    crate::gate::wait_until("records to be lost", || {
        let text = scrape(proxy.address());
        let lost = text
            .lines()
            .find_map(|line| line.strip_prefix("tokenfall_usage_records_lost_total "));
        lost.and_then(|lost| lost.parse::<u32>().ok())
            .is_some_and(|lost| (3..8).contains(&lost))
    });
    // Now a write fails, so that the server can stop.
    drop(reader);
}
