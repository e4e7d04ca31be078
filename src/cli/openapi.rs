//! `tokenfall openapi`.

use std::{fs, path::Path, process::ExitCode};

use clap::{Args, ValueEnum};

use super::{FAILED, fail, say};
use crate::api::openapi::{Edition, text};

#[derive(Debug, Args)]
pub(super) struct OpenapiArgs {
    /// The edition of OpenAPI to print
    #[arg(long, value_name = "EDITION", default_value = "3.2")]
    version: Version,
    /// Compare `openapi/` in this folder with the code instead of printing
    #[arg(long, conflicts_with = "version")]
    check: bool,
    /// Write `openapi/` in this folder instead of printing
    #[arg(long, conflicts_with_all = ["version", "check"])]
    write: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Version {
    #[value(name = "3.2")]
    V3_2,
    #[value(name = "3.1")]
    V3_1,
}

/// The committed files.
const FILES: [(&str, Edition); 2] = [
    ("openapi/openapi.json", Edition::V3_2),
    ("openapi/openapi-3.1.json", Edition::V3_1),
];

pub(super) fn run(args: &OpenapiArgs) -> ExitCode {
    let result = match args {
        OpenapiArgs { check: true, .. } => FILES.iter().try_for_each(|(f, e)| check(f, *e)),
        OpenapiArgs { write: true, .. } => FILES.iter().try_for_each(|(f, e)| write(f, *e)),
        OpenapiArgs { version, .. } => {
            let edition = match version {
                Version::V3_2 => Edition::V3_2,
                Version::V3_1 => Edition::V3_1,
            };
            say(&text(edition));
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(FAILED, &error),
    }
}

fn check(file: &str, edition: Edition) -> Result<(), String> {
    let committed = fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let current = text(edition);
    if committed == current {
        say(&format!("{file} is what the code says.\n"));
        return Ok(());
    }
    let same = committed.lines().zip(current.lines());
    let line = same.take_while(|(a, b)| a == b).count() + 1;
    Err(format!(
        "{file}:{line}: differs from what the code says; run `tokenfall openapi --write` and look at the difference"
    ))
}

fn write(file: &str, edition: Edition) -> Result<(), String> {
    let folder = Path::new(file).parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(file, text(edition)))
        .map_err(|error| format!("{file}: {error}"))
}
