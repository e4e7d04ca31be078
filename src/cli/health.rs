//! `tokenfall health`: what a container, which has no curl, is asked with.

use std::{process::ExitCode, time::Duration};

use clap::Args;

use super::{FAILED, WRONG_INPUT, fail, say, wait_for};
use crate::client::{Client, ClientError};

/// Whoever asks does so again every few seconds.
const WITHIN: Duration = Duration::from_secs(3);
const OK: u16 = 200;

const AFTER_HELP: &str = "\
The exit code is 0 if it does, else 1.
";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct HealthArgs {
    /// The server to ask
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: String,
}

pub(super) fn run(args: &HealthArgs) -> ExitCode {
    let client = match Client::new(&args.url, None) {
        Ok(client) => client,
        Err(error @ ClientError::Url { .. }) => return fail(WRONG_INPUT, &error),
        Err(error) => return fail(FAILED, &error),
    };
    let reply = match wait_for(client.get("/readyz", WITHIN)) {
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) => return fail(FAILED, &error),
        Err(error) => return fail(FAILED, &error),
    };
    let body = String::from_utf8_lossy(&reply.body);
    if reply.status != OK {
        return fail(FAILED, &format!("{}: {}", reply.status, body.trim()));
    }
    say(&format!("{}\n", body.trim()));
    ExitCode::SUCCESS
}
