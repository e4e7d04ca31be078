//! A server of one's own for a test: on a free port, stopped when it is dropped.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{Arc, OnceLock, mpsc},
    thread::JoinHandle,
};

use tokio::sync::oneshot;

use crate::{
    config::{Config, ConfigError},
    server::{self, Listening, ServeError},
    tokens::Tokens,
};

/// A running server.
#[derive(Debug)]
pub struct TestServer {
    listening: Listening,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

/// Why a test server does not run.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server is gone before it said where it listens; its log says why.
    #[error("the server did not start")]
    Gone,
}

/// Starts a server with these settings, in TOML, over the defaults. The port is free to choose
/// unless they name one.
///
/// # Errors
/// [`SpawnError`] when the settings are wrong or the server cannot start.
pub fn spawn(settings: &str) -> Result<TestServer, SpawnError> {
    start(Config::from_toml(settings)?)
}

/// Starts a server with the settings of a file, which is read again whenever it has changed.
///
/// # Errors
/// [`SpawnError`] when the settings are wrong or the server cannot start.
pub fn spawn_file(file: &Path) -> Result<TestServer, SpawnError> {
    start(Config::load(Some(file), Vec::new())?)
}

fn start(mut config: Config) -> Result<TestServer, SpawnError> {
    config.server.port = 0;
    let (tell, told) = mpsc::sync_channel(1);
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::spawn(move || {
        server::run(
            config,
            tokens(),
            |listening| drop(tell.send(listening.clone())),
            || async { drop(stopped.await) },
        )
    });
    let listening = told.recv().map_err(|_| SpawnError::Gone)?;
    Ok(TestServer {
        listening,
        stop: Some(stop),
        thread: Some(thread),
    })
}

/// The tokenizer of all servers of a process: most of a short test would be spent on loading it.
fn tokens() -> Arc<Tokens> {
    static TOKENS: OnceLock<Arc<Tokens>> = OnceLock::new();
    Arc::clone(TOKENS.get_or_init(Arc::default))
}

impl TestServer {
    /// The port that it listens at; 0 of no address where that is a Unix socket.
    pub fn address(&self) -> SocketAddr {
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        self.listening.address.socket().unwrap_or(nowhere)
    }

    /// What an OpenAI client takes as its base URL.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address())
    }

    /// How many generations are under way.
    pub fn generations(&self) -> usize {
        self.listening.pumps.count()
    }

    /// How many streams are being written to clients.
    pub fn streams(&self) -> usize {
        self.listening.bodies.count()
    }

    /// Asks it to stop, without waiting.
    pub fn begin_stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // It may have stopped already.
            let _ = stop.send(());
        }
    }

    /// Waits until it has drained and stopped.
    pub fn stop(mut self) {
        self.join();
    }

    fn join(&mut self) {
        self.begin_stop();
        if let Some(thread) = self.thread.take() {
            // A panic there was reported there.
            let _ = thread.join();
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.join();
    }
}
