//! What no single type can say: ranges, and what settings mean together.

use std::{net::IpAddr, ops::RangeInclusive, time::Duration};

use super::Config;
use crate::{
    access::KeySettings,
    backend::{
        ModelSettings, OnLoss, Share,
        cassette::OnMiss,
        mock::check_speed,
        upstream::{Limits, Upstream, UpstreamSettings},
    },
    stream::{RedisStore, StoreKind},
    telemetry,
};

/// The shortest duration, so that tests need no patience and servers do not spin.
const SHORTEST: Duration = Duration::from_millis(10);
/// Nobody looks more seldom than this whether a server is ready.
const LONGEST_DELAY: Duration = Duration::from_secs(300);
/// What is waited for a head is counted by a clock of actix's that ticks twice a second, so that less
/// may be over before it has begun.
const SHORTEST_HEAD: Duration = Duration::from_secs(1);
/// Requests have some kilobytes each, and their answers' times as much again.
const MOST_REQUESTS: usize = 1_000_000;
/// A record has some 300 bytes.
const MOST_RECORDS: usize = 1_000_000;
/// A message's image needs 5; `serde_json` ends at 128.
const JSON_DEPTH: RangeInclusive<u8> = 8..=128;
/// More than any answer has.
const MOST_TOKENS: u64 = 1_000_000;
/// More than anybody asks one after the other.
const MOST_UPSTREAMS: usize = 32;
/// Small enough for any machine, large enough for any chunk.
const SMALLEST: usize = 1024;

/// A setting that cannot be.
#[derive(Debug)]
pub(super) struct Wrong {
    /// Its key.
    pub(super) key: String,
    /// Why, and what is allowed.
    pub(super) reason: String,
}

fn wrong<T>(key: &str, reason: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong {
        key: key.to_owned(),
        reason: reason.into(),
    })
}

/// Checks everything that can be checked without starting.
pub(super) fn validate(config: &Config) -> Result<(), Wrong> {
    durations(config)?;
    sizes(config)?;
    if let Err(error) = telemetry::check(&config.server.log) {
        return wrong("server.log", error.to_string());
    }
    for (index, origin) in config.cors.origins.iter().enumerate() {
        if !is_origin(origin) {
            let reason = "expected a scheme and a host, such as `https://chat.example.org`";
            return wrong(&format!("cors.origins[{index}]"), reason);
        }
    }
    if !config.server.public_url.is_empty() && config.server.public_host().is_none() {
        let reason = "expected a URL such as `https://tokens.example.org`, or nothing";
        return wrong("server.public_url", reason);
    }
    listener(config)?;
    models(config)?;
    mock(config)?;
    cassettes(config)?;
    store(config)?;
    usage(config)?;
    if let Err(error) = config.otlp.check() {
        return wrong(&format!("otlp.{}", error.key), error.reason);
    }
    exposure(config)
}

/// Keys in a list of this name.
pub(super) fn keys(list: &str, entries: &[KeySettings]) -> Result<(), Wrong> {
    KeySettings::check(entries).or_else(|error| {
        let member = error.member.map(|member| format!(".{member}"));
        let key = format!("{list}[{}]{}", error.index, member.unwrap_or_default());
        wrong(&key, error.reason)
    })
}

fn durations(config: &Config) -> Result<(), Wrong> {
    let (limits, stream) = (&config.limits, &config.stream);
    let mut all = vec![
        ("server.drain".to_owned(), config.server.drain),
        ("limits.body_timeout".to_owned(), limits.body_timeout),
        ("limits.head_timeout".to_owned(), limits.head_timeout),
        ("limits.keep_alive".to_owned(), limits.keep_alive),
        ("limits.queue_timeout".to_owned(), limits.queue_timeout),
        ("stream.commit_after".to_owned(), stream.commit_after),
        ("stream.heartbeat".to_owned(), stream.heartbeat),
        ("stream.resume_grace".to_owned(), stream.resume_grace),
        ("stream.retry".to_owned(), stream.retry),
        ("stream.max_detached".to_owned(), stream.max_detached),
        ("stream.retention".to_owned(), stream.retention),
        ("stream.write_deadline".to_owned(), stream.write_deadline),
        ("store.lease".to_owned(), config.store.lease),
        ("store.poll".to_owned(), config.store.poll),
    ];
    for (index, model) in config.models.iter().enumerate() {
        let clocks = [
            ("connect", model.connect),
            ("first_chunk", model.first_chunk),
            ("between", model.between),
            ("after_finish", model.after_finish),
            ("total", model.total),
        ];
        all.extend(clocks.map(|(name, clock)| (format!("models[{index}].{name}"), clock)));
        for (place, upstream) in model.upstreams.iter().enumerate() {
            let key = format!("models[{index}].upstreams[{place}].discover_ttl");
            all.push((key, upstream.discover_ttl));
        }
        let lifetime = model
            .cache
            .lifetime
            .map(|lifetime| ("cache.lifetime", lifetime));
        all.extend(lifetime.map(|(name, time)| (format!("models[{index}].{name}"), time)));
    }
    if config.server.drain_delay > LONGEST_DELAY {
        return wrong("server.drain_delay", "expected 5m at most");
    }
    match all.into_iter().find(|(_, duration)| *duration < SHORTEST) {
        Some((key, _)) => wrong(&key, "expected a duration of at least 10ms"),
        None if limits.head_timeout < SHORTEST_HEAD => {
            wrong("limits.head_timeout", "expected a duration of at least 1s")
        }
        None => Ok(()),
    }
}

