//! The command line: a file each for what the binary can do.

mod bench;
mod chat;
mod check;
mod drift;
mod health;
mod openapi;
mod record;
mod serve;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{backend::upstream::Secret, config};

/// Exit code of a command that was understood but failed.
const FAILED: u8 = 1;
/// Exit code of wrong input: a flag, a setting.
const WRONG_INPUT: u8 = 2;
/// What a shell takes for a stop by Ctrl-C.
const INTERRUPTED: u8 = 130;

/// An OpenAI-compatible server for token streams: a mock to test against, a proxy to put in front.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API (the default)
    Serve(ServeArgs),
    /// Serve a model server's API and keep every exchange as a cassette, to be replayed
    Record(record::RecordArgs),
    /// Check the configuration, the scenarios and the cassettes, and say what is wrong with them
    Check(check::CheckArgs),
    /// Ask any OpenAI-compatible server, and show the answer as it comes
    Chat(chat::ChatArgs),
    /// Load a model server with streams, and tell how fast and how whole they come
    Bench(bench::BenchArgs),
    /// Ask a running server whether it takes new work: exit code 0 if it does, else 1
    Health(health::HealthArgs),
    /// Print the OpenAPI document, or check the committed one
    Openapi(openapi::OpenapiArgs),
}

/// Where settings come from.
#[derive(Debug, Default, Args)]
struct ConfigArgs {
    /// A configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Where the server listens, and for whom.
#[derive(Debug, Default, Args)]
struct ListenArgs {
    /// The address to listen on [default: 127.0.0.1]
    #[arg(long)]
    host: Option<String>,
    /// The port to listen on, 0 for any free one [default: 8080]
    #[arg(long)]
    port: Option<u16>,
    /// Listen on a Unix socket at this path instead
    #[arg(long, value_name = "PATH", conflicts_with_all = ["host", "port"])]
    unix: Option<PathBuf>,
    /// Serve beyond this machine although anyone can then use the upstream's key
    #[arg(long)]
    open: bool,
}

/// Settings that have a flag of their own.
#[derive(Debug, Default, Args)]
struct ServeArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    listen: ListenArgs,
    /// Proxy this server instead of answering as a mock, such as http://127.0.0.1:8000/v1
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// The environment variable that holds the upstream's key
    #[arg(long, value_name = "NAME", requires = "upstream")]
    upstream_key_env: Option<String>,
    /// A folder of scenarios for the mock [default: prompts, where there is one]
    #[arg(long, value_name = "DIR")]
    prompts: Option<PathBuf>,
    /// The profile of the mock's times: instant, hosted, local, or one of the configuration's
    #[arg(long, value_name = "NAME", conflicts_with = "instant")]
    profile: Option<String>,
    /// The mock answers without any waiting, as with --profile instant
    #[arg(long)]
    instant: bool,
    /// How many times as fast the mock answers
    #[arg(long, value_name = "FACTOR")]
    speed: Option<f64>,
    /// The mock plans its times and keeps none of them; GET /_mock/requests tells the plan
    #[arg(long)]
    virtual_time: bool,
    /// Whose chunks the mock's look like: openai, azure, vllm, llama.cpp, ollama, openrouter, deepseek
    #[arg(long, value_name = "NAME")]
    dialect: Option<String>,
    /// The mock answers the same request with the same bytes, ids and times included
    #[arg(long)]
    deterministic: bool,
    /// Answer from the cassettes in this folder, byte for byte
    #[arg(long, value_name = "DIR")]
    cassettes: Option<PathBuf>,
    /// What a request gets that no cassette has: error, mock, or record (with --upstream)
    #[arg(long, value_name = "WHAT", requires = "cassettes")]
    on_miss: Option<String>,
    /// Stop when standard input ends: whoever started the server is gone then, however it ended
    #[arg(long)]
    stop_at_eof: bool,
}

/// Runs what the command line says.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(args) => serve::run(args),
        Command::Record(args) => record::run(args),
        Command::Check(args) => check::run(args),
        Command::Chat(args) => chat::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Health(args) => health::run(&args),
        Command::Openapi(args) => openapi::run(&args),
    }
}

/// The key that an environment variable holds, if one is named.
///
/// # Errors
/// Which flag named a variable that is not there.
fn key(flag: &str, name: Option<&str>) -> Result<Option<Secret>, String> {
    let Some(name) = name else { return Ok(None) };
    let key = config::secret(name).map(Some);
    key.ok_or_else(|| format!("{flag}: the environment has no variable `{name}`"))
}

/// A time as an argument has it.
fn duration(text: &str) -> Result<Duration, String> {
    match humantime_serde::re::humantime::parse_duration(text) {
        Ok(time) if !time.is_zero() => Ok(time),
        Ok(_) | Err(_) => Err("expected a time such as 30s or 5m".to_owned()),
    }
}

/// Raises the limit on open files: every open stream takes a descriptor or two.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let raised = setrlimit(Resource::Nofile, raised).map(|()| limit.maximum);
    let current = raised.unwrap_or(limit.current);
    tracing::info!(open_files = current, "limit on open files");
}

/// Runs a command that waits for a server.
fn wait_for<T>(command: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(command))
}

/// Says on standard error why the command ends, and with which code.
fn fail(code: u8, error: &dyn std::fmt::Display) -> ExitCode {
    warn(&format!("tokenfall: {error}\n"));
    ExitCode::from(code)
}

/// Prints a result. Whoever closes the pipe has read enough, which `println!` would panic at.
fn say(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
}

/// Prints a message for people, likewise.
fn warn(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
