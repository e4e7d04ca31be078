//! Where a stream can be read on: on the node that makes it and, with Redis, on another.

use std::net::SocketAddr;

use tokenfall::testing::{TestServer, spawn};

use super::get;
use crate::{
    gate::wait_until,
    proxy::{Proxy, Settings},
    redis::Redis,
};

/// A node that makes streams, perhaps one that only serves them, and what they share.
pub(super) struct Nodes {
    pub(super) maker: Proxy,
    other: Option<TestServer>,
    _redis: Option<Redis>,
}

impl Nodes {
    /// One node, with what it makes in its memory.
    pub(super) fn one(settings: Settings) -> Self {
        Self {
            maker: settings.start(),
            other: None,
            _redis: None,
        }
    }

    /// Two nodes on one Redis.
    pub(super) fn two(settings: Settings) -> Self {
        let redis = Redis::start();
        let url = format!("'{}'", redis.url());
        let shared = [
            ("store.kind", "'redis'"),
            ("store.url", &url),
            ("auth.ticket_secret", "'the same on every node'"),
        ];
        let both = shared.iter().fold(settings, |all, (k, v)| all.set(k, v));
        let lines = shared.map(|(key, value)| format!("{key} = {value}\n"));
        let nodes = Self {
            maker: both.start(),
            other: Some(spawn(&lines.concat()).expect("valid settings")),
            _redis: Some(redis),
        };
        for address in nodes.addresses() {
            let is_ready = || get(address, "/readyz", &[]).head.status == 200;
            wait_until("the store", is_ready);
        }
        nodes
    }

    /// Where its streams can be read, where they are made first.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        let other = self.other.iter().map(TestServer::address);
        [self.maker.address()].into_iter().chain(other).collect()
    }
}
