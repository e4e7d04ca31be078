//! Tables merged over each other, with the memory of who said what.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    path::Path,
};

use toml::{Table, Value};

use super::{Config, Marks, standard};

/// Every setting with its default and the reason for it, as TOML.
pub const DEFAULTS: &str = include_str!("../config.default.toml");
const PREFIX: &str = "TOKENFALL__";

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `config.default.toml`.
    Defaults,
    /// A line of a file.
    File {
        /// The file.
        name: String,
        /// The line, from 1; 0 where there is none.
        line: usize,
    },
    /// An environment variable.
    Variable(String),
    /// A flag.
    Flag(&'static str),
}

/// Something wrong with the configuration.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub struct ConfigError {
    /// Where the value came from.
    pub source_of: Source,
    /// The setting, such as `server.port`; empty where a file as a whole is meant.
    pub key: String,
    /// The value, why it cannot be, and what is allowed.
    pub reason: String,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Defaults => f.write_str("defaults"),
            Self::File { name, line: 0 } => f.write_str(name),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.key.is_empty() { "" } else { ": " };
        write!(
            f,
            "{}: {}{separator}{}",
            self.source_of, self.key, self.reason
        )
    }
}

impl ConfigError {
    pub(super) fn unreadable(path: &Path, error: &io::Error) -> Self {
        Self {
            source_of: Source::File {
                name: path.display().to_string(),
                line: 0,
            },
            key: String::new(),
            reason: format!("cannot be read: {error}"),
        }
    }
}

/// What has been read so far.
pub(super) struct Layers {
    merged: Table,
    file: Option<File>,
    // Single values, in the order in which they were added.
    values: Vec<(String, Source)>,
}

struct File {
    name: String,
    text: String,
}

impl Layers {
    /// The defaults alone.
    pub(super) fn defaults() -> Result<Self, ConfigError> {
        let merged = DEFAULTS
            .parse()
            .map_err(|error: toml::de::Error| ConfigError {
                source_of: Source::Defaults,
                key: String::new(),
                reason: error.to_string(),
            })?;
        Ok(Self {
            merged,
            file: None,
            values: Vec::new(),
        })
    }

    /// Puts a file over what there is.
    pub(super) fn add_file(&mut self, name: &str, text: &str) -> Result<(), ConfigError> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let start = error.span().map_or(0, |span| span.start);
            ConfigError {
                source_of: Source::File {
                    name: name.to_owned(),
                    line: line_at(text, start),
                },
                key: String::new(),
                reason: error.message().replace('\n', "; "),
            }
        })?;
        merge(&mut self.merged, table);
        self.file = Some(File {
            name: name.to_owned(),
            text: text.to_owned(),
        });
        self.config().map(drop)
    }

    /// Puts an environment variable over what there is, if it is one of ours, or stands for one.
    pub(super) fn add_variable(&mut self, name: &str, text: &str) -> Result<(), ConfigError> {
        let Some(path) = name.strip_prefix(PREFIX) else {
            let source = Source::Variable(name.to_owned());
            return match standard::setting(name, text) {
                Some((key, value)) => self.add_value(source, key, value),
                None => Ok(()),
            };
        };
        let key = path.to_lowercase().replace("__", ".");
        let source = Source::Variable(name.to_owned());
        // `8080` is a number, `10ms` a text, and `127` as a text has no other way to be given.
        let typed = format!("v = {text}").parse::<Table>();
        let typed = typed.ok().and_then(|mut table| table.remove("v"));
        let as_text = Value::String(text.to_owned());
        let typed = typed.unwrap_or(as_text.clone());
        let first = self.add_value(source.clone(), &key, typed);
        first.or_else(|error| self.add_value(source, &key, as_text).map_err(|_| error))
    }

    /// Puts one value over what there is; a wrong one changes nothing.
    pub(super) fn add_value(
        &mut self,
        source: Source,
        key: &str,
        value: Value,
    ) -> Result<(), ConfigError> {
        let before = (self.merged.clone(), self.values.clone());
        let mut over = value;
        for part in key.rsplit('.') {
            over = Value::Table(Table::from_iter([(part.to_owned(), over)]));
        }
        if let Value::Table(over) = over {
            merge(&mut self.merged, over);
        }
        self.values.push((key.to_owned(), source));
        let result = self.config().map(drop);
        if result.is_err() {
            (self.merged, self.values) = before;
        }
        result
    }

    /// The configuration that all layers make.
    pub(super) fn config(&self) -> Result<Config, ConfigError> {
        let merged = Value::Table(self.merged.clone());
        serde_path_to_error::deserialize::<_, Config>(merged).map_err(|error| {
            let key = error.path().to_string();
            let reason = error.into_inner().message().to_owned();
            self.blame(key.trim_start_matches('.'), &reason)
        })
    }

    /// A mark of each value. Lists count as one.
    pub(super) fn marks(&self) -> Marks {
        let mut marks = Marks::new();
        mark(&mut marks, "", &self.merged);
        marks
    }

    /// An error about a key, with the place that it was set at and its value.
    pub(super) fn blame(&self, key: &str, reason: &str) -> ConfigError {
        let is_about = |set: &str| {
            key == set || (key.starts_with(set) && key[set.len()..].starts_with(['.', '[']))
        };
        let value = self.values.iter().rev().find(|(set, _)| is_about(set));
        let source_of = match (value, &self.file) {
            (Some((_, source)), _) => source.clone(),
            (None, Some(file)) => Source::File {
                name: file.name.clone(),
                line: line_of(&file.text, key).unwrap_or(0),
            },
            (None, None) => Source::Defaults,
        };
        let has_value = reason.contains('`');
        let value = lookup(&self.merged, key).filter(|value| !has_value && !is_secret(key, value));
        let value = value.map(|value| format!(" (got {value})"));
        ConfigError {
            source_of,
            key: key.to_owned(),
            reason: format!("{reason}{}", value.unwrap_or_default()),
        }
    }
}

