//! `tokenfall check`.

use std::process::ExitCode;

use super::{ConfigArgs, WRONG_INPUT, fail};
use crate::config::Config;

pub(super) fn run(args: &ConfigArgs) -> ExitCode {
    match Config::load(args.config.as_deref(), Vec::new()) {
        Ok(_) => {
            println!("The configuration is valid.");
            ExitCode::SUCCESS
        }
        Err(error) => fail(WRONG_INPUT, &error),
    }
}