fn sizes(config: &Config) -> Result<(), Wrong> {
    let stream = &config.stream;
    let all = [
        ("limits.body_bytes", config.limits.body_bytes),
        ("limits.schema_bytes", config.limits.schema_bytes),
        ("limits.target_bytes", config.limits.target_bytes),
        ("limits.header_bytes", config.limits.header_bytes),
        ("stream.event_bytes", stream.event_bytes),
        ("stream.log_bytes", stream.log_bytes),
        ("stream.budget_bytes", stream.budget_bytes),
    ];
    if let Some((key, _)) = all.into_iter().find(|(_, bytes)| *bytes < SMALLEST) {
        return wrong(key, format!("expected at least {SMALLEST} bytes"));
    }
    if stream.log_bytes < stream.event_bytes {
        let reason = format!(
            "expected at least stream.event_bytes, which is {}",
            stream.event_bytes
        );
        return wrong("stream.log_bytes", reason);
    }
    if stream.budget_bytes < stream.log_bytes {
        let reason = format!(
            "expected at least stream.log_bytes, which is {}",
            stream.log_bytes
        );
        return wrong("stream.budget_bytes", reason);
    }
    let limits = &config.limits;
    for (key, count) in [
        ("limits.messages", limits.messages),
        ("limits.tools", limits.tools),
        ("limits.connections", limits.connections),
        ("limits.streams", limits.streams),
        ("stream.max_cached_answers", stream.max_cached_answers),
    ] {
        if count == 0 {
            return wrong(key, "expected at least 1");
        }
    }
    if !JSON_DEPTH.contains(&limits.json_depth) {
        let (least, most) = (JSON_DEPTH.start(), JSON_DEPTH.end());
        return wrong("limits.json_depth", format!("expected {least} to {most}"));
    }
    if limits.assumed_tokens > MOST_TOKENS {
        let reason = format!("expected {MOST_TOKENS} at most");
        return wrong("limits.assumed_tokens", reason);
    }
    Ok(())
}

/// What is listened on, and with which certificate.
fn listener(config: &Config) -> Result<(), Wrong> {
    let server = &config.server;
    let is_unix = !server.unix.is_empty();
    if server.trusted_proxies.has_unix() && !is_unix {
        let reason = "expected `unix` only with server.unix";
        return wrong("server.trusted_proxies", reason);
    }
    if is_unix && server.http2 {
        let reason = "a Unix socket speaks HTTP/1.1 alone: leave out server.unix or this";
        return wrong("server.http2", reason);
    }
    if !server.tls.is_on() {
        return Ok(());
    }
    if is_unix {
        let reason = "a Unix socket is not encrypted: leave out server.unix or this";
        return wrong("server.tls.cert", reason);
    }
    for (key, file) in [
        ("server.tls.cert", &server.tls.cert),
        ("server.tls.key", &server.tls.key),
    ] {
        if file.is_empty() {
            return wrong(
                key,
                "expected both server.tls.cert and server.tls.key, or neither",
            );
        }
    }
    let read = server.tls.read().map(drop);
    read.or_else(|error| wrong(&format!("server.tls.{}", error.setting), error.reason))
}

fn models(config: &Config) -> Result<(), Wrong> {
    for (index, model) in config.models.iter().enumerate() {
        let key = |rest: &str| format!("models[{index}].{rest}");
        if model.name.is_empty() {
            return wrong(
                &key("name"),
                "expected a name, or a pattern such as `gpt-*`",
            );
        }
        match (model.mock, &model.upstreams[..]) {
            (true, [_, ..]) => {
                let reason = "expected none beside `mock = true`";
                return wrong(&key("upstreams"), reason);
            }
            (false, []) => {
                let reason = "expected at least one upstream, or `mock = true`";
                return wrong(&key("upstreams"), reason);
            }
            (true, []) | (false, [_, ..]) => {}
        }
        if model.upstreams.len() > MOST_UPSTREAMS {
            let reason = format!("expected {MOST_UPSTREAMS} at most");
            return wrong(&key("upstreams"), reason);
        }
        if model.on_owner_loss == OnLoss::Continue && config.store.kind == StoreKind::Memory {
            let reason = "`continue` needs `store.kind = \"redis\"`: nobody else has its streams";
            return wrong(&key("on_owner_loss"), reason);
        }
        cache(config, model).or_else(|(member, reason)| wrong(&key(member), reason))?;
        let limits = Limits {
            event_bytes: config.stream.event_bytes,
            whole_bytes: config.stream.log_bytes,
        };
        for (place, upstream) in model.upstreams.iter().enumerate() {
            if let Err(error) = Upstream::new(upstream, model.connect, limits) {
                let key = key(&format!("upstreams[{place}].{}", error.key));
                return wrong(&key, error.reason);
            }
        }
    }
    Ok(())
}

