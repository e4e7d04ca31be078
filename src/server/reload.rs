//! Settings that are replaced while the server runs: at SIGHUP, and when a file has changed.

use std::{fs, future::pending, path::PathBuf, sync::Arc, time::Duration};

use sha2::{Digest, Sha256};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::spawn_blocking,
};

use super::{shared::Shared, tls::Certificate};
use crate::config::{Config, Reloaded};

/// How often the files are looked at. They are not watched: changes made outside a container are
/// not told of inside.
const LOOK: Duration = Duration::from_millis(500);

/// What the files hold, without holding it: there are keys among it.
type Seen = Vec<Option<[u8; 32]>>;

/// Replaces what the workers share.
pub(super) struct Reload {
    live: watch::Sender<Arc<Shared>>,
    certificate: Option<Arc<Certificate>>,
    hangups: Option<Signal>,
    // What the files held when they were read.
    read: Seen,
}

impl Reload {
    /// Signals are caught from here on, where there is a file to be read again. Without one a
    /// hangup ends the process, as a terminal that is closed means it to.
    pub(super) fn new(
        live: watch::Sender<Arc<Shared>>,
        certificate: Option<Arc<Certificate>>,
    ) -> Self {
        let files = live.borrow().config.files();
        let hangups = (!files.is_empty()).then(|| signal(SignalKind::hangup()));
        Self {
            live,
            certificate,
            hangups: hangups.and_then(Result::ok),
            // Before anybody knows that the server runs, and changes them.
            read: seen(files),
        }
    }

    /// Looks at the files without end.
    pub(super) async fn tend(mut self) {
        let mut before = self.read.clone();
        loop {
            let is_asked = tokio::select! {
                () = hangup(self.hangups.as_mut()) => true,
                () = tokio::time::sleep(LOOK) => false,
            };
            let now = look(self.files()).await;
            // Who writes them may not be done: what is new has to be there at two looks.
            let is_settled = now == before;
            before.clone_from(&now);
            if is_asked || (is_settled && now != self.read) {
                self.read = now;
                self.reload().await;
            }
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        self.live.borrow().config.files()
    }

    /// All of it, or nothing.
    async fn reload(&self) {
        let running = Arc::clone(&self.live.borrow());
        let config: Arc<Config> = Arc::clone(&running.config);
        let reloaded = match spawn_blocking(move || config.reload()).await {
            Ok(Ok(reloaded)) => reloaded,
            Ok(Err(error)) => {
                tracing::error!(%error, "the configuration has an error; what held before holds on");
                return;
            }
            Err(error) => {
                tracing::error!(%error, "the configuration could not be read again");
                return;
            }
        };
        let Reloaded {
            config,
            needs_restart,
        } = reloaded;
        if let Some(certificate) = &self.certificate {
            match config.server.tls.read() {
                Ok(pair) => certificate.replace(pair),
                // They have changed since they were checked, and are read again for that.
                Err(error) => return tracing::error!(%error, "what held before holds on"),
            }
        }
        self.live.send_replace(Arc::new(running.with(config)));
        tracing::info!("the configuration was read again");
        if !needs_restart.is_empty() {
            let settings = needs_restart.join(", ");
            tracing::warn!(settings, "these settings have changed and need a restart");
        }
    }
}

async fn hangup(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => pending().await,
    }
}

/// Looks at the files off this thread; at nothing where that thread broke.
async fn look(files: Vec<PathBuf>) -> Seen {
    let look = spawn_blocking(move || seen(files));
    look.await.unwrap_or_default()
}

fn seen(files: Vec<PathBuf>) -> Seen {
    let digest = |file| Some(Sha256::digest(fs::read(file).ok()?).into());
    files.into_iter().map(digest).collect()
}
