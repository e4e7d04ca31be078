//! `/metrics`: what is counted, who may see it, and what stands in the files that use it.

use std::{collections::BTreeSet, net::SocketAddr};

use serde_json::Value;
use tokenfall::testing::spawn;

use crate::{
    chunks::{STREAM, finish, role, text, usage},
    gate::wait_until,
    http::{fetch, post, request},
    proxy::before,
    upstream::{Script, Upstream},
};

pub(super) fn scrape(address: SocketAddr) -> String {
    let reply = fetch(address, &request("GET", "/metrics", &[]));
    assert_eq!(reply.head.status, 200, "{}", reply.text());
    let form = reply.head.header("content-type").expect("a type");
    assert!(form.starts_with("text/plain"), "{form}");
    reply.text().to_owned()
}

/// The value of a line; 0 where there is none.
fn value(text: &str, line: &str) -> f64 {
    let mut lines = text.lines();
    let found = lines.find_map(|known| known.strip_prefix(line)?.strip_prefix(' '));
    found.map_or(0.0, |value| value.parse().expect("a number"))
}

fn good() -> Script {
    let script = Script::stream().event(&role()).event(&text("one"));
    let script = script.event(&text("two")).event(&finish());
    script.event(&usage()).done()
}

#[test]
fn a_stream_is_measured() {
    let proxy = before(good()).start();
    proxy.ask(STREAM);
    let text = scrape(proxy.address());
    let first = "tokenfall_time_to_first_token_seconds_count{model=\"*\"}";
    assert!((value(&text, first) - 1.0).abs() < 0.1, "{text}");
    let between = "tokenfall_inter_token_latency_seconds_count{model=\"*\"}";
    assert!((value(&text, between) - 1.0).abs() < 0.1, "{text}");
    assert!(value(&text, "tokenfall_log_bytes") > 1000.0, "{text}");
    let requests = "tokenfall_http_requests_total{route=\"/v1/chat/completions\",status=\"2xx\"}";
    assert!((value(&text, requests) - 1.0).abs() < 0.1, "{text}");
    let again = scrape(proxy.address());
    let scrapes = "tokenfall_http_requests_total{route=\"/metrics\",status=\"2xx\"}";
    assert!((value(&again, scrapes) - 1.0).abs() < 0.1, "{again}");
}

#[test]
fn attempts_failures_and_breakers_are_counted_by_upstream() {
    let (bad, good) = (Upstream::play(Script::silent()), Upstream::play(good()));
    let settings = format!(
        "[[models]]\nname = 'm*'\nupstreams = [{{ base_url = 'http://{}/v1' }}, {{ base_url = 'http://{}/v1' }}]",
        bad.address, good.address
    );
    let server = spawn(&settings).expect("valid settings");
    for _ in 0..6 {
        fetch(server.address(), &post(STREAM, &[]));
    }
    let text = scrape(server.address());
    let sum = |name: &str, upstream: &Upstream| -> f64 {
        let address = upstream.address.to_string();
        let lines = text
            .lines()
            .filter(|line| line.starts_with(&format!("{name}{{")) && line.contains(&address));
        let values = lines.map(|line| line.rsplit(' ').next().and_then(|v| v.parse::<f64>().ok()));
        values.map(|value| value.expect("a number")).sum()
    };
    let is = |value: f64, expected: f64| assert!((value - expected).abs() < 0.1, "{value} {text}");
    is(sum("tokenfall_attempts_total", &bad), 5.0);
    is(sum("tokenfall_attempt_failures_total", &bad), 5.0);
    is(sum("tokenfall_attempts_total", &good), 6.0);
    is(sum("tokenfall_attempt_failures_total", &good), 0.0);
    is(sum("tokenfall_breaker_state", &bad), 2.0);
    is(sum("tokenfall_breaker_state", &good), 0.0);
    assert!(text.contains("cause=\"upstream_unreachable\""), "{text}");
}

#[test]
fn no_label_is_a_clients_own() {
    let proxy = before(good()).start();
    let strange = STREAM.replace("\"m\"", "\"strange-model\"");
    proxy.ask(&strange);
    fetch(proxy.address(), &request("GET", "/strange/path", &[]));
    fetch(
        proxy.address(),
        &request("GET", "/v1/models/strange-model", &[]),
    );
    let text = scrape(proxy.address());
    assert!(!text.contains("strange"), "{text}");
    assert!(text.contains("route=\"none\",status=\"4xx\""), "{text}");
}