/// Tables and lists may hold keys, and so may a key's own entry.
fn is_secret(key: &str, value: &Value) -> bool {
    // The address of a store may hold its password.
    value.is_table() || value.is_array() || key.ends_with(".key") || key == "store.url"
}

fn merge(into: &mut Table, over: Table) {
    for (key, value) in over {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(into)), Value::Table(over)) => merge(into, over),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}

/// The parts of `models[0].name`: names and positions.
fn parts(key: &str) -> impl Iterator<Item = &str> {
    key.split(['.', '[']).map(|part| part.trim_end_matches(']'))
}

fn lookup<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    let mut parts = parts(key);
    let mut value = table.get(parts.next()?)?;
    for part in parts {
        value = match value {
            Value::Array(items) => items.get(part.parse::<usize>().ok()?)?,
            Value::Table(table) => table.get(part)?,
            Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_) => return None,
        };
    }
    Some(value)
}

fn mark(marks: &mut Marks, prefix: &str, table: &Table) {
    for (name, value) in table {
        let key = format!("{prefix}{name}");
        if let Value::Table(table) = value {
            mark(marks, &format!("{key}."), table);
        } else {
            let mut hasher = DefaultHasher::new();
            value.to_string().hash(&mut hasher);
            marks.insert(key, hasher.finish());
        }
    }
}

/// The line of a key in a file, or of the nearest table around it.
pub(super) fn line_of(text: &str, key: &str) -> Option<usize> {
    use toml::de::{DeTable, DeValue};
    let root = DeTable::parse(text).ok()?;
    let mut parts = parts(key);
    let (name, mut value) = root.get_ref().get_key_value(parts.next()?)?;
    let mut start = name.span().start;
    for part in parts {
        let next = match value.get_ref() {
            DeValue::Table(table) => table.get_key_value(part).map(|(k, v)| (k.span().start, v)),
            DeValue::Array(items) => part
                .parse::<usize>()
                .ok()
                .and_then(|at| items.get(at))
                .map(|item| (item.span().start, item)),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => None,
        };
        let Some((at, next)) = next else { break };
        start = at;
        value = next;
    }
    Some(line_at(text, start))
}

pub(super) fn line_at(text: &str, offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or(text);
    before.bytes().filter(|b| *b == b'\n').count() + 1
}
