//! A redis-server of a test's own, and stores on it.

use std::{sync::Arc, time::Duration};

use super::{RedisStore, Successor};
use crate::stream::{End, Event, Kind, OnUnavailable, Settings, StoreKind, StoreSettings};

#[path = "../../../tests/it/redis.rs"]
#[expect(
    clippy::disallowed_methods,
    clippy::duplicate_mod,
    reason = "it waits for another process; the limits' tests, which know nothing of stores, have it too"
)]
mod server;

/// A server without persistence, and where nodes find it.
pub(in crate::stream) struct TestRedis(server::Redis);

impl TestRedis {
    pub(in crate::stream) fn start() -> Self {
        Self(server::Redis::start())
    }

    /// Starts it where it was, with nothing in it.
    pub(in crate::stream) fn start_again(&mut self) {
        self.0.start_again();
    }

    pub(in crate::stream) fn stop(&mut self) {
        self.0.stop();
    }

    pub(in crate::stream) fn settings(&self) -> StoreSettings {
        StoreSettings {
            kind: StoreKind::Redis,
            url: self.0.url(),
            lease: Duration::from_millis(600),
            poll: Duration::from_millis(100),
            on_unavailable: OnUnavailable::Refuse,
        }
    }

    /// One more node.
    pub(in crate::stream) async fn node(&self, stream: &Settings) -> RedisStore {
        self.node_with(&self.settings(), stream).await
    }

    pub(in crate::stream) async fn node_with(
        &self,
        settings: &StoreSettings,
        stream: &Settings,
    ) -> RedisStore {
        let store = RedisStore::new(settings, stream, last_words()).expect("a valid URL");
        assert!(
            store.connected(Duration::from_secs(60)).await,
            "a server that answers"
        );
        store
    }
}

fn last_words() -> Arc<dyn Successor> {
    Arc::new(|log: &crate::stream::Log, first: crate::stream::Seq| {
        let text = format!("{} was lost at {};", log.id(), first.0);
        let event = |kind, text: &str| Event {
            kind,
            frame: bytes::Bytes::from(text.to_owned()).into(),
        };
        let events = vec![event(Kind::Failure, &text), event(Kind::Done, "done")];
        (events, End::Failed("upstream_lost".into()))
    })
}
