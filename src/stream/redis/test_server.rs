//! A redis-server of a test's own, and stores on it. `TOKENFALL_TEST_REDIS` names another binary,
//! such as Valkey's.

use std::{
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use super::{RedisStore, Successor};
use crate::stream::{End, Event, Kind, OnUnavailable, Settings, StoreKind, StoreSettings};

/// A server without persistence on a free port. It ends with the test's process at the latest.
pub(in crate::stream) struct TestRedis {
    port: u16,
    shell: Option<Child>,
}

impl TestRedis {
    pub(in crate::stream) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let mut server = Self { port, shell: None };
        server.start_again();
        server
    }

    /// Starts it where it was, with nothing in it.
    pub(in crate::stream) fn start_again(&mut self) {
        // The shell ends the server when its input does, so also when the test is killed.
        let script = format!(
            "server=${{TOKENFALL_TEST_REDIS:-redis-server}}
             command -v \"$server\" >/dev/null || exit 9
             \"$server\" --port {} --bind 127.0.0.1 --save '' --appendonly no >/dev/null &
             cat >/dev/null; kill -CONT $!; kill -KILL $!; wait",
            self.port
        );
        let mut shell = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if let Ok(Some(_)) = shell.try_wait() {
                panic!("redis-server was not found: scripts/setup installs it");
            }
            std::thread::yield_now();
        }
        self.shell = Some(shell);
    }

    pub(in crate::stream) fn stop(&mut self) {
        if let Some(mut shell) = self.shell.take() {
            drop(shell.stdin.take());
            shell.wait().expect("its end");
        }
    }

    pub(in crate::stream) fn settings(&self) -> StoreSettings {
        StoreSettings {
            kind: StoreKind::Redis,
            url: format!("redis://127.0.0.1:{}", self.port),
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
            store.connected(Duration::from_secs(10)).await,
            "a server that answers"
        );
        store
    }
}

impl Drop for TestRedis {
    fn drop(&mut self) {
        self.stop();
    }
}

fn last_words() -> Arc<dyn Successor> {
    Arc::new(|log: &crate::stream::Log, first: crate::stream::Seq| {
        let text = format!("{} was lost at {};", log.id(), first.0);
        let event = |kind, text: &str| Event {
            kind,
            frame: text.to_owned().into(),
        };
        let events = vec![event(Kind::Failure, &text), event(Kind::Done, "done")];
        (events, End::Failed("upstream_lost".into()))
    })
}
