//! The command line: a file each for what the binary can do.

mod bench;
mod chat;
mod check;
mod completions;
mod drift;
mod health;
mod man;
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

use crate::{
    backend::upstream::Secret,
    config::{DEFAULTS, Flag, secret},
};

/// Exit code of a command that was understood but failed.
const FAILED: u8 = 1;
/// Exit code of wrong input: a flag, a setting.
const WRONG_INPUT: u8 = 2;
/// What a shell takes for a stop by Ctrl-C.
const INTERRUPTED: u8 = 130;

/// An OpenAI-compatible server for token streams: a mock to test against, a proxy to put in front
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

const AFTER_HELP: &str = "\
Without a command it serves.

Examples:
  tokenfall                                      # a mock at http://127.0.0.1:8080/v1
  tokenfall --upstream http://127.0.0.1:8000/v1  # a proxy in front of a model server
  tokenfall chat 'Hello!'                        # a question to either
";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API: as a mock, or in front of model servers
    Serve(ServeArgs),
    /// Ask any OpenAI-compatible server, and show the answer as it comes
    Chat(chat::ChatArgs),
    /// Load a model server with streams, and tell how fast and how whole they come
    Bench(bench::BenchArgs),
    /// Serve a model server's API, and keep every exchange as a cassette to be replayed
    Record(record::RecordArgs),
    /// Check the configuration, the scenarios and the cassettes, and say what is wrong with them
    Check(check::CheckArgs),
    /// Ask a running server whether it takes new work
    Health(health::HealthArgs),
    /// Print every setting, its default and the reason for it, as a configuration file
    Config,
    /// Print the OpenAPI document, or check the committed one
    Openapi(openapi::OpenapiArgs),
    /// Print what a shell needs to complete the command line
    Completions(completions::CompletionsArgs),
    /// Print the manual, a page per command
    Man(man::ManArgs),
}

/// What flags are listed under.
const LISTENING: &str = "Listening";
const MOCK: &str = "The mock";

/// Where settings come from.
#[derive(Debug, Default, Args)]
struct ConfigArgs {
    /// A configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Where the server listens, and for whom.
#[derive(Debug, Default, Args)]
struct ListenArgs {
    /// The address to listen at [default: 127.0.0.1]
    #[arg(help_heading = LISTENING, long, value_name = "ADDRESS")]
    host: Option<String>,
    /// The port to listen at, 0 for any free one [default: 8080]
    #[arg(long, help_heading = LISTENING)]
    port: Option<u16>,
    /// Listen at a Unix socket instead
    #[arg(help_heading = LISTENING, long, value_name = "PATH", conflicts_with_all = ["host", "port"])]
    unix: Option<PathBuf>,
    /// Serve beyond this machine although anyone can then use the upstream's key
    #[arg(long, help_heading = LISTENING)]
    open: bool,
}

/// Settings that have a flag of their own.
#[derive(Debug, Default, Args)]
struct ServeArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    listen: ListenArgs,
    /// The model server to stand in front of, such as http://127.0.0.1:8000/v1; without one it is a mock
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// The environment variable that holds the upstream's key
    #[arg(long, value_name = "NAME", requires = "upstream")]
    upstream_key_env: Option<String>,
    /// A folder of scenarios [default: prompts, where there is one]
    #[arg(long, help_heading = MOCK, value_name = "DIR")]
    prompts: Option<PathBuf>,
    /// How fast it answers: instant, hosted, local, or a profile of the configuration's [default: hosted]
    #[arg(long, help_heading = MOCK, value_name = "NAME", conflicts_with = "instant")]
    profile: Option<String>,
    /// Answer without any waiting, as with --profile instant
    #[arg(long, help_heading = MOCK)]
    instant: bool,
    /// How many times as fast it answers, such as 10 [default: 1]
    #[arg(long, help_heading = MOCK, value_name = "FACTOR")]
    speed: Option<f64>,
    /// Plan the times and keep none of them; GET /_mock/requests tells the plan
    #[arg(long, help_heading = MOCK)]
    virtual_time: bool,
    /// Whose chunks it writes: openai, azure, vllm, llama.cpp, ollama, openrouter, deepseek [default: openai]
    #[arg(long, help_heading = MOCK, value_name = "NAME")]
    dialect: Option<String>,
    /// Answer the same request with the same bytes, ids and times included
    #[arg(long, help_heading = MOCK)]
    deterministic: bool,
    /// Answer from the cassettes in this folder, byte for byte (see `tokenfall record`)
    #[arg(long, help_heading = MOCK, value_name = "DIR")]
    cassettes: Option<PathBuf>,
    /// What a request gets that no cassette has: error, mock, or record with --upstream [default: error]
    #[arg(long, help_heading = MOCK, value_name = "WHAT", requires = "cassettes")]
    on_miss: Option<String>,
    /// Stop when standard input ends, as it does when whoever started the server is gone
    #[arg(long)]
    stop_at_eof: bool,
}

/// The settings that these arguments of `serve` give.
///
/// # Errors
/// What is wrong with them.
pub fn settings(arguments: &[&str]) -> Result<Vec<Flag>, clap::Error> {
    let line = ["tokenfall"].iter().chain(arguments);
    Ok(serve::flags(Cli::try_parse_from(line)?.serve))
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
        Command::Config => {
            say(DEFAULTS);
            ExitCode::SUCCESS
        }
        Command::Openapi(args) => openapi::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}

/// The key that an environment variable holds, if one is named.
///
/// # Errors
/// Which flag named a variable that is not there.
fn key(flag: &str, name: Option<&str>) -> Result<Option<Secret>, String> {
    let Some(name) = name else { return Ok(None) };
    let key = secret(name).map(Some);
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

/// Each command and its flags, as a user types them.
#[cfg(test)]
fn every_word() -> Vec<(String, Vec<String>)> {
    use clap::CommandFactory;

    let program = Cli::command();
    let words = program.get_subcommands().map(|command| {
        let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
        let flags = shown.filter_map(|arg| Some(format!("--{}", arg.get_long()?)));
        (command.get_name().to_owned(), flags.collect())
    });
    words.collect()
}
