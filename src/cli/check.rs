//! `tokenfall check`.

use std::process::ExitCode;

use super::{ConfigArgs, WRONG_INPUT, fail, say};
use crate::config::Config;

pub(super) fn run(args: &ConfigArgs) -> ExitCode {
    match Config::load(args.config.as_deref(), Vec::new()) {
        Ok(_) => {
            say("The configuration is valid.\n");
            ExitCode::SUCCESS
        }
        Err(error) => fail(WRONG_INPUT, &error),
    }
}
