//! The file that `auth.keys_file` names: more keys, out of sight of who reads the configuration.

use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value};

use super::{
    ConfigError, Source,
    layers::{line_at, line_of},
    read_keys, validate,
};
use crate::access::{KeySettings, Settings};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeysFile {
    keys: Vec<KeySettings>,
}

/// A file and its text, to name lines of.
struct File<'a> {
    name: &'a str,
    text: &'a str,
}

/// Adds the keys of the file, if one is named, to those that there are.
///
/// # Errors
/// [`ConfigError`] for the first thing that is wrong, with the line of that file.
pub(super) fn read(
    settings: &mut Settings,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<(), ConfigError> {
    let name = &settings.keys_file;
    if name.is_empty() {
        return Ok(());
    }
    let text = std::fs::read_to_string(name);
    let text = text.map_err(|error| ConfigError::unreadable(Path::new(name), &error))?;
    let file = File { name, text: &text };
    let mut more = file.parse()?;
    let wrong = |wrong: validate::Wrong| file.blame(&wrong.key, wrong.reason);
    validate::keys("keys", &more).map_err(wrong)?;
    read_keys("keys", &mut more, variable).map_err(wrong)?;
    let is_known = |name: &String| settings.keys.iter().any(|key| key.name == *name);
    if let Some(twice) = more.iter().position(|key| is_known(&key.name)) {
        let reason = format!("auth.keys has the name `{}` too", more[twice].name);
        return Err(file.blame(&format!("keys[{twice}].name"), reason));
    }
    settings.keys.append(&mut more);
    Ok(())
}

impl File<'_> {
    fn parse(&self) -> Result<Vec<KeySettings>, ConfigError> {
        let table: Table = self.text.parse().map_err(|error: toml::de::Error| {
            let start = error.span().map_or(0, |span| span.start);
            let line = line_at(self.text, start);
            self.at(line, "", error.message().replace('\n', "; "))
        })?;
        let read = serde_path_to_error::deserialize::<_, KeysFile>(Value::Table(table));
        read.map(|file| file.keys).map_err(|error| {
            let key = error.path().to_string();
            let reason = error.into_inner().message().to_owned();
            self.blame(key.trim_start_matches('.'), reason)
        })
    }

    fn blame(&self, key: &str, reason: String) -> ConfigError {
        self.at(line_of(self.text, key).unwrap_or(0), key, reason)
    }

    fn at(&self, line: usize, key: &str, reason: String) -> ConfigError {
        let name = self.name.to_owned();
        ConfigError {
            source_of: Source::File { name, line },
            key: key.to_owned(),
            reason,
        }
    }
}
