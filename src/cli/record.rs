//! `tokenfall record`.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use toml::Value;

use super::{ConfigArgs, ListenArgs, ServeArgs, serve};
use crate::config::Flag;

const AFTER_HELP: &str = "\
Examples:
  tokenfall record --upstream http://127.0.0.1:8000/v1 --cassettes tests/cassettes
  tokenfall serve --cassettes tests/cassettes
";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct RecordArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The model server to record, such as http://127.0.0.1:8000/v1
    #[arg(long, value_name = "URL")]
    upstream: String,
    /// The folder that cassettes are kept in; it is made where there is none
    #[arg(long, value_name = "DIR")]
    cassettes: PathBuf,
    /// The environment variable that holds the upstream's key
    #[arg(long, value_name = "NAME")]
    upstream_key_env: Option<String>,
    #[command(flatten)]
    listen: ListenArgs,
}

pub(super) fn run(args: RecordArgs) -> ExitCode {
    let file = args.config.config.clone();
    let mut flags = serve::flags(ServeArgs {
        upstream: Some(args.upstream),
        upstream_key_env: args.upstream_key_env,
        cassettes: Some(args.cassettes),
        on_miss: Some("record".to_owned()),
        listen: args.listen,
        ..ServeArgs::default()
    });
    let set = |key, value| Flag {
        name: "record",
        key,
        value,
    };
    flags.push(set("mock.rerecord", Value::Boolean(true)));
    // An exchange is kept whole, also when its client has seen enough of it.
    flags.push(set("stream.on_disconnect", "detach".into()));
    serve::run_with(file.as_deref(), flags, false)
}
