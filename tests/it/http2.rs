//! HTTP/2: streams flow, and who goes away is noticed at the next write.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use reqwest::{Client, Version};

use crate::{
    chunks::{STREAM, text},
    proxy::{Proxy, before},
    upstream::Script,
};

/// Two seconds between heartbeats, and some for a busy machine.
const NOTICED: Duration = Duration::from_secs(10);

fn client() -> Client {
    // An error means that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().http2_prior_knowledge().build();
    client.expect("a client")
}

fn start(script: Script) -> Proxy {
    before(script)
        .set("server.http2", "true")
        .set("stream.commit_after", "'100ms'")
        .set("stream.on_disconnect", "'cancel'")
        .start()
}

/// Begins a stream and goes away once `until` is there; when that was.
async fn leave(proxy: &Proxy, until: &str) -> Instant {
    let url = format!("{}/chat/completions", proxy.server.base_url());
    let client = client();
    let request = client.post(url).header("content-type", "application/json");
    let reply = request.body(STREAM).send().await.expect("a reply");
    assert_eq!(reply.version(), Version::HTTP_2);
    let mut body = reply.bytes_stream();
    let mut read = String::new();
    while !read.contains(until) {
        let more = body.next().await.expect("more").expect("bytes");
        read.push_str(std::str::from_utf8(&more).expect("UTF-8"));
    }
    Instant::now()
}

fn leaving(script: Script, until: &str) {
    let proxy = start(script);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let left = runtime.expect("a runtime").block_on(leave(&proxy, until));
    proxy.upstream.departure();
    let noticed = left.elapsed();
    assert!(noticed < NOTICED, "{noticed:?}");
}

#[test]
fn who_leaves_before_the_first_token_is_noticed_at_the_next_heartbeat() {
    leaving(Script::silent().linger(), ":\n\n");
}

#[test]
fn who_leaves_after_the_first_token_is_noticed_at_the_next_heartbeat() {
    leaving(Script::stream().event(&text("one")).linger(), "one");
}

#[test]
fn http_1_is_served_beside_it() {
    let proxy = start(Script::stream().event(&text("one")).linger());
    let mut client = proxy.open(STREAM);
    assert_eq!(client.head().status, 200);
    client.chunks_until("one");
}
