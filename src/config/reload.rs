//! Reading a configuration again while the server runs by it.

use std::path::PathBuf;

use super::{Config, ConfigError, validate::Wrong};
use crate::{access, api::Limits};

/// What is replaced, by how its names begin. Everything else is made once, at the start.
const LIVE: [&str; 4] = ["auth.keys", "cors.origins", "limits.", "models"];
/// Of that, what sockets were made with.
const FIXED: [&str; 3] = [
    "limits.connections",
    "limits.head_timeout",
    "limits.keep_alive",
];

/// What was read again.
#[derive(Debug)]
pub struct Reloaded {
    /// What holds from now on.
    pub config: Config,
    /// Settings that say something else than what the server runs by, and need a restart.
    pub needs_restart: Vec<String>,
}

impl Config {
    /// Reads again what this was read from. What cannot change while the server runs stays as it
    /// is here, and the whole is checked as it will hold.
    ///
    /// # Errors
    /// [`ConfigError`] for the first thing that is wrong; nothing is taken then.
    pub fn reload(&self) -> Result<Reloaded, ConfigError> {
        let (config, marks) = self.origin.read(|new| new.over(self))?;
        let mut names: Vec<_> = marks.keys().chain(self.marks.keys()).collect();
        names.sort();
        names.dedup();
        names.retain(|name| !is_live(name));
        names.retain(|name| marks.get(*name) != self.marks.get(*name));
        Ok(Reloaded {
            config,
            needs_restart: names.into_iter().cloned().collect(),
        })
    }

    /// The files that it was read from.
    pub fn files(&self) -> Vec<PathBuf> {
        let keys = &self.auth.keys_file;
        let tls = &self.server.tls;
        let named = [keys, &tls.cert, &tls.key].into_iter();
        let named = named.filter(|file| !file.is_empty()).map(PathBuf::from);
        let upstreams = self.models.iter().flat_map(|model| &model.upstreams);
        let upstream_keys = upstreams.filter_map(|upstream| upstream.key_file.clone());
        let files = self.origin.file().into_iter().chain(named);
        files.chain(upstream_keys).collect()
    }

    /// These settings, as far as those that a server runs by can be replaced.
    fn over(self, running: &Self) -> Result<Self, Wrong> {
        if self.is_all_mock() != running.is_all_mock() {
            let reason = "from the mock alone to upstreams, or back, takes a restart".to_owned();
            let key = "models".to_owned();
            return Err(Wrong { key, reason });
        }
        Ok(Self {
            auth: access::Settings {
                keys: self.auth.keys,
                keys_file: self.auth.keys_file,
                ..running.auth.clone()
            },
            cors: self.cors,
            limits: Limits {
                connections: running.limits.connections,
                head_timeout: running.limits.head_timeout,
                keep_alive: running.limits.keep_alive,
                ..self.limits
            },
            models: self.models,
            ..running.clone()
        })
    }
}

fn is_live(name: &str) -> bool {
    LIVE.iter().any(|live| name.starts_with(live)) && !FIXED.contains(&name)
}
