//! Scenarios from a folder, all or none.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use super::{Scenario, Set};
use crate::backend::yaml::{self, LoadError, files, name};

/// The largest file, in bytes.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Reads every scenario below a folder; a file is named by its path there, without extension.
///
/// # Errors
/// [`LoadError`] for the first that cannot be; nothing is taken then.
pub fn load(folder: &Path) -> Result<Set, LoadError> {
    let mut scenarios = BTreeMap::new();
    for path in files(folder)? {
        let text = yaml::text(&path, MAX_BYTES)?;
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
    let scenario: Scenario = yaml::read(file, text)?;
    scenario.check().map_err(|reason| LoadError {
        file: file.to_owned(),
        line: Some(1),
        field: String::new(),
        reason,
    })?;
    Ok(scenario)
}

/// When anything in a folder last changed: what is compared to see whether it did.
pub(in crate::backend::mock) type Stamp = Vec<(PathBuf, SystemTime, u64)>;

/// That of a folder, as it is now.
pub(in crate::backend::mock) fn stamp(folder: &Path) -> Stamp {
    let files = files(folder).unwrap_or_default().into_iter();
    let stamps = files.filter_map(|path| {
        let meta = fs::metadata(&path).ok()?;
        Some((path, meta.modified().ok()?, meta.len()))
    });
    stamps.collect()
}
