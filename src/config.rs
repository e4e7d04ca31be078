//! The configuration: each module's settings, from `config.default.toml`, a file, the
//! environment and flags, the later the stronger.
//!
//! Start at [`Config::load`]. An error names where a value came from (file and line, a
//! variable or a flag), its key, and what is allowed.

mod keys_file;
mod layers;
mod origin;
mod reload;
mod standard;
mod validate;

use std::path::Path;

use serde::Deserialize;

use crate::{
    access::{self, KeyDigest, KeySettings},
    api::{CorsSettings, Limits},
    backend::{
        ModelSettings, mock,
        upstream::{Secret, UpstreamSettings},
    },
    completion::{StoredSettings, UsageSettings},
    server, spans, stream,
};
use layers::Source;
pub use layers::{ConfigError, DEFAULTS};
use origin::{Marks, Origin};
pub use reload::Reloaded;

/// Every setting.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where and how the server listens.
    pub server: server::Settings,
    /// Who may use it.
    pub auth: access::Settings,
    /// Which web pages may.
    pub cors: CorsSettings,
    /// What a client can send.
    pub limits: Limits,
    /// Streams and how long they are kept.
    pub stream: stream::Settings,
    /// Where streams are kept.
    pub store: stream::StoreSettings,
    /// Completions that are kept.
    pub stored: StoredSettings,
    /// What is written down about completions.
    pub usage: UsageSettings,
    /// Where traces go.
    pub otlp: spans::Settings,
    /// The built-in mock.
    pub mock: mock::Settings,
    /// Models that run elsewhere.
    #[serde(default)]
    pub models: Vec<ModelSettings>,
    #[serde(skip)]
    origin: Origin,
    #[serde(skip)]
    marks: Marks,
}

/// A setting given on the command line: the flag, the key, and the value in TOML.
#[derive(Debug, Clone)]
pub struct Flag {
    /// The flag as it was typed, such as `--port`.
    pub name: &'static str,
    /// The setting, such as `server.port`.
    pub key: &'static str,
    /// The value.
    pub value: toml::Value,
}

impl Config {
    /// Reads all layers and checks what they say together.
    ///
    /// # Errors
    /// [`ConfigError`] for the first thing that is wrong.
    pub fn load(file: Option<&Path>, flags: Vec<Flag>) -> Result<Self, ConfigError> {
        Self::read(Origin::Process {
            file: file.map(Path::to_owned),
            flags,
        })
    }

    /// Reads a file's text over the defaults; the environment is not looked at.
    ///
    /// # Errors
    /// [`ConfigError`] for the first thing that is wrong.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        Self::read(Origin::Text(text.to_owned()))
    }

    fn read(origin: Origin) -> Result<Self, ConfigError> {
        let (mut config, marks) = origin.read(Ok)?;
        (config.origin, config.marks) = (origin, marks);
        Ok(config)
    }

    /// Reads the keys that are named by `key_env`.
    fn read_secrets(
        &mut self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<(), validate::Wrong> {
        read_keys("auth.keys", &mut self.auth.keys, &variable)?;
        for (index, model) in self.models.iter_mut().enumerate() {
            for (place, upstream) in model.upstreams.iter_mut().enumerate() {
                let entry = format!("models[{index}].upstreams[{place}]");
                upstream.key = upstream_key(&entry, upstream, &variable)?;
            }
        }
        Ok(())
    }

    /// Every answer comes from the mock.
    pub fn is_all_mock(&self) -> bool {
        self.models.iter().all(|model| model.mock)
    }
}

/// Reads the keys of a list that are named by `key_env`, and keeps their digests.
fn read_keys(
    list: &str,
    entries: &mut [KeySettings],
    variable: impl Fn(&str) -> Option<String>,
) -> Result<(), validate::Wrong> {
    for (index, entry) in entries.iter_mut().enumerate() {
        if let Some(name) = entry.key_env.take() {
            let key = read(format!("{list}[{index}].key_env"), &name, &variable)?;
            entry.hash = Some(KeyDigest::of(&key));
        }
    }
    Ok(())
}

/// The key of an upstream, whose entry this is.
fn upstream_key(
    entry: &str,
    upstream: &UpstreamSettings,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Secret>, validate::Wrong> {
    let key = match (&upstream.key_env, &upstream.key_file) {
        (None, None) => return Ok(None),
        (Some(name), None) => read(format!("{entry}.key_env"), name, variable)?,
        (env, Some(path)) => {
            let wrong = |reason| validate::Wrong {
                key: format!("{entry}.key_file"),
                reason,
            };
            if env.is_some() {
                return Err(wrong("expected none beside key_env".to_owned()));
            }
            let file = path.display();
            let text = std::fs::read_to_string(path)
                .map_err(|error| wrong(format!("`{file}` cannot be read: {error}")))?;
            match text.trim() {
                "" => return Err(wrong(format!("`{file}` holds no key"))),
                key => key.to_owned(),
            }
        }
    };
    Ok(Some(Secret(key)))
}

/// A variable that has to be there, for this setting.
fn read(
    key: String,
    name: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<String, validate::Wrong> {
    variable(name).filter(|v| !v.is_empty()).ok_or_else(|| {
        let reason = format!("the environment has no variable `{name}`");
        validate::Wrong { key, reason }
    })
}

/// A secret of the environment, for commands that need one and no configuration.
pub fn secret(name: &str) -> Option<Secret> {
    variable(name).map(Secret)
}

/// A variable of the environment that is not empty, for commands that heed one and need no configuration.
pub fn variable(name: &str) -> Option<String> {
    let value = std::env::var_os(name)?.into_string().ok()?;
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod upstream_tests;
