//! Settings that change while the server runs by them.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use tokenfall::testing::spawn_file;

use super::{File, status, wait_for_key};
use crate::{
    chunks::{DONE, STREAM, WHOLE, completion, finish, frame, text},
    gate::{Gate, wait_until},
    http::{Connection, fetch, post, request},
    reply::Head,
    upstream::{Script, Upstream},
};

/// The settings of a server before this upstream, with a key of this name and text.
fn settings(upstream: &Upstream, key: &str, more: &str) -> String {
    let address = upstream.address;
    format!(
        "auth.keys = [{{ name = '{key}', key = '{key}', admin = true }}]\n\
         stream.commit_after = '1m'\n\
         server.drain = '10ms'\n\
         {more}\n\
         [[models]]\n\
         name = '*'\n\
         upstreams = [{{ base_url = 'http://{address}/v1' }}]\n"
    )
}

fn with_key(body: &str, key: &str) -> Vec<u8> {
    post(body, &[("authorization", &format!("Bearer {key}"))])
}

#[test]
fn keys_are_replaced_on_every_worker() {
    let upstream = Upstream::play(Script::json("{\"data\":[]}"));
    let four = "server.workers = 4";
    let file = File::new("keys.toml", &settings(&upstream, "old", four));
    let server = spawn_file(&file.0).expect("it starts");
    assert_eq!(status(server.address(), "old"), 200);
    assert_eq!(status(server.address(), "new"), 401);
    file.write(&settings(&upstream, "new", four));
    wait_for_key(server.address(), "new");
    // Connections go to the workers in turn.
    for _ in 0..8 {
        assert_eq!(status(server.address(), "old"), 401);
        assert_eq!(status(server.address(), "new"), 200);
    }
}

#[test]
fn a_file_of_keys_is_read_again_by_itself() {
    let keys = File::new("keys-of-file.toml", "[[keys]]\nname = 'a'\nkey = 'a'\n");
    let config = format!("auth.keys_file = '{}'\n", keys.path());
    let config = File::new("keys-file.toml", &config);
    let server = spawn_file(&config.0).expect("it starts");
    assert_eq!(status(server.address(), "b"), 401);
    keys.write("[[keys]]\nname = 'b'\nkey = 'b'\n");
    wait_for_key(server.address(), "b");
    assert_eq!(status(server.address(), "a"), 401);
}

#[test]
fn the_key_of_an_upstream_is_read_again() {
    let upstream = Upstream::play(Script::json(&completion()));
    let secret = File::new("upstream.key", "first");
    let settings = format!(
        "[[models]]\nname = '*'\nupstreams = [{{ base_url = 'http://{}/v1', key_file = '{}' }}]\n",
        upstream.address,
        secret.path()
    );
    let file = File::new("upstream-key.toml", &settings);
    let server = spawn_file(&file.0).expect("it starts");
    let is_asked_with = |key: &str| {
        fetch(server.address(), &post(WHOLE, &[]));
        let requests = upstream.requests();
        let last = requests.last().expect("a request");
        last.head.contains(&format!("Bearer {key}"))
    };
    assert!(is_asked_with("first"));
    secret.write("second");
    wait_until("the new key", || is_asked_with("second"));
}

#[test]
fn what_is_under_way_ends_with_the_upstream_that_it_began_with() {
    let gate = Gate::default();
    let script = Script::stream().event(&text("one")).wait(&gate);
    let before = Upstream::play(script.event(&finish()).done());
    let after = Upstream::play(Script::json(&completion().replace("Hello", "After")));
    let file = File::new("models.toml", &settings(&before, "k", ""));
    let server = spawn_file(&file.0).expect("it starts");
    let mut client = Connection::open(server.address());
    client.send(&with_key(STREAM, "k"));
    let head = client.head();
    let first = client.chunks_until("one");
    // The key goes too: it let the stream in, and that is over.
    file.write(&settings(&after, "l", ""));
    wait_for_key(server.address(), "l");
    let reply = fetch(server.address(), &with_key(WHOLE, "l"));
    assert!(reply.text().contains("After"), "{}", reply.text());
    gate.open();
    let reply = client.rest(head, first);
    reply.assert_streams(&(frame(&text("one")) + &frame(&finish())));
}

#[test]
fn limits_of_the_node_change_under_those_who_are_in() {
    let gate = Gate::default();
    let script = Script::stream().event(&text("one")).wait(&gate);
    let upstream = Upstream::play(script.event(&finish()).done());
    let limits = |streams| format!("limits.queue = 0\nlimits.streams = {streams}");
    let file = File::new("limits.toml", &settings(&upstream, "a", &limits(2)));
    let server = spawn_file(&file.0).expect("it starts");
    let open = |key: &str| {
        let mut client = Connection::open(server.address());
        client.send(&with_key(STREAM, key));
        let head: Head = client.head();
        (client, head.status)
    };
    let (mut first, mut second) = (open("a"), open("a"));
    assert_eq!((first.1, second.1, open("a").1), (200, 200, 503));
    file.write(&settings(&upstream, "b", &limits(1)));
    wait_for_key(server.address(), "b");
    assert_eq!(open("b").1, 503, "two are in a room for one");
    file.write(&settings(&upstream, "c", &limits(3)));
    wait_for_key(server.address(), "c");
    let mut third = open("c");
    assert_eq!((third.1, open("c").1), (200, 503));
    gate.open();
    for client in [&mut first.0, &mut second.0, &mut third.0] {
        client.chunks_until(DONE);
    }
}

#[test]
fn what_is_known_of_an_upstream_that_stays_is_kept() {
    let upstream = Upstream::play(Script::silent());
    let file = File::new("health.toml", &settings(&upstream, "a", ""));
    let server = spawn_file(&file.0).expect("it starts");
    let breaker = |key: &str| {
        let key = format!("Bearer {key}");
        let asked = request("GET", "/metrics", &[("authorization", &key)]);
        let metrics = fetch(server.address(), &asked);
        let mut lines = metrics.text().lines();
        let line = lines.find(|line| line.starts_with("tokenfall_breaker_state{"));
        line.map(str::to_owned)
    };
    for _ in 0..5 {
        let reply = fetch(server.address(), &with_key(WHOLE, "a"));
        assert_eq!(reply.head.status, 502);
    }
    let broken = breaker("a").expect("a breaker");
    assert!(broken.ends_with(" 2"), "{broken}");
    let slower = settings(&upstream, "b", "") + "first_chunk = '7m'\n";
    file.write(&slower);
    wait_for_key(server.address(), "b");
    assert_eq!(breaker("b").as_ref(), Some(&broken));
    // Another server is not known, and of the one that is gone nothing is told.
    let other = Upstream::play(Script::silent());
    file.write(&settings(&other, "c", ""));
    wait_for_key(server.address(), "c");
    let other = breaker("c").expect("a breaker");
    assert!(other.ends_with(" 0"), "{other}");
}

#[test]
fn nobody_is_turned_away_while_settings_are_replaced() {
    let with = |key: &str| {
        format!(
            "server.workers = 2\n\
             auth.keys = [{{ name = 'stays', key = 'stays' }}, {{ name = '{key}', key = '{key}' }}]\n"
        )
    };
    let file = File::new("flipping.toml", &with("k0"));
    let server = spawn_file(&file.0).expect("it starts");
    let address = server.address();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    assert_eq!(status(address, "stays"), 200);
                }
            });
        }
        for turn in 1..=3 {
            let key = format!("k{turn}");
            file.write(&with(&key));
            wait_until("the new key", || status(address, &key) == 200);
        }
        is_over.store(true, Ordering::Relaxed);
    });
}