#[test]
fn heartbeats_and_readers_that_leave_are_counted() {
    let script = Script::stream().event(&text("one")).linger();
    let settings = before(script).set("stream.heartbeat", "'50ms'");
    let proxy = settings.set("stream.on_disconnect", "'cancel'").start();
    let mut client = proxy.open(STREAM);
    client.head();
    client.chunks_until(":\n\n");
    let during = scrape(proxy.address());
    assert!(
        value(&during, "tokenfall_heartbeats_total") > 0.5,
        "{during}"
    );
    assert!(
        (value(&during, "tokenfall_readers") - 1.0).abs() < 0.1,
        "{during}"
    );
    let streaming = "tokenfall_streams_open{state=\"streaming\"}";
    assert!((value(&during, streaming) - 1.0).abs() < 0.1, "{during}");
    drop(client);
    crate::proxy::wait_until_idle(&proxy.server);
    let after = scrape(proxy.address());
    let left = "tokenfall_readers_left_total{behind=\"false\"}";
    assert!((value(&after, left) - 1.0).abs() < 0.1, "{after}");
    assert!(value(&after, "tokenfall_readers") < 0.5, "{after}");
}

#[test]
fn with_keys_it_takes_one_of_an_admin() {
    let keys = "[{ name = 'a', key = 'ka' }, { name = 'b', key = 'kb', admin = true }]";
    let proxy = before(good()).set("auth.keys", keys).start();
    let status = |headers: &[(&str, &str)]| {
        let request = request("GET", "/metrics", headers);
        fetch(proxy.address(), &request).head.status
    };
    assert_eq!(status(&[]), 401);
    assert_eq!(status(&[("authorization", "Bearer ka")]), 403);
    assert_eq!(status(&[("authorization", "Bearer kb")]), 200);
}

#[test]
fn what_scrapes_the_open_format_is_told_so() {
    let proxy = before(good()).start();
    let open = (
        "accept",
        "application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
    );
    let reply = fetch(proxy.address(), &request("GET", "/metrics", &[open]));
    let form = reply.head.header("content-type").expect("a type");
    assert!(form.starts_with("application/openmetrics-text"), "{form}");
    assert!(reply.text().ends_with("# EOF\n"));
}

/// The names of metrics that a text speaks of.
fn named(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_part(c));
    let names = words.filter(|word| word.starts_with("tokenfall_"));
    names.map(str::to_owned).collect()
}

/// The metrics of a server on which everything has happened once: a metric without a label's value
/// is not shown.
fn everything() -> String {
    let bad = Upstream::play(Script::silent());
    let proxy = before(good()).start();
    proxy.ask(STREAM);
    let failing = format!(
        "[[models]]\nname = '*'\nupstreams = [{{ base_url = 'http://{}/v1' }}]",
        bad.address
    );
    let failing = spawn(&failing).expect("valid settings");
    fetch(failing.address(), &post(STREAM, &[]));
    let leaving = before(Script::stream().event(&text("one")).linger()).start();
    let mut client = leaving.open(STREAM);
    client.head();
    client.chunks_until("one");
    drop(client);
    wait_until("the reader to be gone", || leaving.server.streams() == 0);
    [proxy.address(), failing.address(), leaving.address()]
        .map(scrape)
        .concat()
}

#[test]
fn dashboard_and_alerts_name_only_what_there_is() {
    let known = everything();
    let types = known
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "));
    let mut names = BTreeSet::new();
    for (name, form) in types.filter_map(|line| line.split_once(' ')) {
        let endings: &[&str] = match form {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_sum", "_count"],
            "gauge" => &[""],
            other => panic!("what is {other}?"),
        };
        names.extend(endings.iter().map(|ending| format!("{name}{ending}")));
    }
    let dashboard = include_str!("../../../deploy/grafana/tokenfall.json");
    let _: Value = serde_json::from_str(dashboard).expect("JSON");
    let rules = include_str!("../../../deploy/prometheus/rules.yml");
    for used in [named(dashboard), named(rules)] {
        assert!(used.len() > 4, "{used:?}");
        let unknown: Vec<_> = used.difference(&names).collect();
        assert!(unknown.is_empty(), "{unknown:?} of {names:?}");
    }
}
