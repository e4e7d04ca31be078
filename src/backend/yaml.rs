//! Files in YAML that people write: found below a folder, read whole, and what is wrong with one
//! told by file, line and field.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;

/// How deep folders are read.
const MAX_DEPTH: usize = 8;
/// The most files below one folder.
pub(super) const MAX_FILES: usize = 10_000;
/// What files are read. JSON is YAML too.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// What is wrong with a folder or a file in it.
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
    /// About a file or folder as a whole.
    pub(super) fn of(path: &Path, reason: impl fmt::Display) -> Self {
        Self {
            file: path.display().to_string(),
            line: None,
            field: String::new(),
            reason: reason.to_string(),
        }
    }
}

/// Reads what a text says.
///
/// # Errors
/// [`LoadError`] with the line and the field.
pub(super) fn read<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, LoadError> {
    let mut field = String::new();
    let read = serde_saphyr::with_deserializer_from_str(text, |deserializer| {
        let read: Result<T, _> = serde_path_to_error::deserialize(deserializer);
        read.map_err(|error| {
            field = error.path().to_string();
            error.into_inner()
        })
    });
    read.map_err(|error| {
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
    })
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

/// A file's text, if it has no more than `max_bytes`.
///
/// # Errors
/// [`LoadError`] when it is larger or cannot be read.
pub(super) fn text(path: &Path, max_bytes: u64) -> Result<String, LoadError> {
    let unreadable =
        |error: io::Error| LoadError::of(path, format_args!("cannot be read: {error}"));
    let bytes = fs::metadata(path).map_err(unreadable)?.len();
    if bytes > max_bytes {
        let reason = format_args!("{bytes} bytes, and {max_bytes} at most can be read").to_string();
        return Err(LoadError::of(path, reason));
    }
    fs::read_to_string(path).map_err(unreadable)
}

/// The files below a folder, in order.
///
/// # Errors
/// [`LoadError`] when it cannot be read, or holds too many.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>, LoadError> {
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

/// Editors keep their copies beside the files, and what is half written is hidden too.
fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy());
    name.is_some_and(|name| name.starts_with('.'))
}

/// A file's path below the folder, without its extension.
pub(super) fn name(folder: &Path, path: &Path) -> String {
    let inner = path.strip_prefix(folder).unwrap_or(path).with_extension("");
    let parts = inner.iter().map(|part| part.to_string_lossy());
    parts.collect::<Vec<_>>().join("/")
}