/// Whether a model's answers can be shared as is said; the member of its entry, and why not.
fn cache(config: &Config, model: &ModelSettings) -> Result<(), (&'static str, String)> {
    let cache = &model.cache;
    if cache.share == Share::Off {
        return Ok(());
    }
    if model.mock || !config.mock.cassettes.is_empty() {
        let reason =
            "expected `off` for the mock and beside mock.cassettes, whose answers cost nothing";
        return Err(("cache.share", reason.to_owned()));
    }
    let retention = config.stream.retention;
    if cache.lifetime.is_some_and(|lifetime| lifetime > retention) {
        let reason = format!("expected at most stream.retention, which is {retention:?}");
        return Err(("cache.lifetime", reason));
    }
    Ok(())
}

fn mock(config: &Config) -> Result<(), Wrong> {
    let mock = &config.mock;
    for (name, profile) in &mock.profiles {
        if let Err((field, reason)) = profile.check() {
            return wrong(&format!("mock.profiles.{name}.{field}"), reason);
        }
    }
    if !mock.profiles.contains_key(&mock.profile) {
        let known: Vec<_> = mock.profiles.keys().map(String::as_str).collect();
        let reason = format!("expected one of {}", known.join(", "));
        return wrong("mock.profile", reason);
    }
    check_speed(mock.speed).or_else(|reason| wrong("mock.speed", reason))?;
    if mock.journal > MOST_REQUESTS {
        return wrong("mock.journal", format!("expected {MOST_REQUESTS} at most"));
    }
    Ok(())
}

/// Who answers, where there are cassettes.
fn cassettes(config: &Config) -> Result<(), Wrong> {
    let mock = &config.mock;
    let records = mock.on_miss == OnMiss::Record;
    if mock.rerecord && !records {
        let reason = "nothing is recorded unless mock.on_miss is `record`";
        return wrong("mock.rerecord", reason);
    }
    if records && (mock.cassettes.is_empty() || config.is_all_mock()) {
        let reason = "`record` needs mock.cassettes, and in `models` an upstream to ask";
        return wrong("mock.on_miss", reason);
    }
    if !mock.cassettes.is_empty() && !config.is_all_mock() && !records {
        let reason = "cassettes answer in place of `models`: leave those out, or set mock.on_miss \
                      to `record`, which asks them for what is missing";
        return wrong("mock.cassettes", reason);
    }
    Ok(())
}

/// What several nodes need.
fn store(config: &Config) -> Result<(), Wrong> {
    if config.store.kind == StoreKind::Memory {
        return Ok(());
    }
    if config.store.url.is_empty() {
        let reason = "expected where the Redis is, such as `redis://127.0.0.1:6379`";
        return wrong("store.url", reason);
    }
    if let Err(error) = RedisStore::check(&config.store) {
        return wrong("store.url", error.to_string());
    }
    if config.auth.ticket_secret.is_empty() {
        let reason = "several nodes need the same secret, or a ticket opens nothing on another";
        return wrong("auth.ticket_secret", reason);
    }
    if config.mock.deterministic {
        let reason = "cannot be with a shared store, where the same id must not be made twice";
        return wrong("mock.deterministic", reason);
    }
    Ok(())
}

fn usage(config: &Config) -> Result<(), Wrong> {
    let sink = &config.usage.sink;
    if !sink.is_empty() && sink != "stdout" && !sink.contains('/') {
        let reason = "expected `stdout`, a path such as `/var/log/usage.jsonl`, or nothing";
        return wrong("usage.sink", reason);
    }
    if !(1..=MOST_RECORDS).contains(&config.usage.queue) {
        let reason = format!("expected 1 to {MOST_RECORDS}");
        return wrong("usage.queue", reason);
    }
    Ok(())
}

/// Nobody may spend the upstream's money by mistake (PROTOCOL, section 3).
fn exposure(config: &Config) -> Result<(), Wrong> {
    let mut upstreams = config.models.iter().flat_map(|model| &model.upstreams);
    let has_upstream_key = upstreams.any(UpstreamSettings::has_credentials);
    let is_exposed = config.server.unix.is_empty() && !is_loopback(&config.server.host);
    if is_exposed && has_upstream_key && config.auth.keys.is_empty() && !config.server.open {
        let reason = "everyone who reaches this address could use the upstream's key: set `auth.keys`, \
                      bind to 127.0.0.1, or say --open if that is meant";
        return wrong("server.host", reason);
    }
    Ok(())
}

/// Whether a host is this machine alone.
fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn is_origin(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|host| !host.is_empty() && !host.contains(['/', ' ', '*']))
}
