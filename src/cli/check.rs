//! `tokenfall check`.

use std::{path::Path, process::ExitCode};

use clap::Args;

use super::{ConfigArgs, WRONG_INPUT, fail, say, serve::use_prompts};
use crate::{backend::mock::scenario, config::Config};

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// A folder of scenarios to check [default: prompts, where there is one]
    #[arg(long, value_name = "DIR")]
    prompts: Option<String>,
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
    use_prompts(&mut config);
    say("The configuration is valid.\n");
    if config.mock.prompts.is_empty() {
        return ExitCode::SUCCESS;
    }
    match scenario::load(Path::new(&config.mock.prompts)) {
        Ok(set) => {
            let folder = config.mock.prompts;
            say(&format!(
                "{} scenarios in {folder}/ are valid.\n",
                set.len()
            ));
            ExitCode::SUCCESS
        }
        Err(error) => fail(WRONG_INPUT, &error),
    }
}
