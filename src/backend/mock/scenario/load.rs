//! Scenarios from a folder, all or none.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use super::{Scenario, Set};

/// How deep folders are read.
const MAX_DEPTH: usize = 8;
/// The most files.
const MAX_FILES: usize = 10_000;
/// The largest file, in bytes.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// What files are read.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// What is wrong with a folder of scenarios.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct LoadError {
    /// The file, or the folder.
    pub file: String,
    /// The line, from 1, where there is one.
    pub line: Option<u64>,
    /// The field, such as `reply.blocks[0]`; empty where the file as a whole is meant.
    pub field: String,
    /// What is wrong and what is allowed.
    pub reason: String,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl LoadError {
    fn of(path: &Path, reason: impl fmt::Display) -> Self {
        Self {
            file: path.display().to_string(),
            line: None,
            field: String::new(),
            reason: reason.to_string(),
        }
    }
}

/// Reads every scenario below a folder; a file is named by its path there, without extension.
///
/// # Errors
/// [`LoadError`] for the first that cannot be; nothing is taken then.
pub fn load(folder: &Path) -> Result<Set, LoadError> {
    let mut scenarios = BTreeMap::new();
    for path in files(folder)? {
        let text = read(&path)?;
        let scenario = parse(&path.display().to_string(), &text)?;
        let name = name(folder, &path);
        if scenarios.insert(name.clone(), Arc::new(scenario)).is_some() {
            return Err(LoadError::of(
                &path,
                format_args!("there is another `{name}`"),
            ));
        }
    }
    Set::new(scenarios).map_err(|(one, other)| LoadError {
        file: folder.join(one).display().to_string(),
        line: None,
        field: "priority".to_owned(),
        reason: format!(
            "whatever this answers, `{other}` matches too, and has the same priority; give one of \
             them a higher one"
        ),
    })
}

/// Reads one scenario, in YAML or JSON, which is YAML too.
///
/// # Errors
/// [`LoadError`] with the line and the field.
pub(in crate::backend::mock) fn parse(file: &str, text: &str) -> Result<Scenario, LoadError> {
    let mut field = String::new();
    let read = serde_saphyr::with_deserializer_from_str(text, |deserializer| {
        let read: Result<Scenario, _> = serde_path_to_error::deserialize(deserializer);
        read.map_err(|error| {
            field = error.path().to_string();
            error.into_inner()
        })
    });
    let scenario = read.map_err(|error| {
        let error = error.without_snippet();
        LoadError {
            file: file.to_owned(),
            line: error.location().map(|location| location.line()),
            field: match &field[..] {
                "." | "?" => String::new(),
                field => field.to_owned(),
            },
            reason: reason(&error.to_string()),
        }
    })?;
    scenario.check().map_err(|reason| LoadError {
        file: file.to_owned(),
        line: Some(1),
        field: String::new(),
        reason,
    })?;
    Ok(scenario)
}

/// When anything in a folder last changed: what is compared to see whether it did.
pub(in crate::backend::mock) fn stamp(folder: &Path) -> Vec<(PathBuf, SystemTime, u64)> {
    let files = files(folder).unwrap_or_default().into_iter();
    let stamps = files.filter_map(|path| {
        let meta = fs::metadata(&path).ok()?;
        Some((path, meta.modified().ok()?, meta.len()))
    });
    stamps.collect()
}

/// The error's text without the place, which is told beside it.
fn reason(text: &str) -> String {
    let text = text.lines().next().unwrap_or_default();
    let text = text.strip_prefix("error: ").unwrap_or(text);
    match text
        .strip_prefix("line ")
        .and_then(|rest| rest.split_once(": "))
    {
        Some((_, reason)) => reason.to_owned(),
        None => text
            .rfind(" at line ")
            .map_or(text, |at| &text[..at])
            .to_owned(),
    }
}

fn read(path: &Path) -> Result<String, LoadError> {
    let unreadable =
        |error: io::Error| LoadError::of(path, format_args!("cannot be read: {error}"));
    let bytes = fs::metadata(path).map_err(unreadable)?.len();
    if bytes > MAX_BYTES {
        let reason = format_args!("{bytes} bytes, and {MAX_BYTES} at most can be read").to_string();
        return Err(LoadError::of(path, reason));
    }
    fs::read_to_string(path).map_err(unreadable)
}

/// The files below a folder, in order.
fn files(folder: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let mut files = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let entries = fs::read_dir(&folder);
        let entries = entries
            .map_err(|error| LoadError::of(&folder, format_args!("cannot be read: {error}")))?;
        for entry in entries {
            let path = entry.map_err(|error| LoadError::of(&folder, error))?.path();
            if is_hidden(&path) {
                continue;
            }
            if path.is_dir() {
                if depth < MAX_DEPTH {
                    folders.push((path, depth + 1));
                }
            } else if has_extension(&path) {
                files.push(path);
            }
            if files.len() > MAX_FILES {
                let reason = format_args!("more than {MAX_FILES} files").to_string();
                return Err(LoadError::of(&folder, reason));
            }
        }
    }
    files.sort();
    Ok(files)
}

fn has_extension(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension))
}

/// Editors keep their copies beside the files.
fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy());
    name.is_some_and(|name| name.starts_with('.'))
}

fn name(folder: &Path, path: &Path) -> String {
    let inner = path.strip_prefix(folder).unwrap_or(path).with_extension("");
    let parts = inner.iter().map(|part| part.to_string_lossy());
    parts.collect::<Vec<_>>().join("/")
}
