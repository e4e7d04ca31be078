//! `tokenfall check`.

use std::{path::Path, process::ExitCode};

use clap::Args;

use super::{ConfigArgs, WRONG_INPUT, drift, fail, say, serve::use_prompts};
use crate::{
    backend::{LoadError, cassette::Cassettes, mock::scenario},
    config::Config,
};

const AFTER_HELP: &str = "\
The exit code is 0 if all is well, 1 if a server's replies differ from the cassettes, 2 if a file is wrong.

Examples:
  tokenfall check --config tokenfall.toml
  tokenfall check --cassettes tests/cassettes --against http://127.0.0.1:8000/v1
";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// A folder of scenarios to check [default: prompts, where there is one]
    #[arg(long, value_name = "DIR")]
    prompts: Option<String>,
    /// A folder of cassettes to check
    #[arg(long, value_name = "DIR")]
    cassettes: Option<String>,
    /// Send the cassettes' requests to this server and report how the shape of its replies differs
    #[arg(long, value_name = "URL", requires = "cassettes")]
    against: Option<String>,
    /// The environment variable that holds that server's key
    #[arg(long, value_name = "NAME", requires = "against")]
    key_env: Option<String>,
    /// Print the JSON Schema of a scenario, for editors
    #[arg(long)]
    schema: bool,
}

pub(super) fn run(args: CheckArgs) -> ExitCode {
    if args.schema {
        say(&format!("{:#}\n", scenario::json_schema()));
        return ExitCode::SUCCESS;
    }
    let mut config = match Config::load(args.config.config.as_deref(), Vec::new()) {
        Ok(config) => config,
        Err(error) => return fail(WRONG_INPUT, &error),
    };
    if let Some(prompts) = args.prompts {
        config.mock.prompts = prompts;
    }
    if let Some(cassettes) = args.cassettes {
        config.mock.cassettes = cassettes;
    }
    use_prompts(&mut config);
    say("The configuration is valid.\n");
    let cassettes = match scenarios(&config).and_then(|()| cassettes(&config)) {
        Ok(cassettes) => cassettes,
        Err(error) => return fail(WRONG_INPUT, &error),
    };
    match (args.against, cassettes) {
        (Some(url), Some(cassettes)) => drift::run(&cassettes, &url, args.key_env.as_deref()),
        (_, _) => ExitCode::SUCCESS,
    }
}

fn scenarios(config: &Config) -> Result<(), LoadError> {
    let folder = &config.mock.prompts;
    if !folder.is_empty() {
        let count = scenario::load(Path::new(folder))?.len();
        say(&format!("{count} scenarios in {folder}/ are valid.\n"));
    }
    Ok(())
}

fn cassettes(config: &Config) -> Result<Option<Cassettes>, LoadError> {
    let folder = &config.mock.cassettes;
    if folder.is_empty() {
        return Ok(None);
    }
    let cassettes = Cassettes::load(Path::new(folder))?;
    let count = cassettes.len();
    say(&format!("{count} cassettes in {folder}/ are valid.\n"));
    Ok(Some(cassettes))
}
