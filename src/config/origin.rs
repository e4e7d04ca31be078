//! Where a configuration is read from, so that it can be read again.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    Config, ConfigError, Flag, keys_file,
    layers::{Layers, Source},
    validate,
};

/// A mark of each setting's value, which tells whether it has changed and nothing else.
pub(super) type Marks = BTreeMap<String, u64>;

/// The layers over the defaults.
#[derive(Debug, Clone, Default)]
pub(super) enum Origin {
    /// None.
    #[default]
    Defaults,
    /// A text in place of a file, and nothing else.
    Text(String),
    /// A file, if there is one, the environment, and flags.
    Process {
        /// The file.
        file: Option<PathBuf>,
        /// The flags.
        flags: Vec<Flag>,
    },
}

impl Origin {
    /// The file, if there is one.
    pub(super) fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Process { file, .. } => file.clone(),
            Self::Defaults | Self::Text(_) => None,
        }
    }

    /// Reads all layers, has `adapt` say what holds of them, and checks that.
    ///
    /// # Errors
    /// [`ConfigError`] for the first thing that is wrong.
    pub(super) fn read(
        &self,
        adapt: impl FnOnce(Config) -> Result<Config, validate::Wrong>,
    ) -> Result<(Config, Marks), ConfigError> {
        let mut layers = Layers::defaults()?;
        let mut variables = Vec::new();
        match self {
            Self::Defaults => {}
            Self::Text(text) => layers.add_file("config", text)?,
            Self::Process { file, flags } => {
                variables = environment();
                add(&mut layers, file.as_deref(), (&variables, flags))?;
            }
        }
        let variable = |name: &str| {
            let known = variables.iter().find(|(known, _)| known == name);
            known.map(|(_, value)| value.clone())
        };
        let mut config = layers.config()?;
        let blame = |wrong: validate::Wrong| layers.blame(&wrong.key, &wrong.reason);
        validate::keys("auth.keys", &config.auth.keys).map_err(blame)?;
        config.read_secrets(variable).map_err(blame)?;
        keys_file::read(&mut config.auth, variable)?;
        let config = adapt(config).map_err(blame)?;
        validate::validate(&config).map_err(blame)?;
        Ok((config, layers.marks()))
    }
}

fn environment() -> Vec<(String, String)> {
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut variables: Vec<_> = variables.collect();
    variables.sort();
    variables
}

fn add(
    layers: &mut Layers,
    file: Option<&Path>,
    (variables, flags): (&[(String, String)], &[Flag]),
) -> Result<(), ConfigError> {
    if let Some(path) = file {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| ConfigError::unreadable(path, &error))?;
        layers.add_file(&path.display().to_string(), &text)?;
    }
    for (name, value) in variables {
        layers.add_variable(name, value)?;
    }
    for flag in flags.iter().cloned() {
        layers.add_value(Source::Flag(flag.name), flag.key, flag.value)?;
    }
    Ok(())
}
